"""`wsl points`: score maps and boxes become the table that `wsl evaluate` takes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from wsl.cli import main as cli
from wsl.data import coco, voc
from wsl.errors import StudyError
from wsl.evaluation import points, predictions


def test_a_map_lies_over_the_image_or_over_a_padded_square():
    """A picture of 100 x 50: the middle of a cell, in pixels; the best cell beside the picture does not count."""
    one, size = np.zeros((1, 4, 4)), {"a": (100, 50)}
    one[0, 1, 2], one[0, 3, 0] = 1, 2  # the second one lies in the padding below, but for "image"
    found = {laid: points.predictions_from_maps({"a": one}, size, ["dog"], laid=laid) for laid in points.LAID}
    assert found["image"][["score", "x", "y"]].values.tolist() == [[2, 12, 43.25]]
    assert found["canvas"][["score", "x", "y"]].values.tolist() == [[1, 62, 37]]
    assert found["centred"][["score", "x", "y"]].values.tolist() == [[1, 62, 12]]
    fine = np.zeros((1, 100, 200))  # finer than the picture, which it covers to its edges
    fine[0, 0, 0] = 1
    assert points.predictions_from_maps({"a": fine}, size, ["dog"])[["x", "y"]].values.tolist() == [[0, 0]]
    exact = np.zeros((1, 50, 100))
    exact[0, 7, 31] = 1
    table = points.predictions_from_maps({"a": exact}, size, ["dog"], {"a": np.array([-3.5])})
    assert table.values.tolist() == [["a", "dog", -3.5, 31, 7]]


def test_every_way_to_keep_maps_gives_the_same_table(voc_root, tmp_path, capsys):
    dataset, data = voc.load(voc_root, "2007", "val"), ["--voc", str(voc_root), "--year", "2007", "--split", "val"]
    maps = np.random.default_rng(0).random((4, 20, 3, 5))
    by_image = dict(zip(dataset.images, maps, strict=True))
    np.save(tmp_path / "all.npy", maps)
    np.savez(tmp_path / "all.npz", **by_image)
    for name in ("folder", "classes"):
        (tmp_path / name).mkdir()
    for image, array in by_image.items():
        np.save(tmp_path / "folder" / f"{image}.npy", array)
        np.savez(tmp_path / "classes" / f"{image}.npz", **dict(zip(voc.CLASSES, array, strict=True)))
    sizes = dict(zip(dataset.images, dataset.sizes.tolist(), strict=True))
    expected = points.predictions_from_maps(by_image, sizes, voc.CLASSES)
    for name in ("all.npy", "all.npz", "folder", "classes"):
        out = tmp_path / "mine.parquet"
        assert cli.main(["points", str(tmp_path / name), *data, "-o", str(out)]) == 0
        keys = list(zip(expected["image"], expected["class"], strict=True))
        found = predictions.read(out).set_index(["image", "class"]).loc[keys]
        np.testing.assert_array_equal(found[["score", "x", "y"]], expected[["score", "x", "y"]].astype(np.float32))
        assert cli.main(["evaluate", str(out), *data]) == 0
    for image in dataset.images:  # as Windows and macOS leave them
        (tmp_path / "folder" / f"{image}.npy").rename(tmp_path / "folder" / f"{image}.NPY")
        (tmp_path / "folder" / f"._{image}.npy").write_bytes(b"")
    assert len(dict(points.read_arrays(tmp_path / "folder", dataset))) == 4
    (tmp_path / "names.txt").write_text(" \r\n".join(voc.CLASSES[::-1]) + "\r\n\r\n")
    np.save(tmp_path / "backwards.npy", maps[:, ::-1])
    arguments = ["points", str(tmp_path / "backwards.npy"), *data, "-o", str(tmp_path / "b.csv"), "--scores"]
    np.save(tmp_path / "scores.npy", maps.max((2, 3))[:, ::-1])
    assert cli.main([*arguments, str(tmp_path / "scores.npy"), "--classes", str(tmp_path / "names.txt")]) == 0
    tables = predictions.read(tmp_path / "b.csv"), expected
    one, other = (table.sort_values(["image", "class"]).reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_zarr(voc_root, tmp_path):
    zarr = pytest.importorskip("zarr")
    dataset = voc.load(voc_root, "2007", "val")
    maps = np.random.default_rng(0).random((4, 20, 3, 5))
    zarr.save(str(tmp_path / "array.zarr"), maps)
    group = zarr.open_group(str(tmp_path / "group.zarr"), mode="w")
    for image, array in zip(dataset.images, maps, strict=True):
        group[image] = array
    for name in ("array.zarr", "group.zarr"):
        found = dict(points.read_arrays(tmp_path / name, dataset))
        np.testing.assert_array_equal([found[image] for image in dataset.images], maps)
    about = {"zarr_format": 2, "shape": [4, 20, 3, 5], "chunks": [4, 20, 3, 5], "dtype": "|O", "fill_value": "", "order": "C"}
    evil = tmp_path / "evil.zarr"  # a pickle behind another codec, by which Zarr tells the type
    evil.mkdir()
    (evil / ".zarray").write_text(json.dumps(about | {"compressor": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}))
    with pytest.raises(StudyError, match="evil.zarr: cannot be read as Zarr .*pickle"):
        dict(points.read_arrays(evil, dataset))


def test_the_most_confident_box_of_each_class_is_the_prediction(coco_json, tmp_path, capsys):
    boxes = [(7, 3, [10, 20, 30, 10], 0.5), (7, 3, [0, 0, 8, 8], 0.9), (7, 1, [60, 40, 30, 30], 0.1)]
    boxes.append((139.0, 3.0, [1, 2, 3, 4], 0.3))
    results = [dict(zip(("image_id", "category_id", "bbox", "score"), box, strict=True)) for box in boxes]
    (tmp_path / "results.json").write_text(json.dumps(results))
    names = {1: "person", 3: "car"}
    labels = {}
    for image, category, (x, y, w, h), score in boxes:
        one = {"label": names[category], "bounding_box": [x / 64, y / 48, w / 64, h / 48], "confidence": score}
        labels.setdefault(f"COCO_tiny_{int(image):012d}", []).append(one)
    (tmp_path / "labels.json").write_text(json.dumps({"classes": ["person", "car"], "labels": labels}))
    expected = [["7", "car", 0.9, 4, 4], ["7", "person", 0.1, 63, 47], ["139", "car", 0.3, 2.5, 4]]
    for name in ("results.json", "labels.json"):
        assert cli.main(["points", str(tmp_path / name), "--coco", str(coco_json), "-o", str(tmp_path / "mine.csv")]) == 0
        assert predictions.read(tmp_path / "mine.csv").values.tolist() == expected
    nothing = float("nan")
    for change, words in (
        ({"category_id": 9}, "category_id 9"),
        ({"image_id": 8}, "'8' is no image of COCO tiny"),
        ({"image_id": "000000000007"}, "COCO ids are integers without leading zeros"),
        ({"score": "high"}, "box 0"),
        ({"score": nothing}, "image 7, class car: box .* with score nan; expected finite numbers"),
        ({"bbox": [nothing] * 4}, r"box \(nan, nan, nan, nan\)"),
        ({"bbox": [30, 20, -10, 5]}, "expected finite numbers x, y, width, height"),
        ({"bbox": [100, 20, 10, 5]}, r"box \(100, 20, 10, 5\) lies beside the image of 64 x 48 pixels"),
    ):
        (tmp_path / "results.json").write_text(json.dumps([results[0] | change]))
        with pytest.raises(StudyError, match=words):
            points.predictions_from_boxes(tmp_path / "results.json", coco.load(coco_json), coco.category_names(coco_json))


def fiftyone(**fields) -> dict:
    """One sample of FiftyOne's samples.json, of the picture COCO_tiny_000000000007.jpg."""
    return {"_id": {"$oid": "0"}, "filepath": "data/COCO_tiny_000000000007.jpg", "tags": [], **fields}


