"""Reader of the COCO layout: one instances JSON for all images.

    annotations/instances_<split>.json      images, annotations, categories; may be compressed
    <split>/<file_name>                     the image files

Image ids are the JSON's ids as strings: integers in COCO, any text elsewhere; 11, 11.0 and "11" are one id. Classes are the
JSON's categories in order of id. An image without any annotation stays, as a negative of every class. Crowd regions
(`iscrowd` = 1) are boxes, but make no positive.

What other tools write is read where it leaves no doubt, and `Dataset.notes` says what was done: images without width and
height (the pictures have them), boxes a few pixels outside (clipped), a category without annotations that shares its name
with another.

    >>> dataset = load("annotations/instances_val2014.json")  # doctest: +SKIP
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from wsl.data.dataset import LARGEST_SIDE, Boxes, Dataset, clipped, count, flag, labels_from_boxes
from wsl.data.images import upright_size
from wsl.data.packed import read_json
from wsl.errors import StudyError
from wsl.files import CONTROL, as_kept, inside

MOST_LABELS = 200_000_000  # pairs of image and category: about 2 GB with scores; Open Images has 75 million
_NEEDED = {
    "images": ("id", "file_name"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_OTHERS = {  # a key of its annotations -> what the file is
    "caption": "captions",
    "segments_info": "panoptic segments",
}


def load(instances: str | Path, images: str | Path | None = None) -> Dataset:
    """Read an instances JSON. `images`: the folder of the image files, which need not exist (default:
    `<split>/` beside `annotations/`)."""
    path = Path(instances)
    data = _content(path)
    categories, notes = _categories(data, path)
    records = data["images"]
    split = path.name.removeprefix("instances_").partition(".json")[0]
    folder = Path(images) if images is not None else path.parent.parent / split
    files = tuple(as_kept(inside(folder, _file_name(record, path), path)) for record in records)
    sizes, measured = _sizes(records, files, path)
    image_index = {record["id"]: n for n, record in enumerate(records)}
    class_index = {category["id"]: n for n, category in enumerate(categories)}
    annotations = sorted(data["annotations"], key=lambda a: image_index[a["image_id"]])  # stable
    image = np.array([image_index[a["image_id"]] for a in annotations], np.int64)
    xyxy, moved = _within(_corners(annotations, path), sizes[image], annotations, path)
    boxes = Boxes(
        image=image,
        cls=np.array([class_index[a["category_id"]] for a in annotations], np.int64),
        xyxy=xyxy,
        ignored=np.array([_crowd(a, path) for a in annotations], bool),
        pose=("",) * len(annotations),
    )
    if measured:
        notes.append(f"{count(measured, 'image')} without width and height: read from the pictures")
    if moved.any():
        first = annotations[int(np.argmax(moved))]["id"]
        notes.append(f"{count(int(moved.sum()), 'box')} clipped to the image, the first that of annotation {first}")
    return Dataset(
        name=f"scenes (COCO layout) {split[:-6]}" if split in ("trainscenes", "valscenes") else f"COCO {split}",
        classes=tuple(c["name"] for c in categories),
        images=tuple(record["id"] for record in records),
        files=files,
        sizes=sizes,
        labels=labels_from_boxes(boxes, len(records), len(categories)),
        boxes=boxes,
        addresses=tuple(_address(record.get("coco_url")) for record in records),
        notes=tuple(notes),
    )


def category_names(instances: str | Path) -> dict[str, str]:
    """{category id: class} of an instances JSON, as results of detectors name them."""
    data = _content(Path(instances))
    return {category["id"]: category["name"] for category in data["categories"]}


def _address(given: object) -> str:
    """Where the data set's own server has an image; "" where the record does not say so (generated scenes)."""
    return given if isinstance(given, str) and given.startswith(("http://", "https://")) else ""


def _content(path: Path) -> dict:
    """The JSON, its structure checked and its ids as text."""
    try:
        data = read_json(path)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; give an instances_<split>.json of COCO") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); give a readable file") from None
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: cut off or not JSON ({error}); give an instances_<split>.json") from None
    _check_structure(data, path)
    _check_bounds(data, path)
    return data


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
                    raise StudyError(f"{path}: {section}[{n}] has no {key!r}; {_remedy(record, key)}")
            record["id"] = _identity(record["id"], f"{path}: {section}[{n}] has id")
            if section == "categories":
                record["name"] = str(record["name"]).strip()
        ids = [record["id"] for record in records]
        if len(set(ids)) != len(ids):
            raise StudyError(f"{path}: two {section} share an id ({_first_repeat(ids)}); ids must be unique")
    if not data["images"] or not data["categories"]:
        raise StudyError(f"{path}: lists no image or no category; give an instances_<split>.json that does")
    for key, section in (("image_id", "images"), ("category_id", "categories")):
        known = {record["id"] for record in data[section]}
        for a in data["annotations"]:
            a[key] = _identity(a[key], f"{path}: annotation {a['id']} has {key}")
            if a[key] not in known:
                raise StudyError(f"{path}: annotation {a['id']} has {key} {a[key]}, not among the {section}; add it to them, or "
                                 f"remove the annotation")  # fmt: skip


def _remedy(record, key: str) -> str:
    """What to do about a record that lacks a key."""
    kinds = [kind for mark, kind in _OTHERS.items() if isinstance(record, dict) and mark in record]
    if kinds:
        return f"it holds {kinds[0]}: give the instances_<split>.json of the same images"
    if key == "bbox":
        return "add the box of each annotation, [x, y, width, height] in pixels (of a segmentation: pycocotools.mask.toBbox)"
    return f"add the {key} of each record, or give an instances_<split>.json"


