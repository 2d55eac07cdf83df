"""What runs a trunk's layers: PyTorch, the reference, or OpenVINO, the same network several times faster on a processor.

Both are called with float32 pictures (B, 3, H, W) and give float32 features (B, C, n, m); `name`, `device` and `arithmetic`
say how they computed them.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from types import ModuleType

import torch
from torch import Tensor, nn

from wsl.network.arithmetic import arithmetic_on

CPU = torch.device("cpu")


class TorchEngine:
    """The network as PyTorch runs it, on a processor or a GPU."""

    name = "torch"

    def __init__(self, module: nn.Module, device: torch.device = CPU, arithmetic: str | None = None) -> None:
        self.module = module.eval().requires_grad_(False).to(device)
        if device.type == "cuda":  # the layout of its fast convolutions; not measured here
            self.module.to(memory_format=torch.channels_last)
        self.device = device
        self.arithmetic = arithmetic or arithmetic_on(device)

    def __call__(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.arithmetic == "bfloat16"):
            return self.module(images.to(self.device)).float()


class OpenVinoEngine:
    """The network as OpenVINO runs it on a processor: converted at the first call, compiled anew for each size of input."""

    name, device = "openvino", CPU
    KEPT = 16  # compiled sizes, the latest used: more than the test scales and the training grid have; drawn scales find few

    def __init__(self, module: nn.Module, arithmetic: str | None = None) -> None:
        self.module = module.eval().requires_grad_(False)
        self.arithmetic = arithmetic or arithmetic_on(CPU)
        if self.arithmetic == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            self.arithmetic = "float32"
        self.compiled = lru_cache(self.KEPT)(self._compile)

    def __call__(self, images: Tensor) -> Tensor:
        run = self.compiled(*images.shape[-2:])
        return torch.cat([torch.from_numpy(run(image[None].numpy())[0].copy()) for image in images])

    @cached_property
    def _core(self):
        return _openvino().Core()

    @cached_property
    def _model(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converter's own deprecation notices
            return _openvino().convert_model(self.module, example_input=torch.zeros(1, 3, 224, 256))

    def _compile(self, height: int, width: int) -> Callable:
        self._model.reshape([1, 3, height, width])
        precision = {"float32": "f32", "bfloat16": "bf16"}[self.arithmetic]
        return self._core.compile_model(self._model, "CPU", {"INFERENCE_PRECISION_HINT": precision})


Engine = TorchEngine | OpenVinoEngine


def _openvino() -> ModuleType:
    """The package without its telemetry, which would look up a host and write a folder into the user's home."""
    sys.modules["openvino_telemetry"] = None  # OpenVINO's imports of it then fail, and it puts a stub in its place
    import openvino

    return openvino


def fastest_engine() -> str:
    """The name of the engine that `load_trunk` takes by itself: PyTorch on a GPU, OpenVINO where installed, else PyTorch."""
    return "torch" if torch.cuda.is_available() or importlib.util.find_spec("openvino") is None else "openvino"


@contextmanager
def one_pool() -> Iterator[None]:
    """A context, or a decorator: torch keeps to one thread beside OpenVINO, and has its own number of them back afterwards.

    OpenVINO has threads of its own, and both pools on the same cores cost four times the time.
    """
    threads = torch.get_num_threads()
    if fastest_engine() == "openvino":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
