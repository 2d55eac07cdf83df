"""Geometry against known maps (Section 3, PROTOCOL) and against hand-made layouts."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import alexnet

from wsl.data.geometry import Grid, cell_to_image, cells_in_boxes, inside, side_at
from wsl.network.engines import TorchEngine
from wsl.network.layers import alexnet_as_convolutions, averaging
from wsl.network.trunk import IMAGENET, Trunk
from wsl.systems.predict import best_points


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    torch.manual_seed(0)
    return Trunk("alexnet", TorchEngine(alexnet_as_convolutions(alexnet(weights=None))), IMAGENET, 224, "")


def test_alexnet_has_the_papers_maps(trunk):
    assert trunk.stride == 32
    assert trunk.grid(224) == Grid(1, 32, 111.0)
    assert trunk.grid(256) == Grid(2, 32, 111.0)  # "a 2x2xK output score map for a 256x256 RGB input"
    assert [trunk.grid(side_at(s, 500)).cells for s in (0.5, 0.7, 1, 1.4, 2, 2.8)] == [1, 4, 9, 15, 25, 37]
    assert (trunk.grid_cells(2048), trunk.grid_cells(1024)) == (58, 26)  # "2048x1024 ... 58x26 output score map"


def test_probe_finds_same_padding_of_odd_and_even_inputs():
    """A stride-2 3x3 layer with "same" padding centres cell 0 on pixel 1 of even inputs and on pixel 0 of odd ones."""
    from timm.layers import Conv2dSame

    trunk = Trunk("same", TorchEngine(nn.Sequential(Conv2dSame(3, 4, 3, 2))), IMAGENET, 32, "")
    assert trunk.grid(64) == Grid(32, 2, 1.0)
    assert trunk.grid(65) == Grid(33, 2, 0.0)


def test_global_average_pooling_slides_over_half_the_window():
    coarse = averaging(nn.Identity(), 32)(torch.arange(16.0).view(1, 1, 4, 4))[0, 0]
    assert coarse[1, 1] == 5 and coarse[0, 0] == (0 + 1 + 4 + 5) / 4  # 3x3 cells; at the border those that there are
    fine = averaging(nn.Identity(), 16)(torch.arange(81.0).view(1, 1, 9, 9))[0, 0]
    assert fine[4, 4] == 40 and fine[0, 0] == 1.5 + 9 * 1.5  # 7x7 cells, 4x4 in the corner


def test_both_mappings_on_a_landscape_image():
    """1000x500 image on a canvas of 500: extent 500x250, two image pixels a canvas pixel; input at scale 1."""
    grid = Grid(5, 100, 49.5)
    for mapping in ("stretch", "centre"):  # the same here: receptive fields tile the input
        np.testing.assert_allclose(cell_to_image(grid, 500, 500, 500, 1000, mapping), [99.5, 299.5, 499.5, 699.5, 899.5])
        rows = cell_to_image(grid, 500, 500, 250, 500, mapping)
        assert inside(rows, 500).tolist() == [True, True, True, False, False]
    narrow = Grid(3, 32, 111)  # AlexNet at 288: centres keep their distance, the stretched map covers all
    np.testing.assert_allclose(cell_to_image(narrow, 288, 288, 288, 288, "centre"), [111, 143, 175])
    np.testing.assert_allclose(cell_to_image(narrow, 288, 288, 288, 288, "stretch"), [47.5, 143.5, 239.5])


def test_a_one_pixel_wide_image_still_has_a_cell():
    assert inside(np.array([10.0, 40.0]), 1).tolist() == [True, False]


def test_best_point_ignores_padding_and_prefers_the_smallest_scale():
    """100x50 image, canvas 100: rows below 50 are padding. Two scales tie; the padding holds the highest score."""
    coarse, fine = np.zeros((1, 2, 2)), np.zeros((1, 4, 4))
    coarse[0, 1, 0] = 9  # row 1 is centred at y = 74.5: padding
    coarse[0, 0, 1] = fine[0, 1, 1] = fine[0, 1, 2] = 5
    grids, sides = [Grid(2, 50, 24.5), Grid(4, 50, 24.5)], [100, 200]
    point = best_points([coarse, fine], grids, sides, 100, (100, 50), "stretch")
    np.testing.assert_allclose(point, [[74.5, 24.5]])
    coarse[0, 0, 1] = 0  # then the first of the finer ties, row-major
    np.testing.assert_allclose(best_points([coarse, fine], grids, sides, 100, (100, 50), "stretch"), [[37.0, 37.0]])


def test_cells_in_boxes():
    columns, rows = np.array([10.0, 30.0, 50.0]), np.array([10.0, 30.0])
    mask = cells_in_boxes(columns, rows, np.array([[5, 5, 35, 15]]))
    assert mask.tolist() == [[True, True, False], [False, False, False]]
    tiny = cells_in_boxes(columns, rows, np.array([[41, 24, 43, 26]]))  # no cell centred inside: the nearest one
    assert tiny.tolist() == [[False, False, False], [False, False, True]]
