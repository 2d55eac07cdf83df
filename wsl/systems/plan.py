"""A forecast of time, disk and memory before anything starts, from a few seconds of measuring on this machine."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from wsl.data.geometry import side_at
from wsl.errors import StudyError
from wsl.evaluation.runs import find_runs
from wsl.network.engines import one_pool
from wsl.network.features import bytes_kept
from wsl.network.model import Adaptation
from wsl.network.trunk import Trunk
from wsl.profile import Profile, head_of, method_of
from wsl.systems.proposals import proposals_path
from wsl.systems.study import trunk_of

OFFICIAL = {  # images of the official lists (COCO: instances JSON), for a plan without the data
    ("voc", "2007"): {"train": 2501, "val": 2510},
    ("voc", "2012"): {"train": 5717, "val": 5823},
    ("coco", "2014"): {"train": 82783, "val": 40504},
    ("coco", "2017"): {"train": 118287, "val": 5000},
}
DECODE_SECONDS = 0.006  # a photograph of 500 x 375 pixels onto its canvas, one core
PROPOSAL_SECONDS = 0.26  # selective search of one picture of 300 pixels, one core
RCNN_SECONDS = 0.1  # a training picture of R-CNN*: three readings of its features, its share of the regressions
EXTENT_SECONDS = 0.1  # scoring and suppressing a picture's proposals
MEMORY_GIB = 2.0  # libraries, trunk and batches of one job; kept features are read from disk


@dataclass(frozen=True)
class Step:
    """One line of the forecast."""

    name: str
    seconds: float
    disk: float = 0.0  # bytes that stay


@dataclass(frozen=True)
class Speed:
    """What `measure` found on this machine."""

    pixel: float  # seconds of trunk per input pixel
    cell: float  # seconds of searching a score map, per cell
    step: float  # seconds of a training step on one cell a picture


def measure(trunk: Trunk, canvas: int, hidden: int, classes: int) -> Speed:
    """Time the trunk on one canvas and the head on a batch: about three seconds."""

    def best(run, repeat: int = 3) -> float:
        run()
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            run()
            if trunk.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return min(times)

    image = torch.zeros(1, 3, canvas, canvas)
    head = Adaptation(trunk.channels, classes, hidden).to(trunk.device)
    cells = torch.rand(16, trunk.channels, 16, 16, device=trunk.device)
    few = torch.rand(16, trunk.channels, classes, 1, device=trunk.device)

    def step() -> None:
        head(few).square().sum().backward()

    return Speed(best(lambda: trunk(image)) / canvas**2, best(lambda: head.score_maps(cells)) / (16 * 256), 2 * best(step))


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
    """The steps that the runs `todo` of a profile take."""
    n = counts(profile, runs)
    steps = []
    if profile.generate and not (profile.data_root(runs) / "scenes.json").is_file():
        from wsl.scenes import generate as scenes

        steps.append(Step("draw scenes", *scenes.forecast(profile.layout, sum(n.values()), profile.generate.size)))
    heads = [(s, k) for s, k in todo if s == head_of(s)]
    sides = profile.feature_sides(dict(heads)) if heads else []
    pixels = sum((side or trunk.input_size) ** 2 for side in sides)
    if heads and profile.cache_features:
        disk = bytes_kept(trunk, n["train"], sides)
        steps.append(Step("features of the training images", n["train"] * (speed.pixel * pixels + DECODE_SECONDS), disk))
    if "rcnn" in dict(heads):
        for split in (s for s in n if not proposals_path(profile, s, runs).is_file()):
            seconds = PROPOSAL_SECONDS * (profile.proposal_side / 300) ** 2
            steps.append(Step("proposals", n[split] * seconds, 16 * n[split] * profile.proposals))
    for system, _ in heads:
        settings = profile.system_settings(system)
        if system == "rcnn":
            steps.append(Step("train rcnn", n["train"] * RCNN_SECONDS, 2**20))
            continue
        own = [side_at(s, profile.canvas) for s in settings.train_scales]
        one_cell = method_of(system) in ("full_images", "object_patches")
        cells = 1 if one_cell else sum(trunk.grid_cells(s) ** 2 for s in own) / len(own)
        width = settings.hidden / profile.hidden * settings.kernel**2  # work a cell, as measured on the profile's own head
        dense = settings.pool != "max" or settings.kernel > 1  # gradients for every cell, not for the best alone
        per_image = width * (speed.cell * cells * (3 if dense else 1) + speed.step / profile.batch)
        if not profile.cache_features:
            per_image += speed.pixel * sum(s**2 for s in own) / len(own) + DECODE_SECONDS
        steps.append(Step(f"train {system}", profile.epochs * n["train"] * per_image, 2 * 2**20))
    tested = [_tested(profile, system) for system, _ in todo]
    trunk_time = speed.pixel * sum(s**2 for s in {side for sides in tested for side in sides}) + DECODE_SECONDS
    head_time = speed.cell * sum(trunk.grid_cells(s) ** 2 for sides in tested for s in sides)
    steps.append(Step(f"predict with {len(todo)} runs", n["val"] * (trunk_time + head_time), len(todo) * 2**20))
    if ("weak_sup", profile.seeds[0]) in todo:  # its epochs at s = 1 (Figure 1), and its boxes
        one_scale = speed.pixel * profile.canvas**2 + DECODE_SECONDS
        each_epoch = (profile.epochs + 1) * speed.cell * trunk.grid_cells(profile.canvas) ** 2
        steps.append(Step("evolution over training", n["val"] * (one_scale + each_epoch)))
        if "rcnn" in profile.systems:
            sides = _tested(profile, "weak_sup")
            all_scales = speed.pixel * sum(s**2 for s in sides) + speed.cell * sum(trunk.grid_cells(s) ** 2 for s in sides)
            steps.append(Step("extent of objects", n["val"] * (all_scales + EXTENT_SECONDS)))
    return steps


def _tested(profile: Profile, system: str) -> list[int]:
    """Input sides at which a system is tested; those of R-CNN* and FULL IMAGES are few and small, and left out."""
    if method_of(system) in ("full_images", "rcnn"):
        return []
    return [side_at(s, profile.canvas) for s in profile.system_settings(system).test_scales]


@one_pool()
def plan(profiles: list[Profile], runs: Path) -> str:
    """The forecast as text."""
    lines, total, disk = [], 0.0, 0.0
    speeds: dict[tuple, Speed] = {}
    for profile in profiles:
        todo = missing_runs(profile, runs)
        if not todo:
            lines.append(f"{profile.name}: {profile.title or profile.name}, every run is there")
            continue
        trunk = trunk_of(profile)
        classes = 20 if profile.layout == "voc" else 80
        key = (profile.trunk, profile.weights, profile.canvas, profile.hidden, classes)
        if key not in speeds:
            speeds[key] = measure(trunk, profile.canvas, profile.hidden, classes)
        steps = forecast(profile, runs, todo, trunk, speeds[key])
        title = profile.title or profile.name
        how = f"{trunk.engine.name}, {trunk.arithmetic}"
        lines.append(f"{profile.name}: {title}, trunk {profile.trunk} on {trunk.device.type} ({how})")
        merged: dict[str, list[Step]] = {}
        for step in steps:
            merged.setdefault(step.name, []).append(step)
        for name, same in merged.items():
            seconds, size = sum(s.seconds for s in same), sum(s.disk for s in same)
            times = f" x {len(same)}" if len(same) > 1 else ""
            lines.append(f"  {name + times:44s} {duration(seconds):>9s} {size / 2**30:8.2f} GiB")
        total += sum(s.seconds for s in steps)
        disk += sum(s.disk for s in steps)
    if not speeds:
        return "\n".join(lines)
    free = shutil.disk_usage(Path(runs).resolve() if Path(runs).exists() else Path.cwd()).free
    lines.append(f"in all about {duration(total)}, {disk / 2**30:.1f} GiB of disk ({free / 2**30:.0f} GiB free)")
    lines.append(f"and up to {MEMORY_GIB:.0f} GiB of memory a job; measured on this machine just now")
    if disk > free:
        raise StudyError("\n".join(lines) + f"\n{runs}: not enough disk; free some, or choose another folder with --runs")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
