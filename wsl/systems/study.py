"""The study's units of work, one function each: what the command line offers and Snakemake schedules.

A run lies at `<runs>/<profile>/<trunk>/<system>/seed<k>/`; features and data sets lie beside the runs.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import torch
from filelock import FileLock, Timeout

import wsl
from wsl.data.dataset import Dataset
from wsl.data.geometry import side_at
from wsl.errors import StudyError
from wsl.evaluation.predictions import compact
from wsl.evaluation.runs import read_run, run_folder, write_run
from wsl.evaluation.views import FILES as VIEW_FILES
from wsl.files import sha256, whole_file
from wsl.network.arithmetic import instruction_set
from wsl.network.engines import one_pool
from wsl.network.features import Features
from wsl.network.heads import check_head
from wsl.network.model import Adaptation, load_head
from wsl.network.trunk import Trunk, load_trunk
from wsl.profile import Profile, check_system, head_of, method_of, scores_of
from wsl.systems.checkpoint import check_settings, head_is_of, identity
from wsl.systems.evolve import epoch_readers, write_evolution
from wsl.systems.extent import ExtentReader, write_extent
from wsl.systems.gradcam import GradCamReader
from wsl.systems.predict import HeadReader, Tester, center_prediction, one_pass
from wsl.systems.proposals import Proposals, keep_proposals
from wsl.systems.rcnn import RegionClassifier, RegionReader, load_classifier, train_rcnn
from wsl.systems.train import Process, train
from wsl.systems.views import ViewReader

# what a prediction depends on: a manifest says whether any of them differs from the commit
COMPUTING = "errors.py files.py profile.py data scenes network evaluation systems".split()
COMPUTING = [f"wsl/{name}" for name in COMPUTING]
TRAINING = "errors.py files.py profile.py data network systems".split()  # what a head depends on
CHECKED = {"files", "log_sha256"}  # what a training log holds for its own sake
WEIGHT = {"rcnn": 4.0, "full_images": 0.3, "object_patches": 0.5}  # time that training takes, over that of weak_sup


def parse_target(text: str) -> tuple[str, int]:
    """"weak_sup/1" -> ("weak_sup", 1); without a seed it is 0."""
    system, _, seed = text.partition("/")
    if seed and not seed.isdecimal():
        raise StudyError(f"{text!r}: the seed is not a number; write SYSTEM/SEED, e.g. weak_sup/1")
    return check_system(system), int(seed or 0)


def trunk_of(profile: Profile, engine: str = "auto") -> Trunk:
    weights = Path(profile.weights).expanduser() if profile.weights else None
    return load_trunk(profile.trunk, weights, profile.convention, engine)


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
def train_systems(profile: Profile, targets: list[tuple[str, int]], runs: Path, missing: bool = False) -> list[Path]:
    """Train the heads of several (system, seed), one after the other; returns their files.

    missing: leave those alone that this very code has made with these settings from these data.
    """
    for system, _ in targets:
        if head_of(check_system(system)) != system:
            raise StudyError(f"system {system!r} has no head of its own; train {head_of(system)!r}")
    folders = {target: run_folder(runs, profile.name, profile.trunk, *target) for target in targets}
    code = code_state()
    with Process.join() as process:
        trunk, dataset = trunk_of(profile), profile.dataset("train", runs)
        features = training_features(profile, runs, trunk, dataset, *(system for system, _ in targets))
        # R-CNN* last where several processes train: one of them fits it
        for system, seed in sorted(targets, key=lambda target: target[0] == "rcnn" and process.world > 1):
            with _only_writer(folders[system, seed], process):
                if missing and _is_made(profile, system, seed, folders[system, seed], features):
                    continue
                started, out = time.monotonic(), folders[system, seed]
                if process.rank == 0:  # what lies there is of the head before
                    for path in [*out.glob("*.csv"), *out.glob("evolution.*"), *out.glob("*.json"), *out.glob("*.parquet")]:
                        path.unlink(missing_ok=True)
                if system != "rcnn":  # weak_sup keeps its epochs, for Figure 1
                    losses = train(profile, system, seed, features, out, record=system == "weak_sup", process=process)[1]
                    log = {"losses": losses}
                elif process.rank == 0:
                    log = {"regions": train_rcnn(profile, seed, features, runs, out)}
                if process.rank == 0:
                    seconds = round(time.monotonic() - started, 1)
                    log |= {"train_seconds": seconds, "n_train": len(dataset), "train_digest": dataset.digest()}
                    heads = [out / "head.safetensors", *sorted(out.glob("epochs/*.safetensors"))]
                    log |= {"files": {path.relative_to(out).as_posix(): sha256(path) for path in heads}}
                    log |= code | {"code_sha256": training_code()}
                    _write_json(out / "training.json", log | {"log_sha256": _log_digest(log)})
    return [folder / "head.safetensors" for folder in folders.values()]


@contextmanager
def _only_writer(out: Path, process: Process) -> Iterator[None]:
    """One training at a time in the folder of a run: another waits until it is done. Processes of torchrun are one."""
    if process.rank > 0:
        yield
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out.with_name(out.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if process.world > 1:  # the others would not wait with this one
            raise StudyError(f"{out}: another process trains this head; start again when it is done") from None
        print(f"{out}: another process trains this head; waiting until it is done", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def train_side_by_side(profile: Profile, targets: list[tuple[str, int]], runs: Path, missing: bool, workers: int) -> list[Path]:
    """`train_systems` in several processes, which share the heads; each computes in one thread."""
    if workers == 1 or len(targets) == 1:
        return train_systems(profile, targets, runs, missing)
    shares, load = [[] for _ in range(workers)], [0.0] * workers
    for target in sorted(targets, key=lambda target: -WEIGHT.get(target[0], 1)):  # the longest first, to who has least to do
        least = load.index(min(load))
        shares[least].append(target)
        load[least] += WEIGHT.get(target[0], 1)
    shares = [share for share in shares if share]
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context("spawn")) as pool:
        files = pool.map(train_systems, repeat(profile), shares, repeat(runs), repeat(missing))
        return [file for some in files for file in some]


def _is_made(profile: Profile, system: str, seed: int, out: Path, features: Features) -> bool:
    """Whether a head is there that this very training gives, by this very code; says so where it is another's."""
    head = out / "head.safetensors"
    if not (head.is_file() and (out / "training.json").is_file() and head_is_of(head, identity(profile, system, seed, features))):
        return False
    try:
        return read_log(out).get("code_sha256") == training_code()
    except StudyError as error:
        print(error, file=sys.stderr)
        return False


