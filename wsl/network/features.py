"""Frozen trunk features of one split: kept on disk where the scales are a grid (D1), else computed as they are asked for.

A side of None stands for FULL IMAGES: the whole picture warped to the trunk's input size, its map averaged to one cell. A side
of 0, WHOLE, is that map before it is averaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from wsl.data.dataset import Dataset
from wsl.data.images import on_canvas, read_image, warped
from wsl.errors import StudyError
from wsl.files import whole_file
from wsl.network.arithmetic import to_bfloat16
from wsl.network.trunk import Trunk

if TYPE_CHECKING:
    from torch import Tensor

Side = int | None
WHOLE = 0
FORMAT = 3  # of kept features: one more whenever this code gives other numbers, or lays them out in another way


@dataclass
class Canvases:
    """Pictures ready for the trunk: float32 (3, canvas, canvas) top-left on mean colour, and (3, input, input) warped."""

    dataset: Dataset
    trunk: Trunk
    canvas: int
    want_warped: bool = False

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        size = tuple(int(v) for v in self.dataset.sizes[index])
        rgb = read_image(self.dataset.files[index], size, self.canvas)
        whole = self.trunk.normalise(warped(rgb, self.trunk.input_size)) if self.want_warped else np.empty(0)
        return canvas_of(rgb, self.trunk, self.canvas)[0], whole


def canvas_of(rgb: np.ndarray, trunk: Trunk, canvas: int) -> tuple[np.ndarray, tuple[int, int]]:
    """A uint8 picture (H, W, 3) as the normalised canvas (3, canvas, canvas), float32, and its extent (w, h) there."""
    small, (width, height) = on_canvas(rgb, canvas)
    square = np.zeros((3, canvas, canvas), np.float32)
    trunk.normalise(small, out=square[:, :height, :width])
    return square, (width, height)


def maps_at(
    trunk: Trunk, canvases: Tensor | np.ndarray, side: Side, whole: Tensor | np.ndarray | None = None
) -> Tensor | np.ndarray:
    """Features (B, C, n, m) of canvases (B, 3, c, c) at an input of `side` pixels, for None of `whole` (B, 3, i, i).

    The only way from pictures to features: what training keeps, what heads are tested on, what a single photograph gets.
    Rounding them to bfloat16 halves the disk that kept ones take; as it stands here, no path sees other numbers. They come
    as the engine gives them: a bfloat16 tensor, or a float32 array of numbers that bfloat16 holds.
    """
    if not side:
        maps = trunk(whole) if side == WHOLE else trunk(whole).mean((2, 3), keepdims=True)
    else:
        maps = trunk(trunk.engine.at_side(canvases, side))
    return to_bfloat16(maps) if isinstance(maps, np.ndarray) else maps.bfloat16()


class Features:
    """Trunk features of a data set, batch by batch."""

    def __init__(
        self,
        trunk: Trunk,
        dataset: Dataset,
        canvas: int,
        kept: dict[Side, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        self.trunk, self.dataset, self.canvas = trunk, dataset, canvas
        self.kept = kept  # int16 (rows, C, n, m) of each side, the bits of bfloat16
        self.rows = np.arange(len(dataset)) if rows is None else rows  # where they hold each image

    def subset(self, indices: np.ndarray) -> Features:
        """The features of some of the images, in that order."""
        return Features(self.trunk, self.dataset.subset(indices), self.canvas, self.kept, self.rows[indices])

    def batches(self, indices: Sequence[Sequence[int]], sides: Sequence[Sequence[Side]]) -> Iterator[list[Tensor]]:
        """For each batch of indices, its features at each of its sides: bfloat16 tensors (B, C, n, m)."""
        import torch

        if self.kept is not None:
            for batch, wanted in zip(indices, sides, strict=True):
                kept = (torch.from_numpy(self.kept[side][self.rows[np.asarray(batch)]]) for side in wanted)
                yield [maps.view(torch.bfloat16).to(self.trunk.device) for maps in kept]
            return
        for (canvases, whole), wanted in zip(self.pictures(indices, not all(chain(*sides))), sides, strict=True):
            yield [self._maps_at(canvases, side, whole) for side in wanted]

    def _maps_at(self, canvases: Tensor, side: Side, whole: Tensor) -> Tensor:
        import torch

        return torch.as_tensor(maps_at(self.trunk, canvases, side, whole)).bfloat16()

    def pictures(self, indices: Sequence[Sequence[int]], want_warped: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Canvases and warped pictures, decoded ahead by worker processes where a GPU waits for them."""
        from torch.utils.data import DataLoader

        gpu = self.trunk.device.type == "cuda"
        pictures = Canvases(self.dataset, self.trunk, self.canvas, want_warped)
        workers = min(16, os.cpu_count() or 1) if gpu else 0
        for batch in DataLoader(pictures, batch_sampler=indices, num_workers=workers, pin_memory=gpu):
            canvases, whole = (pixels.to(self.trunk.device, non_blocking=True) for pixels in batch)
            yield canvases, whole

    def keep(self, folder: Path, sides: Sequence[Side], progress: bool = True) -> Features:
        """These features at all `sides`, kept below `folder` as bfloat16; what is not there yet is computed.

        `folder` holds an array a side, which ends in its checksum, and `features.json` with all that they depend on: where
        that has changed, or a file is spoilt, they are computed anew. Of several processes that want the same, one computes
        and the others wait for it.
        Errors: StudyError where the disk is full or may not be written to.
        """
        about, files = self._identity(), {side: folder / f"{side}.npy" for side in sides}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(folder.name + ".lock")):
                if not _is_of(folder, about):
                    for old in folder.glob("*.npy"):
                        old.unlink()
                    with whole_file(folder / "features.json") as temporary:
                        temporary.write_text(json.dumps(about, indent=1))
                for left in folder.glob(".*.tmp"):  # of a process that was killed: nobody else writes while the lock is ours
                    left.unlink()
                if missing := {side: file for side, file in files.items() if not _is_whole(file)}:
                    self._compute(missing, progress)
                # opened while nobody can replace them; once open, they stay as they are
                kept = {side: np.load(file, mmap_mode="r") for side, file in files.items()}
        except OSError as error:
            remedy = "free some disk, or choose another folder with --runs"
            raise StudyError(f"{folder}: features could not be kept ({error}); {remedy}") from error
        return Features(self.trunk, self.dataset, self.canvas, kept)

    def _identity(self) -> dict:
        """All that the numbers depend on."""
        trunk = self.trunk
        return {
            "format": FORMAT,
            "trunk": trunk.name,
            "weights": trunk.weights_sha256,
            "input": repr((trunk.normalise, trunk.input_size)),
            "engine": trunk.engine.name,
            "arithmetic": trunk.arithmetic,
            "data": self.dataset.digest(),
            "files": files_digest(self.dataset.files),
            "canvas": self.canvas,
        }

    def _compute(self, files: dict[Side, Path], progress: bool) -> None:
        """Write the features of all images at each side to its file, which appears whole or not at all.

        Row by row, not through a memory map, where a full disk kills the process in place of an error.
        """
        import torch

        self.trunk.engine.prepare([side or self.trunk.input_size for side in files])
        count = len(self.dataset)
        indices = [range(i, min(i + 8, count)) for i in range(0, count, 8)]
        bar = tqdm(total=count, desc=f"features of {self.dataset.name}", unit="image", disable=not progress)
        with bar, ExitStack() as stack:
            out = {side: stack.enter_context(_checked_file(path)) for side, path in files.items()}
            for batch, (canvases, whole) in zip(indices, self.pictures(indices, None in files), strict=True):
                for side, file in out.items():
                    rows = self._maps_at(canvases, side, whole).cpu().view(torch.int16).numpy()
                    if batch.start == 0:
                        header = {"descr": rows.dtype.str, "fortran_order": False, "shape": (count, *rows.shape[1:])}
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(rows.tobytes())
                bar.update(len(batch))


