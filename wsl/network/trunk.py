"""Frozen ImageNet networks without their classifier: a picture goes in, a feature map comes out.

"We pre-train the convolutional feature extraction layers C1-C7 on images from the ImageNet dataset and
keep their weights fixed" (Section 4). The geometry of a trunk (cells, stride, offset) is measured by
probing it, never typed in: AlexNet gives 1x1 at 224 pixels, 2x2 at 256 and 58x26 at 2048x1024 (Section 3).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wsl import cache
from wsl.data.geometry import Grid
from wsl.errors import StudyError
from wsl.files import sha256
from wsl.network import lite
from wsl.network.engines import Engine, OpenVinoEngine, TorchEngine, converted, fastest_engine, openvino

if TYPE_CHECKING:
    import torch
    from openvino import Model
    from torch import nn


@dataclass(frozen=True)
class InputConvention:
    """What a trunk expects of its pixels (0..255 RGB): (x - mean) / std, channels reversed if `bgr`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, rgb: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (H, W, 3) -> float32 (3, H, W), written to `out` if it is given."""
        pixels = rgb[:, :, ::-1] if self.bgr else rgb
        out = np.empty((3, *rgb.shape[:2]), np.float32) if out is None else out
        for channel, (mean, std) in enumerate(zip(np.float32(self.mean), np.float32(self.std), strict=True)):
            # looked up for each of 256 values: the same numbers in half the time
            out[channel] = ((np.arange(256, dtype=np.float32) - mean) / std)[pixels[:, :, channel]]
        return out


LITE = InputConvention((127.0,) * 3, (128.0,) * 3)
IMAGENET = InputConvention((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CAFFE = InputConvention((104.0, 117.0, 123.0), (1.0,) * 3, bgr=True)
CONVENTIONS = {"lite": LITE, "imagenet": IMAGENET, "caffe": CAFFE}


@dataclass
class Trunk:
    """A frozen network: float32 (B, 3, H, W), normalised -> float32 (B, channels, n, m)."""

    name: str
    engine: Engine
    normalise: InputConvention
    input_size: int
    weights_sha256: str
    build: Callable[[], nn.Module] | None = None  # makes the network in PyTorch, where the engine does not hold it
    geometry: str = ""  # what the cache calls the centres of cells; empty: they are not kept
    _offsets: dict[str, float] = field(default_factory=dict, repr=False)  # phase -> offset of `grid`

    def __call__(self, images: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
        return self.engine(images)

    @cached_property
    def module(self) -> nn.Module:
        return self.build().eval().requires_grad_(False) if self.build else self.engine.module

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def arithmetic(self) -> str:
        """"float32" or "bfloat16": what its products are computed in."""
        return self.engine.arithmetic

    @cached_property
    def channels(self) -> int:
        return self.engine.shape(224, 224)[1]

    @cached_property
    def stride(self) -> int:
        """Input pixels between neighbouring cells."""
        return 640 // (self.grid_cells(1664) - self.grid_cells(1024))

    def grid(self, side: int) -> Grid:
        """Cells along one axis of an input of `side` pixels. Receptive fields are measured from gradients."""
        offset = self._offset(side % self.stride)  # "same" padding shifts the cells with the input's remainder
        cells = self.grid_cells(side)
        if np.isnan(offset):  # every cell sees the whole input (squeeze-and-excitation, attention): a centred grid
            offset = (side - 1 - (cells - 1) * self.stride) / 2
        return Grid(cells, self.stride, offset)

    def grid_cells(self, side: int) -> int:
        """Cells along one axis of an input of `side` pixels."""
        return self.engine.shape(224, side)[-1]

    def _offset(self, phase: int) -> float:
        """Centre of cell 0 for inputs of side = phase (mod stride), as kept or else probed."""
        if str(phase) not in self._offsets and self.geometry:
            self._offsets |= json.loads(cache.load(self.geometry) or "{}")
        if str(phase) not in self._offsets:
            self._offsets[str(phase)] = self._probe(phase)
            if self.geometry:
                self._offsets |= json.loads(cache.load(self.geometry) or "{}")  # what others have found meanwhile
                cache.keep(self.geometry, json.dumps(self._offsets).encode())
        return self._offsets[str(phase)]

    def _probe(self, phase: int) -> float:
        """Centre of cell 0 for inputs of side = phase (mod stride); NaN where receptive fields have no end."""
        import torch

        generator = torch.Generator().manual_seed(0)
        for width in (1024, 2048, 4096):
            x = torch.randn(1, 3, self._least_height, width // self.stride * self.stride + phase, generator=generator)
            x = x.to(self.device).requires_grad_()
            with torch.enable_grad():
                y = self.module(x)
                cell = y.shape[-1] // 2
                (gradient,) = torch.autograd.grad(y[..., cell].sum(), x)
            support = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
            first, last = int(support[0]), int(support[-1])
            if first > 0 and last < x.shape[-1] - 1:
                return (first + last) / 2 - self.stride * cell
        return float("nan")

    @cached_property
    def _least_height(self) -> int:
        """The lowest strip that the network takes: geometry along one axis needs no more."""
        import torch

        for height in (self.stride, 2 * self.stride, 4 * self.stride):
            try:
                self.module(torch.zeros(1, 3, height, 4 * self.stride, device=self.device))
            except RuntimeError:  # lower than the network's kernels
                continue
            return height
        return 224


def load_trunk(
    name: str = "efficientnet_lite0",
    weights: Path | None = None,
    convention: str | None = None,
    engine: str = "auto",
    arithmetic: str | None = None,
) -> Trunk:
    """A frozen trunk by name: efficientnet_lite0, _lite1 or _lite2, alexnet, squeezenet1_1, or any name that timm knows.

    weights: a local .safetensors, .npz or .pth file in place of the packaged or downloaded ones.
    convention: "imagenet", "caffe" or "lite" where a local file expects other pixels than the name's default.
    engine: "auto" (`fastest_engine`), "torch" or "openvino".
    arithmetic: "float32" or "bfloat16" in place of what `arithmetic_on` decides.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise StudyError(f"input convention {convention!r} is unknown; choose one of {', '.join(CONVENTIONS)}")
    if (fastest_engine() if engine == "auto" else engine) == "openvino":
        found = _for_openvino(name, weights)
        runs, build = OpenVinoEngine(found.network, arithmetic), lambda: _built(name, weights).network
    else:
        import torch

        found = _built(name, weights)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        runs, build = TorchEngine(found.network, device, arithmetic), None
    normalise = CONVENTIONS[convention] if convention else found.normalise
    geometry = "geometry-" + cache.key(name, found.weights_sha256)
    return Trunk(name, runs, normalise, found.input_size, found.weights_sha256, build, geometry)