def read_log(folder: Path) -> dict:
    """What `train_systems` wrote when a training was done; its files must still be as they were then."""
    path = folder / "training.json"
    try:
        log = json.loads(path.read_bytes())
        if CHECKED & set(log) and log["log_sha256"] != _log_digest(log):  # a log of before the checksums has neither
            raise ValueError
        spoilt = [name for name, digest in log.get("files", {}).items() if sha256(folder / name) != digest]
    except FileNotFoundError as error:
        raise StudyError(f"{error.filename}: no such file: the training was not finished; take it up with `wsl train`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StudyError(f"{path}: is cut off or spoilt; train again with `wsl train`") from None
    if spoilt:
        raise StudyError(f"{folder / spoilt[0]}: is not as the training left it; train again with `wsl train`")
    return log


@one_pool()
def predict_systems(
    profile: Profile,
    targets: list[tuple[str, int]],
    runs: Path,
    evolve: int | None = None,
    extent: int | None = None,
    views: int | None = None,
) -> list[Path]:
    """Predict with the heads of several (system, seed) in one pass of the trunk over the evaluation images.

    evolve, extent, views: a seed of weak_sup, for which the same pass serves Figure 1's evolution, the extent of objects, or the
    per-image browser: see `write_evolution`, `write_extent` and `ViewReader`. Returns the folders of the runs.
    """
    for system, _ in targets:
        check_system(system)
    folder = partial(run_folder, runs, profile.name, profile.trunk)
    started, code, dataset = time.monotonic(), code_state(), profile.dataset("val", runs)
    features = Features(trunk_of(profile), dataset, profile.canvas)
    heads = dict.fromkeys((scores_of(s), k) for s, k in targets)
    logs = {target: read_log(folder(head_of(target[0]), target[1])) for target in heads}
    if evolve is not None:
        read_log(folder("weak_sup", evolve))
    with_boxes = extent is not None or "rcnn" in dict(list(heads))
    proposals = keep_proposals(profile, "val", runs) if with_boxes else None
    readers = {(s, k): _reader(profile, s, folder(head_of(s), k), features, proposals) for s, k in heads}
    epochs = [] if evolve is None else epoch_readers(folder("weak_sup", evolve), features)
    boxes = [] if extent is None else [_extent_reader(profile, folder("weak_sup", extent), features, proposals)]
    seen = [] if views is None else [_view_reader(profile, folder("weak_sup", views), features)]
    one_pass(features, [*boxes, *seen, *readers.values(), *epochs])
    tables = {target: reader.table() for target, reader in readers.items()}
    seconds = time.monotonic() - started
    for system, seed in targets:
        df = tables[scores_of(system), seed]
        if method_of(system) == "center":
            df = center_prediction(df, dataset)
        about = manifest(profile, system, seed, features.trunk, dataset, folder(head_of(system), seed), code)
        if about["training"] != _shown(logs[scores_of(system), seed]):
            raise StudyError(f"{folder(head_of(system), seed)}: was trained anew meanwhile; predict again")
        about["predict_seconds"] = round(seconds / len(tables), 1)
        about["wall_seconds"] = round(about["predict_seconds"] + about["training"]["train_seconds"], 1)
        write_run(folder(system, seed), df, about)
    if epochs:
        write_evolution(folder("weak_sup", evolve), epochs, bool(profile.generate))
    for reader in boxes:
        write_extent(folder("weak_sup", extent), reader.detections(), dataset, profile.layout == "coco")
    for reader in seen:
        reader.write(folder("weak_sup", views), sha256(folder("weak_sup", views) / "head.safetensors"))
    return [folder(*target) for target in targets]


def _checked_head(profile: Profile, system: str, folder: Path, features: Features) -> Adaptation | RegionClassifier:
    """The head in the folder of a run, if it is of this system, trunk and classes."""
    path = folder / "head.safetensors"
    head, about = load_classifier(path) if system == "rcnn" else load_head(path)
    check_head(path, about, features.trunk.name, features.trunk.weights_sha256, features.dataset.classes)
    check_settings(path, about, profile, system, about["seed"])
    read_log(folder)
    return head.to(features.trunk.device)


def _reader(
    profile: Profile, system: str, folder: Path, features: Features, proposals: Proposals | None
) -> HeadReader | RegionReader | GradCamReader:
    """What gives the predictions table of a system, with the head in `folder`."""
    head = _checked_head(profile, head_of(system), folder, features)
    match method_of(system):
        case "rcnn":
            return RegionReader(profile, features, proposals, head)
        case "grad_cam" | "grad_cam_plus_plus" | "layer_cam" as method:
            return GradCamReader(method, head, features)
        case "cam":
            return HeadReader(Tester(head, profile.system_settings(system).test_scales, "mean"), features)
        case "full_images":
            return HeadReader(Tester(head, ()), features)
    return HeadReader(Tester(head, profile.system_settings(system).test_scales), features)


def _view_reader(profile: Profile, folder: Path, features: Features) -> ViewReader:
    return ViewReader(Tester(_checked_head(profile, "weak_sup", folder, features), profile.test_scales), features)


def _extent_reader(profile: Profile, folder: Path, features: Features, proposals: Proposals) -> ExtentReader:
    if not len(features.dataset.boxes):
        raise StudyError(f"{features.dataset.name}: has no boxes to compare with; choose a split that has")
    sides = [side_at(s, profile.canvas) for s in profile.test_scales]
    return ExtentReader(features, _checked_head(profile, "weak_sup", folder, features), sides, proposals)


def training_code() -> str:
    """Hexadecimal sha256 over the code on which a head depends."""
    sha, here = hashlib.sha256(), Path(wsl.__file__).parent
    for path in sorted(path for name in TRAINING for path in [*here.glob(name), *here.glob(f"{name}/**/*.py")] if path.is_file()):
        sha.update(f"{path.relative_to(here)} {sha256(path)}\n".encode())
    return sha.hexdigest()


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
        "training": _shown(read_log(of_head)),
        "hardware": hardware(trunk),
        "software": {name: version(name) for name in ("torch", "timm", "openvino", "numpy") if find_spec(name)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _shown(log: dict) -> dict:
    """What a manifest says of a training."""
    return {key: value for key, value in log.items() if key not in CHECKED}


def _log_digest(log: dict) -> str:
    return hashlib.sha256(json.dumps({**log, "log_sha256": None}, sort_keys=True).encode()).hexdigest()


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

    Seed 0 of J on the default trunk, which pages show picture by picture, is kept as it is. All others are what
    `predictions.compact` makes of them; J on the default trunk with its `ALTERNATIVES`, for wsl/pages/sensitivity.py.
    """
    df, about = read_run(folder)
    about.pop("predictions_sha256", None)  # of the run's own file; the recorded one gets its own
    target = Path(results).joinpath(*folder.parts[-4:])
    target.mkdir(parents=True, exist_ok=True)
    main = about.get("system") == "weak_sup" and about.get("trunk") == Profile.trunk
    if not main or about.get("seed"):
        df = compact(df, alternatives=main)
    besides = ("evolution.csv", "discovery.csv", "evolution.safetensors", "extent.csv", "extent_samples.csv", *VIEW_FILES)
    for name in besides:
        if (folder / name).is_file():
            with whole_file(target / name) as temporary:
                shutil.copyfile(folder / name, temporary)
    write_run(target, df, about)  # last: its manifest says that all is there
    return target
