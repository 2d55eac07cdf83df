"""Every pixel-to-cell conversion of the study.

Three frames: the *image* (original pixels), the *canvas* (longest side 500, padded to a square), and the
trunk's *input* at scale s (the canvas resized to side = round(500 s)). A pixel's centre has integer
coordinates, 0-based. A score map of n cells a side is laid over the image in two ways (PROTOCOL):
`stretch`, the map resized to the canvas, and `centre`, the receptive-field centre of each cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Cells of a trunk along one axis of an input: cell i is centred at pixel `offset + stride * i`."""

    cells: int
    stride: float
    offset: float

    def centres(self) -> np.ndarray:
        """(cells,) receptive-field centres in input pixels."""
        return self.offset + self.stride * np.arange(self.cells)


def side_at(scale: float, canvas: int) -> int:
    """Input side in pixels of a canvas at scale s."""
    return int(round(canvas * scale))


def cell_to_image(grid: Grid, side: int, canvas: int, extent: int, length: int, mapping: str) -> np.ndarray:
    """(cells,) image coordinates of the cells along one axis.

    side: input pixels; canvas: canvas pixels; extent: canvas pixels that the image covers on this axis;
    length: image pixels on this axis; mapping: "stretch" or "centre".
    """
    if mapping == "stretch":
        on_canvas = (np.arange(grid.cells) + 0.5) * canvas / grid.cells
    else:
        on_canvas = (grid.centres() + 0.5) * canvas / side
    return on_canvas * length / extent - 0.5


def boxes_on_map(boxes: np.ndarray, size: tuple[int, int], extent: tuple[int, int], canvas: int, cells: int) -> np.ndarray:
    """Boxes (P, 4) of the image, corners inside, as edges in cells of a map stretched to the canvas: 0 to cells.

    size, extent: (width, height) of the image, and what it covers of the canvas.
    """
    edges = np.asarray(boxes, np.float64) + (0, 0, 1, 1)
    return edges * (np.array([*extent] * 2) / np.array([*size] * 2) * cells / canvas)


def inside(points: np.ndarray, length: int) -> np.ndarray:
    """(cells,) bool: cells whose point lies on the image; the nearest one where none does."""
    within = (points >= -0.5) & (points <= length - 0.5)
    if not within.any():
        within[np.abs(points - (length - 1) / 2).argmin()] = True
    return within


def cells_in_boxes(columns: np.ndarray, rows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n, m) bool: cells centred inside any of the boxes (M, 4); the nearest cell of each box if none is.

    columns (m,) and rows (n,) are image coordinates; the masked pooling of Section 5.
    """
    mask = np.zeros((len(rows), len(columns)), bool)
    for x0, y0, x1, y1 in boxes:
        in_x = (columns >= x0) & (columns <= x1)
        in_y = (rows >= y0) & (rows <= y1)
        if not in_x.any():
            in_x[np.abs(columns - (x0 + x1) / 2).argmin()] = True
        if not in_y.any():
            in_y[np.abs(rows - (y0 + y1) / 2).argmin()] = True
        mask |= in_y[:, None] & in_x[None, :]
    return mask
