"""Score maps of one photograph at the six test scales, from its canvas to the maps of 20 classes: ours, and other ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from statistics import median_low
from time import perf_counter

from benchmarks.measure import OURS, NotAvailable, Options, Side, Timing, photographs, repeat

MEASURE = "score maps of a photograph"
WINDOWS, CLASSES = 32, 2  # samples: of the windows of a photograph, of its 20 classes


class Work:
    """The shipped head, its trunk on an engine, and the canvases of photographs, one a run."""

    def __init__(self, options: Options, engine: str = "auto") -> None:
        from wsl.data.images import read_image
        from wsl.network.features import canvas_of
        from wsl.network.model import load_head
        from wsl.network.trunk import load_trunk
        from wsl.systems.localize import SHIPPED_HEAD
        from wsl.systems.predict import Tester

        head, about = load_head(SHIPPED_HEAD)
        self.trunk, self.canvas = load_trunk(about["trunk"], engine=engine), about["canvas"]
        self.tester = Tester(head, (0.5,) if options.small else tuple(about["test_scales"]))
        self.sides = self.tester.sides(self.canvas)
        pictures = [read_image(file) for file in photographs(options)]
        self.squares = cycle([(canvas_of(rgb, self.trunk, self.canvas)[0][None], rgb.shape[1::-1]) for rgb in pictures])

    def maps(self) -> Callable[[], object]:
        """What predicting does with a photograph: features at each side, then scores, points and maps."""
        from wsl.network.features import maps_at
        from wsl.systems.predict import read

        grids = {side: self.trunk.grid(side) for side in self.sides}

        def run() -> None:
            square, size = next(self.squares)
            features = {side: maps_at(self.trunk, square, side) for side in self.sides}
            read(self.tester, features, grids, self.canvas, [size])

        return run

    def inputs(self) -> list:
        """A photograph's canvas at each side, float32 tensors (1, 3, side, side)."""
        import torch
        import torch.nn.functional as F

        square = torch.as_tensor(next(self.squares)[0])
        return [F.interpolate(square, (s, s), mode="bilinear", antialias=s < self.canvas) for s in self.sides]


def ours(options: Options) -> Timing:
    from wsl.network.engines import one_pool

    with one_pool():
        return repeat(Work(options).maps())


def bare_trunk(options: Options) -> Timing:
    """The compiled network alone, on inputs that lie ready: what no code around it can beat."""
    work = Work(options)
    if work.trunk.engine.name != "openvino":
        raise NotAvailable("ours runs on PyTorch here")
    ready = [(work.trunk.engine.compiled(*x.shape[-2:]), x.numpy()) for x in work.inputs()]
    return repeat(lambda: [run(x) for run, x in ready])


def torch_eager(options: Options) -> Timing:
    return repeat(Work(options, "torch").maps())


def torch_channels_last(options: Options) -> Timing:
    import torch

    work = Work(options, "torch")
    work.trunk.module.to(memory_format=torch.channels_last)
    squares = work.squares
    work.squares = ((torch.as_tensor(x).contiguous(memory_format=torch.channels_last), size) for x, size in squares)
    return repeat(work.maps())


def torch_compile(options: Options) -> Timing:
    """Compiled for the input of one scale: each size takes a minute or more, and one compilation for all of them many."""
    import torch

    work = Work(options, "torch")
    pixels = sum(side**2 for side in work.sides)
    work.tester = replace(work.tester, scales=(median_low(work.tester.scales),))
    (side,) = work.sides = work.tester.sides(work.canvas)
    run, started = work.maps(), perf_counter()
    work.trunk.engine.module = torch.compile(work.trunk.module, dynamic=False)
    try:
        run()
    except Exception as error:  # compilers fail in many ways
        raise NotAvailable(f"does not compile here ({str(error).splitlines()[0]})") from error
    note = f"extrapolated by pixels from one scale of {side} px, whose compilation took {perf_counter() - started:.0f} s more"
    return repeat(run).scaled(pixels / side**2, note)


def windows(options: Options) -> Timing:
    """As Oquab et al. (2014) did: each window cut out and passed through the network alone. Here on our engine, one a cell."""
    import torch

    from wsl.network.engines import one_pool
    from wsl.network.features import maps_at

    work = Work(options)
    size = work.trunk.input_size
    count = sum(work.trunk.grid_cells(side) ** 2 for side in work.sides)
    square = torch.as_tensor(next(work.squares)[0])[0]
    corners = torch.randint(0, work.canvas - size, (WINDOWS, 2), generator=torch.Generator().manual_seed(0)).tolist()
    crops = torch.stack([square[:, y : y + size, x : x + size] for x, y in corners])
    with one_pool():
        timing = repeat(lambda: work.tester.head.score_maps(maps_at(work.trunk, None, None, crops)))
    return timing.scaled(count / WINDOWS, f"extrapolated from {WINDOWS} of {count:,} windows")


def whole_network(work: Work):
    """Trunk, head and global max-pooling as one module that takes gradients, as the libraries of class activation maps ask."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = work.trunk.module, work.tester.head

        def forward(self, x):
            return self.head(self.trunk(x)).amax((2, 3))

    return Network().eval().requires_grad_(True)


def grad_cam(options: Options) -> Timing:
    """A forward and a backward pass through the whole network for each class."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    work = Work(options, "torch")
    network = whole_network(work)
    cam = GradCAM(network, [network.trunk])
    classes = network.head.cb.out_channels
    timing = repeat(lambda: [cam(x, [ClassifierOutputTarget(k)]) for x in work.inputs() for k in range(CLASSES)], most=3)
    note = f"Grad-CAM in float32; extrapolated from {CLASSES} of {classes} classes"
    return timing.scaled(classes / CLASSES, note)


def torchcam(options: Options) -> Timing:
    """A forward pass for all classes, then for each class the gradient as far as the trunk's features."""
    from torchcam.methods import GradCAM

    work = Work(options, "torch")
    network = whole_network(work)
    cam = GradCAM(network, network.trunk)

    def run() -> None:
        for x in work.inputs():
            scores = network(x)
            for k in range(scores.shape[1]):
                cam(k, scores, retain_graph=True)

    return repeat(run)._replace(note="Grad-CAM in float32")


def sides(options: Options) -> list[Side]:
    found = {
        OURS: ours,
        "bare OpenVINO trunk": bare_trunk,
        "torch eager": torch_eager,
        "torch eager, channels last": torch_channels_last,
        "torch.compile": torch_compile,
        "window by window": windows,
        "grad-cam": grad_cam,
        "torchcam": torchcam,
    }
    return [Side(MEASURE, name, run, limit=180) for name, run in found.items()]
