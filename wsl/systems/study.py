"""The study's units of work, one function each: what the command line offers and Snakemake schedules.

A run lies at `<runs>/<profile>/<trunk>/<system>/seed<k>/`; features and data sets lie beside the runs.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

import wsl
from wsl.data.dataset import Dataset
from wsl.errors import StudyError
from wsl.evaluation.predictions import ALTERNATIVES
from wsl.evaluation.runs import read_run, run_folder, write_run
from wsl.files import sha256, whole_file
from wsl.network.arithmetic import instruction_set
from wsl.network.engines import one_pool
from wsl.network.features import Features
from wsl.network.heads import check_head
from wsl.network.model import load_head
from wsl.network.trunk import Trunk, load_trunk
from wsl.profile import Profile, check_system, head_of, method_of, scores_of
from wsl.systems.checkpoint import head_is_of, identity
from wsl.systems.predict import Tester, center_prediction, predict
from wsl.systems.rcnn import predict_rcnn, train_rcnn
from wsl.systems.train import Process, train

# what a prediction depends on: a manifest says whether any of them differs from the commit
COMPUTING = "errors.py files.py profile.py data scenes network evaluation systems".split()
COMPUTING = [f"wsl/{name}" for name in COMPUTING]


def parse_target(text: str) -> tuple[str, int]:
    """"weak_sup/1" -> ("weak_sup", 1); without a seed it is 0."""
    system, _, seed = text.partition("/")
    if seed and not seed.isdecimal():
        raise StudyError(f"{text!r}: the seed is not a number; write SYSTEM/SEED, e.g. weak_sup/1")
    return check_system(system), int(seed or 0)


def trunk_of(profile: Profile, engine: str = "auto") -> Trunk:
    weights = Path(profile.weights).expanduser() if profile.weights else None
    return load_trunk(profile.trunk, weights, profile.convention, engine)


def make_data(profile: Profile, runs: Path) -> Path:
    """Draw the scenes of a profile that generates its data; check that the folder is there for any other."""
    root = profile.data_root(runs)
    if profile.generate:
        from wsl.scenes import generate as scenes

        g = profile.generate
        scenes.generate(root, profile.layout, g.train, g.val, g.seed, g.size)
    elif not root.is_dir():
        raise StudyError(f"{root}: no such folder; give the data root with --{profile.layout}-root")
    return root


def training_features(profile: Profile, runs: Path, trunk: Trunk, dataset: Dataset, *systems: str) -> Features:
    """Features of the training images, for the profile's systems and any other: kept on disk if the profile says so."""
    features = Features(trunk, dataset, profile.canvas)
    if not profile.cache_features:
        return features
    folder = Path(runs) / profile.name / profile.trunk / "features"
    return features.keep(folder, profile.feature_sides([*dict(profile.targets()), *systems]))


@one_pool()
def keep_features(profile: Profile, runs: Path) -> None:
    """Compute and keep the training features, so that the trainings that follow only read them."""
    if profile.cache_features:
        training_features(profile, runs, trunk_of(profile), profile.dataset("train", runs))


@one_pool()
def train_system(profile: Profile, system: str, seed: int, runs: Path, record: bool = False) -> Path:
    """Train the head of a system; returns its file."""
    check_system(system)
    if head_of(system) != system:
        raise StudyError(f"system {system!r} has no head of its own; train {head_of(system)!r}")
    out, started, code = run_folder(runs, profile.name, profile.trunk, system, seed), time.monotonic(), code_state()
    with Process.join() as process:
        trunk, dataset = trunk_of(profile), profile.dataset("train", runs)
        features = training_features(profile, runs, trunk, dataset, system)
        if system != "rcnn":
            log = {"losses": train(profile, system, seed, features, out, record, process=process)[1]}
        elif process.rank == 0:  # its classifiers are fitted by one process
            log = {"regions": train_rcnn(profile, seed, features, runs, out)}
    if process.rank == 0:
        log |= {"train_seconds": round(time.monotonic() - started, 1), "n_train": len(dataset), "train_digest": dataset.digest()}
        _write_json(out / "training.json", log | code)
    return out / "head.safetensors"


def is_trained(profile: Profile, system: str, seed: int, runs: Path) -> bool:
    """Whether the head of this very training is there; says so where it is another's."""
    path = run_folder(runs, profile.name, profile.trunk, system, seed) / "head.safetensors"
    if not path.is_file():
        return False
    features = Features(trunk_of(profile), profile.dataset("train", runs), profile.canvas)
    return head_is_of(path, identity(profile, system, seed, features))


