"""From what other models give to the predictions table: score maps, or boxes of a detector.

Maps: a folder of <image>.npy or <image>.npz, one .npz or Zarr group with an array for each image, or one .npy or Zarr array
(N, K, h, w) in the order of the data set. An array is (K, h, w), its classes in the order of `classes`; an .npz of an image
may hold a map (h, w) for each class instead, under the name of the class.
Boxes: a COCO results file, or what FiftyOne exports: labels.json (`FiftyOneImageDetectionDataset`), or samples.json
(`FiftyOneDataset`), whose keypoints are points already.

    >>> maps = {"000012": np.array([[[0.0, 1.0], [0.0, 0.0]]])}
    >>> predictions_from_maps(maps, {"000012": (100, 50)}, ["dog"]).to_dict("records")
    [{'image': '000012', 'class': 'dog', 'score': 1.0, 'x': 74.5, 'y': 12.0}]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.data.geometry import Grid, cell_to_image, inside
from wsl.data.packed import read_json
from wsl.errors import StudyError
from wsl.evaluation import predictions
from wsl.files import check_regular, composed

MOST_BYTES = 2**30  # of an array that is read at once
MOST_CELLS = 2**27  # of a map
LAID = ("image", "canvas", "centred")  # how a map may lie: see `predictions_from_maps`


def predictions_from_maps(
    maps: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray | Mapping[str, np.ndarray]]],
    sizes: Mapping[str, tuple[int, int]],
    classes: Sequence[str],
    scores: Mapping[str, np.ndarray] | None = None,
    laid: str = "image",
) -> pd.DataFrame:
    """The predictions table of score maps: the point is the centre of the best cell, the score its value.

    maps: for each image id an array (K, h, w), or {class: (h, w)}, of any h and w. sizes: (width, height) of the original
    image, by id. scores: (K,) for each image id, in place of the maximum. laid: over what the map is stretched:
    "image" itself; "canvas", the square with the image's longest side, the image at its top left and padding beside or below
    it; "centred", that square with the image in the middle (letterbox). Cells beside the image are left out.
    Of equal cells the first counts, row by row. StudyError where a map is not of this kind or not finite.
    """
    if laid not in LAID:
        raise StudyError(f"map laid over {laid!r}: expected one of {', '.join(LAID)}")
    rows = []
    for image, given in maps.items() if isinstance(maps, Mapping) else maps:
        if image not in sizes:
            raise StudyError(f"map of image {image!r}: no such image (ids read like {next(iter(sizes))!r})")
        by_class = given if isinstance(given, Mapping) else _by_class(np.asarray(given), classes, image)
        own = None if scores is None else _vector(scores, image, classes)
        for name, array in by_class.items():
            score, x, y = _best(np.asarray(array), sizes[image], laid, f"map of image {image}, class {name}")
            rows.append((image, name, score if own is None else own[name], x, y))
    df = pd.DataFrame(rows, columns=list(predictions.NEEDED))
    predictions.validate(df, "maps")
    return df


def _by_class(array: np.ndarray, classes: Sequence[str], image: str) -> dict[str, np.ndarray]:
    if twice := next((name for n, name in enumerate(classes) if name in classes[:n]), None):
        raise StudyError(f"class {twice!r} is named twice; name each once")
    if array.ndim != 3 or len(array) != len(classes):
        raise StudyError(
            f"map of image {image}: has the shape {array.shape}; expected ({len(classes)}, h, w), one for each class (a file "
            f"with the names of other classes: --classes)"
        )
    return dict(zip(classes, array, strict=True))


def _vector(scores: Mapping[str, np.ndarray], image: str, classes: Sequence[str]) -> dict[str, float]:
    found = np.asarray(scores[image]) if image in scores else np.array("none")
    if found.shape != (len(classes),) or found.dtype.kind not in "fiub":
        what = f"{found.shape} of {found.dtype}" if image in scores else "none"
        raise StudyError(f"scores of image {image}: found {what}; expected a number for each of {len(classes)} classes")
    return dict(zip(classes, found.astype(np.float64).tolist(), strict=True))


def _best(array: np.ndarray, size: tuple[int, int], laid: str, what: str) -> tuple[float, float, float]:
    """Score, x and y of the best cell on the image."""
    if array.ndim != 2 or not 0 < array.size <= MOST_CELLS or array.dtype.kind not in "fiub":
        raise StudyError(f"{what}: an array {array.shape} of {array.dtype}; expected numbers (h, w), at most {MOST_CELLS:,}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise StudyError(f"{what}: holds NaN or infinity; give finite numbers")
    axes = []
    for cells, length in zip(array.shape[::-1], size, strict=True):
        side = length if laid == "image" else max(size)
        centres = cell_to_image(Grid(cells, np.nan, np.nan), side, side, length, length, "stretch")
        if laid == "centred":
            centres = centres - (side - length) / 2
        axes.append((centres, inside(centres, length)))
    (columns, in_x), (rows, in_y) = axes
    seen = array[np.ix_(in_y, in_x)]
    row, column = np.unravel_index(int(seen.argmax()), seen.shape)
    x, y = columns[in_x][column], rows[in_y][row]
    return float(seen[row, column]), float(np.clip(x, 0, size[0] - 1)), float(np.clip(y, 0, size[1] - 1))


# ---- from files


def read_arrays(path: str | Path, dataset: Dataset) -> Iterator[tuple[str, np.ndarray | dict[str, np.ndarray]]]:
    """(image id, array, or {class: array}) of what a path holds, one at a time; see the top of this module.

    An image goes by its id or by the name of its file, with or without the ending. Hidden files are passed over.
    """
    path = Path(path)
    ids = {}
    for image, file in zip(dataset.images, dataset.files, strict=True):
        ids |= {composed(file.stem): image, composed(file.name): image}
    ids |= {composed(image): image for image in dataset.images}

    def identity(name: str) -> str:
        if composed(name) not in ids:
            raise StudyError(f"{path}: {_unknown(name, dataset)}")
        return ids[composed(name)]

    if (path / ".zgroup").is_file() or (path / ".zarray").is_file() or (path / "zarr.json").is_file():
        yield from _of_archive(_zarr(path), path, dataset, identity)
    elif path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in (".npy", ".npz") and not f.name.startswith("."))
        if not files:
            raise StudyError(f"{path}: holds no .npy or .npz; name them by image, e.g. {dataset.images[0]}.npy")
        for file in files:
            content = _load(file)
            yield identity(file.stem), content if isinstance(content, np.ndarray) else _of_image(content, file)
    else:
        yield from _of_archive(_load(path), path, dataset, identity)


def _unknown(name: str, dataset: Dataset) -> str:
    like = f"{name!r} is no image of {dataset.name} (its ids read like {dataset.images[0]!r})"
    return f"{like}; {predictions.image_hint(name, dataset)}"


def _of_archive(content, path: Path, dataset: Dataset, identity) -> Iterator[tuple[str, np.ndarray]]:
    if hasattr(content, "shape"):
        if content.shape[:1] != (len(dataset),):
            raise StudyError(f"{path}: has the shape {content.shape}; {dataset.name} has {len(dataset)} images")
        yield from ((image, _array(content, n, path)) for n, image in enumerate(dataset.images))
    else:
        yield from ((identity(name), _array(content, name, path)) for name in content)


def _of_image(content, path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an image's .npz: its only one, if that has classes, else a map a class."""
    arrays = {name: _array(content, name, path) for name in content}
    only = next(iter(arrays.values())) if len(arrays) == 1 else None
    return arrays if only is None or only.ndim == 2 else only


