"""What every reader of annotations returns: images, image-level labels and boxes, as plain numpy arrays.

`wsl.data.voc.load` and `wsl.data.coco.load` fill a `Dataset`; what uses it need not know which layout it came from.
Labels follow the PASCAL devkit: +1 = at least one object of the class that is neither difficult nor a crowd,
0 = only such objects, -1 = absent. Boxes are 0-based pixels of the original image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

# Official boxes may overshoot the image by a rounding error (COCO: fractions of a pixel; VOC: column 0): they stay as they are.
BOX_SLACK = 1.0
# Converters leave boxes a few pixels outside: they are clipped. No point of the image changes sides thereby.
BOX_REACH = 10.0
LARGEST_SIDE = 1_000_000  # pixels along a side of a picture, as an annotation may state them


@dataclass(frozen=True)
class Boxes:
    """M boxes, in the order of the images and, within an image, of its annotation."""

    image: np.ndarray  # (M,) int64 index into Dataset.images
    cls: np.ndarray  # (M,) int64 index into Dataset.classes
    xyxy: np.ndarray  # (M, 4) float64 x0 y0 x1 y1, pixels, 0-based. VOC: XML minus 1. COCO: x, y, x+w, y+h
    ignored: np.ndarray  # (M,) bool: difficult (VOC) or crowd (COCO)
    pose: tuple[str, ...]  # (M,) the <pose> text of VOC, "" for COCO

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class Dataset:
    """N images of K classes."""

    name: str  # shown to people, e.g. "VOC2007 val"
    classes: tuple[str, ...]  # K
    images: tuple[str, ...]  # N ids, in the order of the list or JSON, exactly as written there
    files: tuple[Path, ...]  # N image files; readers do not need them to exist
    sizes: np.ndarray  # (N, 2) int64 width, height
    labels: np.ndarray  # (N, K) int8 in {-1, 0, +1}
    boxes: Boxes
    notes: tuple[str, ...] = ()  # what the reader had to interpret or forgive, in words: to be shown with every result
    addresses: tuple[str, ...] = ()  # N public addresses of the images, "" where one has none; or none at all

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Iterable[int]) -> Dataset:
        """The images at `indices` (positions; a boolean mask is one too), in that order, with their boxes."""
        indices = np.asarray(indices)
        indices = np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.int64)
        if len(np.unique(indices)) != len(indices):
            raise ValueError("subset: an index occurs twice")
        new_index = np.full(len(self), -1)
        new_index[indices] = np.arange(len(indices))
        kept = np.flatnonzero(new_index[self.boxes.image] >= 0)
        kept = kept[np.argsort(new_index[self.boxes.image[kept]], kind="stable")]
        boxes = Boxes(
            image=new_index[self.boxes.image[kept]],
            cls=self.boxes.cls[kept],
            xyxy=self.boxes.xyxy[kept],
            ignored=self.boxes.ignored[kept],
            pose=tuple(self.boxes.pose[i] for i in kept),
        )
        return replace(
            self,
            images=tuple(self.images[i] for i in indices),
            files=tuple(self.files[i] for i in indices),
            sizes=self.sizes[indices],
            labels=self.labels[indices],
            boxes=boxes,
            addresses=tuple(self.addresses[i] for i in indices) if self.addresses else (),
        )

    def digest(self) -> str:
        """sha256 over classes, ids, sizes, labels and boxes: the same annotations, the same digest."""
        sha = hashlib.sha256()
        for texts in (self.classes, self.images, self.boxes.pose):
            sha.update(("\n".join(texts) + "\0").encode())
        b = self.boxes
        arrays = ((self.sizes, "<i8"), (self.labels, "i1"), (b.image, "<i8"), (b.cls, "<i8"), (b.xyxy, "<f8"))
        for array, dtype in (*arrays, (b.ignored, "?")):
            sha.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
        return sha.hexdigest()


def labels_from_boxes(boxes: Boxes, n_images: int, n_classes: int) -> np.ndarray:
    """(N, K) int8 by the devkit's rule: +1 a box that counts, 0 only difficult or crowd ones, -1 none."""
    labels = np.full((n_images, n_classes), -1, np.int8)
    np.maximum.at(labels, (boxes.image, boxes.cls), np.where(boxes.ignored, 0, 1).astype(np.int8))
    return labels


def clipped(xyxy: np.ndarray, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes within their images, and which were moved to be so: (M, 4) and (M,) bool.

    xyxy: (M, 4); largest: (M, 2), the largest x and y of each image. Boxes within `BOX_SLACK` stay; a box that leaves the
    image by more than `BOX_REACH`, or lies outside, comes back as NaN, for the reader to refuse.
    """
    overshoot = np.maximum(-xyxy[:, :2], xyxy[:, 2:] - largest).max(axis=1, initial=0)
    moved = overshoot > BOX_SLACK
    boxes = np.where(moved[:, None], np.clip(xyxy, 0, np.tile(largest, 2)), xyxy)
    outside = (xyxy[:, :2] > largest + BOX_SLACK).any(axis=1) | (xyxy[:, 2:] < -BOX_SLACK).any(axis=1)
    boxes[(overshoot > BOX_REACH) | outside] = np.nan
    return boxes, moved


def flag(value) -> bool | None:
    """A yes or no as tools write it (1, 1.0, true, "True", "1"; nothing at all is no), or None for anything else."""
    word = str("" if value is None else value).strip().lower()
    return {"": False, "0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}.get(word)


def count(number: int, noun: str) -> str:
    """ "1 box", "2 boxes"."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('x') else 's'}"


def box_distance(xy: np.ndarray, dataset: Dataset, euclidean: bool = False) -> np.ndarray:
    """How far each predicted point is from the nearest box of its class in its image.

    xy: (N, K, 2) pixels, 0-based. Returns (N, K) float64: the L-infinity distance in pixels, 0 inside a box
    (edges included), inf where the image has no box of the class, NaN where the point is NaN. Every box of
    the class counts, difficult and crowd ones included. A point is a hit if the distance is at most the
    tolerance: it then lies in a box grown by the tolerance on every side, x and y separately (the
    paper's 18 px). euclidean: the straight distance instead, as the pointing game has it.
    """
    xy = np.asarray(xy, np.float64)
    expected = (len(dataset), len(dataset.classes), 2)
    if xy.shape != expected:
        raise ValueError(f"box_distance: points have shape {xy.shape}, expected {expected}")
    b = dataset.boxes
    point = xy[b.image, b.cls]  # (M, 2)
    beside = np.maximum(b.xyxy[:, :2] - point, point - b.xyxy[:, 2:])  # (M, 2)
    outside = np.hypot(*beside.clip(0).T) if euclidean else beside.max(axis=1)  # (M,)
    distance = np.full(expected[:2], np.inf)
    np.minimum.at(distance, (b.image, b.cls), np.maximum(outside, 0.0))
    distance[np.isnan(xy).any(axis=2)] = np.nan
    return distance
