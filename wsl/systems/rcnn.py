"""R-CNN*, system L of Table 2: one linear classifier a class on frozen features of selective-search proposals.

After Girshick et al., "Rich feature hierarchies" (CVPR 2014), as the paper uses it: "only the most confident bounding
box proposal per class and per image". The score of a class is that of its best proposal, and its point the centre of it.
Positive regions: ground-truth boxes and proposals that overlap one at IoU >= 0.5; negative: IoU < 0.3; two rounds
of hard negatives. Nothing is fine-tuned, and no box is regressed.

Regions are pooled from shared maps of the canvas (RoIAlign) into G x G cells, each from the scale at which it measures
nearest to the trunk's input (as in SPP-net, He et al. 2014). The classifier being linear, a proposal's score is the
position-sensitive RoI pooling of score maps: a thousand proposals take milliseconds.

Settings were chosen on training images of the VOC 2007 sample, 600 to train on and 350 to evaluate. Classification and
localization mAP after the hard negatives:

    grid    decay    s                             classification    localization
    1       0.01     1.4                           80.3              74.6
    2       0.01     1.4                           82.3              75.3
    2       0.03     1.4                           84.3              78.0
    2       0.1      1.4                           85.2              80.0
    2       0.3      1.4                           85.8              80.3
    2       0.1      1                             86.9              81.3
    2       0.1      best of five                  88.0              82.1
    2       0.1      better of 0.7, 1.4 (chosen)   88.8              82.2
    the same, without hard negatives               89.2              83.0

Regions cut out of the picture and warped to the trunk's input, as in the original, reach 86.4 and 74.7 at 0.63 s an image,
regions pooled as here 86.1 and 78.4 at 0.06 s, and regions pooled from maps without the averaging of D10 85.1 and 77.0
(`benchmarks/region_features.py`, 150 training images to train on and 150 to evaluate).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from wsl.data.dataset import Dataset
from wsl.data.geometry import boxes_on_map, side_at
from wsl.data.images import extent_on_canvas
from wsl.errors import StudyError
from wsl.evaluation.detection import box_iou
from wsl.files import whole_file
from wsl.network.features import Features, Side
from wsl.network.heads import read_about
from wsl.profile import Profile
from wsl.systems.checkpoint import identity
from wsl.systems.predict import table
from wsl.systems.proposals import Proposals, keep_proposals

GRID = 2  # cells of a pooled region along each side
DECAY = 0.1  # of the standardised weights
REGIONS = 60_000  # proposals in the first round, about; and the most hard negatives in each later one
PICTURES = 15_000  # pictures used in training at most, which bounds memory to about 5 GiB
SAMPLES = 2  # points read along each side of a cell of a region
ROUNDS = 2  # of hard negatives
BATCH = 8


@dataclass(frozen=True)
class RegionClassifier:
    """Linear classifiers of pooled regions."""

    weight: Tensor  # (K, C, G, G)
    bias: Tensor  # (K,)

    def to(self, device: torch.device) -> RegionClassifier:
        return RegionClassifier(self.weight.to(device), self.bias.to(device))

    def __call__(self, maps: Tensor, regions: Tensor) -> Tensor:
        """Scores (P, K) of regions (P, 4), in cells of the feature map (C, n, m)."""
        from torchvision.ops import ps_roi_align  # two seconds that other systems do not need

        classes, channels, grid, _ = self.weight.shape
        cells = self.weight.permute(0, 2, 3, 1).reshape(-1, channels) @ maps.flatten(1).float()
        scores = ps_roi_align(cells.view(1, -1, *maps.shape[1:]), [regions], grid, sampling_ratio=SAMPLES)
        return scores.mean((2, 3)) + self.bias


def pooled_regions(maps: Tensor, regions: Tensor, grid: int = GRID) -> Tensor:
    """Features (P, C, G, G) of regions (P, 4), in cells of the feature map (C, n, m)."""
    from torchvision.ops import roi_align

    return roi_align(maps[None].float(), [regions], grid, sampling_ratio=SAMPLES, aligned=True)


def at_best_scale(
    maps: Sequence[Tensor], sides: Sequence[int], boxes: np.ndarray, features: Features, image: int, read: Callable
) -> Tensor:
    """`read(map, regions)` of boxes (P, 4) of an image, (P, ...), each from the map where it is nearest to the trunk's input.

    maps: (C, n, n) for each input side; regions: float32 in cells of that map.
    """
    dataset, canvas = features.dataset, features.canvas
    size = tuple(int(v) for v in dataset.sizes[image])
    edges = boxes_on_map(boxes, size, extent_on_canvas(size, canvas), canvas, 1)  # 0 to 1 along the canvas
    length = np.sqrt((edges[:, 2:] - edges[:, :2]).prod(1))
    scale = np.abs(np.log(length[:, None] * np.array(sides) / features.trunk.input_size)).argmin(1)
    parts = []
    for i, m in enumerate(maps):
        parts.append(read(m, torch.from_numpy(edges[scale == i] * m.shape[-1]).float().to(m.device)))
    back = np.argsort(np.argsort(scale, kind="stable"), kind="stable")
    return torch.cat(parts)[torch.from_numpy(back).to(parts[0].device)]


def region_labels(boxes: np.ndarray, dataset: Dataset, image: int) -> np.ndarray:
    """(P, K) int8: +1 at IoU >= 0.5 with an object of the class, -1 below 0.3 with all of them, 0 between."""
    labels = np.full((len(boxes), len(dataset.classes)), -1, np.int8)
    b = dataset.boxes
    for j in np.flatnonzero(b.image == image):
        iou = box_iou(boxes, b.xyxy[j : j + 1])[:, 0]
        own = np.where(iou < 0.3, -1, np.where((iou < 0.5) | b.ignored[j], 0, 1))
        k = b.cls[j]
        labels[:, k] = np.where((own == 1) | (labels[:, k] == 1), 1, np.maximum(own, labels[:, k]))
    return labels


def first_regions(labels: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """The proposals of the first round, as indices: up to `count`, half of them on objects if there are enough."""
    on_object = (labels > 0).any(1)
    positive, negative = draw.permutation(np.flatnonzero(on_object)), draw.permutation(np.flatnonzero(~on_object))
    positive = positive[: count // 2]
    return np.sort(np.concatenate([positive, negative[: count - len(positive)]]))


def hard_negatives(scores: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The worst mistakes among proposals: for each class its best-scored negative above the margin, `count` at most."""
    scores = np.where(labels < 0, scores, -np.inf)
    worst = scores.max(0)
    ranked = np.argsort(-worst, kind="stable")
    return np.unique(scores.argmax(0)[ranked[worst[ranked] > -1][:count]])