def test_fiftyone_names_classes_by_position_and_has_keypoints(coco_json, tmp_path):
    """What FiftyOne 1 writes: with a list of classes, labels are positions in it; a keypoint has points and confidences."""
    dataset = coco.load(coco_json)
    box = {"label": 1, "bounding_box": [0.5, 0.5, 0.25, 0.5], "confidence": 0.25}
    labels = {"classes": ["person", "car"], "labels": {"COCO_tiny_000000000007": [box], "COCO_tiny_000000000139": None}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert points.predictions_from_boxes(tmp_path / "labels.json", dataset).values.tolist() == [["7", "car", 0.25, 40, 36]]
    truth = {"_cls": "Detections", "detections": [{"_cls": "Detection", "label": "car", "bounding_box": [0, 0, 1, 1]}]}
    seen = [(0.25, 0.5), (0.75, 0.5), (float("nan"), float("nan"))]
    keypoint = {"_cls": "Keypoint", "label": "car", "points": seen, "confidence": [0.5, 0.75, 0.9]}
    guess = {"_cls": "Keypoints", "keypoints": [keypoint]}
    found = {"_cls": "Detections", "detections": [{"_cls": "Detection"} | box | {"label": "car"}]}
    for fields, expected in (
        ({"truth": truth, "guess": guess}, [["7", "car", 0.75, 48, 24]]),
        ({"truth": truth, "found": found}, [["7", "car", 0.25, 40, 36]]),
        ({"found": found, "guess": guess}, "found and guess both have a confidence"),
        ({"truth": truth}, "no detection and no keypoint has a confidence"),
    ):
        (tmp_path / "samples.json").write_text(json.dumps({"samples": [fiftyone(**fields)]}))
        if isinstance(expected, list):
            assert points.predictions_from_boxes(tmp_path / "samples.json", dataset).values.tolist() == expected
        else:
            with pytest.raises(StudyError, match=expected):
                points.predictions_from_boxes(tmp_path / "samples.json", dataset)


def test_maps_that_leave_a_doubt_are_refused(voc_root, tmp_path, capsys):
    dataset, size = voc.load(voc_root, "2007", "val"), {"a": (100, 50)}
    for maps, words in (
        ({"b": np.zeros((1, 2, 2))}, "map of image 'b': no such image"),
        ({"a": np.zeros((2, 2, 2))}, r"has the shape \(2, 2, 2\); expected \(1, h, w\)"),
        ({"a": np.full((1, 2, 2), np.nan)}, "map of image a, class dog: holds NaN"),
        ({"a": np.zeros((1, 0, 2))}, r"an array \(0, 2\)"),
    ):
        with pytest.raises(StudyError, match=words):
            points.predictions_from_maps(maps, size, ["dog"])
    data = ["--voc", str(voc_root), "--year", "2007", "--split", "val", "-o", str(tmp_path / "mine.csv")]
    np.save(tmp_path / "bad.npy", np.full((4, 20, 2, 2), np.inf))
    assert cli.main(["points", str(tmp_path / "bad.npy"), *data]) == 2
    assert f"{tmp_path / 'bad.npy'}: map of image 000012, class aeroplane: holds NaN" in capsys.readouterr().err
    with pytest.raises(StudyError, match="scores of image a: found none"):
        points.predictions_from_maps({"a": np.zeros((1, 2, 2))}, size, ["dog"], {})
    np.save(tmp_path / "three.npy", np.zeros((3, 20, 2, 2)))
    np.savez(tmp_path / "other.npz", unknown=np.zeros((20, 2, 2)))
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "objects.npy", np.full((4, 20, 2, 2), None), allow_pickle=True)
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("three.npy", r"has the shape \(3, 20, 2, 2\); VOC2007 val has 4"),
        ("other.npz", "'unknown' is no image"),
        ("none.npy", "no such file"),
        ("text.npy", r"cannot be read as arrays \(neither numbers of NumPy nor safe to read"),
        ("objects.npy", "holds Python objects, which may hold programs"),
        ("empty", "holds no .npy"),
    ):
        with pytest.raises(StudyError, match=words):
            list(points.read_arrays(tmp_path / name, dataset))
