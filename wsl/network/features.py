"""Frozen trunk features of one split: kept on disk where the scales are a grid (D1), else computed as they are asked for.

A side of None stands for FULL IMAGES: the whole picture warped to the trunk's input size, its map averaged to one cell.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import tqdm

from wsl.data.dataset import Dataset
from wsl.data.images import on_canvas, read_image, warped
from wsl.network.trunk import Trunk

Side = int | None


@dataclass
class Canvases(TorchDataset):
    """Pictures ready for the trunk: float32 (3, canvas, canvas) top-left on mean colour, and (3, input, input) warped."""

    dataset: Dataset
    trunk: Trunk
    canvas: int
    want_warped: bool = False

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        size = tuple(int(v) for v in self.dataset.sizes[index])
        rgb = read_image(self.dataset.files[index], size, self.canvas)
        whole = self.trunk.normalise(warped(rgb, self.trunk.input_size)) if self.want_warped else torch.empty(0)
        return canvas_of(rgb, self.trunk, self.canvas)[0], whole


def canvas_of(rgb: np.ndarray, trunk: Trunk, canvas: int) -> tuple[Tensor, tuple[int, int]]:
    """A uint8 picture (H, W, 3) as the normalised canvas (3, canvas, canvas), and its extent (w, h) there."""
    small, (width, height) = on_canvas(rgb, canvas)
    square = torch.zeros(3, canvas, canvas)
    square[:, :height, :width] = trunk.normalise(small)
    return square, (width, height)


def at_side(canvases: Tensor, side: int) -> Tensor:
    """Canvases (B, 3, c, c) resized to (B, 3, side, side)."""
    if canvases.shape[-1] == side:
        return canvases
    return F.interpolate(canvases, (side, side), mode="bilinear", antialias=side < canvases.shape[-1])


class Features:
    """Trunk features of a data set, batch by batch."""

    def __init__(self, trunk: Trunk, dataset: Dataset, canvas: int, folder: Path | None = None) -> None:
        self.trunk, self.dataset, self.canvas, self.folder = trunk, dataset, canvas, folder
        self.rows = np.arange(len(dataset))  # where the kept arrays hold each image

    def subset(self, indices: np.ndarray) -> Features:
        """The features of some of the images, in that order."""
        part = Features(self.trunk, self.dataset.subset(indices), self.canvas, self.folder)
        part.rows = self.rows[indices]
        return part

    def batches(self, indices: Sequence[Sequence[int]], sides: Sequence[Sequence[Side]]) -> Iterator[list[Tensor]]:
        """For each batch of indices, its features at each of its sides: bfloat16 (B, C, n, m)."""
        if self.folder is not None:
            arrays = {side: np.load(self.folder / f"{side}.npy", mmap_mode="r") for side in set(chain(*sides))}
            for batch, wanted in zip(indices, sides, strict=True):
                kept = (torch.from_numpy(arrays[side][self.rows[np.asarray(batch)]]) for side in wanted)
                yield [maps.view(torch.bfloat16).to(self.trunk.device) for maps in kept]
            return
        for pictures, wanted in zip(self.pictures(indices, None in chain(*sides)), sides, strict=True):
            yield [self._maps(pictures, side) for side in wanted]

    def _maps(self, pictures: tuple[Tensor, Tensor], side: Side) -> Tensor:
        canvases, whole = pictures
        if side is None:
            return self.trunk(whole).mean((2, 3), keepdim=True).bfloat16()
        return self.trunk(at_side(canvases, side)).bfloat16()

    def pictures(self, indices: Sequence[Sequence[int]], want_warped: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Canvases and warped pictures, decoded ahead by worker processes where a GPU waits for them."""
        gpu = self.trunk.device.type == "cuda"
        pictures = Canvases(self.dataset, self.trunk, self.canvas, want_warped)
        workers = min(16, os.cpu_count() or 1) if gpu else 0
        for canvases, whole in DataLoader(pictures, batch_sampler=indices, num_workers=workers):
            yield canvases.to(self.trunk.device), whole.to(self.trunk.device)

    def keep(self, folder: Path, sides: Sequence[Side], progress: bool = True) -> Features:
        """Compute the features of all `sides` once and keep them as bfloat16 below `folder`; no work if they are there."""
        about = {
            "trunk": self.trunk.name,
            "weights": self.trunk.weights_sha256,
            "data": self.dataset.digest(),
            "canvas": self.canvas,
            "sides": sorted(str(side) for side in sides),
        }
        done = folder / "features.json"
        if not (done.is_file() and json.loads(done.read_text()) == about):
            temporary = folder.with_name(folder.name + ".tmp")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            self._compute(temporary, sides, progress)
            (temporary / "features.json").write_text(json.dumps(about))
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
        return Features(self.trunk, self.dataset, self.canvas, folder)

    def _compute(self, folder: Path, sides: Sequence[Side], progress: bool) -> None:
        count = len(self.dataset.images)
        indices = [range(i, min(i + 8, count)) for i in range(0, count, 8)]
        arrays: dict[Side, np.ndarray] = {}
        bar = tqdm(total=count, desc=f"features of {self.dataset.name}", unit="image", disable=not progress)
        for batch, pictures in zip(indices, self.pictures(indices, None in sides), strict=True):
            for side in sides:
                maps = self._maps(pictures, side)
                if side not in arrays:
                    shape = (count, *maps.shape[1:])
                    arrays[side] = np.lib.format.open_memmap(folder / f"{side}.npy", "w+", np.int16, shape)
                arrays[side][batch.start : batch.stop] = maps.cpu().view(torch.int16).numpy()
            bar.update(len(batch))
        bar.close()
        for array in arrays.values():
            array.flush()


def bytes_kept(trunk: Trunk, count: int, sides: Sequence[Side]) -> int:
    """Disk that `keep` takes for `count` pictures."""
    cells = sum(1 if side is None else trunk.grid_cells(side) ** 2 for side in sides)
    return 2 * count * trunk.channels * cells
