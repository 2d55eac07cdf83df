"""Object proposals by selective search (Uijlings et al., IJCV 2013), for R-CNN* and for the extent of objects.

Selective search merges the regions of a segmentation step by step; the box of every region is a proposal.
OpenCV's fast strategy (two colour spaces, four similarities) runs on a reduced picture with a finer first
segmentation. On 100 photographs of the VOC 2007 sample (one core; recall: boxes found at IoU >= 0.5):

    longest side, base_k, inc_k    proposals    recall    seconds
    250 px,  50, 100                  752        .914      0.16
    300 px,  50, 100  (chosen)        986        .923      0.26
    300 px, 150, 150  (default)       566        .896      0.28
    400 px, 150, 150  (default)       803        .937      0.46
    300 px, quality                  1927        .928      0.84

OpenCV returns the same set of boxes every time, but in a random order that follows no seed. The boxes are therefore
sorted, and reduced by a seeded draw where there are more than `most`.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from wsl.data.dataset import Dataset
from wsl.data.images import on_canvas, read_image
from wsl.files import whole_file
from wsl.network.features import files_digest
from wsl.profile import Profile

SMALLEST = 0.04  # shortest side of a proposal over the longest of the picture: 20 of 500 pixels, as in R-CNN
FORMAT = 3  # of kept proposals: one more whenever this code gives others
CHUNK = 500  # pictures in each file that is kept while a run is unfinished, so that it can go on from there


def selective_search(rgb: np.ndarray, longest: int = 300, most: int = 1000) -> np.ndarray:
    """Proposals (P, 4) float64, P <= most: x0 y0 x1 y1 in pixels of `rgb`, uint8 (H, W, 3); corners inclusive."""
    small, (width, height) = on_canvas(rgb, longest)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(small[:, :, ::-1]))
    search.switchToSelectiveSearchFast(base_k=50, inc_k=100, sigma=0.8)
    x, y, w, h = np.unique(search.process(), axis=0).T
    kept = np.minimum(w, h) >= SMALLEST * longest
    chosen = np.flatnonzero(kept)
    chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:most])
    x, y, w, h = (v[chosen] for v in (x, y, w, h)) if len(chosen) else np.array([[0], [0], [width], [height]])
    to_picture = np.array([rgb.shape[1] / width, rgb.shape[0] / height] * 2)
    return np.stack([x, y, x + w, y + h], 1) * to_picture - (0, 0, 1, 1)


@dataclass(frozen=True)
class Proposals:
    """Proposals of a split: those of image i are `proposals[i]`, (P, 4) float64 in pixels of the original image."""

    boxes: np.ndarray  # (sum of P, 4) float32
    offsets: np.ndarray  # (N + 1,) int64

    def __getitem__(self, image: int) -> np.ndarray:
        return self.boxes[self.offsets[image] : self.offsets[image + 1]].astype(np.float64)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def digest(self) -> str:
        """Hexadecimal sha256: a file whose numbers have another one is spoilt."""
        return hashlib.sha256(self.boxes.tobytes() + self.offsets.tobytes()).hexdigest()


def proposals_path(profile: Profile, split: str, runs: Path) -> Path:
    return Path(runs) / profile.name / "proposals" / f"{split}.safetensors"


def keep_proposals(profile: Profile, split: str, runs: Path, workers: int = 1, progress: bool = True) -> Proposals:
    """Proposals of a profile's split, computed once and kept in `proposals_path`."""
    dataset = profile.dataset(split, runs)
    longest, most = profile.proposal_side, profile.proposals
    about = {"format": FORMAT, "data": dataset.digest(), "files": files_digest(dataset.files), "longest": longest, "most": most}
    path = proposals_path(profile, split, runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # of several processes that want the same, one computes
        return _read(path, about) or _compute(path, about, dataset, longest, most, workers, progress)


def _compute(path: Path, about: dict, dataset: Dataset, longest: int, most: int, workers: int, progress: bool) -> Proposals:
    bar = tqdm(total=len(dataset), desc=f"proposals of {dataset.name}", unit="image", disable=not progress)
    parts_folder = path.with_suffix(".parts")
    parts = []
    spawn = multiprocessing.get_context("spawn")  # a fork would share the locks of running threads
    with ProcessPoolExecutor(workers, spawn, partial(cv2.setNumThreads, 1)) if workers > 1 else nullcontext() as pool:
        for first in range(0, len(dataset), CHUNK):
            images = range(first, min(first + CHUNK, len(dataset)))
            part = parts_folder / f"{first:06d}.safetensors"
            found = _read(part, about)
            if found is None:
                sizes = [tuple(int(v) for v in dataset.sizes[i]) for i in images]
                files = [dataset.files[i] for i in images]
                boxes = []
                for one in (pool.map if pool else map)(_of_file, files, sizes, repeat(longest), repeat(most)):
                    boxes.append(one)
                    bar.update()
                found = _write(part, about, boxes)
            else:
                bar.update(len(images))
            parts += [found[i] for i in range(len(found))]
    bar.close()
    proposals = _write(path, about, parts)
    shutil.rmtree(parts_folder)
    return proposals


def _of_file(file: Path, size: tuple[int, int], longest: int, most: int) -> np.ndarray:
    rgb = read_image(file, size, longest)  # perhaps decoded at a reduced size
    scale = np.array([size[0] / rgb.shape[1], size[1] / rgb.shape[0]] * 2)
    return (selective_search(rgb, longest, most) + (0, 0, 1, 1)) * scale - (0, 0, 1, 1)


def _write(path: Path, about: dict, boxes: list[np.ndarray]) -> Proposals:
    offsets = np.cumsum([0, *map(len, boxes)], dtype=np.int64)
    proposals = Proposals(np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32), offsets)
    with whole_file(path) as temporary:
        of_all = {"about": json.dumps(about | {"sha256": proposals.digest()})}
        save_file({"boxes": proposals.boxes, "offsets": proposals.offsets}, temporary, of_all)
    return proposals


def _read(path: Path, about: dict) -> Proposals | None:
    """What `_write` wrote for this very data and settings; None if that is not there, in words if it is spoilt."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            kept = json.loads((file.metadata() or {}).get("about", "null"))
            found = Proposals(file.get_tensor("boxes"), file.get_tensor("offsets"))
        if kept == about | {"sha256": found.digest()}:
            return found
        spoilt = kept["sha256"] != found.digest()
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        spoilt = True
    if spoilt:
        print(f"{path}: is cut off or spoilt; it is made again", file=sys.stderr)
    return None
