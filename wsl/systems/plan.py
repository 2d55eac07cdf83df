"""A forecast of time, disk and memory before anything starts, from a few seconds of measuring on this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from wsl.data.geometry import side_at
from wsl.data.photographs import PHOTOGRAPHS
from wsl.errors import StudyError
from wsl.evaluation.runs import find_runs, run_folder
from wsl.network.engines import one_pool
from wsl.network.features import bytes_kept
from wsl.network.model import Adaptation
from wsl.network.trunk import Trunk
from wsl.profile import Profile, head_of, method_of
from wsl.systems.proposals import proposals_path, selective_search
from wsl.systems.study import trunk_of

OFFICIAL = {  # images of the official lists (COCO: instances JSON), for a plan without the data
    ("voc", "2007"): {"train": 2501, "val": 2510},
    ("voc", "2012"): {"train": 5717, "val": 5823},
    ("coco", "2014"): {"train": 82783, "val": 40504},
    ("coco", "2017"): {"train": 118287, "val": 5000},
}
# Processor seconds on the machine of REFERENCE; `measure` says how much slower or faster this one is.
REFERENCE = 0.176  # selective search of the photograph in `measure` at 200 pixels, one core
SCENE = 1.3  # selective search of a scene, over that of the photograph
DECODE_SECONDS = 0.006  # a photograph of 500 x 375 pixels onto its canvas
RCNN_SECONDS = (0.065, 0.001)  # a training picture of R-CNN*: of reading its regions, and of the regressions a class
EXTENT_SECONDS = (0.02, 0.0004)  # an evaluation picture: of scoring its proposals, and a class of judging its detections
START_SECONDS = 6  # a job of the workflow: Python, its libraries, the trunk
BOOKS = {"landing": "the first pages, of recorded results alone", "book": "all pages, with the runs made here"}
PAGES_SECONDS = {"landing": 35, "book": 240}
SITE_SECONDS = 10
MEMORY_GIB = 2.0  # libraries, trunk and batches of one job; kept features are read from disk


@dataclass(frozen=True)
class Step:
    """One line of the forecast."""

    stage: str  # of `wsl.systems.progress.STAGES`
    name: str
    seconds: float
    disk: float = 0.0  # bytes that stay


@dataclass(frozen=True)
class Speed:
    """What `measure` found on this machine."""

    pixel: float  # seconds of trunk per input pixel, on all cores
    cell: float  # seconds of searching a score map per cell, one core
    step: float  # seconds of a training step on one cell a picture, one core
    search: float  # seconds of selective search of one picture, one core
    core: float  # time of other work on one core, over that on the machine of REFERENCE
    cores: int


def best(run: Callable[[], object], gpu: bool, clock: Callable[[], float] = time.process_time, repeat: int = 3) -> float:
    """The least time of several, after one that warms up. Of the process where it computes in one thread, which other
    processes on the machine do not lengthen; on a GPU always by the clock on the wall."""
    clock = time.perf_counter if gpu else clock
    run()
    times = []
    for _ in range(repeat):
        start = clock()
        run()
        if gpu:
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times)


def pixel_seconds(trunk: Trunk, canvas: int) -> float:
    """Seconds of the trunk per input pixel, on all cores."""
    image = torch.zeros(1, 3, canvas, canvas)
    return best(lambda: trunk(image), trunk.device.type == "cuda", time.perf_counter, 5) / canvas**2


def measure(trunk: Trunk, profile: Profile, cores: int, pixel: float) -> Speed:
    """Time the head on a batch and selective search on one photograph: about three seconds."""
    classes, gpu = 20 if profile.layout == "voc" else 80, trunk.device.type == "cuda"
    head = Adaptation(trunk.channels, classes, profile.hidden).to(trunk.device)
    cells = torch.rand(16, trunk.channels, 16, 16, device=trunk.device)
    few = torch.rand(16, trunk.channels, classes, 1, device=trunk.device)
    photograph = PHOTOGRAPHS["motorcycle_left"].read()
    cv2.setNumThreads(1)
    return Speed(
        pixel=pixel,
        cell=best(lambda: head.score_maps(cells), gpu) / (16 * 256),
        step=2 * best(lambda: head(few).square().sum().backward(), gpu),
        search=best(lambda: selective_search(photograph, profile.proposal_side, profile.proposals), False, repeat=1),
        core=best(lambda: selective_search(photograph, 200), False, repeat=1) / REFERENCE,
        cores=cores,
    )


def counts(profile: Profile, runs: Path) -> dict[str, int]:
    """Number of training and validation images: drawn, read from the data, or those of the official lists."""
    if profile.generate:
        return {"train": profile.generate.train, "val": profile.generate.val}
    if profile.root is not None:
        return {split: len(profile.dataset(split, runs)) for split in ("train", "val")}
    if (profile.layout, profile.year) in OFFICIAL:
        return OFFICIAL[profile.layout, profile.year]
    raise StudyError(f"profile {profile.name}: the number of images is unknown; give --{profile.layout}-root FOLDER")


def missing_runs(profile: Profile, runs: Path) -> list[tuple[str, int]]:
    """(system, seed) of the profile's runs that are not there."""
    there = {(run.system, run.seed) for run in find_runs(runs, profile.name, profile.trunk)}
    return [(s, k) for s, k in profile.targets() if (s, k) not in there]


