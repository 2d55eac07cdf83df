"""Files as people and their tools write them: read where there is one reading, refused with a remedy that helps where not."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import unicodedata
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import VOC_IMAGES, coco_content
from PIL import Image
from test_evaluate import random_table, run_json

from wsl.cli import main as cli
from wsl.data import check, coco, voc
from wsl.data.images import read_image, upright_size
from wsl.errors import StudyError
from wsl.evaluation import points, predictions
from wsl.systems import localize


@pytest.fixture
def tables(coco_json, tmp_path):
    """(data set, its random table, where a table goes, arguments that name the data)."""
    dataset = coco.load(coco_json)
    return dataset, random_table(dataset), tmp_path / "mine.csv", ["--coco", coco_json]


# ---- annotations: no silent wrong result


@pytest.mark.parametrize(("text", "difficult"), [("True", True), ("true", True), ("1.0", True), (" 1 ", True), ("False", False),
                                                 ("0.0", False), ("", False), ("2", None), ("maybe", None)])  # fmt: skip
def test_difficult_and_crowd_are_read_as_tools_write_a_yes(voc_root, coco_json, text, difficult):
    path = voc_root / "VOC2007/Annotations/000100.xml"
    path.write_text(path.read_text().replace("<difficult>1<", f"<difficult>{text}<"))
    content = coco_content()
    content["annotations"][2]["iscrowd"] = text
    coco_json.write_text(json.dumps(content))
    if difficult is None:
        with pytest.raises(StudyError, match=f"<difficult> is '{text}'; expected 0 or 1"):
            voc.load(voc_root, "2007", "val")
        with pytest.raises(StudyError, match=f"annotation 3 has iscrowd '{text}'; expected 0 or 1"):
            coco.load(coco_json)
    else:
        assert voc.load(voc_root, "2007", "val").boxes.ignored[-1] == difficult
        assert coco.load(coco_json).labels[0].tolist() == [0, 0 if difficult else 1]
        assert any("dog is labelled 0" in p for p in check.check_voc(voc_root, "2007", "val")) == (not difficult)


# ---- VOC as other tools export it


def test_labels_follow_from_the_objects_where_there_is_no_class_file(voc_root):
    expected = voc.load(voc_root, "2007", "val")
    files = [path for path in (voc_root / "VOC2007/ImageSets/Main").iterdir() if path.name != "val.txt"]
    for path in files[:-1]:
        path.unlink()
    with pytest.raises(StudyError, match="no such class file, but there are others"):  # a damaged copy is not an export
        voc.load(voc_root, "2007", "val")
    files[-1].unlink()
    found = voc.load(voc_root, "2007", "val")
    assert found.digest() == expected.digest() and not expected.notes and "labels follow from the objects" in found.notes[0]
    assert check.check_voc(voc_root, "2007", "val") == list(found.notes)


def test_a_list_may_name_fewer_images_than_all_class_files(voc_root):
    whole = voc.load(voc_root, "2007", "val")
    (voc_root / "VOC2007/ImageSets/Main/val.txt").write_text("000007\n000012\n")
    found = voc.load(voc_root, "2007", "val")
    assert found.digest() == whole.subset([1, 0]).digest()
    assert found.notes == ("val.txt names 2 of the 4 images of the class files",)
    assert check.check_voc(voc_root, "2007", "val") == list(found.notes)


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "latin-1", "shift_jis", "utf-8"])
def test_xml_in_any_encoding_that_it_declares(voc_root, encoding):
    expected = voc.load(voc_root, "2007", "val")
    path = voc_root / "VOC2007/Annotations/000012.xml"
    text = path.read_text()
    noted = "é" if encoding == "latin-1" else "中"
    whole = f'<?xml version="1.0" encoding="{encoding}"?>\n' + text.replace("<size>", f"<folder>{noted}</folder><size>")
    path.write_bytes(whole.encode(encoding))
    assert voc.load(voc_root, "2007", "val").digest() == expected.digest()
    path.write_bytes(text.replace("<size>", f"<folder>{noted}</folder><size>").encode("gb2312" if noted == "中" else "latin-1"))
    with pytest.raises(StudyError, match="000012.xml: is not text in UTF-8 .*save it as UTF-8"):
        voc.load(voc_root, "2007", "val")


def test_lists_of_windows_and_lists_of_file_names(voc_root):
    expected = voc.load(voc_root, "2007", "val")
    path = voc_root / "VOC2007/ImageSets/Main/val.txt"
    text = path.read_text()
    path.write_text(text.replace("\n", "\r\n"), encoding="utf-16")
    assert voc.load(voc_root, "2007", "val").digest() == expected.digest()
    path.write_bytes("é".encode("latin-1"))
    with pytest.raises(StudyError, match="val.txt: is not text in UTF-8.*save it as UTF-8"):
        voc.load(voc_root, "2007", "val")
    for suffix in (".jpg", ".xml"):
        path.write_text(text.replace("\n", f"{suffix}\n"))
        with pytest.raises(StudyError, match=rf"val.txt: names 000012{suffix}, but ids have no extension: remove {suffix}"):
            voc.load(voc_root, "2007", "val")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: f"JPEGImages/{image}.jpg", r"ids have no folder, no extension: write the id alone \(000012, ...\)"),
        (lambda image: f"JPEGImages\\{image}.jpg", r"write the id alone \(000012, ...\)"),
        (lambda image: f"/data/VOC2007/{image}.jpg", r"line 1 .*leads out of the data set; write the id alone \(000012\)"),
        (lambda image: f"foto {image}", "line 1 reads 'foto 000012'.*an id has no blank"),
    ],
)
def test_lists_of_paths_lead_to_the_id(voc_root, change, words):
    (voc_root / "VOC2007/ImageSets/Main/val.txt").write_text("".join(f"{change(image)}\n" for image in VOC_IMAGES))
    with pytest.raises(StudyError, match=f"val.txt: .*{words}"):
        voc.load(voc_root, "2007", "val")


@pytest.mark.parametrize("mark", ['<annotation xmlns="u">', '<v:annotation xmlns:v="u">'])
def test_xml_with_a_namespace_keeps_its_objects(voc_root, mark):
    expected = voc.load(voc_root, "2007", "val")
    path = voc_root / "VOC2007/Annotations/000012.xml"
    text = path.read_text()
    if "v:" in mark:
        text = text.replace("</", "</v:").replace("<", "<v:").replace("<v:/v:", "</v:")
    path.write_text(text.replace("<v:annotation>", mark).replace("<annotation>", mark))
    assert voc.load(voc_root, "2007", "val").digest() == expected.digest()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("annotation>", "annotations>", "outermost element is <annotations>, not <annotation>"),
        ("object>", "Object>", "has 2 bndboxes, but 0 objects that could be read"),
        ("</bndbox>", "</bndbox><bndbox/>", "has 4 bndboxes, but 2 objects"),
        ("<width>100<", "<width>100.7<", "image size 100.7 x 50; expected integers"),
    ],
)
def test_xml_of_another_structure_is_refused(voc_root, old, new, words):
    """Without class files it would be an image without objects, and nobody would know."""
    path = voc_root / "VOC2007/Annotations/000012.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(StudyError, match=f"000012.xml: .*{words}"):
        voc.load(voc_root, "2007", "val")


def test_parts_have_boxes_of_their_own(voc_root):
    expected, path = voc.load(voc_root, "2007", "val"), voc_root / "VOC2007/Annotations/000012.xml"
    path.write_text(path.read_text().replace("</object>", "<part><name>head</name><bndbox/></part></object>"))
    assert voc.load(voc_root, "2007", "val").digest() == expected.digest()


@pytest.mark.parametrize("forms", [("NFC", "NFD", "NFC"), ("NFD", "NFC", "NFC"), ("NFC", "NFC", "NFD")])
def test_letters_with_accents_are_the_same_in_both_forms_of_unicode(voc_root, tmp_path, forms):
    """In the list, in the names of the files (macOS), in the table."""
    expected, folder = voc.load(voc_root, "2007", "val"), voc_root / "VOC2007"
    listed, kept, told = (unicodedata.normalize(form, "gr\u00f6\u00dfe") for form in forms)
    for path in (folder / "ImageSets/Main").iterdir():
        path.write_text(path.read_text().replace("000012", listed))
    for path in (folder / "Annotations/000012.xml", folder / "JPEGImages/000012.jpg"):
        path.rename(path.with_stem(kept))
    assert check.check_voc(voc_root, "2007", "val") == []
    found = voc.load(voc_root, "2007", "val")
    table = random_table(found).replace({"image": {listed: told}})
    np.testing.assert_array_equal(predictions.align(table, found).scores, predictions.align(random_table(found), found).scores)
    assert found.boxes.xyxy.tolist() == expected.boxes.xyxy.tolist()
    maps = tmp_path / "maps"
    maps.mkdir()
    np.save(maps / f"{kept}.jpg.npy", np.zeros((20, 2, 2)))
    assert [image for image, _ in points.read_arrays(maps, found)] == [listed]


def test_pictures_with_another_ending(voc_root):
    folder = voc_root / "VOC2007/JPEGImages"
    for image, name in zip(VOC_IMAGES, ("000012.JPG", "000007.png", "2008_000003.jpeg", "000100.jpg"), strict=True):
        (folder / f"{image}.jpg").rename(folder / f"{image}.moved")
        Image.new("RGB", VOC_IMAGES[image][0]).save(folder / name)
    (folder / "000100.png").write_bytes(b"")  # the usual name goes first
    assert [file.suffix for file in voc.load(voc_root, "2007", "val").files] == [".JPG", ".png", ".jpeg", ".jpg"]
    assert check.check_voc(voc_root, "2007", "val") == []
    (folder / "000007.png").unlink()
    (problem,) = check.check_voc(voc_root, "2007", "val")
    assert "000007.jpg: no such image" in problem and "data check" not in problem


# ---- sizes and boxes, in both layouts


def test_sizes_are_read_from_the_pictures_where_the_file_states_none(voc_root, coco_json):
    expected, path = voc.load(voc_root, "2007", "val"), voc_root / "VOC2007/Annotations/000012.xml"
    text, size = path.read_text(), "<size><width>100</width><height>50</height></size>"
    for instead in ("", "<size><width>0</width><height>0</height></size>"):
        path.write_text(text.replace(size, instead))
        found = voc.load(voc_root, "2007", "val")
        assert found.digest() == expected.digest() and found.notes == ("1 annotation state no size: read from the pictures",)
        assert len(check.check_voc(voc_root, "2007", "val")) == 1
    (voc_root / "VOC2007/JPEGImages/000012.jpg").unlink()
    with pytest.raises(StudyError, match="000012.xml: has no <size>.*or give the pictures"):
        voc.load(voc_root, "2007", "val")

    expected, content = coco.load(coco_json), coco_content()
    for image in content["images"]:
        del image["width"], image["height"]
    coco_json.write_text(json.dumps(content))
    found = coco.load(coco_json)
    assert found.digest() == expected.digest() and "3 images without width and height" in found.notes[0]
    assert len(check.check_coco(coco_json)) == 1
    with pytest.raises(StudyError, match="image 139 has no width and height, and .*--images"):
        coco.load(coco_json, "elsewhere")


def test_boxes_a_few_pixels_outside_are_clipped_and_counted(voc_root, coco_json):
    path = voc_root / "VOC2007/Annotations/000012.xml"
    path.write_text(path.read_text().replace("<xmax>100<", "<xmax>104<").replace("<xmin>11<", "<xmin>-3<"))
    found = voc.load(voc_root, "2007", "val")
    assert found.boxes.xyxy[:2].tolist() == [[0, 10, 29, 39], [50, 0, 99, 49]]
    assert "2 boxes clipped to the image" in found.notes[0] and "(-3, 11, 30, 40)" in found.notes[0]
    assert len(check.check_voc(voc_root, "2007", "val")) == 2
    content = coco_content()
    content["annotations"][0]["bbox"] = [-2.5, 20, 70, 10]
    coco_json.write_text(json.dumps(content))
    found = coco.load(coco_json)
    assert found.boxes.xyxy[3].tolist() == [0, 20, 64, 30] and "1 box clipped to the image" in found.notes[0]
    assert found.boxes.xyxy[0].tolist() == [0, 0, 64.4, 48]  # a rounding error stays
    for outside in ([-12, 20, 30, 10], [66, 20, 3, 10], [10, 52, 3, 3]):  # far out, or not on the picture at all
        content["annotations"][0]["bbox"] = outside
        coco_json.write_text(json.dumps(content))
        with pytest.raises(StudyError, match="leaves the image"):
            coco.load(coco_json)


# ---- COCO as other tools write it


def test_ids_may_be_texts_or_whole_numbers_with_a_point(coco_json):
    expected = coco.load(coco_json)
    for convert in (float, str, lambda n: f"img_{n}"):
        content = coco_content()
        for image in content["images"]:
            image["id"] = convert(image["id"])
        for annotation in content["annotations"]:
            annotation["image_id"], annotation["category_id"] = convert(annotation["image_id"]), float(annotation["category_id"])
        coco_json.write_text(json.dumps(content))
        found = coco.load(coco_json)
        assert [i.removeprefix("img_") for i in found.images] == list(expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)
    content["annotations"][0]["image_id"] = "img_8"
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="annotation 1 has image_id img_8, not among the images"):
        coco.load(coco_json)


def test_blanks_round_names_and_folders_as_on_windows(coco_json):
    expected, content = coco.load(coco_json), coco_content()
    folder = coco_json.parent.parent / "tiny"
    (folder / "sub").mkdir()
    for image in content["images"]:
        (folder / image["file_name"]).rename(folder / "sub" / image["file_name"])
        image["id"], image["file_name"] = f" {image['id']} ", f"sub\\{image['file_name']}"
    for category in content["categories"]:
        category["name"] += " "
    coco_json.write_text(json.dumps(content))
    found = coco.load(coco_json)
    assert found.images == expected.images and found.classes == expected.classes and check.check_coco(coco_json) == []
    content["images"][0]["file_name"] = "..\\..\\elsewhere.jpg"
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="which is not in"):
        coco.load(coco_json)


def test_a_root_category_without_annotations_gives_way_to_its_namesake(coco_json):
    expected, content = coco.load(coco_json), coco_content()
    content["categories"].insert(0, {"id": 0, "name": "car", "supercategory": "none"})
    coco_json.write_text(json.dumps(content))
    found = coco.load(coco_json)
    assert found.digest() == expected.digest() and found.notes[0].startswith("category 0 'car' left out")
    assert check.check_coco(coco_json) == [f"{coco_json}: {found.notes[0]}"]
    content["annotations"][0]["category_id"] = 0
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match="two categories are called 'car'.*rename or merge"):
        coco.load(coco_json)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}], "holds a list"),
        ({"images": [], "annotations": [{"id": 1, "image_id": 7, "caption": "a car"}]}, "holds captions"),
        ({"images": [], "categories": []}, "has no list 'annotations'"),
        ({"images": [], "annotations": [{"id": 7, "image_id": 7, "segments_info": []}]}, "panoptic"),
    ],
)
def test_other_files_of_coco_lead_to_the_instances(coco_json, content, words):
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=words) as error:
        coco.load(coco_json)
    assert "instances_<split>.json" in str(error.value) and "download" not in str(error.value)


def test_segmentation_only_asks_for_boxes(coco_json):
    content = coco_content()
    del content["annotations"][0]["bbox"]
    coco_json.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=r"annotations\[0\] has no 'bbox'; add the box .*toBbox"):
        coco.load(coco_json)


# ---- compressed files and pipes


def zipped(data: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names or ("a.csv",):
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_compressed_files_are_read_whatever_their_name(tables, capsys, pack):
    _, df, path, data = tables
    df.to_csv(path, index=False)
    expected, _ = run_json(capsys, path, *data)
    for file in (path, data[1]):
        whole = file.read_bytes()
        file.write_bytes(pack(whole)[:-12])
        assert cli.main(["evaluate", str(path), *map(str, data)]) == 2
        assert f"{file}: is compressed, but cut off" in capsys.readouterr().err
        file.write_bytes(pack(whole))
    assert run_json(capsys, path, *data)[0] == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(b"", "a.csv", "b.csv"), "is a zip archive of 2 files; unpack it"),
        (zipped(b"", "xl/workbook.xml", "a"), "is an Excel workbook; save its sheet as CSV"),
        (b"\x28\xb5\x2f\xfd rest", "is compressed with zstd"),
    ],
)
def test_archives_that_leave_a_doubt_are_refused(tables, capsys, content, words):
    _, _, path, data = tables
    path.write_bytes(content)
    assert cli.main(["evaluate", str(path), *map(str, data)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("packed", [True, False])
def test_the_table_may_come_through_standard_input(tables, capsys, monkeypatch, packed):
    _, df, path, data = tables
    predictions.write(df, path)
    expected, _ = run_json(capsys, path, *data)
    content = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert run_json(capsys, "-", *data)[0] == expected
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    assert cli.main(["evaluate", "-", *map(str, data)]) == 2 and "standard input: is empty" in capsys.readouterr().err


# ---- CSV as people write it

WRITTEN = {
    "semicolons and decimal commas": lambda df: df.to_csv(sep=";", decimal=",", index=False),
    "semicolons and points": lambda df: df.to_csv(sep=";", index=False),
    "Excel's first line": lambda df: "sep=;\r\n" + df.to_csv(sep=";", decimal=",", index=False, lineterminator="\r\n"),
    "tabs and an index": lambda df: df.to_csv(sep="\t"),
    "bars": lambda df: df.to_csv(sep="|", index=False),
    "quotes and decimal commas": lambda df: df.to_csv(decimal=",", index=False, quoting=1),
    "blanks after commas": lambda df: df.to_csv(index=False).replace(",", ", "),
    "blanks and quotes": lambda df: df.to_csv(index=False, quoting=1).replace('","', '" , "'),
    "an index": lambda df: df.to_csv(),
    "R's names of rows": lambda df: df.set_axis(range(1, len(df) + 1)).to_csv(quoting=2).replace('"",', "", 1),
    "a separator at the end": lambda df: df.to_csv(index=False).replace("\n", ",\n").replace(",\n", "\n", 1),
    "another order and case": lambda df: df[["y", "score", "class", "x", "image"]].rename(columns=str.title).to_csv(index=False),
    "blank lines": lambda df: "\n \n" + df.to_csv(index=False).replace("\n", "\n\n"),
    "old Macintosh": lambda df: df.to_csv(index=False, lineterminator="\r"),
    "ids with a point": lambda df: df.assign(image=df["image"] + ".0").to_csv(index=False),
    "file names": lambda df: df.assign(image=[f"COCO_tiny_{int(i):012d}.jpg" for i in df["image"]]).to_csv(index=False),
    "names without ending": lambda df: df.assign(image=[f"COCO_tiny_{int(i):012d}" for i in df["image"]]).to_csv(index=False),
    "Windows": lambda df: df.assign(image=[f"tiny\\COCO_tiny_{int(i):012d}.jpg" for i in df["image"]]).to_csv(index=False),
    "paths": lambda df: df.assign(image=[f"tiny/COCO_tiny_{int(i):012d}.jpg" for i in df["image"]]).to_csv(index=False),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("written", WRITTEN)
def test_csv_as_people_write_it(tables, written, encoding):
    dataset, df, path, _ = tables
    path.write_bytes(WRITTEN[written](df.round({"x": 2, "y": 2})).encode(encoding))
    expected, found = (predictions.align(table, dataset) for table in (df.round({"x": 2, "y": 2}), predictions.read(path)))
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.points, expected.points)


HEAD = "image,class,score,x,y\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image class score x y\n7 car 1 2 3\n", "separated by commas, semicolons, tabs, bars"),
        ("7,car,1,2,3\n", "named in the first line"),
        (HEAD + '7,car,"1,234","2,345",3\n', "column score reads '1,234', whose comma may part decimals or thousands"),
        (HEAD.replace(",", ";") + "7;car;1.234,5;2;3\n", "column score reads '1.234,5', whose comma"),
        (HEAD.replace(",", ";") + "7;car;1,5;2;3\n7;person;2.5;2;3\n", "column score reads '1,5', whose comma"),
        (HEAD + "7,car,0,5,2,3\n", "Expected 5 columns"),
        ("image,class,Score,SCORE,x,y\n7,car,1,1,2,3\n", "has the column score twice"),
        (HEAD + "7,car,1,2,3\n7.0,car,1,2,3\n", "image 7.0, class car has two rows, as the id is written in two ways"),
        (HEAD + "COCO_tiny_000000000007.jpg,car,1,2,3\n", "give the id in the JSON, an integer without leading zeros: '7'"),
        (HEAD + "000000000007,car,1,2,3\n", "integers without leading zeros"),
        (HEAD + "7,caré,1,2,3\n", "is not text in UTF-8"),
        (HEAD + "7,car,1,0.25,0.5\n139,car,1,1,0.1\n", "no x or y exceeds 1, the first point is (0.25, 0.5)"),
        ('[{"image": 7}]', "is JSON; save it with pandas as CSV"),
        ("ARROW1\0\0", "is in Arrow's format (Feather)"),
        ("\x80\4", "is a pickle, which may hold a program"),
        ("".join(f"{letter}\0" for letter in HEAD), "holds bytes 0, as UTF-16 without its mark"),
    ],
)
def test_csv_with_two_readings_is_refused(tables, capsys, text, words):
    _, _, path, data = tables
    path.write_text(text, encoding="latin-1")
    assert cli.main(["evaluate", str(path), *map(str, data)]) == 2
    assert words in capsys.readouterr().err


# ---- pictures


def test_a_tiff_is_turned_once(tmp_path):
    """Pillow turns a TIFF itself; the same picture as PNG is turned here."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix in ("png", "tif"):
            picture.save(tmp_path / f"a.{suffix}", exif=exif)
        png, tif = (read_image(tmp_path / f"a.{suffix}") for suffix in ("png", "tif"))
        np.testing.assert_array_equal(png, tif)
        assert upright_size(tmp_path / "a.png") == upright_size(tmp_path / "a.tif") == png.shape[1::-1]
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", png.shape[1::-1]), tif)


