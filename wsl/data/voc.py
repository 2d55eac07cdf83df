"""Reader of the PASCAL VOC devkit layout.

    VOCdevkit/VOC<year>/ImageSets/Main/<split>.txt           one image id a line
    VOCdevkit/VOC<year>/ImageSets/Main/<class>_<split>.txt   image id and label: 1, 0 (only difficult), -1
    VOCdevkit/VOC<year>/Annotations/<id>.xml                 size; per object name, pose, difficult, bndbox
    VOCdevkit/VOC<year>/JPEGImages/<id>.jpg

Boxes in the XML are 1-based and inclusive; here they are 0-based (XML minus 1). Some official VOC2012 boxes
have fractions of a pixel, and some objects no <pose> or <difficult>: both are read (no tag = not difficult).

Exports of other tools are read where they leave no doubt, and `Dataset.notes` says what was done: no class files at all (the
labels follow from the objects), a list that names fewer images than the class files, an annotation without the image's size
(the picture has it), boxes a few pixels outside (clipped), pictures of another format than JPEG, XML with a namespace.

    >>> dataset = load("VOCdevkit", "2007", "val")  # doctest: +SKIP
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsl.data.dataset import LARGEST_SIDE, Boxes, Dataset, clipped, count, flag, labels_from_boxes
from wsl.data.images import SUFFIXES, upright_size
from wsl.data.packed import as_text
from wsl.errors import StudyError
from wsl.files import CONTROL, as_kept, check_regular, inside

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class Annotation:
    """One XML file."""

    size: tuple[int, int]  # width, height
    cls: list[int] = field(default_factory=list)  # (m,) index into CLASSES
    xyxy: list[tuple[float, float, float, float]] = field(default_factory=list)  # (m, 4) pixels, 0-based
    difficult: list[bool] = field(default_factory=list)  # (m,)
    pose: list[str] = field(default_factory=list)  # (m,)
    measured: bool = False  # the file states no size: it is that of the picture
    moved: list[str] = field(default_factory=list)  # boxes that were clipped to the image, in words


def load(root: str | Path, year: str, split: str) -> Dataset:
    """Read one split, e.g. year "2007", split "val"; `root` is VOCdevkit, its parent, or VOC<year> itself.

    Labels are those of the class files (aligned by id), as in the devkit; without any class file they follow from
    the objects by the devkit's rule. The image files need not exist.
    """
    folder, images, files = listed(root, year, split)
    labels, problems, notes = read_labels(folder, split, images)
    if problems:
        raise StudyError(problems[0])
    annotations = [
        read_annotation(annotation_file(folder, image), file) for image, file in zip(images, files, strict=True)
    ]
    counts = [len(a.cls) for a in annotations]
    boxes = Boxes(
        image=np.repeat(np.arange(len(images)), counts),
        cls=np.array([c for a in annotations for c in a.cls], np.int64),
        xyxy=np.array([b for a in annotations for b in a.xyxy], np.float64).reshape(-1, 4),
        ignored=np.array([d for a in annotations for d in a.difficult], bool),
        pose=tuple(p for a in annotations for p in a.pose),
    )
    if measured := sum(a.measured for a in annotations):
        notes.append(f"{count(measured, 'annotation')} state no size: read from the pictures")
    if moved := [text for a in annotations for text in a.moved]:
        notes.append(f"{count(len(moved), 'box')} clipped to the image, the first: {moved[0]}")
    return Dataset(
        name=f"scenes {split}" if str(year) == "scenes" else f"VOC{year} {split}",
        classes=CLASSES,
        images=images,
        files=files,
        sizes=np.array([a.size for a in annotations], np.int64).reshape(-1, 2),
        labels=np.stack([labels[k] for k in range(len(CLASSES))], axis=1)
        if labels
        else labels_from_boxes(boxes, len(images), len(CLASSES)),
        boxes=boxes,
        notes=tuple(notes),
    )


def load_unlabelled(root: str | Path, year: str, split: str) -> Dataset:
    """The pictures of a split list without annotations (VOC 2012 test): every label is 0, there is no box."""
    _, images, files = listed(root, year, split)
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


def listed(root: str | Path, year: str, split: str) -> tuple[Path, tuple[str, ...], tuple[Path, ...]]:
    """The VOC<year> folder, the ids of a split's list, and the files of their pictures."""
    folder = find_folder(root, year)
    path = split_file(folder, split)
    images = read_list(path)
    files = find_pictures(folder, images)
    for image, file in zip(images, files, strict=True):
        stem, suffix = os.path.splitext(image)
        if suffix.lower() in (*SUFFIXES, ".xml") and not annotation_file(folder, image).is_file() and not file.is_file():
            name = bare(stem)
            what = f"extension: remove {suffix} from every line" if name == stem else "folder, no extension: write the id alone"
            raise StudyError(f"{path}: names {image}, but ids have no {what} ({name}, ...)")
    return folder, images, files