def forecast(profile: Profile, runs: Path, todo: list[tuple[str, int]], trunk: Trunk, speed: Speed) -> list[Step]:
    """The steps that the runs `todo` of a profile take, in seconds on all cores."""
    n, classes, steps = counts(profile, runs), 20 if profile.layout == "voc" else 80, []
    start = START_SECONDS * speed.core
    if profile.generate and not (profile.data_root(runs) / "scenes.json").is_file():
        from wsl.scenes import generate as scenes

        steps.append(Step("data", "draw scenes", *scenes.forecast(profile.layout, sum(n.values()), profile.generate.size)))
    heads = list(dict.fromkeys((head_of(s), k) for s, k in todo))
    heads = [head for head in heads if not (run_folder(runs, profile.name, profile.trunk, *head) / "head.safetensors").is_file()]
    sides = profile.feature_sides(dict(heads)) if heads else []
    pixels = sum((side or trunk.input_size) ** 2 for side in sides)
    if heads and profile.cache_features:
        seconds = n["train"] * (speed.pixel * pixels + speed.core * DECODE_SECONDS)
        steps.append(Step("features", "features of the training images", start + seconds, bytes_kept(trunk, n["train"], sides)))
    if "rcnn" in dict(todo):
        left = sum(n[split] for split in n if not proposals_path(profile, split, runs).is_file())
        if left:
            seconds = left * speed.search * (SCENE if profile.generate else 1) / speed.cores
            steps.append(Step("proposals", "proposals", seconds, 16 * left * profile.proposals))
    for number, (system, _) in enumerate(heads):
        seconds = _training(profile, system, n["train"], classes, trunk, speed) / speed.cores
        steps.append(Step("train", f"train {system}", seconds + (start if number == 0 else 0), 2 * 2**20))
    tested = [_tested(profile, system) for system, _ in todo]
    wanted = {side for sides in tested for side in sides}
    cells = sum(trunk.grid_cells(side) ** 2 for sides in tested for side in sides)
    if ("weak_sup", profile.seeds[0]) in todo:  # with the epochs of Figure 1, at s = 1
        cells += (profile.epochs + 1) * trunk.grid_cells(profile.canvas) ** 2
    one_core = speed.cell * cells + speed.core * DECODE_SECONDS
    if "rcnn" in dict(todo):  # and the extent of objects
        one_core += speed.core * (EXTENT_SECONDS[0] + EXTENT_SECONDS[1] * classes)
    seconds = start + n["val"] * (speed.pixel * sum(side**2 for side in wanted) + one_core / speed.cores)
    return [*steps, Step("predict", f"predict with {len(todo)} runs", seconds, len(todo) * 2**20)]