def _array(content, key: str | int, path: Path) -> np.ndarray:
    """One array of what a path holds, its size looked at before it is unpacked."""
    try:
        if isinstance(content, np.lib.npyio.NpzFile):
            packed = content.zip.NameToInfo
            size = packed.get(f"{key}.npy", packed.get(key)).file_size
        else:
            array = content if isinstance(key, int) else content[key]
            size = array.nbytes // array.shape[0] if isinstance(key, int) else array.nbytes
            size = max(size, array.dtype.itemsize * math.prod(getattr(array, "chunks", (0,))))  # Zarr unpacks whole chunks
        if size > MOST_BYTES:
            raise StudyError(f"{path}: {key} has {size:,} bytes; at most {MOST_BYTES:,} are read at once: keep an array an image")
        return np.asarray(content[key])
    except (StudyError, MemoryError):
        raise
    except Exception as error:  # of the packing, of the array in it, of Zarr's codecs: each has types of its own
        raise StudyError(f"{path}: {key} cannot be read as an array ({error}); save it again") from None


def _load(file: Path):
    try:
        check_regular(file, "give a folder of .npy, an .npz, an .npy or Zarr", np.inf)
        with np.errstate(over="ignore"):  # of sizes that no array has
            return np.load(file, mmap_mode="r" if file.suffix.lower() == ".npy" else None, allow_pickle=False)
    except FileNotFoundError:
        raise StudyError(f"{file}: no such file; give a folder of .npy, an .npz, an .npy or Zarr") from None
    except (StudyError, MemoryError):
        raise
    except Exception as error:  # of the file, of the packing, of numpy's head, which is read as Python's source is
        known = {  # a word of numpy's -> what it comes from
            "Python objects": "it holds Python objects, which may hold programs; give it a dtype of numbers",
            "pickle": "neither numbers of NumPy nor safe to read: Python objects may hold programs",
        }
        reason = next((words for word, words in known.items() if word in str(error)), error)
        raise StudyError(f"{file}: cannot be read as arrays ({reason}); save it with numpy.save or numpy.savez") from None


def _zarr(path: Path):
    try:
        import zarr
        from numcodecs.registry import codec_registry
    except ModuleNotFoundError:
        raise StudyError(f"{path}: reading Zarr takes the package zarr: pip install zarr") from None
    codec_registry.pop("pickle", None)  # with it an array is a program, which earlier versions run
    try:
        return zarr.open(path, mode="r")
    except Exception as error:  # of JSON, of its store, of codecs
        raise StudyError(f"{path}: cannot be read as Zarr ({error}); save it again") from None