def find_pictures(folder: Path, images: tuple[str, ...]) -> tuple[Path, ...]:
    """JPEGImages/<id>.jpg of each image, or its picture with another of `SUFFIXES`; none need exist."""
    pictures = folder / "JPEGImages"
    try:
        names = os.listdir(pictures)
    except OSError:
        names = []
    there: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not name.endswith(".jpg"), name)):  # the usual ending goes first
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            there.setdefault(stem, name)
    return tuple(pictures / there[image] if image in there else as_kept(pictures / f"{image}.jpg") for image in images)


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
    return as_kept(folder / "Annotations" / f"{image}.xml")


def bare(name: str) -> str:
    """A name without the folders before it, of Windows or not."""
    return name.replace("\\", "/").rpartition("/")[2]


def read_list(path: Path) -> tuple[str, ...]:
    """Image ids of a split list, in its order, exactly as written."""
    ids = []
    for number, words in _lines(path):
        if len(words) != 1:
            raise StudyError(f"{path}: line {number} reads {' '.join(words)!r}; expected one image id a line (an id has no "
                             f"blank: rename a file that has one)")  # fmt: skip
        try:
            inside(Path("JPEGImages"), words[0], path)
        except StudyError:
            name = os.path.splitext(bare(words[0]))[0]
            raise StudyError(f"{path}: line {number} reads {words[0]!r}, which leads out of the data set; write the id alone "
                             f"({name}), without folder and extension") from None  # fmt: skip
        if CONTROL.search(words[0]):
            raise StudyError(f"{path}: line {number} reads {words[0]!r}, with a control character; write it anew")
        ids.append(words[0])
    if not ids:
        raise StudyError(f"{path}: lists no image; write one image id a line")
    if len(set(ids)) != len(ids):
        twice = next(i for n, i in enumerate(ids) if i in set(ids[:n]))
        raise StudyError(f"{path}: image {twice} is listed twice; remove one of the lines")
    return tuple(ids)


def read_labels(
    folder: Path, split: str, images: tuple[str, ...]
) -> tuple[dict[int, np.ndarray], list[str], list[str]]:
    """(labels, problems, notes) of a split's class files, in the order of `images`: (N,) int8 for each class index.

    Without any class file there are no labels. All must name the same images: those of the list, or more.
    """
    paths = {k: folder / "ImageSets" / "Main" / f"{name}_{split}.txt" for k, name in enumerate(CLASSES)}
    if not any(path.is_file() for path in paths.values()):
        return {}, [], [f"no class files (<class>_{split}.txt): labels follow from the objects, by the devkit's rule"]
    found: dict[int, dict[str, int]] = {}
    problems = []
    for k, path in paths.items():
        try:
            found[k] = _class_file(path)
        except StudyError as error:
            problems.append(str(error))
    everywhere = set.intersection(*map(set, found.values())) if found else set()
    allowed = everywhere | set(images)
    labels = {}
    for k, labelled in found.items():
        for problem, ids in (("lacks", [i for i in images if i not in labelled]),
                             ("also names", [i for i in labelled if i not in allowed])):  # fmt: skip
            if ids:
                problems.append(
                    f"{paths[k]}: disagrees with the split list: it {problem} {len(ids)} image(s), the first {ids[0]}; "
                    f"take both files from the same source"
                )
                break
        else:
            labels[k] = np.array([labelled[i] for i in images], np.int8)
    subset = len(everywhere) > len(images) and not problems
    return labels, problems, [f"{split}.txt names {len(images)} of the {len(everywhere)} images of the class files"] * subset


def _class_file(path: Path) -> dict[str, int]:
    """{image id: label} of one class file."""
    if not path.is_file():
        raise StudyError(
            f"{path}: no such class file, but there are others; add it, or remove them all: the labels then follow "
            f"from the objects"
        )
    labels: dict[str, int] = {}
    for number, words in _lines(path):
        if len(words) != 2 or words[1] not in ("1", "+1", "0", "-1"):
            raise StudyError(
                f"{path}: line {number} reads {' '.join(words)!r}; expected an id and 1, 0 or -1"
            )
        if words[0] in labels:
            raise StudyError(f"{path}: line {number} names image {words[0]} again; remove one of the lines")
        labels[words[0]] = int(words[1])
    return labels


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, name, pubid, system):
        raise StudyError("has a DOCTYPE, whose entities may expand without bound; VOC has none: remove it")


