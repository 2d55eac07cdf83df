"""Predicting the extent of objects from WEAK SUP's score maps (Section 6).

"We have implemented a simple extension of our method that aggregates CNN scores within selective search object
proposals" gives the paper 11.74 / 27.47 / 43.54 detection mAP at IoU 0.5 / 0.3 / 0.1, and no word on how. Here the
score maps of all test scales, stretched to the finest one, are averaged; a proposal's score is computed from the mean
of that map inside it; overlapping proposals of a class are suppressed.

How to aggregate was chosen on training images, of which the network knows the labels, not the boxes. Detection mAP at
IoU 0.5 / 0.3 / 0.1 on 350 of the VOC 2007 sample, three scales: `mean` 1.2 / 4.3 / 11.6, `positive` 11.4 / 24.4 / 37.8,
`ring` of 1.5 sides 14.2 / 26.7 / 36.7. On 200 of them, rings of 1.5, 2 and 3 sides: 12.7 / 28.3 / 40.5, 11.5 / 28.5 /
44.8 (chosen: the best mean of the three) and 10.4 / 23.6 / 42.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms, roi_align
from tqdm import tqdm

from wsl.data.geometry import boxes_on_map, side_at
from wsl.data.images import extent_on_canvas
from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.evaluation.detection import REPORTED, SCORINGS, Detections, bootstrap, cocoeval, detection_average_precision
from wsl.evaluation.runs import run_folder
from wsl.files import whole_file
from wsl.network.engines import one_pool
from wsl.network.features import Features
from wsl.network.heads import check_head
from wsl.network.model import Adaptation, load_head
from wsl.profile import Profile
from wsl.systems.proposals import Proposals, keep_proposals
from wsl.systems.study import trunk_of

IOUS = tuple(round(0.05 * i, 2) for i in range(1, 20))
RESAMPLED = (0.1, 0.3, 0.5)  # the paper's thresholds: those get an interval
RING = 2.0  # side of the ring around a proposal over the proposal's
OVERLAP = 0.3  # IoU above which the lower of two proposals is suppressed
KEPT = 20  # detections of a class and image at most
BATCH = 8


def mean_inside(score_map: Tensor, regions: Tensor) -> Tensor:
    """(P, K) means of a score map (K, n, m), read bilinearly, inside regions (P, 4) in cells."""
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


def score_maps(
    features: Features, head: Adaptation, sides: Sequence[int], images: Sequence[int] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """(image, score map (K, n, m)): the mean over scales of the maps, stretched to the finest."""
    images = range(len(features.dataset)) if images is None else images
    batches = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    for batch, maps in zip(batches, features.batches(batches, [sorted(sides)] * len(batches)), strict=True):
        finest = maps[-1].shape[-2:]
        scores = [F.interpolate(head.score_maps(m), finest, mode="bilinear", align_corners=False) for m in maps]
        yield from zip(batch, torch.stack(scores).mean(0), strict=True)


def detect(
    features: Features,
    head: Adaptation,
    sides: Sequence[int],
    proposals: Proposals,
    how: Sequence[str] = tuple(SCORINGS),
    images: Sequence[int] | None = None,
    progress: bool = True,
) -> dict[str, Detections]:
    """Detections from the score maps, for each way `how` of aggregating them."""
    dataset, rows = features.dataset, {name: [] for name in how}
    total = len(dataset) if images is None else len(images)
    bar = tqdm(total=total, desc=f"extent on {dataset.name}", unit="image", disable=not progress)
    for image, score_map in score_maps(features, head, sides, images):
        size = tuple(int(v) for v in dataset.sizes[image])
        boxes = proposals[image]
        extent = extent_on_canvas(size, features.canvas)
        edges = boxes_on_map(boxes, size, extent, features.canvas, score_map.shape[-1])
        scores = aggregations(score_map, torch.from_numpy(edges).float().to(score_map.device))
        corners = torch.from_numpy(boxes + (0, 0, 1, 1)).float()
        for name in how:
            for k, own in enumerate(scores[name].T.cpu()):
                kept = nms(corners, own, OVERLAP)[:KEPT].numpy()
                rows[name].append((np.full(len(kept), image), np.full(len(kept), k), own.numpy()[kept], boxes[kept]))
        bar.update()
    bar.close()
    return {name: Detections(*(np.concatenate(v) for v in zip(*found, strict=True))) for name, found in rows.items()}


@one_pool()
def extent(profile: Profile, seed: int, runs: Path) -> Path:
    """Write `extent.csv` beside the run of weak_sup; returns it. Columns: how (of `SCORINGS`), iou, class, ap, ap_coco.

    COCOeval judges only the reported scoring. `extent_samples.csv` gets the mAP in 1,000 resamples of the images: how, and a
    column for each of `RESAMPLED`.
    """
    folder = run_folder(runs, profile.name, profile.trunk, "weak_sup", seed)
    trunk, dataset = trunk_of(profile), profile.dataset("val", runs)
    head, about = load_head(folder / "head.safetensors")
    check_head(folder / "head.safetensors", about, trunk.name, trunk.weights_sha256, dataset.classes)
    if not len(dataset.boxes):
        raise StudyError(f"{dataset.name}: has no boxes to compare with; choose a split that has")
    proposals = keep_proposals(profile, "val", runs)
    sides = [side_at(s, profile.canvas) for s in profile.test_scales]
    found = detect(Features(trunk, dataset, profile.canvas), head.to(trunk.device), sides, proposals)
    tables, samples = [], []
    for how, boxes in found.items():
        table = pd.DataFrame(detection_average_precision(boxes, dataset, IOUS), IOUS, dataset.classes)
        table = table.rename_axis("iou").reset_index().melt("iou", var_name="class", value_name="ap")
        coco = cocoeval(boxes, dataset, IOUS, profile.layout == "coco") if how == REPORTED else np.full(len(table), np.nan)
        tables.append(table.assign(how=how, ap_coco=coco.T.ravel()))
        drawn = metrics.mean(bootstrap(boxes, dataset, RESAMPLED))
        samples.append(pd.DataFrame(drawn, columns=RESAMPLED).assign(how=how))
    columns = ["how", "iou", "class", "ap", "ap_coco"]
    for name, frame in (("extent_samples.csv", pd.concat(samples)), ("extent.csv", pd.concat(tables)[columns])):
        with whole_file(folder / name) as temporary:
            frame.round(6).to_csv(temporary, index=False)
    return folder / "extent.csv"
