"""What runs a trunk's layers: PyTorch, the reference, or OpenVINO, the same network several times faster on a processor.

Both are called with float32 pictures (B, 3, H, W), as arrays or tensors, and give float32 features (B, C, n, m): PyTorch as a
tensor on its device, OpenVINO as an array, without importing PyTorch. `name`, `device` and `arithmetic` say how they
computed them.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from wsl.network.arithmetic import arithmetic_on

if TYPE_CHECKING:
    import torch
    from openvino import Model
    from torch import Tensor, nn

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA, Windows' Linux, AMD: none of them on Linux, no GPU


class TorchEngine:
    """The network as PyTorch runs it, on a processor or a GPU."""

    name = "torch"

    def __init__(self, module: nn.Module, device: torch.device | None = None, arithmetic: str | None = None) -> None:
        import torch

        self.device = device or torch.device("cpu")
        self.module = module.eval().requires_grad_(False).to(self.device)
        if self.device.type == "cuda":  # the layout of its fast convolutions; not measured here
            self.module.to(memory_format=torch.channels_last)
        self.arithmetic = arithmetic or arithmetic_on(self.device)

    def __call__(self, images: Tensor | np.ndarray) -> Tensor:
        import torch

        images = torch.as_tensor(images, device=self.device)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.arithmetic == "bfloat16"):
            return self.module(images).float()

    def at_side(self, canvases: Tensor | np.ndarray, side: int) -> Tensor:
        """Canvases (B, 3, c, c) resized to (B, 3, side, side), as `resized` does it."""
        import torch
        import torch.nn.functional as F

        canvases = torch.as_tensor(canvases, device=self.device)
        if canvases.shape[-1] == side:
            return canvases
        return F.interpolate(canvases, (side, side), mode="bilinear", antialias=side < canvases.shape[-1])

    def prepare(self, sides: Sequence[int]) -> None:
        """Nothing: PyTorch takes inputs of any size."""

    @cached_property
    def _shapes(self) -> nn.Module:
        """The network without weights: gives the shape of its output at no cost."""
        import copy

        return copy.deepcopy(self.module).to("meta")

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """(1, C, n, m) of an input of this size."""
        import torch

        with torch.no_grad():
            return tuple(self._shapes(torch.zeros(1, 3, height, width, device="meta")).shape)


class OpenVinoEngine:
    """The network as OpenVINO runs it on a processor: compiled anew for each size of input."""

    name = "openvino"
    KEPT = 16  # compiled sizes, the latest used: more than the test scales and the training grid have; drawn scales find few

    def __init__(self, network: Model, arithmetic: str | None = None) -> None:
        self.network = network
        self.arithmetic = arithmetic or arithmetic_on()
        self._core = openvino().Core()
        if self.arithmetic == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            self.arithmetic = "float32"
        self.compiling = lru_cache(self.KEPT)(partial(ThreadPoolExecutor(os.cpu_count()).submit, self._compile))
        self.shape = lru_cache(self._shape)  # R-CNN* asks for each picture's

    @property
    def device(self) -> torch.device:
        import torch

        return torch.device("cpu")

    def __call__(self, images: Tensor | np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        run = self.compiled(*images.shape[-2:])
        return np.concatenate([run(image[None])[0] for image in images])

    def at_side(self, canvases: Tensor | np.ndarray, side: int) -> np.ndarray:
        """Canvases (B, 3, c, c) resized to (B, 3, side, side)."""
        return resized(np.asarray(canvases), side)

    def _shape(self, height: int, width: int) -> tuple[int, ...]:
        """(1, C, n, m) of an input of this size."""
        return tuple(self._of_size(height, width).output(0).shape)

    def prepare(self, sides: Sequence[int]) -> None:
        """Begin to compile for square inputs of these sides, in threads: the picture is read meanwhile."""
        for side in sides:
            self.compiling(side, side)

    def compiled(self, height: int, width: int) -> Callable:
        """The network for inputs of this size."""
        return self.compiling(height, width).result()

    def _of_size(self, height: int, width: int) -> Model:
        network = self.network.clone()
        network.reshape([1, 3, height, width])
        return network

    def _compile(self, height: int, width: int) -> Callable:
        precision = {"float32": "f32", "bfloat16": "bf16"}[self.arithmetic]
        return self._core.compile_model(self._of_size(height, width), "CPU", {"INFERENCE_PRECISION_HINT": precision})


Engine = TorchEngine | OpenVinoEngine


def resized(canvases: np.ndarray, side: int) -> np.ndarray:
    """Canvases (B, 3, c, c) resized to (B, 3, side, side) by a triangle as wide as a pixel of the coarser of the two.

    That is bilinear interpolation where they grow, with antialiasing where they shrink: PyTorch's on one thread, to 1e-6.
    """
    length = canvases.shape[-1]
    if length == side:
        return canvases
    result = np.empty((*canvases.shape[:2], side, side), np.float32)
    (first, share), *more = zip(*_triangle(length, side), strict=True)
    for plane in np.ndindex(canvases.shape[:2]):
        lines = canvases[plane][:, first] * share
        for pixels, weights in more:
            lines += canvases[plane][:, pixels] * weights
        for start in range(0, side, 64):  # so few lines at a time stay in the processor's cache: twice as fast
            part = slice(start, start + 64)
            made = np.multiply(lines[first[part]], share[part, None], out=result[plane][part])
            for pixels, weights in more:
                made += lines[pixels[part]] * weights[part, None]
    return result


@lru_cache(16)
def _triangle(length: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, side) of a line of `length` that make each pixel of a line of `side`, and their weights, float32."""
    scale = np.float32(length / side)  # PyTorch's places of the pixels, rounded to float32 where PyTorch does it
    support = max(scale, 1)
    middle = np.float64(scale) * (np.arange(side) + 0.5)
    place = np.float32(middle) - 0.5 if side < length else np.float32(middle - 0.5)
    first = np.maximum(place - support + 1, 0).astype(int)
    pixels = first + np.arange(2 * math.ceil(support) + 1)[:, None]
    weights = np.maximum(1 - abs(pixels - place) / support, 0) * (pixels < length)
    used = weights.any(1)
    return np.minimum(pixels, length - 1)[used], (weights / weights.sum(0))[used].astype(np.float32)


