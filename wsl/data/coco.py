"""Reader of the COCO layout: one instances JSON for all images, through pycocotools.

    annotations/instances_<split>.json      images, annotations, categories
    <split>/<file_name>                     the image files

Image ids are the JSON's integer ids as strings. Classes are the JSON's categories in order of id. An image
without any annotation stays, as a negative of every class. Crowd regions (`iscrowd` = 1) are boxes, but make
no positive.

    >>> dataset = load("annotations/instances_val2014.json")  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np

from wsl.data.dataset import BOX_SLACK, LARGEST_SIDE, Boxes, Dataset, labels_from_boxes
from wsl.errors import StudyError
from wsl.files import inside, open_to_read

MOST_LABELS = 200_000_000  # pairs of image and category: about 2 GB with scores; Open Images has 75 million
_NEEDED = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def load(instances: str | Path, images: str | Path | None = None) -> Dataset:
    """Read an instances JSON. `images`: the folder of the image files, which need not exist (default:
    `<split>/` beside `annotations/`)."""
    path = Path(instances)
    coco = _open(path)
    categories = sorted(coco.dataset["categories"], key=lambda c: c["id"])
    records = coco.dataset["images"]
    sizes = _sizes(records, path)
    image_index = {record["id"]: n for n, record in enumerate(records)}
    class_index = {category["id"]: n for n, category in enumerate(categories)}
    ids = sorted(coco.anns, key=lambda a: image_index[coco.anns[a]["image_id"]])  # stable
    annotations = coco.loadAnns(ids)
    boxes = Boxes(
        image=np.array([image_index[a["image_id"]] for a in annotations], np.int64),
        cls=np.array([class_index[a["category_id"]] for a in annotations], np.int64),
        xyxy=_corners(annotations, path),
        ignored=np.array([bool(a.get("iscrowd", 0)) for a in annotations], bool),
        pose=("",) * len(annotations),
    )
    _check_boxes(boxes, sizes, annotations, path)
    split = path.stem.removeprefix("instances_")
    folder = Path(images) if images is not None else path.parent.parent / split
    return Dataset(
        name=f"scenes (COCO layout) {split[:-6]}" if split in ("trainscenes", "valscenes") else f"COCO {split}",
        classes=tuple(str(c["name"]) for c in categories),
        images=tuple(str(record["id"]) for record in records),
        files=tuple(inside(folder, record["file_name"], path) for record in records),
        sizes=sizes,
        labels=labels_from_boxes(boxes, len(records), len(categories)),
        boxes=boxes,
        addresses=tuple(_address(record.get("coco_url")) for record in records),
    )


def _address(given: object) -> str:
    """Where the data set's own server has an image; "" where the record does not say so (generated scenes)."""
    return given if isinstance(given, str) and given.startswith(("http://", "https://")) else ""


def _open(path: Path):
    """The pycocotools index of a file whose structure has been checked (it would raise KeyErrors itself)."""
    from pycocotools.coco import COCO

    try:
        with open_to_read(path) as file:
            data = json.loads(file.read())
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; give an instances_<split>.json of COCO") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); give a readable file") from None
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: cut off or not JSON ({error}); download it again") from None
    _check_structure(data, path)
    _check_bounds(data, path)
    coco = COCO()
    coco.dataset = data
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _check_structure(data, path: Path) -> None:
    if not isinstance(data, dict):
        raise StudyError(f"{path}: holds a {type(data).__name__}, not an object; give instances_<split>.json")
    for section, keys in _NEEDED.items():
        records = data.get(section)
        if not isinstance(records, list):
            raise StudyError(f"{path}: has no list {section!r}; give an instances_<split>.json")
        for n, record in enumerate(records):
            for key in keys:
                if not isinstance(record, dict) or record.get(key) is None:
                    raise StudyError(f"{path}: {section}[{n}] has no {key!r}; download the file again")
            if not isinstance(record["id"], int):
                raise StudyError(f"{path}: {section}[{n}] has id {record['id']!r}; expected an integer")
        ids = [record["id"] for record in records]
        if len(set(ids)) != len(ids):
            raise StudyError(f"{path}: two {section} share an id ({_first_repeat(ids)}); ids must be unique")
    if not data["images"] or not data["categories"]:
        raise StudyError(f"{path}: lists no image or no category; download the file again")
    names = [category["name"] for category in data["categories"]]
    if len(set(map(str, names))) != len(names):
        raise StudyError(f"{path}: two categories are called {_first_repeat(names)!r}; names must be unique")
    for key, section in (("image_id", "images"), ("category_id", "categories")):
        known = {record["id"] for record in data[section]}
        for a in data["annotations"]:
            if not isinstance(a[key], int) or a[key] not in known:
                raise StudyError(
                    f"{path}: annotation {a['id']} has {key} {a[key]!r}, not among the {section}"
                )