# ---- boxes of a detector


def predictions_from_boxes(path: str | Path, dataset: Dataset, categories: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The most confident box of each image and class, as R-CNN* does it: its confidence, and its centre.

    path: COCO results ([{image_id, category_id, bbox, score}], boxes x, y, width, height), or FiftyOne's labels.json or
    samples.json (boxes and keypoints in fractions of the image; of a sample's fields those that have a confidence).
    categories: {category id: class}, for COCO results. The centre of a box that reaches over the edge is moved to the edge.
    StudyError where a box lies beside its image, or where it or its score is no number.
    """
    rows = []
    sizes = dict(zip(dataset.images, dataset.sizes.tolist(), strict=True))
    for image, name, score, x, y, w, h, unit in _boxes(Path(path), dataset, categories or {}):
        if image not in sizes:
            raise StudyError(f"{path}: {_unknown(image, dataset)}")
        width, height = sizes[image]
        across, down = (width, height) if unit == "fraction" else (1, 1)
        what = f"{path}: image {image}, class {name}: box ({x:g}, {y:g}, {w:g}, {h:g})"
        if not (np.isfinite([x, y, w, h]).all() and w >= 0 and h >= 0 and not math.isnan(score)):
            raise StudyError(f"{what} with score {score:g}; expected finite numbers x, y, width, height, and a score: correct it")
        if x * across > width or y * down > height or (x + w) * across < 0 or (y + h) * down < 0:
            raise StudyError(f"{what} lies beside the image of {width} x {height} pixels; give the boxes in its pixels")
        centre = np.clip((x + w / 2) * across, 0, width - 1), np.clip((y + h / 2) * down, 0, height - 1)
        rows.append((image, name, score, *map(float, centre)))
    df = pd.DataFrame(rows, columns=list(predictions.NEEDED))
    best = df.sort_values("score", ascending=False, kind="stable").drop_duplicates(["image", "class"]).sort_index()
    predictions.validate(best, str(path))
    return best.reset_index(drop=True)


def _boxes(path: Path, dataset: Dataset, categories: Mapping[str, str]) -> Iterator[tuple]:
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file; give the results of a detector") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: cut off or not JSON ({error}); write it again") from None
    n = 0
    try:
        if isinstance(content, list):
            for n, one in enumerate(content):
                key = _text(one["category_id"])
                if key not in categories:
                    known = ", ".join(categories) or "none, as the data set is not in the COCO layout"
                    raise StudyError(f"{path}: box {n} has category_id {key}, not among the categories ({known})")
                yield _text(one["image_id"]), categories[key], float(one["score"]), *_four(one["bbox"]), "pixel"
        elif isinstance(content, dict) and ("labels" in content or "samples" in content):
            by_stem = {file.stem: image for image, file in zip(dataset.images, dataset.files, strict=True)}
            for stem, name, score, box in (_of_labels if "labels" in content else _of_samples)(content, path):
                yield by_stem.get(stem, stem), str(name), float(score), *_four(box), "fraction"
                n += 1
        else:
            raise StudyError(f"{path}: neither COCO results (a list) nor an export of FiftyOne; export one of them")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise StudyError(f"{path}: box {n} lacks or misstates {error}; expected an image, a class, a box and a score") from None


def _of_labels(content: dict, path: Path) -> Iterator[tuple]:
    """FiftyOne's labels.json; where it lists its classes, a label is a position in that list."""
    classes = content.get("classes") or []
    for stem, found in content["labels"].items():
        for one in found or []:
            label = one["label"]
            if isinstance(label, int):
                if not 0 <= label < len(classes):
                    raise ValueError(f"the label {label}, where the file lists {len(classes)} classes")
                label = classes[label]
            yield stem, label, one["confidence"], one["bounding_box"]


def _of_samples(content: dict, path: Path) -> Iterator[tuple]:
    """FiftyOne's samples.json: the detections or keypoints of the one field that has confidences."""
    names = set()
    for sample in content["samples"]:
        for field, value in sample.items():
            if not isinstance(value, dict) or value.get("_cls") not in ("Detections", "Keypoints"):
                continue
            for one in value[value["_cls"].lower()] or []:
                if one.get("confidence") is None:  # of a person, not of a model
                    continue
                names.add(field)
                if len(names) > 1:
                    raise StudyError(
                        f"{path}: the fields {' and '.join(sorted(names))} both have a confidence; export one of them "
                        f"(dataset.select_fields({field!r}))"
                    )
                if value["_cls"] == "Detections":
                    yield Path(sample["filepath"]).stem, one["label"], one["confidence"], one["bounding_box"]
                else:
                    for (x, y), score in zip(one["points"], one["confidence"], strict=True):
                        if x == x and y == y:  # FiftyOne writes NaN for a point that is not seen
                            yield Path(sample["filepath"]).stem, one["label"], score, (x, y, 0, 0)
    if not names:
        raise StudyError(f"{path}: no detection and no keypoint has a confidence; export the field of the predictions")


def _four(box) -> tuple[float, float, float, float]:
    x, y, w, h = map(float, box)
    return x, y, w, h


def _text(value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
