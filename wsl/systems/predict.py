"""Testing at six scales: one score and one point for each image and class (Sections 4 and 6).

"Per-class scores are computed for all window positions and then max-pooled across the image. These raw
per-class scores are then aggregated across all scales by averaging." The point is the maximal response over
scales and cells; cells outside the image take no part; ties go to the smallest scale, then row-major.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from operator import methodcaller
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from wsl.data.dataset import Dataset
from wsl.data.geometry import Grid, cell_to_image, inside, side_at
from wsl.data.images import extent_on_canvas
from wsl.network.features import Features, Side
from wsl.network.heads import ArrayHead

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from wsl.network.model import Adaptation

MAPPINGS = ("stretch", "centre")


@dataclass(frozen=True)
class Tester:
    """A head, and the scales at which it is tested; no scales stands for FULL IMAGES.

    pool: a score map's score is its "max", or as Zhou et al. 2016 have it its "mean".
    """

    head: Adaptation | ArrayHead
    scales: tuple[float, ...]
    pool: Literal["max", "mean"] = "max"

    def sides(self, canvas: int) -> list[Side]:
        return [side_at(s, canvas) for s in sorted(self.scales)] or [None]

    def score_maps(self, features: Tensor | np.ndarray) -> np.ndarray:
        """(B, C, n, m) -> (B, K, n, m), float32."""
        maps = self.head.score_maps(features)
        return maps if isinstance(maps, np.ndarray) else maps.cpu().numpy()


def best_points(
    maps: Sequence[np.ndarray], grids: Sequence[Grid], sides: Sequence[int], canvas: int, size: tuple[int, int], mapping: str
) -> np.ndarray:
    """(K, 2) image coordinates of the maximal response over the score maps (K, n, m) of one image at several scales."""
    width, height = size
    w, h = extent_on_canvas(size, canvas)
    best = np.full(maps[0].shape[0], -np.inf)
    points = np.zeros((len(best), 2))
    for scores, grid, side in zip(maps, grids, sides, strict=True):
        columns = cell_to_image(grid, side, canvas, w, width, mapping)
        rows = cell_to_image(grid, side, canvas, h, height, mapping)
        columns, rows = columns[keep_x := inside(columns, width)], rows[keep_y := inside(rows, height)]
        on_image = scores[:, keep_y][:, :, keep_x].reshape(len(best), -1)
        cell = on_image.argmax(1)
        score = on_image[np.arange(len(best)), cell]
        better = score > best
        best[better] = score[better]
        found = np.stack([columns[cell % len(columns)], rows[cell // len(columns)]], 1)
        points[better] = found[better]
    return points.clip(0, (width - 1, height - 1))


def read(
    tester: Tester,
    features: dict[Side, Tensor | np.ndarray],
    grids: dict[Side, Grid],
    canvas: int,
    sizes: Sequence[tuple[int, int]],
    mappings: Sequence[str] = MAPPINGS,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """What a head says of B pictures, from their features (B, C, n, m) at each of its sides.

    Scores (2, B, K): the mean over scales, which ranks, and the maximum. Points (M, B, K, 2) by each of the M `mappings` in
    pixels of the pictures, of these `sizes` (width, height); NaN for FULL IMAGES. Score maps (B, K, n, m), one a scale.
    """
    sides = tester.sides(canvas)
    maps = [tester.score_maps(features[side]) for side in sides]
    pooled = np.max if tester.pool == "max" else np.mean
    peaks = np.stack([pooled(m, (2, 3)) for m in maps]).astype(np.float64)  # (scales, B, K)
    points = np.full((len(mappings), *peaks.shape[1:], 2), np.nan)
    if None not in sides:
        own = [grids[side] for side in sides]
        for b, size in enumerate(sizes):
            for i, mapping in enumerate(mappings):
                points[i, b] = best_points([m[b] for m in maps], own, sides, canvas, size, mapping)
    return np.stack([peaks.mean(0), peaks.max(0)]), points, maps


class Reader(Protocol):
    """What reads the features of the evaluation images in `one_pass`."""

    sides: Sequence[Side]

    def read(self, images: range, maps: dict[Side, Tensor]) -> None:
        """maps: features (B, C, n, m) of these B images at each side, `sides` among them. Batches come in order."""


def one_pass(features: Features, readers: Sequence[Reader], progress: bool = True, batch: int = 4) -> None:
    """One pass of the trunk over the images, for all `readers`: each side that any of them wants is computed once."""
    import torch
    from tqdm import tqdm

    dataset, n = features.dataset, len(features.dataset)
    wanted = sorted(set(chain(*(reader.sides for reader in readers))), key=lambda side: side or 0)
    features.trunk.engine.prepare([side or features.trunk.input_size for side in wanted])
    batches = [range(i, min(i + batch, n)) for i in range(0, n, batch)]
    bar = tqdm(total=n, desc=f"predicting {dataset.name}", unit="image", disable=not progress)
    workers = max(1, (os.cpu_count() or 1) // torch.get_num_threads())  # readers side by side, if torch leaves cores idle
    with bar, ThreadPoolExecutor(workers) as pool:
        for images, maps in zip(batches, features.batches(batches, [wanted] * len(batches)), strict=True):
            of_side = dict(zip(wanted, maps, strict=True))
            list(pool.map(methodcaller("read", images, of_side), readers))
            bar.update(len(images))


class HeadReader:
    """Scores and points of a head on every image and class."""

    def __init__(self, tester: Tester, features: Features) -> None:
        n, k = len(features.dataset), len(features.dataset.classes)
        self.tester, self.features, self.sides = tester, features, tester.sides(features.canvas)
        self.grids = {side: features.trunk.grid(side) for side in self.sides if side is not None}
        self.scores, self.points = np.zeros((2, n, k)), np.full((len(MAPPINGS), n, k, 2), np.nan)

    def read(self, images: range, maps: dict[Side, Tensor]) -> None:
        sizes = [tuple(int(v) for v in self.features.dataset.sizes[image]) for image in images]
        found = read(self.tester, maps, self.grids, self.features.canvas, sizes)
        self.scores[:, images], self.points[:, images] = found[:2]

    def table(self) -> pd.DataFrame:
        return table(self.features.dataset, *self.scores, *self.points)


def predict(features: Features, testers: dict[str, Tester], progress: bool = True, batch: int = 4) -> dict[str, pd.DataFrame]:
    """Predictions tables of several heads from one pass of the trunk over the data set."""
    readers = {name: HeadReader(tester, features) for name, tester in testers.items()}
    one_pass(features, list(readers.values()), progress, batch)
    return {name: reader.table() for name, reader in readers.items()}


def table(dataset: Dataset, score: np.ndarray, score_max: np.ndarray, xy: np.ndarray, xy_centre: np.ndarray) -> pd.DataFrame:
    """A predictions table (see wsl/evaluation/predictions.py) from arrays (N, K) and (N, K, 2)."""
    import pandas as pd

    from wsl.evaluation.predictions import attach_truth

    n, k = score.shape
    columns = {
        "image": np.repeat(np.array(dataset.images, object), k),
        "class": np.tile(np.array(dataset.classes, object), n),
        "score": score.ravel(),
        "x": xy[..., 0].ravel(),
        "y": xy[..., 1].ravel(),
        "score_max": score_max.ravel(),
        "x_centre": xy_centre[..., 0].ravel(),
        "y_centre": xy_centre[..., 1].ravel(),
    }
    return attach_truth(pd.DataFrame(columns), dataset)


def center_prediction(weak_sup: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """System K: the scores of `weak_sup`, and the centre of the image as every point (Section 6)."""
    shape = (len(dataset), len(dataset.classes))
    centre = np.broadcast_to((dataset.sizes[:, None] - 1) / 2, (*shape, 2))
    scores = (weak_sup[column].to_numpy().reshape(shape) for column in ("score", "score_max"))
    return table(dataset, *scores, centre, centre)
