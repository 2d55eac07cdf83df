"""For the per-image browser: boxes, sizes, addresses and small score maps of the evaluation images, beside a run of weak_sup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from wsl.data.geometry import side_at
from wsl.evaluation import views
from wsl.network.features import Features, Side
from wsl.systems.predict import HeadReader, Tester

if TYPE_CHECKING:
    from torch import Tensor


class ViewReader(HeadReader):
    """Keeps the score maps at s = 1 of the classes that an image shows, or that are detected in it."""

    def __init__(self, tester: Tester, features: Features) -> None:
        super().__init__(tester, features)
        self.side = side_at(1.0, features.canvas)
        self.sides = sorted({*self.sides, self.side})
        self.maps: dict[tuple[int, int], bytes] = {}  # (image, class) -> 255 times the probability of each cell

    def read(self, images: range, maps: dict[Side, Tensor]) -> None:
        super().read(images, maps)
        labels = self.features.dataset.labels
        for image, scores in zip(images, self.tester.score_maps(maps[self.side]), strict=True):  # scores: (K, n, m)
            for k in np.flatnonzero((labels[image] >= 0) | (self.scores[0, image] > 0)):
                probability = 1 / (1 + np.exp(-scores[k].astype(np.float64)))
                self.maps[image, int(k)] = np.rint(255 * probability).astype(np.uint8).tobytes()

    def write(self, folder: Path, head_sha256: str) -> Path:
        """Write pictures.parquet and views.parquet (`wsl.evaluation.views`) to `folder`, which it returns."""
        dataset = self.features.dataset
        width, height = dataset.sizes.T
        addresses = dataset.addresses or ("",) * len(dataset)
        pictures = pd.DataFrame({"image": dataset.images, "width": width, "height": height, "address": addresses})
        boxes: dict[tuple[int, int], list[float]] = {}
        for image, k, xyxy in zip(dataset.boxes.image, dataset.boxes.cls, dataset.boxes.xyxy, strict=True):
            boxes.setdefault((int(image), int(k)), []).extend(xyxy)
        rows = [(dataset.images[i], dataset.classes[k], boxes.get((i, k), []), cells) for (i, k), cells in self.maps.items()]
        views.write(folder, pictures, pd.DataFrame(rows, columns=views.VIEWS.names), head_sha256)
        return folder