class _Checked:
    """A file that counts the checksum of what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.checksum = file, 0

    def write(self, content: bytes) -> None:
        self.checksum = zlib.crc32(content, self.checksum)
        self.file.write(content)


@contextmanager
def _checked_file(path: Path) -> Iterator[_Checked]:
    """A file to write to, which appears whole, with its checksum (CRC-32) as its last four bytes; NumPy reads past them."""
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        yield (checked := _Checked(file))
        file.write(checked.checksum.to_bytes(4, "little"))


def _is_whole(path: Path) -> bool:
    """Whether a file of `_checked_file` is there with every byte as it was written; says so where it is not.

    Read whole, at a gigabyte and a half a second: a training reads it once an epoch.
    """
    if not path.is_file():
        return False
    checksum, left = 0, path.stat().st_size - 4
    with open(path, "rb") as file:
        while left > 0:
            part = file.read(min(left, 2**24))
            checksum, left = zlib.crc32(part, checksum), left - len(part)
        whole = file.read() == checksum.to_bytes(4, "little")
    if not whole:
        print(f"{path}: is cut off or spoilt; it is made again", file=sys.stderr)
    return whole


def _is_of(folder: Path, about: dict) -> bool:
    """Whether a folder holds features of this identity."""
    try:
        return json.loads((folder / "features.json").read_text()) == about
    except (OSError, ValueError, RecursionError):
        return False


def files_digest(files: Sequence[Path]) -> str:
    """sha256 over the sizes and modification times of picture files: a replaced picture gives another one.

    Times, not contents: every command asks, and reading 80,000 photographs takes a minute where their times take a second.
    So scenes drawn anew with the same bytes, and data copied without their times, cost their features once more. Both are
    rare (scenes are drawn anew where their code has changed), and the error is on the safe side.
    """
    sha = hashlib.sha256()
    for path in files:
        try:
            stat = path.stat()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise StudyError(f"{path}: cannot be read ({getattr(error, 'strerror', error)}); see `wsl data check`") from None
        sha.update(f"{stat.st_size} {stat.st_mtime_ns}\n".encode())
    return sha.hexdigest()


def bytes_kept(trunk: Trunk, count: int, sides: Sequence[Side]) -> int:
    """Disk that `keep` takes for `count` pictures."""
    cells = sum(1 if side is None else trunk.grid_cells(side) ** 2 for side in sides)
    return 2 * count * trunk.channels * cells