def _identity(value, where: str) -> str:
    """An id as text: that of a whole number without a point."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()  # as the cells of a table are read
    if isinstance(value, bool) or not isinstance(value, int | str) or not text:
        raise StudyError(f"{where} {value!r}; expected an integer or a text")
    return text


def _categories(data: dict, path: Path) -> tuple[list[dict], list[str]]:
    """The categories in order of id, those left out that have no annotation and the name of one that has; and notes."""
    used = {a["category_id"] for a in data["annotations"]}
    often = Counter(c["name"] for c in data["categories"])
    kept, notes = [], []
    for category in data["categories"]:
        name = category["name"]
        if often[name] > 1 and category["id"] not in used and any(
            other["name"] == name and other["id"] in used for other in data["categories"]
        ):
            notes.append(f"category {category['id']} {name!r} left out: it has no annotation, and another has its name")
        else:
            kept.append(category)
    names = [category["name"] for category in kept]
    if len(set(names)) != len(names):
        twice = _first_repeat(names)
        raise StudyError(f"{path}: two categories are called {twice!r}; names must be unique: rename or merge them")
    return sorted(kept, key=lambda c: (0, int(c["id"]), "") if c["id"].isdecimal() else (1, 0, c["id"])), notes


def _file_name(record: dict, path: Path) -> str:
    if not isinstance(record["file_name"], str):
        raise StudyError(f"{path}: image {record['id']} has file_name {record['file_name']!r}; expected text")
    return record["file_name"].replace("\\", "/")  # as tools on Windows part folders


def _sizes(records: list[dict], files: tuple[Path, ...], path: Path) -> tuple[np.ndarray, int]:
    """(N, 2) width, height, and how many of them had to be read from the pictures."""
    sizes, measured = [], 0
    for record, file in zip(records, files, strict=True):
        size = record.get("width"), record.get("height")
        if size in ((None, None), (0, 0)):
            if not file.is_file():
                raise StudyError(f"{path}: image {record['id']} has no width and height, and {file} is not there to read them "
                                 f"from; write them into the file, or name the folder of the pictures with --images")  # fmt: skip
            size, measured = upright_size(file), measured + 1
        elif not all(isinstance(side, int | float) and side > 0 and float(side).is_integer() for side in size):
            raise StudyError(f"{path}: image {record['id']} is {size[0]!r} x {size[1]!r}; expected integers > 0")
        sizes.append((int(size[0]), int(size[1])))
    return np.array(sizes, np.int64).reshape(-1, 2), measured


def _crowd(annotation: dict, path: Path) -> bool:
    crowd = flag(annotation.get("iscrowd"))
    if crowd is None:
        raise StudyError(f"{path}: annotation {annotation['id']} has iscrowd {annotation['iscrowd']!r}; expected 0 or 1")
    return crowd


def _check_bounds(data: dict, path: Path) -> None:
    """Refuse numbers that no picture has, and names that no file and no page can have."""
    for record in data["images"]:
        for side in ("width", "height"):
            if isinstance(record.get(side), int | float) and record[side] > LARGEST_SIDE:
                raise StudyError(f"{path}: image {record['id']} has a {side} of more than {LARGEST_SIDE:,} pixels; correct it")
    for a in data["annotations"]:
        if isinstance(a["bbox"], list) and any(isinstance(v, int | float) and abs(v) > 2 * LARGEST_SIDE for v in a["bbox"]):
            raise StudyError(f"{path}: annotation {a['id']} has a number in its bbox that is no pixel's; correct it")
    names = [(record, key) for record in data["categories"] for key in ("id", "name")]
    for record, key in names + [(record, key) for record in data["images"] for key in ("id", "file_name")]:
        if CONTROL.search(str(record[key])) or re.search("[\ud800-\udfff]", str(record[key])):
            what = "a control character, or half a character (a lone surrogate)"
            raise StudyError(f"{path}: {key} {record[key]!r:.200} holds {what}; write it anew")
    if (pairs := len(data["images"]) * len(data["categories"])) > MOST_LABELS:
        raise StudyError(f"{path}: {pairs:,} pairs of an image and a category; at most {MOST_LABELS:,} are read")


def _corners(annotations: list[dict], path: Path) -> np.ndarray:
    """(M, 4) x0 y0 x1 y1 of the boxes, which COCO writes as x, y, width, height."""
    for a in annotations:
        box = a["bbox"]
        if not (isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)):
            raise StudyError(f"{path}: annotation {a['id']} has bbox {box!r}; expected [x, y, width, height]")
    box = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    return np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)


def _within(xyxy: np.ndarray, sizes: np.ndarray, annotations: list[dict], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The boxes within their images, and which were clipped for that, (M, 4) and (M,); sizes: (M, 2) of their images."""
    within, moved = clipped(xyxy, sizes)
    problems = (
        (np.isfinite(xyxy), "is not finite"),
        (xyxy[:, 2:] >= xyxy[:, :2], "has a negative side"),
        (~np.isnan(within), "leaves the image"),
    )
    for good, problem in problems:
        if not good.all():
            n = int(np.argmin(good.all(axis=1)))
            raise StudyError(
                f"{path}: annotation {annotations[n]['id']} of image {annotations[n]['image_id']}: bbox "
                f"{annotations[n]['bbox']} {problem} ({sizes[n, 0]} x {sizes[n, 1]} pixels); correct it"
            )
    return within, moved


def _first_repeat(values: list):
    seen = set()
    return next(v for v in values if v in seen or seen.add(v))
