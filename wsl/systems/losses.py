"""What each system minimises: Eq. 1 on scores that it reads in its own way. `loss_of` makes a system's loss once.

    WEAK SUP (G, J)         the best score of each class over all positions; the other pooling functions beside it
    FULL IMAGES (F, H)      the same; its map is one cell, the whole picture, where every pooling gives that cell's score
    MASKED POOL (I)         for a positive class the best score over the cells centred in a box of it (Section 5)
    ... outside penalty (I')    besides, the best score outside these cells counts as a negative
    object patches (B)      the scores of single cells, labelled from the boxes (wsl/systems/patches.py)

A setting that a loss would pass over is refused, so that no mask and no kernel is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from wsl.data.dataset import Dataset
from wsl.data.geometry import cell_to_image, cells_in_boxes
from wsl.data.images import extent_on_canvas
from wsl.errors import StudyError
from wsl.network.features import Features, Side
from wsl.network.model import dense_scores, global_max_pool, multilabel_loss, pool, scores_at, searched_scores
from wsl.network.trunk import Trunk
from wsl.profile import Profile, check_honoured, method_of
from wsl.systems.patches import patch_loss, sample_patches

Masks = tuple[Tensor, Tensor] | None  # channel dropout of a mini-batch, see `Adaptation.dropout_masks`


@dataclass(frozen=True)
class Batch:
    """A mini-batch, or one process's share of it, beside its feature maps (B, C, n, m)."""

    images: np.ndarray  # (B,) int64 index into the training images
    side: Side
    epoch: int
    dropout: Masks


Loss = Callable[[nn.Module, Tensor, Batch], Tensor]  # (the head or DistributedDataParallel around it, maps, batch) -> scalar


@dataclass(frozen=True)
class PooledLoss:
    labels: Tensor  # (N, K) in {-1, 0, +1}
    how: str  # see `wsl.network.model.pool`

    def __call__(self, model: nn.Module, maps: Tensor, batch: Batch) -> Tensor:
        return pooled_loss(model, maps, self.labels[batch.images], batch.dropout, self.how)


@dataclass(frozen=True)
class MaskedPoolLoss:
    labels: Tensor
    features: Features
    push_outside: bool

    def __call__(self, model: nn.Module, maps: Tensor, batch: Batch) -> Tensor:
        f = self.features
        allowed = allowed_cells(f.dataset, batch.images, batch.side, f.canvas, f.trunk).to(maps.device)
        return masked_pool_loss(model, maps, self.labels[batch.images], batch.dropout, allowed, self.push_outside)


@dataclass(frozen=True)
class PatchLoss:
    features: Features
    seed: int

    def __call__(self, model: nn.Module, maps: Tensor, batch: Batch) -> Tensor:
        f = self.features
        # a stream of draws for each picture: the same patches however many processes share the mini-batch
        draws = [np.random.default_rng([self.seed, batch.epoch, 1 + image]) for image in batch.images]
        cells, labels = sample_patches(f.dataset, batch.images, batch.side, f.canvas, f.trunk, draws)
        return patch_loss(model, maps, cells.to(maps.device), labels.to(maps.device), batch.dropout)


def loss_of(system: str, settings: Profile, seed: int, features: Features) -> Loss:
    """The loss of a system on the training images of `features`, with the settings that its changes make."""
    method = method_of(system)
    if method != "full_images":  # whose map has one cell, which every pooling gives
        check_honoured(method, settings)
    labels = torch.from_numpy(features.dataset.labels).float().to(features.trunk.device)
    match method:
        case "weak_sup" | "full_images":
            return PooledLoss(labels, settings.pool)
        case "masked_pool" | "masked_pool_outside":
            return MaskedPoolLoss(labels, features, method == "masked_pool_outside")
        case "object_patches":
            return PatchLoss(features, seed)
    raise StudyError(f"system {system}: has no adaptation layers of its own to train")


def pooled_loss(model: nn.Module, features: Tensor, labels: Tensor, masks: Masks, how: str = "max") -> Tensor:
    """Eq. 1 on score maps pooled over all positions. Features (B, C, n, m), labels (B, K)."""
    head = getattr(model, "module", model)
    if how != "max" or not head.one_by_one:
        return multilabel_loss(pool(dense_scores(model, features, masks), how), labels)
    cells = global_max_pool(head.score_maps(features, masks))[1]
    return multilabel_loss(searched_scores(model, features, cells, masks), labels)


def masked_pool_loss(
    model: nn.Module, features: Tensor, labels: Tensor, masks: Masks, allowed: Tensor, push_outside: bool = False
) -> Tensor:
    """Eq. 1 on the best scores of the allowed cells, bool (B, K, n, m) (Section 5).

    push_outside: besides, the best score outside them of a positive class counts as a negative.
    """
    head = getattr(model, "module", model)
    maps = head.score_maps(features, masks) if head.one_by_one else dense_scores(model, features, masks)
    cells = global_max_pool(maps, allowed)[1]
    if push_outside:
        cells = torch.cat([cells, global_max_pool(maps, ~allowed)[1]], 1)
        outside = (labels > 0) & ~allowed.flatten(2).all(2)
        labels = torch.cat([labels, torch.where(outside, -1, 0)], 1)
    scores = searched_scores(model, features, cells, masks) if head.one_by_one else scores_at(maps, cells)
    return multilabel_loss(scores, labels)


def allowed_cells(dataset: Dataset, batch: np.ndarray, side: int, canvas: int, trunk: Trunk) -> Tensor:
    """(B, K, n, m) bool: for a positive class the cells centred in a box of it, for a negative class all."""
    grid = trunk.grid(side)
    allowed = torch.ones(len(batch), len(dataset.classes), grid.cells, grid.cells, dtype=torch.bool)
    for b, image in enumerate(batch):
        width, height = (int(v) for v in dataset.sizes[image])
        w, h = extent_on_canvas((width, height), canvas)
        columns = cell_to_image(grid, side, canvas, w, width, "centre")
        rows = cell_to_image(grid, side, canvas, h, height, "centre")
        own = dataset.boxes.image == image
        for k in np.flatnonzero(dataset.labels[image] > 0):
            boxes = dataset.boxes.xyxy[own & (dataset.boxes.cls == k)]
            allowed[b, k] = torch.from_numpy(cells_in_boxes(columns, rows, boxes))
    return allowed
