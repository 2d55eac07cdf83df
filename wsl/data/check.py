"""`wsl data check`: read every annotation and every image file of a split and collect what is wrong.

The readers stop at the first problem; this goes on, so that a damaged copy is seen as a whole. What they interpret or forgive
(`Dataset.notes`) is a problem here.
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
    folder, images, files = voc.listed(root, year, split)
    labels, problems, notes = voc.read_labels(folder, split, images)
    problems = [*problems, *notes]
    for n in progress(range(len(images))):
        stated = {k: int(values[n]) for k, values in labels.items()}
        problems += _check_voc_image(voc.annotation_file(folder, images[n]), files[n], stated)
    return problems


def _check_voc_image(path: Path, file: Path, labels: dict[int, int]) -> Iterator[str]:
    size = None
    try:
        annotation = voc.read_annotation(path, file)
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
        yield from annotation.moved
        if annotation.measured:
            yield f"{path}: states no size; that of the picture is taken"
    yield from check_image(file, size)


def check_coco(
    instances: str | Path, images: str | Path | None = None, progress: Callable[[Iterable], Iterable] = iter
) -> list[str]:
    """Problems of the images of one COCO split. The JSON is one file: its first problem raises StudyError."""
    dataset = coco.load(instances, images)
    sizes = [(int(width), int(height)) for width, height in dataset.sizes]
    found = [p for n in progress(range(len(dataset))) for p in check_image(dataset.files[n], sizes[n])]
    return [*(f"{instances}: {note}" for note in dataset.notes), *found]


def check_image(path: Path, size: tuple[int, int] | None) -> Iterator[str]:
    """The file is there, decodes to the end, and has the annotation's width and height (None: unknown)."""
    try:
        read_image(path, size)
    except StudyError as error:
        yield str(error)