@one_pool()
def predict_systems(profile: Profile, targets: list[tuple[str, int]], runs: Path) -> list[Path]:
    """Predict with the heads of several (system, seed) in one pass of the trunk over the evaluation images."""
    for system, _ in targets:
        check_system(system)
    started, code = time.monotonic(), code_state()
    trunk, dataset = trunk_of(profile), profile.dataset("val", runs)
    features, testers = Features(trunk, dataset, profile.canvas), {}
    heads = dict.fromkeys((scores_of(s), k) for s, k in targets)
    regions = {(s, k): run_folder(runs, profile.name, profile.trunk, s, k) / "head.safetensors" for s, k in heads if s == "rcnn"}
    for system, seed in (head for head in heads if head not in regions):
        path = run_folder(runs, profile.name, profile.trunk, head_of(system), seed) / "head.safetensors"
        head, about = load_head(path)
        check_head(path, about, trunk.name, trunk.weights_sha256, dataset.classes)
        settings = profile.system_settings(system)
        testers[system, seed] = Tester(
            head.to(trunk.device), () if method_of(system) == "full_images" else settings.test_scales
        )
    tables = predict(features, testers) if testers else {}
    if regions:
        tables |= zip(regions, predict_rcnn(profile, features, runs, list(regions.values())), strict=True)
    seconds = time.monotonic() - started
    folders = []
    for system, seed in targets:
        of_head = run_folder(runs, profile.name, profile.trunk, head_of(system), seed)
        df = tables[scores_of(system), seed]
        if method_of(system) == "center":
            df = center_prediction(df, dataset)
        about = manifest(profile, system, seed, trunk, dataset, of_head, code)
        about["predict_seconds"] = round(seconds / len(tables), 1)
        about["wall_seconds"] = round(about["predict_seconds"] + about["training"]["train_seconds"], 1)
        folders.append(run_folder(runs, profile.name, profile.trunk, system, seed))
        write_run(folders[-1], df, about)
    return folders


def code_state() -> dict:
    """The commit that is checked out, and which of the computing modules differ from it."""
    return {"commit": _git("rev-parse", "HEAD"), "changed_files": _git("status", "--porcelain", "--", *COMPUTING) or ""}


def manifest(
    profile: Profile, system: str, seed: int, trunk: Trunk, dataset: Dataset, of_head: Path, code: dict
) -> dict:
    """Where a run comes from: all that is needed to make it again, and to tell that it was."""
    return {
        "study": wsl.__version__,
        **code,
        "command": f"wsl run {profile.name} {shlex.quote(system)} --seed {seed}" + _changes(profile),
        "profile": profile.name,
        "title": profile.title,
        "source": profile.source,
        "trunk": trunk.name,
        "system": system,
        "seed": seed,
        "locates": method_of(system) != "full_images",
        "parameters": profile.system_settings(system).values(),
        "data": {"name": dataset.name, "digest": dataset.digest(), "n_images": len(dataset)},
        "weights_sha256": trunk.weights_sha256,
        "head_sha256": sha256(of_head / "head.safetensors"),
        "training": json.loads((of_head / "training.json").read_text()),
        "hardware": hardware(trunk),
        "software": {name: version(name) for name in ("torch", "timm", "openvino", "numpy")},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _changes(profile: Profile) -> str:
    """Options that this run needs besides its profile; folders are the reader's own."""
    options = f" --trunk {profile.trunk}" if profile.trunk != "efficientnet_lite0" else ""
    options += " --weights FILE" if profile.weights else ""
    options += f" --convention {profile.convention}" if profile.convention else ""
    return options + ("" if profile.generate else f" --{profile.layout}-root FOLDER")


def hardware(trunk: Trunk) -> dict:
    import psutil

    about = {"processor": _processor(), "cores": os.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / 2**30)}
    about |= {"engine": trunk.engine.name, "arithmetic": trunk.arithmetic, "instruction_set": instruction_set()}
    if trunk.device.type == "cuda":
        about["gpu"] = torch.cuda.get_device_name()
    return about


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    here = Path(__file__).parents[2]
    try:
        return subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _write_json(path: Path, value: object) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")


def record_run(folder: Path, results: Path) -> Path:
    """Copy what the book reads of a run (no head, no picture) into the recorded results.

    Other rankings and mappings of a point are asked of J, H and K only (wsl/pages/sensitivity.py); they are left out elsewhere.
    """
    df, about = read_run(folder)
    about.pop("predictions_sha256", None)  # of the run's own file; the recorded one gets its own
    target = Path(results).joinpath(*folder.parts[-4:])
    target.mkdir(parents=True, exist_ok=True)
    if about["system"] not in ("weak_sup", "full_images", "center"):
        df = df.drop(columns=list(ALTERNATIVES), errors="ignore")
    write_run(target, df, about)
    for name in ("evolution.csv", "discovery.csv", "evolution.safetensors", "extent.csv", "extent_samples.csv"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    return target
