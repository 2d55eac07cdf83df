"""Predicting the extent of objects from WEAK SUP's score maps (Section 6).

"We have implemented a simple extension of our method that aggregates CNN scores within selective search object
proposals" gives the paper a detection mAP of 11.74 / 27.47 / 43.54 at IoU 0.5 / 0.3 / 0.1; it does not say how scores are
aggregated. Here the score maps of all test scales, stretched to the finest one, are averaged; a proposal's score is
computed from the mean of that map inside it; overlapping proposals of a class are suppressed.

The way of aggregating was chosen on training images of the VOC 2007 sample, of which the network knows the labels but not
the boxes. The chosen ring has the best mean of the three values. Detection mAP at IoU 0.5 / 0.3 / 0.1:

    350 images, three scales     `mean`                        1.2 /  4.3 / 11.6
                                 `positive`                   11.4 / 24.4 / 37.8
                                 `ring` of 1.5 sides          14.2 / 26.7 / 36.7
    200 of them                  `ring` of 1.5 sides          12.7 / 28.3 / 40.5
                                 `ring` of 2 sides (chosen)   11.5 / 28.5 / 44.8
                                 `ring` of 3 sides            10.4 / 23.6 / 42.2
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from wsl.data.dataset import Dataset
from wsl.data.geometry import boxes_on_map
from wsl.data.images import extent_on_canvas
from wsl.evaluation import metrics
from wsl.evaluation.detection import REPORTED, SCORINGS, Detections, bootstrap, cocoeval, detection_average_precision
from wsl.files import whole_file
from wsl.network.features import Features, Side
from wsl.network.model import Adaptation
from wsl.systems.proposals import Proposals

IOUS = tuple(round(0.05 * i, 2) for i in range(1, 20))
RESAMPLED = (0.1, 0.3, 0.5)  # the paper's thresholds: those get an interval
RING = 2.0  # side of the ring around a proposal over the proposal's
OVERLAP = 0.3  # IoU above which the lower of two proposals is suppressed
KEPT = 20  # detections of a class and image at most


def mean_inside(score_map: Tensor, regions: Tensor) -> Tensor:
    """(P, K) means of a score map (K, n, m), read bilinearly, inside regions (P, 4) in cells."""
    from torchvision.ops import roi_align  # two seconds that no other command needs

    return roi_align(score_map[None], [regions], 1, sampling_ratio=8, aligned=True)[:, :, 0, 0]


def aggregations(score_map: Tensor, regions: Tensor) -> dict[str, Tensor]:
    """Scores of the proposals by each of `SCORINGS`, (P, K); the ring lies within `RING` times the sides."""
    low, high = regions[:, :2], regions[:, 2:]
    middle, half = (low + high) / 2, (high - low) / 2 * RING
    wide = torch.cat([middle - half, middle + half], 1).clamp(0, score_map.shape[-1])
    area, wide_area = ((r[:, 2:] - r[:, :2]).clamp_min(1e-3).prod(1)[:, None] for r in (regions, wide))
    inside, both = mean_inside(score_map, regions), mean_inside(score_map, wide)
    around = (both * wide_area - inside * area) / (wide_area - area).clamp_min(1e-3)
    probability = mean_inside(score_map.sigmoid(), regions)
    return {"mean": inside, "ring": inside - around, "positive": probability * area.sqrt()}


def best_apart(scores: Tensor, near: Tensor, most: int) -> list[Tensor]:
    """Non-maximum suppression of P boxes by each column of scores (P, C): at most `most` boxes, the best first.

    near: bool (P, P), which boxes suppress each other, each box itself. What `torchvision.ops.nms` gives for each column, in
    a tenth of its time: the overlaps are the same for all columns.
    """
    left, columns, kept = scores.clone(), torch.arange(scores.shape[1], device=scores.device), []
    for _ in range(min(most, len(scores))):
        best = left.argmax(0)  # (C,)
        kept.append(torch.where(left[best, columns] > -torch.inf, best, -1))
        left[near[best].T] = -torch.inf
    return [column[column >= 0] for column in torch.stack(kept, 1)]


class ExtentReader:
    """Detections from the score maps of a head, for each of `SCORINGS`."""

    def __init__(self, features: Features, head: Adaptation, sides: Sequence[int], proposals: Proposals) -> None:
        self.features, self.head, self.sides, self.proposals = features, head, sorted(sides), proposals
        self.rows: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in SCORINGS}

    def read(self, images: Sequence[int], maps: dict[Side, Tensor]) -> None:
        """The maps of all scales are stretched to the finest, and averaged."""
        finest = maps[self.sides[-1]].shape[-2:]
        scales = [self.head.score_maps(maps[side]) for side in self.sides]
        scores = torch.stack([F.interpolate(m, finest, mode="bilinear", align_corners=False) for m in scales]).mean(0)
        for image, score_map in zip(images, scores, strict=True):
            self._detect(image, score_map)

    def _detect(self, image: int, score_map: Tensor) -> None:
        from torchvision.ops import box_iou

        dataset, canvas, boxes = self.features.dataset, self.features.canvas, self.proposals[image]
        size = tuple(int(v) for v in dataset.sizes[image])
        edges = boxes_on_map(boxes, size, extent_on_canvas(size, canvas), canvas, score_map.shape[-1])
        scores = aggregations(score_map, torch.from_numpy(edges).float().to(score_map.device))
        corners = torch.from_numpy(boxes + (0, 0, 1, 1)).float()
        near = box_iou(corners, corners).double() > OVERLAP
        for name, rows in self.rows.items():
            own = scores[name].cpu()
            for k, kept in enumerate(best_apart(own, near, KEPT)):
                rows.append((np.full(len(kept), image), np.full(len(kept), k), own[kept, k].numpy(), boxes[kept.numpy()]))

    def detections(self) -> dict[str, Detections]:
        return {name: Detections(*map(np.concatenate, zip(*rows, strict=True))) for name, rows in self.rows.items()}


def write_extent(folder: Path, found: dict[str, Detections], dataset: Dataset, crowds: bool) -> Path:
    """Write `extent.csv` beside the run of weak_sup; returns it. Columns: how (of `SCORINGS`), iou, class, ap, ap_coco.

    COCOeval judges only the reported scoring; crowds: see `cocoeval`. `extent_samples.csv` gets the mAP in 1,000 resamples of
    the images: how, and a column for each of `RESAMPLED`.
    """
    tables, samples = [], []
    for how, boxes in found.items():
        table = pd.DataFrame(detection_average_precision(boxes, dataset, IOUS), IOUS, dataset.classes)
        table = table.rename_axis("iou").reset_index().melt("iou", var_name="class", value_name="ap")
        coco = cocoeval(boxes, dataset, IOUS, crowds) if how == REPORTED else np.full(len(table), np.nan)
        tables.append(table.assign(how=how, ap_coco=coco.T.ravel()))
        drawn = metrics.mean(bootstrap(boxes, dataset, RESAMPLED))
        samples.append(pd.DataFrame(drawn, columns=RESAMPLED).assign(how=how))
    columns = ["how", "iou", "class", "ap", "ap_coco"]
    for name, frame in (("extent_samples.csv", pd.concat(samples)), ("extent.csv", pd.concat(tables)[columns])):
        with whole_file(folder / name) as temporary:
            frame.round(6).to_csv(temporary, index=False)
    return folder / "extent.csv"