def _training(profile: Profile, system: str, count: int, classes: int, trunk: Trunk, speed: Speed) -> float:
    """Seconds that training a head takes on one core."""
    if system == "rcnn":
        return count * speed.core * (RCNN_SECONDS[0] + RCNN_SECONDS[1] * classes)
    settings = profile.system_settings(system)
    own = [side_at(s, profile.canvas) for s in settings.train_scales]
    one_cell = method_of(system) in ("full_images", "object_patches")
    cells = 1 if one_cell else sum(trunk.grid_cells(s) ** 2 for s in own) / len(own)
    width = settings.hidden / profile.hidden * settings.kernel**2  # work a cell, as measured on the profile's own head
    dense = settings.pool != "max" or settings.kernel > 1  # gradients for every cell, not for the best alone
    per_image = width * (speed.cell * cells * (3 if dense else 1) + speed.step / profile.batch)
    if not profile.cache_features:
        per_image += speed.pixel * sum(s**2 for s in own) / len(own) + speed.core * DECODE_SECONDS
    return profile.epochs * count * per_image


def _tested(profile: Profile, system: str) -> list[int]:
    """Input sides at which a system is tested. Those of R-CNN* are among the others' where they are not few and small."""
    if method_of(system) in ("full_images", "rcnn"):
        return []
    return [side_at(s, profile.canvas) for s in profile.system_settings(system).test_scales]


@one_pool()
def plan(profiles: list[Profile], runs: Path, cores: int, books: Sequence[str] = ()) -> tuple[str, dict[str, float]]:
    """The forecast as text, and the seconds of each stage, "PROFILE STAGE", as `wsl.systems.progress` counts them.

    books: of `BOOKS`, those that are built besides; the first pages come first of all.
    """
    lines, steps = [], []
    trunks: dict[tuple, tuple[Trunk, float]] = {}
    speeds: list[Speed] = []
    for profile in profiles:
        todo = missing_runs(profile, runs)
        if not todo:
            lines.append(f"{profile.name}: {profile.title or profile.name}, every run is there")
            continue
        key = profile.trunk, profile.weights, profile.convention, profile.canvas
        if key not in trunks:
            trunk = trunk_of(profile)
            trunks[key] = trunk, pixel_seconds(trunk, profile.canvas)
        trunk, pixel = trunks[key]
        speeds.append(measure(trunk, profile, cores, pixel))
        how = f"{trunk.engine.name}, {trunk.arithmetic}"
        lines.append(f"{profile.name}: {profile.title or profile.name}, trunk {profile.trunk} on {trunk.device.type} ({how})")
        own = forecast(profile, runs, todo, trunk, speeds[-1])
        lines += _shown(own)
        steps += [(f"{profile.name} {step.stage}", step) for step in own]
    if not steps:
        return "\n".join(lines), {}
    for name in books:
        core = min(speed.core for speed in speeds)
        made = [Step("pages", f"execute {BOOKS[name]}", core * PAGES_SECONDS[name] / cores)]
        made += [Step("site", "build the site", core * SITE_SECONDS)]
        lines += [name, *_shown(made)]
        of_book = [(f"{name} {step.stage}", step) for step in made]
        steps = of_book + steps if name == "landing" else steps + of_book
    seconds = {stage: sum(step.seconds for name, step in steps if name == stage) for stage, _ in steps}
    disk = sum(step.disk for _, step in steps)
    free = shutil.disk_usage(Path(runs).resolve() if Path(runs).exists() else Path.cwd()).free
    lines.append(f"in all about {duration(sum(seconds.values()))}, {disk / 2**30:.1f} GiB of disk ({free / 2**30:.0f} GiB free)")
    lines.append(f"and up to {MEMORY_GIB:.0f} GiB of memory a job; measured on {cores} cores of this machine just now")
    if disk > free:
        raise StudyError("\n".join(lines) + f"\n{runs}: not enough disk; free some, or choose another folder with --runs")
    return "\n".join(lines), seconds


def _shown(steps: list[Step]) -> list[str]:
    """A line for each kind of step."""
    lines = []
    for name in dict.fromkeys(step.name for step in steps):
        same = [step for step in steps if step.name == name]
        times = f" x {len(same)}" if len(same) > 1 else ""
        seconds, size = sum(step.seconds for step in same), sum(step.disk for step in same)
        lines.append(f"  {name + times:44s} {duration(seconds):>9s} {size / 2**30:8.2f} GiB")
    return lines


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