class _Found(NamedTuple):
    """A network as its engine takes it, and what is to be known of it."""

    network: Model | nn.Module
    normalise: InputConvention
    input_size: int
    weights_sha256: str


def _built(name: str, weights: Path | None) -> _Found:
    """The network in PyTorch."""
    from wsl.network import layers

    module, normalise, size = layers.build(name, weights)
    return _Found(module, normalise, size, layers.digest(module))


def _for_openvino(name: str, weights: Path | None) -> _Found:
    """The network as OpenVINO takes it: from the cache, straight from the packaged weights, or converted; then kept."""
    file = weights or lite.packaged_weights(name)
    try:
        identity = sha256(file) if file else ""
    except OSError:
        identity = ""  # building the network says in words what is wrong with the file
    if identity and (found := _kept(name, identity)):
        return found
    if name == "efficientnet_lite0" and identity == lite.FILE_SHA256:
        found = _Found(lite.network(file), LITE, 224, lite.WEIGHTS_SHA256)
    else:
        built = _built(name, weights)
        identity = identity or built.weights_sha256
        if found := _kept(name, identity):
            return found
        found = built._replace(network=converted(built.network))
    _keep(name, identity, found)
    return found


def _kept(name: str, identity: str) -> _Found | None:
    """What `_keep` kept of these weights: the sha256 of their file or, where none is known, of the network's tensors."""
    from safetensors.numpy import load

    if (content := cache.load("network-" + cache.key(name, identity))) is None:
        return None
    parts = load(content)
    network = openvino().Core().read_model(parts["xml"].tobytes(), parts["bin"].tobytes())
    mean, std, bgr, *about = json.loads(parts["about"].tobytes())
    return _Found(network, InputConvention(tuple(mean), tuple(std), bgr), *about)


def _keep(name: str, identity: str, found: _Found) -> None:
    from safetensors.numpy import save

    if cache.folder() is None:
        return
    try:
        with TemporaryDirectory() as folder:
            openvino().save_model(found.network, f"{folder}/network.xml", compress_to_fp16=False)
            parts = {part: np.fromfile(f"{folder}/network.{part}", np.uint8) for part in ("xml", "bin")}
    except (OSError, RuntimeError):  # no room for a temporary folder
        return
    about = [*astuple(found.normalise), found.input_size, found.weights_sha256]
    content = save(parts | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)})
    cache.keep("network-" + cache.key(name, identity), content)
