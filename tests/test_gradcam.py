"""Heat maps of FULL IMAGES by gradients: the library against the definition, and where a map points."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsl.data.geometry import Grid
from wsl.network.features import WHOLE
from wsl.network.model import Adaptation
from wsl.systems import gradcam


class Pictures(SimpleNamespace):
    def __len__(self):
        return len(self.images)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return Adaptation(6, 3, hidden=8).eval()


def test_grad_cam_is_what_its_paper_defines(head):
    """Selvaraju 2017, Eq. 1 and 2: maps weighed by the mean gradient, negative sums cut off; the library scales to 0..1."""
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
    maps = torch.rand(6, 4, 5)
    heat = gradcam.heat_maps("grad_cam", head, maps)
    for k in range(3):
        leaf = maps[None].clone().requires_grad_()
        gradcam.PooledHead(head)(leaf)[0, k].backward()
        wanted = torch.einsum("c,cij->ij", leaf.grad[0].mean((1, 2)), maps).clamp(min=0)
        wanted = (wanted - wanted.min()) / (1e-7 + (wanted - wanted.min()).max())
        assert np.allclose(heat[k], wanted, atol=1e-3)


def test_a_map_points_at_its_maximum_and_an_empty_one_at_the_centre(head, monkeypatch):
    heat = np.zeros((3, 2, 2))
    heat[0, 1, 0], heat[1, 0, 1] = 1, 0.5
    monkeypatch.setattr(gradcam, "heat_maps", lambda *_: heat)
    dataset = Pictures(images=["a"], classes=["x", "y", "z"], sizes=np.array([[101, 201]]))
    trunk = SimpleNamespace(input_size=10, grid=lambda side: Grid(2, 5.0, 2.0))
    reader = gradcam.GradCamReader("grad_cam", head, SimpleNamespace(dataset=dataset, trunk=trunk))
    maps = torch.rand(1, 6, 2, 2)
    reader.read(range(1), {WHOLE: maps, None: maps.mean((2, 3), keepdim=True)})
    assert np.allclose(reader.points[0, 0], [[101 / 4 - 0.5, 201 * 3 / 4 - 0.5], [101 * 3 / 4 - 0.5, 201 / 4 - 0.5], [50, 100]])
    scores = head(maps.mean((2, 3), keepdim=True))[0, :, 0, 0].detach()
    assert np.allclose(reader.scores[:, 0], scores, atol=0.05)
