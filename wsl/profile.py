"""Profiles: what one run of the study reads, and with which settings. A TOML file holds only the differences."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import files
from pathlib import Path

from wsl.data import coco, voc
from wsl.data.dataset import Dataset
from wsl.errors import StudyError


@dataclass(frozen=True)
class Profile:
    """Settings of one run. Defaults are the study's; each comment gives the reason."""

    name: str
    title: str = ""  # what the book calls the data: samples and scenes are never called VOC 2012 or COCO 2014
    layout: str = "voc"  # "voc" or "coco": the official on-disk layout to read
    generate: dict | None = None  # scenes only: how many to draw, {"train": n, "val": n, "seed": k, "size": px}
    root: str | None = None  # folder of the data; scenes live below the runs folder
    year: str = "2012"
    train: str = "train"
    val: str = "val"
    trunk: str = "efficientnet_lite0"
    weights: str | None = None  # a local weights file in place of the packaged or downloaded ones
    convention: str | None = None  # what pixels that file expects: imagenet, caffe, lite
    canvas: int = 500  # Section 4: "largest side of size 500 pixels and zero-padded to 500x500"
    # Section 4 draws s from U(0.7, 1.4); a grid lets frozen features be computed once (D1). No cache: drawn freely
    train_scales: tuple[float, ...] = (0.7, 0.85, 1.0, 1.2, 1.4)
    test_scales: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)  # Section 4
    cache_features: bool = True
    hidden: int = 512  # the released script has 2048 (D2)
    kernel: int = 1
    pool: str = "max"
    dropout: float = 0.2  # the released script drops whole feature maps at 0.5; chosen on training images (D2)
    optimizer: str = "adamw"  # "sgd" is the paper's (0.001, momentum 0.9), "adagrad" its script's (D2)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    gains: tuple[float, float] = (0.3, 0.1)  # initial spread of Ca's and Cb's weights; the released script: 1 and 1 (D2)
    last_bias: float = -2.0  # most classes are absent from most images
    epochs: int = 20  # as in the released script
    batch: int = 16  # Section 4
    fraction: float = 1.0  # share of the training images that is used, in the same number of steps
    proposal_side: int = 300  # longest side of the picture in selective search, see wsl/systems/proposals.py
    proposals: int = 1000  # at most so many a picture
    seeds: tuple[int, ...] = (0,)
    systems: tuple[str, ...] = ("full_images", "weak_sup", "center", "weak_sup@train_s1", "weak_sup@test_s1")
    ablations: tuple[str, ...] = ()  # systems of the first seed only

    def dataset(self, split: str, runs: Path = Path("runs")) -> Dataset:
        """The data set of `split` ("train" or "val"), read from its official layout."""
        root = self.data_root(runs)
        name = self.train if split == "train" else self.val
        if self.layout == "voc":
            return voc.load(root, self.year, name)
        return coco.load(root / "annotations" / f"instances_{name}{self.year}.json", root / f"{name}{self.year}")

    def data_root(self, runs: Path = Path("runs")) -> Path:
        if self.generate:
            return Path(runs) / "data" / self.name
        if self.root is None:
            raise StudyError(f"profile {self.name}: no data root; give --{self.layout}-root FOLDER")
        return Path(self.root)

    def targets(self) -> list[tuple[str, int]]:
        """(system, seed) of every run."""
        return [(s, k) for s in self.systems for k in self.seeds] + [(s, self.seeds[0]) for s in self.ablations]

    def system_settings(self, system: str) -> Profile:
        """The profile with the differences that the changes of `weak_sup@<what>` make."""
        changes = check_system(system).split("@")[1:]
        return replace(self, **{key: value for change in changes for key, value in CHANGES[change].items()})

    def values(self) -> dict:
        """The settings that a run's numbers depend on; no folder of this machine."""
        others = ("name", "title", "root", "weights", "seeds", "systems", "ablations")
        return {k: v for k, v in asdict(self).items() if k not in others}


SCRIPT = {"dropout": 0.5, "hidden": 2048, "gains": (1.0, 1.0), "last_bias": 0.0}  # the released script's head
# A system's name is its kind, then any number of changes: weak_sup, weak_sup@mean, masked_pool@n10, center@train_s1@n10
CHANGES: dict[str, dict] = {
    "train_s1": {"train_scales": (1.0,)},
    "test_s1": {"test_scales": (1.0,)},
    "s1": {"train_scales": (1.0,), "test_scales": (1.0,)},
    "test_wide": {"test_scales": (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)},
    "test_fine": {"test_scales": (0.5, 0.6, 0.7, 0.84, 1.0, 1.19, 1.4, 1.68, 2.0, 2.37, 2.8)},
    "3x3": {"kernel": 3},
    "mean": {"pool": "mean"},
    "lse": {"pool": "lse"},
    "topk": {"pool": "topk"},
    **{f"n{percent}": {"fraction": percent / 100} for percent in (5, 10, 25, 50)},
    "sgd": {"optimizer": "sgd", "weight_decay": 0.0, **SCRIPT},
    "adagrad": {"optimizer": "adagrad", "weight_decay": 5e-4, **SCRIPT},
}
TRAINED = ("full_images", "weak_sup", "masked_pool", "masked_pool_outside", "object_patches", "rcnn")
SYSTEMS = (*TRAINED, "center")