def fit(x: Tensor, y: Tensor, decay: float = DECAY, start: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """K logistic regressions on standardised features (R, D), labels (R, K) in {-1, 0, +1}: (K, D) weights, (K,) biases.

    The loss of a class is the mean over its labelled regions plus decay / 2 times the squared weights.
    """
    weight, bias = start or (torch.zeros(y.shape[1], x.shape[1]), torch.full((y.shape[1],), -3.0))
    weight, bias = (v.clone().to(x.device).requires_grad_() for v in (weight, bias))
    share = (y != 0) / (y != 0).sum(0).clamp_min(1)
    steps = 15 if start else 40  # more steps change the loss by less than 1%
    solver = torch.optim.LBFGS([weight, bias], max_iter=steps, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = (F.softplus(-y * F.linear(x, weight, bias)) * share).sum() + decay / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return weight.detach(), bias.detach()


def train_regions(
    profile: Profile,
    seed: int,
    features: Features,
    proposals: Proposals,
    grid: int = GRID,
    decay: float = DECAY,
    rounds: int = ROUNDS,
    progress: bool = True,
) -> tuple[RegionClassifier, list[int]]:
    """Train system L; returns the classifiers and the number of regions in each round."""
    dataset, n = features.dataset, len(features.dataset)
    draw = np.random.default_rng([seed, 0])
    pictures = np.sort(draw.permutation(n)[:PICTURES]).tolist()
    count = int(np.clip(REGIONS // len(pictures), 4, 40))
    xs, ys, used, counts = [], [], {}, []
    sides = region_sides(profile)
    classifier = start = None
    for round_ in range(rounds + 1):
        bar = tqdm(total=len(pictures), desc=f"regions, round {round_}", unit="image", disable=not progress)
        for image, maps in _maps(features, sides, pictures):
            boxes = proposals[image]
            labels = region_labels(boxes, dataset, image)
            if classifier is None:
                chosen = first_regions(labels, count, draw)
                objects = dataset.boxes.xyxy[(dataset.boxes.image == image) & ~dataset.boxes.ignored][:count]
                boxes = np.concatenate([boxes[chosen], objects])
                labels = np.concatenate([labels[chosen], region_labels(objects, dataset, image)])
                used[image] = set(chosen.tolist())
            else:
                scores = at_best_scale(maps, sides, boxes, features, image, classifier).cpu().numpy()
                chosen = hard_negatives(scores, labels, count)
                chosen = np.array([p for p in chosen if p not in used[image]], int)
                used[image] |= set(chosen.tolist())
                boxes, labels = boxes[chosen], labels[chosen]
            pooled = at_best_scale(maps, sides, boxes, features, image, partial(pooled_regions, grid=grid))
            xs.append(pooled.flatten(1).half())
            ys.append(torch.from_numpy(labels).to(pooled.device))
            bar.update()
        bar.close()
        x, y = torch.cat(xs).float(), torch.cat(ys).float()
        if classifier is None:
            mean, std = x.mean(0), x.std(0)
            std = torch.where(std > 1e-3 * std.max(), std, std.max())
        counts.append(len(x))
        start = fit(x.sub_(mean).div_(std), y, decay, start)
        classifier = _unstandardised(*start, mean, std, features.trunk.channels)
    return classifier, counts


def _unstandardised(weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor, channels: int) -> RegionClassifier:
    """The same classifiers on plain features; scores are means over the cells of a region, hence the factor."""
    weight = weight / std
    bias = bias - weight @ mean
    grid = round((weight.shape[1] / channels) ** 0.5)
    return RegionClassifier(weight.view(-1, channels, grid, grid) * grid**2, bias)


def region_sides(profile: Profile) -> list[int]:
    """Input sides at which regions are read: the smallest and largest training scale, whose features are kept."""
    return sorted({side_at(s, profile.canvas) for s in (min(profile.train_scales), max(profile.train_scales))})


def _maps(features: Features, sides: list[int], pictures: Sequence[int]) -> Iterator[tuple[int, list[Tensor]]]:
    """(image, its feature maps (C, n, n) at `sides`)."""
    batches = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    for images, maps in zip(batches, features.batches(batches, [sides] * len(batches)), strict=True):
        yield from ((image, [m[b] for m in maps]) for b, image in enumerate(images))


class RegionReader:
    """The best proposal of each image and class, and its centre."""

    def __init__(self, profile: Profile, features: Features, proposals: Proposals, classifier: RegionClassifier) -> None:
        self.features, self.proposals, self.classifier = features, proposals, classifier
        self.sides = region_sides(profile)
        shape = (len(features.dataset), len(features.dataset.classes))
        self.score, self.centre = np.zeros(shape), np.zeros((*shape, 2))

    def read(self, images: Sequence[int], maps: dict[Side, Tensor]) -> None:
        for b, image in enumerate(images):
            boxes, own = self.proposals[image], [maps[side][b] for side in self.sides]
            best, which = at_best_scale(own, self.sides, boxes, self.features, image, self.classifier).max(0)
            self.score[image] = best.cpu().numpy()
            self.centre[image] = ((boxes[:, :2] + boxes[:, 2:]) / 2)[which.cpu().numpy()]

    def table(self) -> pd.DataFrame:
        return table(self.features.dataset, self.score, self.score, self.centre, self.centre)


def train_rcnn(profile: Profile, seed: int, features: Features, runs: Path, out: Path) -> list[int]:
    """Train and keep system L in `out/head.safetensors`; returns the number of regions in each round."""
    proposals = keep_proposals(profile, "train", runs)
    classifier, counts = train_regions(profile, seed, features, proposals)
    dataset, trunk = features.dataset, features.trunk
    about = {"classes": list(dataset.classes), "trunk": trunk.name, "weights_sha256": trunk.weights_sha256, "system": "rcnn"}
    about |= {"seed": seed, "canvas": profile.canvas, "trained_on": profile.title or dataset.name}
    about["identity"] = identity(profile, "rcnn", seed, features)
    save_classifier(out / "head.safetensors", classifier, about)
    return counts


def save_classifier(path: Path, classifier: RegionClassifier, about: dict) -> None:
    tensors = {"weight": classifier.weight.cpu().half().contiguous(), "bias": classifier.bias.cpu()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"about": json.dumps(about)})


def load_classifier(path: Path) -> tuple[RegionClassifier, dict]:
    """What `save_classifier` wrote."""
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such classifiers; make them with `wsl train PROFILE rcnn`")
    try:
        with safe_open(path, "pt") as file:
            found, about = RegionClassifier(file.get_tensor("weight").float(), file.get_tensor("bias").float()), read_about(file)
        if not (found.weight.isfinite().all() and found.bias.isfinite().all()):
            raise ValueError("it holds numbers that are not finite")
        if found.weight.ndim != 4 or found.bias.shape != found.weight.shape[:1] or len(found.bias) != len(about["classes"]):
            raise ValueError(f"its arrays for {len(about['classes'])} classes are {tuple(found.weight.shape)}")
        return found, about
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise StudyError(f"{path}: not classifiers of this study ({error}); make them with `wsl train`") from None
