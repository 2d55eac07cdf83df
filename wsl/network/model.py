"""The weakly supervised network's own part: adaptation layers Ca and Cb, global max-pooling, Eq. 1 (Section 3).

    features (B, C, n, m) --Ca, ReLU, Cb--> score maps (B, K, n, m) --max over positions--> scores (B, K)

"The training error backpropagates only to the network weights corresponding to the highest-scoring
window" (Section 4). `searched_scores` uses just that: the winning cell of each class is searched without
gradients over the whole map, then only the winners are scored again with gradients. For 1x1 layers this
equals max-pooling the full map, gradients included, at a third of the time.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from wsl.errors import StudyError
from wsl.files import whole_file
from wsl.network.arithmetic import arithmetic_on
from wsl.network.heads import read_head


class Adaptation(nn.Module):
    """Ca and Cb with ReLU between, on standardised features: (B, C, n, m) -> score maps (B, K, n, m).

    Weights ~ N(0, gain/sqrt(fan_in)), with a gain for each layer; channel dropout before each layer, through `masks`
    (deviation D4).
    """

    def __init__(
        self, channels: int, classes: int, hidden: int = 2048, kernel: int = 1, gains: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        super().__init__()
        self.ca = nn.Conv2d(channels, hidden, kernel, padding=kernel // 2)
        self.cb = nn.Conv2d(hidden, classes, kernel, padding=kernel // 2)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))
        for layer, gain in zip((self.ca, self.cb), gains, strict=True):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        x = (features - self.mean) / self.std
        x = F.relu(self.ca(x if masks is None else x * masks[0]))
        return self.cb(x if masks is None else x * masks[1])

    def dropout_masks(self, p: float, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        """Masks (1, C, 1, 1) and (1, hidden, 1, 1) that drop whole feature maps of a mini-batch; None for p = 0."""
        if p == 0:
            return None
        sizes = (self.ca.in_channels, self.cb.in_channels)
        draws = [torch.rand(1, size, 1, 1, generator=generator) for size in sizes]
        return tuple((draw >= p).float().to(self.mean.device) / (1 - p) for draw in draws)

    @property
    def one_by_one(self) -> bool:
        """Each cell is scored alone, so that single cells can be scored without the whole map."""
        return self.ca.kernel_size == (1, 1)

    @torch.no_grad()
    def score_maps(self, features: Tensor | np.ndarray, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """`forward` without gradients, several times faster; float32.

        Standardising and the masks are folded into the weights, and Ca is computed in the arithmetic in force (see
        `wsl.network.arithmetic`). With 3x3 kernels the folded shift would differ at the border, where the padding is
        zero: `dense_scores` serves there.
        """
        features = torch.as_tensor(features)
        if not self.one_by_one:
            return dense_scores(self, features, masks)
        first, second = masks or (1.0, 1.0)
        weight = self.ca.weight * (first / self.std)
        bias = self.ca.bias - (weight * self.mean).sum((1, 2, 3))
        dtype = getattr(torch, arithmetic_on(features.device))
        x = F.conv2d(features.to(dtype), weight.to(dtype), bias.to(dtype))
        return F.conv2d(F.relu_(x).float(), self.cb.weight * second, self.cb.bias)


def dense_scores(head: nn.Module, features: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Score maps by `forward` of the head, or of DistributedDataParallel around it; in the arithmetic in force."""
    half = arithmetic_on(features.device) == "bfloat16"
    with torch.autocast(features.device.type, torch.bfloat16, enabled=half):
        return head(features.float(), masks).float()


def global_max_pool(maps: Tensor, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Best score and its cell: (B, K, n, m) -> (B, K) scores, (B, K) flat cell index (row-major, first on ties).

    allowed: bool (B, K, n, m), the cells that masked pooling may choose from (Section 5).
    """
    if allowed is not None:
        maps = maps.masked_fill(~allowed, -torch.inf)
    scores, cells = maps.flatten(2).max(2)
    return scores, cells


def scores_at(maps: Tensor, cells: Tensor) -> Tensor:
    """Scores (B, J) of the chosen cells (B, J) of score maps (B, K, n, m); cell j is one of class j mod K."""
    b, k = maps.shape[:2]
    return maps.flatten(2).gather(2, cells.view(b, -1, k).transpose(1, 2)).transpose(1, 2).flatten(1)


def searched_scores(head: nn.Module, features: Tensor, cells: Tensor, masks: tuple[Tensor, Tensor] | None) -> Tensor:
    """Scores (B, J) of the chosen cells (B, J) of a 1x1 head, with gradients; cell j scores class j mod K.

    Several classes often choose the same cell. On a processor each cell is then scored once; a GPU would have to wait for
    their number.
    """
    area = features.shape[2] * features.shape[3]
    chosen = (cells + area * torch.arange(len(cells), device=cells.device)[:, None]).flatten()
    place = torch.arange(len(chosen), device=cells.device)
    if chosen.device.type == "cpu":
        chosen, place = chosen.unique(return_inverse=True)
    winners = features.flatten(2)[chosen // area, :, chosen % area].float()  # (cells, C)
    maps = head(winners.T[None, :, :, None], masks)[0, :, :, 0]  # (K, cells): one "pixel" a chosen cell
    classes = torch.arange(cells.shape[1], device=cells.device) % len(maps)
    return maps[classes.repeat(len(cells)), place].view(cells.shape)


def pool(maps: Tensor, how: str) -> Tensor:
    """The pooling functions that the study compares: (B, K, n, m) -> (B, K)."""
    cells = maps.flatten(2)
    if how == "max":
        return cells.amax(2)
    if how == "mean":
        return cells.mean(2)
    if how == "lse":  # log of the mean of exponentials: between mean and max
        return cells.logsumexp(2) - math.log(cells.shape[2])
    if how == "topk":  # mean of the best tenth of the cells
        return cells.topk(max(1, cells.shape[2] // 10), 2).values.mean(2)
    raise StudyError(f"pooling {how!r} is unknown; choose max, mean, lse or topk")


def multilabel_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Eq. 1: sum over classes of log(1 + exp(-y f)), mean over the batch; label 0 is left out (D5).

    scores (B, K) float, labels (B, K) in {-1, 0, +1}; returns a scalar.
    """
    losses = F.softplus(-labels * scores) * (labels != 0)
    return losses.sum(1).mean()


def save_head(path: Path, head: Adaptation, about: dict) -> None:
    """A head as float16 safetensors, with `about` (classes, trunk, canvas, ...); the same bytes for the same head."""
    tensors = {key: value.detach().cpu().half().contiguous() for key, value in head.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"about": json.dumps(about)})  # one key: several have no fixed order in the file


def load_head(path: Path) -> tuple[Adaptation, dict]:
    """A head and what `save_head` wrote about it."""
    state, about = read_head(path)
    hidden, channels, kernel, _ = state["ca.weight"].shape
    head = Adaptation(channels, len(about["classes"]), hidden, kernel)
    head.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return head.eval(), about
