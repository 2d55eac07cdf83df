"""Reader of the PASCAL VOC devkit layout.

    VOCdevkit/VOC<year>/ImageSets/Main/<split>.txt           one image id a line
    VOCdevkit/VOC<year>/ImageSets/Main/<class>_<split>.txt   image id and label: 1, 0 (only difficult), -1
    VOCdevkit/VOC<year>/Annotations/<id>.xml                 size; per object name, pose, difficult, bndbox
    VOCdevkit/VOC<year>/JPEGImages/<id>.jpg

Boxes in the XML are 1-based and inclusive; here they are 0-based (XML minus 1). Some official VOC2012 boxes
have fractions of a pixel, and some objects no <pose> or <difficult>: both are read (no tag = not difficult).

    >>> dataset = load("VOCdevkit", "2007", "val")  # doctest: +SKIP
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsl.data.dataset import BOX_SLACK, LARGEST_SIDE, Boxes, Dataset
from wsl.data.images import upright_size
from wsl.errors import StudyError
from wsl.files import check_regular, inside

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class Annotation:
    """One XML file."""

    size: tuple[int, int]  # width, height
    cls: list[int]  # (m,) index into CLASSES
    xyxy: list[tuple[float, float, float, float]]  # (m, 4) pixels, 0-based
    difficult: list[bool]  # (m,)
    pose: list[str]  # (m,)


def load(root: str | Path, year: str, split: str) -> Dataset:
    """Read one split, e.g. year "2007", split "val"; `root` is VOCdevkit, its parent, or VOC<year> itself.

    Labels are those of the class files (aligned by id), as in the devkit. The image files need not exist.
    """
    folder = find_folder(root, year)
    main = folder / "ImageSets" / "Main"
    images = read_list(split_file(folder, split))
    labels = np.stack(
        [read_labels(main / f"{name}_{split}.txt", images) for name in CLASSES], axis=1
    )  # (N, K)
    annotations = [read_annotation(annotation_file(folder, image)) for image in images]
    counts = [len(a.cls) for a in annotations]
    boxes = Boxes(
        image=np.repeat(np.arange(len(images)), counts),
        cls=np.array([c for a in annotations for c in a.cls], np.int64),
        xyxy=np.array([b for a in annotations for b in a.xyxy], np.float64).reshape(-1, 4),
        ignored=np.array([d for a in annotations for d in a.difficult], bool),
        pose=tuple(p for a in annotations for p in a.pose),
    )
    return Dataset(
        name=f"scenes {split}" if str(year) == "scenes" else f"VOC{year} {split}",
        classes=CLASSES,
        images=images,
        files=tuple(folder / "JPEGImages" / f"{image}.jpg" for image in images),
        sizes=np.array([a.size for a in annotations], np.int64).reshape(-1, 2),
        labels=labels,
        boxes=boxes,
    )


def load_unlabelled(root: str | Path, year: str, split: str) -> Dataset:
    """The pictures of a split list without annotations (VOC 2012 test): every label is 0, there is no box."""
    folder = find_folder(root, year)
    images = read_list(split_file(folder, split))
    files = tuple(folder / "JPEGImages" / f"{image}.jpg" for image in images)
    none = np.zeros(0, np.int64)
    return Dataset(
        name=f"VOC{year} {split}",
        classes=CLASSES,
        images=images,
        files=files,
        sizes=np.array([upright_size(file) for file in files], np.int64),
        labels=np.zeros((len(images), len(CLASSES)), np.int8),
        boxes=Boxes(none, none, np.zeros((0, 4)), none.astype(bool), ()),
    )


def find_folder(root: str | Path, year: str) -> Path:
    """The VOC<year> folder at or below `root`."""
    root = Path(root)
    if not root.is_dir():
        raise StudyError(f"{root}: no such folder; give the VOCdevkit folder, which holds VOC2007, ...")
    tops = (root, root / "VOCdevkit")
    if root.resolve().name == f"VOC{year}":
        return root
    for top in tops:
        if (top / f"VOC{year}").is_dir():
            return top / f"VOC{year}"
    years = sorted(
        {p.name[3:] for top in (*tops, root.parent) for p in top.glob("VOC*") if (p / "ImageSets").is_dir()}
    )
    if not years:
        raise StudyError(f"{root}: holds no VOC<year>/ImageSets; give the VOCdevkit folder of a VOC data set")
    raise StudyError(f"{root}: has no folder VOC{year}; years found here: {', '.join(years)}")


def split_file(folder: Path, split: str) -> Path:
    """ImageSets/Main/<split>.txt, or an error that names the splits there are."""
    main = folder / "ImageSets" / "Main"
    path = main / f"{split}.txt"
    if not path.is_file():
        stems = sorted(p.stem for p in main.glob("*.txt"))
        splits = [s for s in stems if s.rsplit("_", 1)[0] not in CLASSES or "_" not in s]
        raise StudyError(f"{path}: no such split {split!r}; splits found here: {', '.join(splits) or 'none'}")
    return path


def annotation_file(folder: Path, image: str) -> Path:
    return folder / "Annotations" / f"{image}.xml"


def read_list(path: Path) -> tuple[str, ...]:
    """Image ids of a split list, in its order, exactly as written."""
    ids = []
    for number, words in _lines(path):
        if len(words) != 1:
            raise StudyError(f"{path}: line {number} reads {' '.join(words)!r}; expected one image id a line")
        inside(Path("JPEGImages"), words[0], path)
        ids.append(words[0])
    if not ids:
        raise StudyError(f"{path}: lists no image; download the list again")
    if len(set(ids)) != len(ids):
        twice = next(i for n, i in enumerate(ids) if i in set(ids[:n]))
        raise StudyError(f"{path}: image {twice} is listed twice; remove one of the lines")
    return tuple(ids)


def read_labels(path: Path, images: tuple[str, ...]) -> np.ndarray:
    """(N,) int8 labels of one class file, in the order of `images`; both must name the same images."""
    if not path.is_file():
        raise StudyError(f"{path}: no such class file; restore it from the data set's archive")
    labels: dict[str, int] = {}
    for number, words in _lines(path):
        if len(words) != 2 or words[1] not in ("1", "+1", "0", "-1"):
            raise StudyError(
                f"{path}: line {number} reads {' '.join(words)!r}; expected an id and 1, 0 or -1"
            )
        if words[0] in labels:
            raise StudyError(f"{path}: line {number} names image {words[0]} again; remove one of the lines")
        labels[words[0]] = int(words[1])
    listed = set(images)
    for problem, ids in (("lacks", [i for i in images if i not in labels]),
                         ("also names", [i for i in labels if i not in listed])):  # fmt: skip
        if ids:
            raise StudyError(
                f"{path}: disagrees with the split list: it {problem} {len(ids)} image(s), the first "
                f"{ids[0]}; take both files from the same archive"
            )
    return np.array([labels[i] for i in images], np.int8)


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, name, pubid, system):
        raise StudyError("has a DOCTYPE, whose entities may expand without bound; VOC has none: remove it")


def read_annotation(path: Path) -> Annotation:
    """Parse and check one XML file."""
    try:
        check_regular(path, "restore the file")
        root = ET.fromstring(path.read_bytes(), ET.XMLParser(target=_NoDoctype()))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such annotation, but the split lists the image; unpack it") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    except StudyError as error:
        raise StudyError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise StudyError(f"{path}: truncated or not XML ({error}); restore the file") from None
    width, height = (_number(root, f"size/{side}", path) for side in ("width", "height"))
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise StudyError(f"{path}: image size {width:g} x {height:g}; expected numbers from 1 to {LARGEST_SIDE:,}: correct it")
    annotation = Annotation((int(width), int(height)), [], [], [], [])
    for obj in root.findall("object"):
        name = (obj.findtext("name") or "").strip()
        if name not in CLASSES:
            raise StudyError(f"{path}: unknown class {name!r}; expected one of {', '.join(CLASSES)}")
        box = tuple(_number(obj, f"bndbox/{side}", path) - 1 for side in ("xmin", "ymin", "xmax", "ymax"))
        check_box(box, annotation.size, f"{path}: {name}", offset=1)
        annotation.cls.append(CLASSES.index(name))
        annotation.xyxy.append(box)
        annotation.difficult.append((obj.findtext("difficult") or "0").strip() == "1")
        annotation.pose.append((obj.findtext("pose") or "").strip())
    return annotation


def check_box(box: tuple[float, ...], size: tuple[int, int], where: str, offset: float = 0) -> None:
    """Refuse a box that is reversed or leaves the image by more than a rounding error."""
    x0, y0, x1, y1 = box
    shown = ", ".join(f"{v + offset:g}" for v in box)
    if x1 < x0 or y1 < y0:
        raise StudyError(f"{where}: box ({shown}) is reversed; swap its corners")
    if min(x0, y0) < -BOX_SLACK or x1 > size[0] - offset + BOX_SLACK or y1 > size[1] - offset + BOX_SLACK:
        raise StudyError(
            f"{where}: box ({shown}) leaves the image of {size[0]} x {size[1]} pixels; correct it"
        )


def _number(element: ET.Element, tag: str, path: Path) -> float:
    text = element.findtext(tag)
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise StudyError(f"{path}: <{tag}> is {text!r}; expected a number, restore the file") from None
    if not np.isfinite(value):
        raise StudyError(f"{path}: <{tag}> is {text!r}; expected a finite number, restore the file")
    return value


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, words) of the lines that are not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read as text ({error}); restore the file") from None
    return [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
