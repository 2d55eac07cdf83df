"""Fixtures: two tiny data sets in the official layouts, and the real photographs where they are at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from wsl.data import voc

REPOSITORY = Path(__file__).resolve().parents[1]


# what the file of a head of three classes says of it
HEAD = {
    "classes": ["a", "b", "c"], "trunk": "t", "weights_sha256": "w", "system": "weak_sup", "seed": 0, "canvas": 64,
    "test_scales": [1.0], "trained_on": "nothing", "identity": {},
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """The network's cache (wsl/cache.py) of one run of the tests, not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WSL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


# image -> (width, height), [(class, difficult, 1-based box)]
VOC_IMAGES = {
    "000012": ((100, 50), [("dog", 0, (11, 11, 30, 40)), ("cat", 1, (51, 1, 100, 50))]),
    "000007": ((60, 80), [("dog", 1, (1, 1, 20, 20)), ("dog", 0, (41.5, 41, 60, 80))]),
    "2008_000003": ((40, 40), [("cat", 0, (5, 5, 10, 10))]),
    "000100": ((40, 40), [("dog", 1, (5, 5, 10, 10))]),
}


def write_annotation(path: Path, size: tuple[int, int], objects: list) -> None:
    text = "".join(
        f"<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult><bndbox>"
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        + "</bndbox></object>"
        for name, difficult, box in objects
    )
    width, height = size
    path.write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{text}</annotation>"
    )


def write_voc(root: Path, year: str, splits: dict[str, dict]) -> None:
    """VOC<year> below the VOCdevkit folder `root`; splits: name -> images, in the form of VOC_IMAGES."""
    folder = root / f"VOC{year}"
    main = folder / "ImageSets" / "Main"
    for path in (main, folder / "Annotations", folder / "JPEGImages"):
        path.mkdir(parents=True)
    for split, images in splits.items():
        (main / f"{split}.txt").write_text("".join(f"{image}\n" for image in images))
        for image, (size, objects) in images.items():
            write_annotation(folder / "Annotations" / f"{image}.xml", size, objects)
            Image.new("RGB", size, "gray").save(folder / "JPEGImages" / f"{image}.jpg")
        for name in voc.CLASSES:
            lines = []
            for image, (_, objects) in sorted(images.items()):  # another order than the list's: aligned by id
                kinds = [1 - difficult for cls, difficult, _ in objects if cls == name]
                lines.append(f"{image} {max(kinds, default=-1):2d}\n")
            (main / f"{name}_{split}.txt").write_text("".join(lines))


@pytest.fixture
def voc_root(tmp_path: Path) -> Path:
    """A VOCdevkit folder with VOC2007, split "val": four images of dogs and cats."""
    write_voc(tmp_path / "VOCdevkit", "2007", {"val": VOC_IMAGES})
    return tmp_path / "VOCdevkit"


def coco_content() -> dict:
    """Three images (one without annotation), classes not in order of id, one crowd."""

    def annotation(n: int, image: int, category: int, box: list, crowd: int = 0) -> dict:
        return {"id": n, "image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd, "area": 1}

    return {
        "images": [
            {"id": n, "file_name": f"COCO_tiny_{n:012d}.jpg", "width": 64, "height": 48} for n in (139, 7, 25)
        ],
        "annotations": [
            annotation(1, 7, 3, [10.5, 20, 30, 10]),
            annotation(2, 139, 1, [0, 0, 64.4, 48], crowd=1),
            annotation(3, 139, 3, [1, 2, 3, 4]),
            annotation(4, 139, 3, [50, 40, 5, 5], crowd=1),
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
    }


def write_coco(root: Path, split: str) -> Path:
    """`coco_content` as annotations/instances_<split>.json and the folder <split>/ of pictures."""
    path = root / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(coco_content()))
    (root / split).mkdir()
    for image in coco_content()["images"]:
        Image.new("L", (64, 48)).save(root / split / image["file_name"])
    return path


@pytest.fixture
def coco_json(tmp_path: Path) -> Path:
    return write_coco(tmp_path, "tiny")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of real VOC and COCO photographs: $WSL_REALDATA, or shared/realdata beside the repository."""
    path = Path(os.environ.get("WSL_REALDATA", REPOSITORY.parent / "shared" / "realdata"))
    if not (path / "voc").is_dir() or not (path / "coco").is_dir():
        pytest.skip(f"no real photographs at {path} (set WSL_REALDATA)")
    return path