def converted(module: nn.Module) -> Model:
    """A network of PyTorch as OpenVINO takes it."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecation notices of PyTorch and of the converter
        example = torch.zeros(1, 3, 224, 256)
        traced = torch.jit.trace(module.eval(), example, check_trace=False)  # a check would trace it twice
        return openvino().convert_model(traced, example_input=example)


def openvino() -> ModuleType:
    """The package without its telemetry, which would look up a host and write a folder into the user's home."""
    sys.modules["openvino_telemetry"] = None  # OpenVINO's imports of it then fail, and it puts a stub in its place
    import openvino

    return openvino


def fastest_engine() -> str:
    """The name of the engine that `load_trunk` takes by itself: PyTorch on a GPU, OpenVINO where installed, else PyTorch."""
    return "torch" if has_gpu() or importlib.util.find_spec("openvino") is None else "openvino"


def has_gpu() -> bool:
    """Whether PyTorch sees a GPU; it is not even imported where Linux has no device of that kind."""
    if sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES)):
        return False
    import torch

    return torch.cuda.is_available()


@contextmanager
def one_pool() -> Iterator[None]:
    """A context, or a decorator: torch keeps to one thread beside OpenVINO, and has its own number of them back afterwards.

    OpenVINO has threads of its own, and both pools on the same cores cost four times the time. Nothing is done where torch
    has not been imported.
    """
    torch = sys.modules.get("torch")
    if torch is None or fastest_engine() != "openvino":
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