def read_annotation(path: Path, picture: Path | None = None) -> Annotation:
    """Parse and check one XML file. picture: where the image's size is read if the file does not state it."""
    try:
        check_regular(path, "restore the file")
        root = _parsed(path.read_bytes())
    except FileNotFoundError:
        raise StudyError(f"{path}: no such annotation, but the split lists the image; add it, or shorten the list") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    except StudyError as error:
        raise StudyError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (UnicodeDecodeError, LookupError) as error:
        raise StudyError(f"{path}: is not text in UTF-8 or the encoding that it declares ({error}); save it as UTF-8") from None
    except (ET.ParseError, ValueError) as error:
        raise StudyError(f"{path}: truncated or not XML ({error}); write it again") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # without its namespace
    if root.tag != "annotation":
        raise StudyError(f"{path}: its outermost element is <{root.tag}>, not <annotation>; export it as PASCAL VOC")
    stated = [(root.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    measured = not any(stated) or stated == ["0", "0"]
    if measured:
        if picture is None or not picture.is_file():
            raise StudyError(f"{path}: has no <size> with width and height; add it, or give the pictures (JPEGImages)")
        size = upright_size(picture)
    else:
        width, height = (_number(root, f"size/{side}", path) for side in ("width", "height"))
        if not all(1 <= side <= LARGEST_SIDE and side.is_integer() for side in (width, height)):
            raise StudyError(f"{path}: image size {width:g} x {height:g}; expected integers, 1 to {LARGEST_SIDE:,}: correct it")
        size = (int(width), int(height))
    annotation = Annotation(size, measured=measured)
    for obj in root.findall("object"):
        name = (obj.findtext("name") or "").strip()
        if name not in CLASSES:
            raise StudyError(f"{path}: unknown class {name!r}; expected one of {', '.join(CLASSES)}")
        box = tuple(_number(obj, f"bndbox/{side}", path) for side in ("xmin", "ymin", "xmax", "ymax"))
        inside, moved = _within(box, size, f"{path}: {name}: box ({', '.join(f'{v:g}' for v in box)})")
        difficult = flag(obj.findtext("difficult"))
        if difficult is None:
            raise StudyError(f"{path}: <difficult> is {obj.findtext('difficult')!r}; expected 0 or 1")
        annotation.cls.append(CLASSES.index(name))
        annotation.xyxy.append(inside)
        annotation.difficult.append(difficult)
        annotation.pose.append((obj.findtext("pose") or "").strip())
        annotation.moved.extend(moved)
    inner = len(root.findall("object/part/bndbox"))
    if (boxes := len(list(root.iter("bndbox"))) - inner) != len(annotation.cls):
        raise StudyError(f"{path}: has {count(boxes, 'bndbox')}, but {count(len(annotation.cls), 'object')} that could be read; "
                         f"expected one in each <object>, directly in <annotation>: correct it")  # fmt: skip
    return annotation


def _parsed(data: bytes) -> ET.Element:
    """XML in any encoding that Python knows: expat itself knows none of several bytes a character but Unicode's."""
    declared = re.match(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""", data)
    try:
        return ET.fromstring(data, ET.XMLParser(target=_NoDoctype()))
    except ET.ParseError:
        if declared is None and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            data.decode("utf-8")  # raises what tells a wrong encoding from a file that is cut off
        raise
    except ValueError:
        if declared is None:
            raise
        text = data.decode(declared[1].decode())
        return ET.fromstring(re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.S), ET.XMLParser(target=_NoDoctype()))


def _within(
    box: tuple[float, ...], size: tuple[int, int], where: str
) -> tuple[tuple[float, ...], list[str]]:
    """A box of the XML in 0-based pixels, within its image, and what was done to it, in words."""
    x0, y0, x1, y1 = (v - 1 for v in box)
    of = f"the image of {size[0]} x {size[1]} pixels"
    if x1 < x0 or y1 < y0:
        raise StudyError(f"{where} is reversed; swap its corners")
    if min(x0, y0) >= 0 and x1 <= size[0] - 1 and y1 <= size[1] - 1:
        return (x0, y0, x1, y1), []  # nearly all: no arrays
    inside, moved = clipped(np.array([(x0, y0, x1, y1)]), np.array([size]) - 1)
    if np.isnan(inside).any():
        raise StudyError(f"{where} leaves {of}; correct it")
    return tuple(inside[0].tolist()), [f"{where} leaves {of}"] if moved[0] else []


def _number(element: ET.Element, tag: str, path: Path) -> float:
    text = element.findtext(tag)
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise StudyError(f"{path}: <{tag}> is {text!r}; expected a number: correct it") from None
    if not np.isfinite(value):
        raise StudyError(f"{path}: <{tag}> is {text!r}; expected a finite number: correct it")
    return value


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, words) of the lines that are not blank."""
    check_regular(path, "restore the file")
    try:
        text = as_text(path.read_bytes(), path)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    return [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
