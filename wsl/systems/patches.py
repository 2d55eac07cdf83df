"""Object-level supervision, row B of Table 1: square patches labelled from the boxes (Oquab et al., CVPR 2014).

A cell of the feature map at scale s stands for the square patch around its centre that the trunk sees as one input:
224 / s pixels of the canvas. It is a positive patch of a class if it covers one of its objects well enough (Oquab
2014, Section 3.3): |P and B| >= 0.2 |P| and |P and B| >= 0.6 |B|, and if this holds for that class alone; a patch
for which it holds with several classes is left unlabelled for all of them. A patch for which neither condition holds is
background: negative for every class. Half of the patches of an image that train are positive, as far as it has any.

Where only one of the two conditions holds, the patch is left unlabelled for that class: at the training scales many
objects are too small or too large to give any positive patch, and the finer scales of Oquab 2014 are not there to make up
for it. Trained on 600 training images of the VOC 2007 sample and evaluated on 350 others, this gives a classification mAP of
88.9 and a localization mAP of 81.6; with such patches as background they are 87.4 and 78.8.

Head, scales, loss (Eq. 1, one term a patch) and recipe are those of WEAK SUP, and so is testing (maximum over cells,
mean over scales; Oquab 2014 sums powers of patch scores): the rows differ by supervision alone (D15).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from wsl.data.dataset import Dataset
from wsl.data.geometry import cell_to_image
from wsl.data.images import extent_on_canvas
from wsl.network.model import multilabel_loss
from wsl.network.trunk import Trunk

PATCHES = 16  # drawn from each picture in a step
OF_PATCH, OF_OBJECT = 0.2, 0.6  # least share of the patch, and of the object, that their overlap covers


def patch_labels(dataset: Dataset, image: int, side: int, canvas: int, trunk: Trunk) -> tuple[np.ndarray, np.ndarray]:
    """Labels (K, n, m) int8 of the patch of each cell, and (n, m) bool: the cell's centre lies on the picture.

    +1: positive. -1: not of the class. 0: left out of the loss, where only one condition holds, where the object is
    difficult or a crowd, and for all classes of a patch that is positive for several.
    """
    size = tuple(int(v) for v in dataset.sizes[image])
    extent = extent_on_canvas(size, canvas)
    grid = trunk.grid(side)
    spans = []  # for x and y: first and last edge of the patch of each cell
    for axis in (0, 1):
        centres = cell_to_image(grid, side, canvas, extent[axis], size[axis], "centre") + 0.5
        half = trunk.input_size * canvas / side * size[axis] / extent[axis] / 2
        spans.append((centres - half, centres + half))
    patch = np.prod([last[0] - first[0] for first, last in spans])
    labels = np.full((len(dataset.classes), grid.cells, grid.cells), -1, np.int8)
    for j in np.flatnonzero(dataset.boxes.image == image):
        x0, y0, x1, y1 = dataset.boxes.xyxy[j] + (0, 0, 1, 1)
        across, down = (
            (np.minimum(last, high) - np.maximum(first, low)).clip(0)
            for (first, last), low, high in zip(spans, (x0, y0), (x1, y1), strict=True)
        )
        shared = down[:, None] * across[None, :]  # (n, m)
        conditions = np.add(shared >= OF_PATCH * patch, shared >= OF_OBJECT * (x1 - x0) * (y1 - y0), dtype=np.int8)
        own = labels[dataset.boxes.cls[j]]
        np.maximum(own, np.minimum(conditions - 1, 0 if dataset.boxes.ignored[j] else 1), out=own)
    labels[:, (labels > 0).sum(0) > 1] = 0
    on_picture = [(low + high) / 2 for low, high in spans]
    on_picture = [(middle >= 0) & (middle <= length) for middle, length in zip(on_picture, size, strict=True)]
    return labels, on_picture[1][:, None] & on_picture[0][None, :]


def sample_patches(
    dataset: Dataset, batch: np.ndarray, side: int, canvas: int, trunk: Trunk, draws: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """`PATCHES` cells of each picture, (B, J) flat indices, and their labels (B, K, J). `draws`: one stream a picture."""
    cells, labels = [], []
    for image, draw in zip(batch, draws, strict=True):
        all_labels, usable = (a.reshape(*a.shape[:-2], -1) for a in patch_labels(dataset, image, side, canvas, trunk))
        positive = (all_labels > 0).any(0)
        on, off = np.flatnonzero(positive & usable), np.flatnonzero(~positive & usable)
        n_on = (PATCHES // 2 if len(off) else PATCHES) if len(on) else 0
        parts = [draw.choice(group, n) for group, n in ((on, n_on), (off, PATCHES - n_on)) if n]
        cells.append(np.concatenate(parts))
        labels.append(all_labels[:, cells[-1]])
    return torch.from_numpy(np.stack(cells)), torch.from_numpy(np.stack(labels)).float()


def patch_loss(model: nn.Module, features: Tensor, cells: Tensor, labels: Tensor, masks: tuple[Tensor, Tensor] | None) -> Tensor:
    """Eq. 1 of the chosen cells (B, J) of features (B, C, n, m): sum over classes, mean over patches."""
    index = cells[:, None].expand(-1, features.shape[1], -1)
    chosen = features.flatten(2).gather(2, index)[..., None].float()  # (B, C, J, 1)
    scores = model(chosen, masks)[..., 0]  # (B, K, J)
    return multilabel_loss(scores.transpose(1, 2).flatten(0, 1), labels.transpose(1, 2).flatten(0, 1))