def kind_of(system: str) -> str:
    """What a system is before its changes: "weak_sup@mean" -> "weak_sup"."""
    return system.partition("@")[0]


def check_system(system: str) -> str:
    """`system`, if there is such a one. R-CNN* has settings of its own (wsl/systems/rcnn.py), which no change touches."""
    kind, *changes = system.split("@")
    if kind not in SYSTEMS or not set(changes) <= set(CHANGES) or (kind == "rcnn" and changes):
        raise StudyError(
            f"system {system!r} is unknown; choose one of {', '.join(SYSTEMS)}, and all but rcnn with changes, "
            f"SYSTEM@CHANGE, of {', '.join(CHANGES)}"
        )
    return system


def scores_of(system: str) -> str:
    """The system whose scores `system` has: the centre baseline keeps those of weak supervision."""
    return "@".join("weak_sup" if part == "center" else part for part in system.split("@"))


def head_of(system: str) -> str:
    """The system whose trained head `system` uses: testing variants and the centre baseline train nothing."""
    return "@".join(part for part in scores_of(system).split("@") if not part.startswith("test_"))


def profile_names() -> list[str]:
    return sorted(p.name.removesuffix(".toml") for p in files("wsl.profiles").iterdir() if p.name.endswith(".toml"))


def load_profile(name: str, **changes: object) -> Profile:
    """A profile by name, or from a TOML file; `changes` that are not None win (data root, trunk, weights, ...)."""
    path = Path(name) if name.endswith(".toml") else files("wsl.profiles") / f"{name}.toml"
    if not path.is_file():
        raise StudyError(f"profile {name!r} is unknown; choose one of {', '.join(profile_names())}, or name a .toml file")
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not valid TOML ({error}); mend the line") from None
    known = {f.name: f.type for f in fields(Profile)}
    for key, value in values.items():
        if key not in known or key == "name":
            raise StudyError(f"{path}: unknown key {key!r}; the keys are {', '.join(k for k in known if k != 'name')}")
        if isinstance(value, list):
            values[key] = tuple(value)
    values |= {key: value for key, value in changes.items() if value is not None}
    profile = Profile(name=Path(name).stem, **values)
    _check(profile, path)
    return profile


def _check(profile: Profile, path: Path) -> None:
    def positive(*values: object) -> bool:
        return all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in values)

    rules = {
        "layout": profile.layout in ("voc", "coco"),
        "canvas": isinstance(profile.canvas, int) and 64 <= profile.canvas <= 4096,
        "train_scales": isinstance(profile.train_scales, tuple) and profile.train_scales and positive(*profile.train_scales),
        "test_scales": isinstance(profile.test_scales, tuple) and profile.test_scales and positive(*profile.test_scales),
        "hidden": isinstance(profile.hidden, int) and positive(profile.hidden),
        "kernel": profile.kernel in (1, 3),
        "pool": profile.pool in ("max", "mean", "lse", "topk"),
        "gains": isinstance(profile.gains, tuple) and len(profile.gains) == 2 and positive(*profile.gains),
        "optimizer": profile.optimizer in ("adamw", "sgd", "adagrad"),
        "learning_rate": positive(profile.learning_rate),
        "epochs": isinstance(profile.epochs, int) and positive(profile.epochs),
        "fraction": positive(profile.fraction) and profile.fraction <= 1,
        "batch": isinstance(profile.batch, int) and positive(profile.batch),
        "proposal_side": isinstance(profile.proposal_side, int) and profile.proposal_side >= 32,
        "proposals": isinstance(profile.proposals, int) and positive(profile.proposals),
        "dropout": isinstance(profile.dropout, int | float) and 0 <= profile.dropout < 1,
        "seeds": isinstance(profile.seeds, tuple) and profile.seeds and all(isinstance(s, int) and s >= 0 for s in profile.seeds),
        "systems": isinstance(profile.systems, tuple),
        "ablations": isinstance(profile.ablations, tuple),
    }
    for key, valid in rules.items():
        if not valid:
            raise StudyError(f"{path}: {key} = {getattr(profile, key)!r} is not possible; see `wsl/profile.py` for its meaning")
    for system in (*profile.systems, *profile.ablations):
        try:
            check_system(str(system))
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from None