@pytest.mark.parametrize("block", [b"http://ns.adobe.com/xap/1.0/\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_a_damaged_exif_block_does_not_spoil_a_whole_picture(tmp_path, block, recwarn):
    Image.new("RGB", (30, 20), (200, 0, 0)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    assert read_image(tmp_path / "a.jpg").shape == (20, 30, 3) and upright_size(tmp_path / "a.jpg") == (30, 20)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint16, 65535), (np.float32, 1), (np.float32, 255), (np.int32, 65535),
                                             (np.float32, 65535), (np.float32, 1e6), (np.int32, 1e6)])  # fmt: skip
def test_deep_pictures_keep_their_grey(tmp_path, dtype, full):
    ramp = np.linspace(0, full, 256).astype(dtype).reshape(16, 16)
    if dtype == np.float32:
        ramp[0, 0] = np.nan
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    rgb = read_image(tmp_path / "a.tif")
    assert abs(rgb[..., 0].astype(int).ravel() - np.arange(256)).max() <= 1 and (rgb[..., 0] == rgb[..., 2]).all()


def test_palettes_with_transparency_are_read_without_a_word(tmp_path):
    Image.new("P", (30, 20)).save(tmp_path / "a.png", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.png").shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC.*convert it to JPEG"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG.*export it as PNG"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page.*fetch the picture"),
        (b"%PDF-1.7", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS.*git lfs pull"),
        (b"no picture at all", "of a format that Pillow does not know; convert it"),
        (b"", "empty, or was cut off"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path, content, words):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(StudyError, match=f"a.jpg: not a readable image: .*{words}") as error:
        read_image(tmp_path / "a.jpg")
    assert "fetch it again" not in str(error.value)
    with pytest.raises(StudyError, match="is a folder"):
        read_image(tmp_path)


# ---- many photographs


@pytest.fixture
def fake(monkeypatch):
    """`wsl localize` with a network that sees a cat in the middle of every picture that can be read."""

    def look(path):
        rgb, (width, height) = read_image(path), upright_size(path)
        rows = [{"class": c, "score": s, "probability": p, "x": width / 2, "y": height / 2} for c, s, p in
                (("cat", 2.0, 0.9), ("dog", 1.0, 0.7), ("bus", -1.0, 0.2))]  # fmt: skip
        maps = {row["class"]: np.zeros((2, 2), np.float32) for row in rows}
        return localize.Localization(rgb, (width, height), rows, maps, 500)

    monkeypatch.setattr(localize, "load_localizer", lambda *_: look)


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    for name in ("a/IMG_1.jpg", "b/IMG_1.jpg", "b/IMG_1.png", "b/img_1.webp", "b/old_localized.png", "b/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("txt"):
            Image.new("RGB", (40, 30)).save(folder / name)
    return folder


def test_folders_and_patterns_give_a_picture_each_and_one_table(fake, album, tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "all.csv"
    arguments = ["localize", str(album / "a"), str(album / "**" / "*.*p*g"), str(album / "b"), "--out", str(out)]
    assert cli.main([*arguments, "--csv", str(table), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["image"].removeprefix(f"{album}/") for one in report["images"]] == [
        "a/IMG_1.jpg", "b/IMG_1.jpg", "b/IMG_1.png", "b/img_1.webp",
    ] and report["failed"] == []  # fmt: skip
    assert sorted(file.name for file in out.iterdir()) == [
        "IMG_1-2_localized.png", "IMG_1-3_localized.png", "IMG_1_localized.png", "img_1-4_localized.png",
    ]  # fmt: skip
    found = predictions.read(table)
    assert len(found) == 8 and found["image"].nunique() == 4 and found["x"].tolist() == [20.0] * 8
    assert cli.main(["localize", str(album / "a"), "--out", str(out), "--top", "3"]) == 0
    assert "bus" in capsys.readouterr().out
    none = (["--top", "0"], "--top 0"), ([str(album / "*.tiff")], "no file has such a name"), ([str(out)], "no picture")
    for wrong, words in none:
        assert cli.main(["localize", str(album / "a"), *wrong]) == 2 and words in capsys.readouterr().err


def test_a_drawing_never_takes_the_place_of_a_photograph(fake, album, capsys):
    shutil.copy(album / "b/IMG_1.png", album / "b/IMG_1_localized.png")
    before = (album / "b/IMG_1_localized.png").read_bytes()
    photographs = [str(album / "b/IMG_1.png"), str(album / "b/IMG_1_localized.png")]
    assert cli.main(["localize", *photographs, "--out", str(album / "b")]) == 0
    assert (album / "b/IMG_1_localized.png").read_bytes() == before and (album / "b/IMG_1-2_localized.png").is_file()


def test_one_broken_photograph_does_not_stop_the_others(fake, album, tmp_path, capsys):
    (album / "b/IMG_0.jpg").write_bytes(b"<html>")
    (album / "b/._IMG_1.jpg").write_bytes(b"what macOS keeps beside a picture")
    assert cli.main(["localize", str(album / "b"), str(album / "none.jpg"), "--out", str(tmp_path), "--json"]) == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert len(report["images"]) == 3 and [one["image"].split("/")[-1] for one in report["failed"]] == ["IMG_0.jpg", "none.jpg"]
    assert err.count("error: ") == 2 and "IMG_0.jpg: not a readable image" in err and "none.jpg: no such image" in err
    assert cli.main(["localize", str(album / "b/IMG_0.jpg"), "--out", str(tmp_path)]) == 2
