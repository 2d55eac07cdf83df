"""Class activation maps of FULL IMAGES by gradients: what the methods since the paper make of a network without search.

Grad-CAM (Selvaraju 2017), Grad-CAM++ (Chattopadhay 2018) and LayerCAM (Jiang 2021) weigh the trunk's last feature maps by the
gradient of a class's score. They come from the library `grad-cam` (pytorch-grad-cam); the exact call is in `heat_maps`. The
score is that of FULL IMAGES; the point is the maximum of the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from wsl.data.geometry import cell_to_image
from wsl.errors import StudyError
from wsl.network.features import WHOLE, Features, Side
from wsl.network.model import Adaptation
from wsl.systems.predict import MAPPINGS, Tester, table

if TYPE_CHECKING:
    import pandas as pd

METHODS = {"grad_cam": "GradCAM", "grad_cam_plus_plus": "GradCAMPlusPlus", "layer_cam": "LayerCAM"}


class PooledHead(nn.Module):
    """FULL IMAGES from the trunk's feature maps (B, C, n, m) on: their mean over positions, then the head: (B, K).

    The gradient by these maps is the one of the whole network: what lies before them takes no part in it.
    """

    def __init__(self, head: Adaptation) -> None:
        super().__init__()
        self.maps, self.head = nn.Identity(), head

    def forward(self, maps: Tensor) -> Tensor:
        return self.head(self.maps(maps).mean((2, 3), keepdim=True))[:, :, 0, 0]


def heat_maps(method: str, head: Adaptation, maps: Tensor) -> np.ndarray:
    """(C, n, m) feature maps of one picture -> (K, n, m) heat maps, 0 to 1: one pass for all classes.

    method: one of METHODS. Errors: StudyError where the library is not installed.
    """
    try:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        raise StudyError(f"{method} needs the library grad-cam; install it with `pip install --no-deps grad-cam ttach`") from None
    classes, model = head.cb.out_channels, PooledHead(head)
    copies = maps.float()[None].repeat(classes, 1, 1, 1).requires_grad_()
    with torch.enable_grad(), getattr(pytorch_grad_cam, METHODS[method])(model, [model.maps]) as cam:
        return cam(input_tensor=copies, targets=[ClassifierOutputTarget(k) for k in range(classes)])


class GradCamReader:
    """Scores of FULL IMAGES on every image and class, and the maximum of the class's heat map."""

    sides: tuple[Side, ...] = None, WHOLE

    def __init__(self, method: str, head: Adaptation, features: Features) -> None:
        n, k = len(features.dataset), len(features.dataset.classes)
        self.method, self.tester, self.dataset = method, Tester(head, ()), features.dataset
        self.side, self.grid = features.trunk.input_size, features.trunk.grid(features.trunk.input_size)
        self.scores, self.points = np.zeros((2, n, k)), np.zeros((len(MAPPINGS), n, k, 2))

    def read(self, images: range, maps: dict[Side, Tensor]) -> None:
        self.scores[:, images] = self.tester.score_maps(maps[None])[:, :, 0, 0]
        for image, whole in zip(images, torch.as_tensor(maps[WHOLE]), strict=True):
            heat, last = heat_maps(self.method, self.tester.head, whole), self.dataset.sizes[image] - 1
            cell, silent = heat.reshape(len(heat), -1).argmax(1), heat.max((1, 2)) == 0
            for row, mapping in enumerate(MAPPINGS):
                x, y = (cell_to_image(self.grid, self.side, self.side, self.side, length + 1, mapping) for length in last)
                points = np.stack([x[cell % self.grid.cells], y[cell // self.grid.cells]], 1)
                points[silent] = last / 2  # no cell speaks for the class: the centre
                self.points[row, image] = points.clip(0, last)

    def table(self) -> pd.DataFrame:
        return table(self.dataset, *self.scores, *self.points)
