"""The readers of VOC and COCO: exact on tiny data sets, clear on damaged ones, right on the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import coco_content
from PIL import Image

from wsl.cli import main as cli
from wsl.data import check, coco, voc
from wsl.data.dataset import box_distance, labels_from_boxes
from wsl.errors import StudyError


def test_voc_tiny(voc_root):
    dataset = voc.load(voc_root, "2007", "val")
    assert dataset.images == ("000012", "000007", "2008_000003", "000100") and dataset.name == "VOC2007 val"
    assert dataset.files[0].is_file() and dataset.sizes.tolist()[:2] == [[100, 50], [60, 80]]
    dog, cat = voc.CLASSES.index("dog"), voc.CLASSES.index("cat")
    assert dataset.labels[:, [dog, cat]].tolist() == [[1, 0], [1, -1], [-1, 1], [0, -1]]
    assert dataset.boxes.xyxy[:4].tolist() == [
        [10, 10, 29, 39],
        [50, 0, 99, 49],
        [0, 0, 19, 19],
        [40.5, 40, 59, 79],
    ]
    assert dataset.boxes.ignored.tolist() == [False, True, True, False, False, True]
    assert dataset.boxes.pose[0] == "Left"
    for root in (voc_root.parent, voc_root / "VOC2007"):
        assert voc.load(root, "2007", "val").digest() == dataset.digest()
    half = dataset.subset([1, 0])
    assert half.images == ("000007", "000012") and half.boxes.image.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(half.labels, labels_from_boxes(half.boxes, 2, 20))
    moved = replace(dataset, boxes=replace(dataset.boxes, xyxy=dataset.boxes.xyxy + 1))
    assert len({dataset.digest(), half.digest(), moved.digest()}) == 3


def test_coco_tiny(coco_json, capsys):
    dataset = coco.load(coco_json)
    assert dataset.images == ("139", "7", "25") and dataset.classes == ("person", "car")
    assert dataset.labels.tolist() == [[0, 1], [-1, 1], [-1, -1]]
    assert dataset.boxes.image.tolist() == [0, 0, 0, 1] and dataset.boxes.cls.tolist() == [0, 1, 1, 1]
    assert dataset.boxes.xyxy[3].tolist() == [10.5, 20, 40.5, 30]
    assert all(file.is_file() for file in dataset.files)
    assert coco.load(coco_json, "elsewhere").files[0].parent.name == "elsewhere"
    assert capsys.readouterr().out == ""  # pycocotools prints; this reader does not


def test_box_distance(voc_root):
    dataset = voc.load(voc_root, "2007", "val")
    dog, cat = voc.CLASSES.index("dog"), voc.CLASSES.index("cat")
    xy = np.zeros((4, 20, 2))
    xy[:, dog] = [(29, 39), (30, 30), (0, 0), (27, 9)]
    xy[0, cat] = (32, 49)
    xy[2, cat] = np.nan
    distance = box_distance(xy, dataset)
    assert distance[:, dog].tolist() == [
        0,
        10.5,
        np.inf,
        18,
    ]  # on the edge; L-infinity; no box; difficult counts
    assert distance[0, cat] == 18 and np.isnan(distance[2, cat])
    with pytest.raises(ValueError, match="shape"):
        box_distance(xy[:2], dataset)


XML = "Annotations/000012.xml"
DOGS = "ImageSets/Main/dog_val.txt"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (XML, None, None, "000012.xml: no such annotation"),
        (XML, "</object></annotation>", "", "000012.xml: truncated"),
        (XML, "<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "000012.xml: has a DOCTYPE"),
        (XML, "dog", "unicorn", "000012.xml: unknown class 'unicorn'"),
        (
            XML,
            "<xmax>30<",
            "<xmax>112.5<",
            r"000012.xml: dog: box \(11, 11, 112.5, 40\) leaves the image of 100 x 50",
        ),
        (XML, "<xmin>11<", "<xmin>31<", r"000012.xml: dog: box \(31, 11, 30, 40\) is reversed"),
        (XML, "<xmin>11<", "<xmin>nan<", "000012.xml: <bndbox/xmin> is 'nan'"),
        (XML, "<width>100<", "<width>wide<", "000012.xml: <size/width> is 'wide'"),
        (DOGS, None, None, "dog_val.txt: no such class file"),
        (DOGS, "000012", "000013", "dog_val.txt: disagrees.* lacks 1 image.* 000012"),
        (DOGS, "000012  1", "000012  1\n5 -1", "dog_val.txt: disagrees.* also names 1 image.* 5"),
        (DOGS, "000012  1", "000012  2", "dog_val.txt: line 2 reads '000012 2'"),
        ("ImageSets/Main/val.txt", "000007", "000012", "val.txt: image 000012 is listed twice"),
        ("ImageSets/Main/val.txt", None, None, "val.txt: no such split 'val'; splits found here: none"),
    ],
)
def test_damaged_voc(voc_root, file, old, new, message):
    path = voc_root / "VOC2007" / file
    if old is None:
        path.unlink()
    else:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StudyError, match=message):
        voc.load(voc_root, "2007", "val")


def test_wrong_root(voc_root, tmp_path):
    for args, message in (
        ((tmp_path / "none", "2007", "val"), "none: no such folder"),
        ((tmp_path / "VOCdevkit", "2012", "val"), "no folder VOC2012; years found here: 2007"),
        ((voc_root / "VOC2007" / "JPEGImages", "2007", "val"), "holds no VOC<year>"),
        ((voc_root, "2007", "test"), "no such split 'test'; splits found here: val$"),
    ):
        with pytest.raises(StudyError, match=message):
            voc.load(*args)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("annotations", {"image_id": 5}, "annotation 1 has image_id 5"),
        ("annotations", {"category_id": 5}, "annotation 1 has category_id 5"),
        ("annotations", {"bbox": [10, 20, 66, 10]}, "annotation 1 of image 7: .*leaves the image .64 x 48"),
        ("annotations", {"bbox": [10, 20, -1, 10]}, "negative side"),
        ("annotations", {"bbox": [10, 20, float("nan"), 10]}, "not finite"),
        ("annotations", {"bbox": [10, 20, 3]}, r"bbox \[10, 20, 3\]"),
        ("annotations", {"id": 2}, "two annotations share an id .2"),
        ("images", {"width": None}, "image 139 is None x 48"),
        ("images", {"height": 0}, "image 139 is 64 x 0"),
        ("images", {"id": 1.5}, "id 1.5; expected an integer or a text"),
        ("images", {"id": "7"}, "two images share an id .7"),
        ("categories", {"name": "person"}, "two categories are called 'person'"),
        ("annotations", None, "has no list 'annotations'"),
    ],
)
def test_damaged_coco(coco_json, section, change, message):
    content = coco_content()
    if change is None:
        del content[section]
    else:
        content[section][0].update(change)
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=message) as error:
        coco.load(coco_json)
    assert str(coco_json) in str(error.value)


def test_coco_cut_off(coco_json):
    coco_json.write_text(coco_json.read_text()[:-40])
    with pytest.raises(StudyError, match="cut off"):
        coco.load(coco_json)
    with pytest.raises(StudyError, match="no such file"):
        coco.load(coco_json.parent / "none.json")


def test_data_check(voc_root, coco_json, capsys):
    arguments = ["data", "check", "--voc", str(voc_root), "--year", "2007", "--split", "val"]
    assert cli.main(arguments) == 0 and "4 images, 6 boxes, no problem" in capsys.readouterr().out
    assert cli.main(["data", "check", "--coco", str(coco_json)]) == 0
    folder = voc_root / "VOC2007"
    image = folder / "JPEGImages" / "000012.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    (folder / "JPEGImages" / "000007.jpg").write_bytes(b"")
    Image.new("L", (41, 40)).save(folder / "JPEGImages" / "000100.jpg")
    (folder / "JPEGImages" / "2008_000003.jpg").unlink()
    dogs = folder / DOGS
    dogs.write_text(dogs.read_text().replace("000012  1", "000012 -1"))
    cats = folder / "ImageSets/Main/cat_val.txt"
    cats.write_text(cats.read_text().replace(" 1", " x"))
    assert cli.main(arguments) == 2
    shown = capsys.readouterr().err
    assert "error: 6 problem(s)" in shown and "dog is labelled -1 in its class file but 1" in shown
    assert all(
        name in shown for name in ("000012.jpg", "000007.jpg", "000100.jpg", "2008_000003.jpg", "cat_val.txt")
    )


def test_right_of_the_table_nothing_imports_torch():
    code = "import sys, wsl.cli.main, wsl.evaluation.evaluate, wsl.data.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_real_voc(realdata):
    counts = {"train": (1315, 4282), "val": (1312, 4125), "trainval": (2627, 8407)}
    for split, (n_images, n_boxes) in counts.items():
        dataset = voc.load(realdata / "voc", "2007", split)
        assert (len(dataset), len(dataset.boxes)) == (n_images, n_boxes)
        np.testing.assert_array_equal(dataset.labels, labels_from_boxes(dataset.boxes, n_images, 20))
    folder = voc.find_folder(
        realdata / "voc", "2012"
    )  # the official lists; most of its photographs are not there
    lists = {split: voc.read_list(voc.split_file(folder, split)) for split in ("train", "val", "trainval")}
    assert [len(images) for images in lists.values()] == [5717, 5823, 11540]
    labels, problems, notes = voc.read_labels(folder, "val", lists["val"])
    assert len(labels) == 20 and not problems and not notes
    assert all(one.shape == (5823,) and {-1, 1} <= set(one.tolist()) <= {-1, 0, 1} for one in labels.values())
    assert voc.read_annotation(folder / "Annotations" / "2007_000032.xml").size == (500, 281)


def test_real_coco(realdata):
    found = [
        coco.load(realdata / "coco" / "annotations" / f"instances_{s}2014.json") for s in ("train", "val")
    ]
    assert [len(d) for d in found] == [1580, 1579] and [d.name for d in found] == [
        "COCO train2014",
        "COCO val2014",
    ]
    assert sum(d.boxes.ignored.sum() for d in found) == 18 + 128
    assert sum((d.labels == -1).all(axis=1).sum() for d in found) == 15 + 10  # images without annotation stay
    assert all(len(d.classes) == 80 and (d.labels == 1).any(axis=0).all() for d in found)
    assert not check.check_coco(realdata / "coco" / "annotations" / "instances_val2014.json")