def _check_bounds(data: dict, path: Path) -> None:
    """Refuse numbers that no picture has, and names that no file and no page can have."""
    for record in data["images"]:
        for side in ("width", "height"):
            if isinstance(record.get(side), int | float) and record[side] > LARGEST_SIDE:
                raise StudyError(f"{path}: image {record['id']} has a {side} of more than {LARGEST_SIDE:,} pixels; correct it")
    for a in data["annotations"]:
        if isinstance(a["bbox"], list) and any(isinstance(v, int | float) and abs(v) > 2 * LARGEST_SIDE for v in a["bbox"]):
            raise StudyError(f"{path}: annotation {a['id']} has a number in its bbox that is no pixel's; correct it")
    for record, key in [(r, "name") for r in data["categories"]] + [(r, "file_name") for r in data["images"]]:
        if re.search("[\ud800-\udfff]", str(record[key])):
            raise StudyError(f"{path}: {key} {record[key]!r} holds half a character (a lone surrogate); write it anew")
    if (count := len(data["images"]) * len(data["categories"])) > MOST_LABELS:
        raise StudyError(f"{path}: {count:,} pairs of an image and a category; at most {MOST_LABELS:,} are read")


def _sizes(records: list[dict], path: Path) -> np.ndarray:
    for r in records:
        if not all(isinstance(r[side], int) and r[side] > 0 for side in ("width", "height")):
            raise StudyError(
                f"{path}: image {r['id']} is {r['width']!r} x {r['height']!r}; expected integers > 0"
            )
        if not isinstance(r["file_name"], str):
            raise StudyError(f"{path}: image {r['id']} has file_name {r['file_name']!r}; expected text")
    return np.array([(r["width"], r["height"]) for r in records], np.int64).reshape(-1, 2)


def _corners(annotations: list[dict], path: Path) -> np.ndarray:
    """(M, 4) x0 y0 x1 y1 of the boxes, which COCO writes as x, y, width, height."""
    for a in annotations:
        box = a["bbox"]
        if not (isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)):
            raise StudyError(f"{path}: annotation {a['id']} has bbox {box!r}; expected [x, y, width, height]")
    box = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)


def _check_boxes(boxes: Boxes, sizes: np.ndarray, annotations: list[dict], path: Path) -> None:
    low, high = boxes.xyxy[:, :2], boxes.xyxy[:, 2:]
    finite = np.isfinite(boxes.xyxy).all(axis=1)
    forward = (high >= low).all(axis=1)
    inside = (low >= -BOX_SLACK).all(axis=1) & (high <= sizes[boxes.image] + BOX_SLACK).all(axis=1)
    problems = ((finite, "is not finite"), (forward, "has a negative side"), (inside, "leaves the image"))
    for good, problem in problems:
        if not good.all():
            n = int(np.argmin(good))
            width, height = sizes[boxes.image[n]]
            raise StudyError(
                f"{path}: annotation {annotations[n]['id']} of image {annotations[n]['image_id']}: bbox "
                f"{annotations[n]['bbox']} {problem} ({width} x {height} pixels); correct it"
            )


def _first_repeat(values: list):
    seen = set()
    return next(v for v in values if v in seen or seen.add(v))
