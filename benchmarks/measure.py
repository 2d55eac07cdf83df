"""What the groups of measurements share: a side, its timing, photographs to time it on.

A group's module defines `sides(options)`. It imports what a side measures within that side alone: thread pools of libraries that
take no part would slow it down, and their memory would count as its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

OURS = "ours"


class Options(NamedTuple):
    """What the user asked for, and a folder for files that the sides of one call of `make bench` share."""

    folder: str
    photographs: str | None = None  # a folder of JPEG files; None: those that scikit-image and matplotlib carry
    images: int = 2000  # generated images of the largest measurement of growth
    small: bool = False  # everything once on very little, to see that it works: its figures mean nothing


class Timing(NamedTuple):
    """What a side took."""

    seconds: list[float]  # one a run
    note: str = ""
    memory_mib: float | None = None  # peak, where it is not that of the side's own process

    def scaled(self, factor: float, note: str) -> Timing:
        """A sample's times as those of the whole."""
        return Timing([factor * s for s in self.seconds], note, self.memory_mib)


@dataclass(frozen=True)
class Side:
    """One way to do what is measured."""

    measure: str
    name: str  # `OURS`, or what is compared with it
    run: Callable[[Options], Timing]
    size: float | None = None  # of growth: how many images, classes, ...
    limit: float = 300  # seconds, after which it is given up


class NotAvailable(Exception):
    """This side cannot be measured here; the message says why."""


def repeat(run: Callable[[], object], budget: float = 12, most: int = 5) -> Timing:
    """Up to `most` runs, as many as `budget` seconds hold; one more comes first, which counts only if it fills them alone."""
    seconds, started = [], time.perf_counter()
    while True:
        before = time.perf_counter()
        run()
        after = time.perf_counter()
        seconds.append(after - before)
        if len(seconds) > most or after - started + statistics.median(seconds) > budget:
            return Timing(seconds[1:] or seconds)


def photographs(options: Options) -> list[Path]:
    """JPEG files: up to 50 of the user's folder, or the packaged photographs, their longest side 640 pixels as in COCO."""
    if options.photographs:
        files = sorted(p for p in Path(options.photographs).iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
        if not files:
            raise NotAvailable(f"no JPEG file in {options.photographs}")
        return files[:50]
    from PIL import Image

    from wsl.data.images import on_canvas
    from wsl.data.photographs import PHOTOGRAPHS

    files = {name: Path(options.folder) / f"{name}.jpg" for name in PHOTOGRAPHS}
    for name, file in files.items():
        if not file.is_file():
            Image.fromarray(on_canvas(PHOTOGRAPHS[name].read(), 640)[0]).save(file, quality=90)
    return list(files.values())


def dataset_of(files: list[Path], count: int, classes: int = 20):
    """`count` images, the files again and again, with labels drawn at random and no boxes."""
    import numpy as np

    from wsl.data.dataset import Boxes, Dataset
    from wsl.data.images import upright_size

    draw = np.random.default_rng(0)
    sizes = np.array([upright_size(file) for file in files])
    which = np.arange(count) % len(files)
    boxes = Boxes(np.empty(0, int), np.empty(0, int), np.empty((0, 4)), np.empty(0, bool), ())
    labels = np.where(draw.random((count, classes)) < 0.1, 1, -1).astype(np.int8)
    names = tuple(f"class {k}" for k in range(classes))
    ids = tuple(map(str, range(count)))
    return Dataset("benchmark", names, ids, tuple(files[i] for i in which), sizes[which], labels, boxes)
