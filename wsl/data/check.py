"""`wsl data check`: read every annotation and every image file of a split and collect what is wrong.

The readers stop at the first problem; this goes on, so that a damaged copy is seen as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from wsl.data import coco, voc
from wsl.data.dataset import Boxes, labels_from_boxes
from wsl.data.images import read_image
from wsl.errors import StudyError

SHOWN = 20


def check_voc(
    root: str | Path, year: str, split: str, progress: Callable[[Iterable], Iterable] = iter
) -> list[str]:
    """Problems of one VOC split: first those of the class files, then of each image in turn."""
    folder = voc.find_folder(root, year)
    images = voc.read_list(voc.split_file(folder, split))
    labels: dict[int, np.ndarray] = {}
    problems = []
    for k, name in enumerate(voc.CLASSES):
        try:
            labels[k] = voc.read_labels(folder / "ImageSets" / "Main" / f"{name}_{split}.txt", images)
        except StudyError as error:
            problems.append(str(error))
    for n in progress(range(len(images))):
        problems += _check_voc_image(folder, images[n], {k: int(values[n]) for k, values in labels.items()})
    return problems


def _check_voc_image(folder: Path, image: str, labels: dict[int, int]) -> Iterator[str]:
    path, size = voc.annotation_file(folder, image), None
    try:
        annotation = voc.read_annotation(path)
    except StudyError as error:
        yield str(error)
    else:
        size = annotation.size
        m = len(annotation.cls)
        boxes = Boxes(np.zeros(m, int), np.array(annotation.cls, int), np.empty((m, 4)),
                      np.array(annotation.difficult, bool), ())  # fmt: skip
        expected = labels_from_boxes(boxes, 1, len(voc.CLASSES))[0]
        for k, label in labels.items():
            if label != expected[k]:
                name = voc.CLASSES[k]
                yield f"{path}: {name} is labelled {label} in its class file but {expected[k]} by its objects"
    yield from check_image(folder / "JPEGImages" / f"{image}.jpg", size)


def check_coco(
    instances: str | Path, images: str | Path | None = None, progress: Callable[[Iterable], Iterable] = iter
) -> list[str]:
    """Problems of the images of one COCO split. The JSON is one file: its first problem raises StudyError."""
    dataset = coco.load(instances, images)
    sizes = [(int(width), int(height)) for width, height in dataset.sizes]
    return [p for n in progress(range(len(dataset))) for p in check_image(dataset.files[n], sizes[n])]


def check_image(path: Path, size: tuple[int, int] | None) -> Iterator[str]:
    """The file is there, decodes to the end, and has the annotation's width and height (None: unknown)."""
    try:
        read_image(path, size)
    except StudyError as error:
        yield str(error)
