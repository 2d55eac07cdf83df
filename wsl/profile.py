"""Profiles: what one run of the study reads, and with which settings. A TOML file holds only the differences."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from wsl.data import coco, voc
from wsl.data.dataset import Dataset
from wsl.data.geometry import side_at
from wsl.errors import StudyError
from wsl.files import check_regular
from wsl.schema import STRICT, Scales, Seed, Side, TrunkName, check_inputs, in_words

# ---- systems: a name is a method, then any number of changes: weak_sup, weak_sup@mean, masked_pool@n10, center@train_s1@n10

SCRIPT = {"dropout": 0.5, "hidden": 2048, "gains": (1.0, 1.0), "last_bias": 0.0}  # the released script's head
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
# Which settings a method honours: a change of any other would be dropped in silence, so it is refused.
RECIPE = {"fraction", "optimizer", "weight_decay", *SCRIPT}
SEARCH = RECIPE | {"train_scales", "test_scales"}
HONOURED: dict[str, set[str]] = {
    "full_images": RECIPE,  # the whole picture at one size, one cell: no scales, nothing to pool
    "weak_sup": SEARCH | {"kernel", "pool"},
    "masked_pool": SEARCH | {"kernel"},  # the mask says where the maximum may lie
    "masked_pool_outside": SEARCH | {"kernel"},
    "object_patches": SEARCH,  # its cells come from different pictures: no neighbours to convolve, nothing to pool
    "rcnn": set(),  # has settings of its own, see wsl/systems/rcnn.py
    "center": SEARCH | {"kernel", "pool"},
    # methods since the paper; the last three are in wsl/systems/gradcam.py
    "full_images_map": RECIPE | {"test_scales"},  # the head of FULL IMAGES on every cell
    "cam": set(),  # Zhou et al. 2016: trained and scored by the mean over cells, at one scale in testing
    "grad_cam": RECIPE,
    "grad_cam_plus_plus": RECIPE,
    "layer_cam": RECIPE,
}
# Methods that train no head of their own -> whose they use; and what they set themselves.
HEADS = {"cam": "weak_sup@mean"}
HEADS |= dict.fromkeys(("full_images_map", "grad_cam", "grad_cam_plus_plus", "layer_cam"), "full_images")
FIXED = {"cam": CHANGES["mean"] | CHANGES["test_s1"]}


def method_of(system: str) -> str:
    """What a system is before its changes: "weak_sup@mean" -> "weak_sup"."""
    return system.partition("@")[0]


def check_system(system: str) -> str:
    """`system`, if there is such a one and it honours each of its changes."""
    method, *changes = system.split("@")
    if method not in HONOURED or not set(changes) <= set(CHANGES):
        raise StudyError(
            f"system {system!r} is unknown; choose one of {', '.join(HONOURED)}, and all but rcnn with changes, "
            f"SYSTEM@CHANGE, of {', '.join(CHANGES)}"
        )
    changed: set[str] = set()
    for change in changes:
        if not set(CHANGES[change]) <= HONOURED[method]:
            honoured = [f"@{name}" for name, settings in CHANGES.items() if set(settings) <= HONOURED[method]]
            raise StudyError(f"system {system!r}: {method} does not honour @{change}; it honours {', '.join(honoured) or 'none'}")
        if both := changed & set(CHANGES[change]):
            raise StudyError(f"system {system!r}: @{change} sets {min(both)} a second time; keep one of the changes that do")
        changed |= set(CHANGES[change])
    return system


def scores_of(system: str) -> str:
    """The system whose scores `system` has: the centre baseline keeps those of weak supervision."""
    return "@".join("weak_sup" if part == "center" else part for part in system.split("@"))


def head_of(system: str) -> str:
    """The system whose trained head `system` uses: testing variants, the centre baseline and HEADS train nothing."""
    parts = scores_of(system).split("@")
    return "@".join(HEADS.get(part, part) for part in parts if not part.startswith("test_"))


# ---- profiles

Count = Annotated[int, Field(gt=0, le=1_000_000)]
Positive = Annotated[float, Field(gt=0)]
System = Annotated[str, AfterValidator(check_system)]


@dataclass(frozen=True, config=STRICT)
class Generate:
    """How many scenes to draw, from which seed, and their longest side in pixels."""

    train: Count
    val: Count
    seed: Seed
    size: Side


def _generate(value: object) -> object:
    """A TOML table as `Generate`."""
    if isinstance(value, dict):
        return Generate(**value)
    if value is None or isinstance(value, Generate):
        return value
    raise ValueError("expected { train = N, val = N, seed = K, size = PIXELS }")


@dataclass(frozen=True, config=STRICT)
class Profile:
    """Settings of one run. Defaults are the study's; each comment gives the reason."""

    name: str
    title: str = ""  # what the book calls the data: samples and scenes are never called VOC 2012 or COCO 2014
    layout: Literal["voc", "coco"] = "voc"  # the official on-disk layout to read
    generate: Annotated[Generate | None, BeforeValidator(_generate)] = None  # scenes only: what to draw
    root: str | None = None  # folder of the data; scenes live below the runs folder
    year: str = "2012"
    train: str = "train"
    val: str = "val"
    trunk: TrunkName = "efficientnet_lite0"
    weights: str | None = None  # a local weights file in place of the packaged or downloaded ones
    convention: str | None = None  # what pixels that file expects: imagenet, caffe, lite
    canvas: Side = 500  # Section 4: "largest side of size 500 pixels and zero-padded to 500x500"
    # Section 4 draws s from U(0.7, 1.4); a grid lets frozen features be computed once (D1). No cache: drawn freely
    train_scales: Scales = (0.7, 0.85, 1.0, 1.2, 1.4)
    test_scales: Scales = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)  # Section 4
    cache_features: bool = True
    hidden: Count = 512  # the released script has 2048 (D2)
    kernel: int = 1  # of Ca and Cb; the released script has 3
    pool: Literal["max", "mean", "lse", "topk"] = "max"
    # The released script drops whole feature maps at 0.5; chosen on training images (D2)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    # "sgd" is the paper's (0.001, momentum 0.9), "adagrad" its script's (D2)
    optimizer: Literal["adamw", "sgd", "adagrad"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    gains: tuple[Positive, Positive] = (0.3, 0.1)  # initial spread of Ca's and Cb's weights; the released script: 1 and 1 (D2)
    last_bias: float = -2.0  # most classes are absent from most images
    epochs: Count = 20  # as in the released script
    batch: Count = 16  # Section 4
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of the training images used, in the same number of steps
    proposal_side: Side = 300  # longest side of the picture in selective search, see wsl/systems/proposals.py
    proposals: Count = 1000  # at most so many a picture
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    systems: Annotated[tuple[System, ...], Field(min_length=1)] = (
        "full_images", "weak_sup", "center", "weak_sup@train_s1", "weak_sup@test_s1"
    )  # fmt: skip
    ablations: tuple[System, ...] = ()  # systems of the first seed only

    @model_validator(mode="after")
    def _agree(self) -> Profile:
        """What one field alone cannot tell."""
        if self.kernel not in (1, 3):
            raise ValueError(f"kernel = {self.kernel} is not possible; choose 1 or 3")
        check_inputs(self.canvas, self.train_scales + self.test_scales)
        targets = self.targets()
        if twice := next((t for n, t in enumerate(targets) if t in targets[:n]), None):
            raise ValueError("systems, ablations and seeds name {}/{} twice; name each run once".format(*twice))
        return self

    @property
    def source(self) -> str:
        """What the data are: "generated" scenes or "photographs"."""
        return "generated" if self.generate else "photographs"

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
        return Path(self.root).expanduser()

    def targets(self) -> list[tuple[str, int]]:
        """(system, seed) of every run."""
        return [(s, k) for s in self.systems for k in self.seeds] + [(s, self.seeds[0]) for s in self.ablations]

    def system_settings(self, system: str) -> Profile:
        """The profile with the differences that the changes of `weak_sup@<what>` make."""
        method, *changes = check_system(system).split("@")
        settings = [FIXED.get(method, {}), *(CHANGES[change] for change in changes)]
        try:
            return replace(self, **{key: value for some in settings for key, value in some.items()})
        except ValidationError as error:
            raise StudyError(f"system {system!r}: {in_words(error)}") from None

    def feature_sides(self, systems: Iterable[str]) -> list[int | None]:
        """All input sides on which `systems` train; None is the warped whole picture."""
        sides: set[int | None] = {side_at(1.0, self.canvas)}
        for system in systems:
            scales = self.system_settings(system).train_scales
            sides |= {None} if method_of(head_of(system)) == "full_images" else {side_at(s, self.canvas) for s in scales}
        return sorted(sides, key=lambda side: side or 0)

    def values(self) -> dict:
        """The settings that a run's numbers depend on; no folder of this machine."""
        others = ("name", "title", "root", "weights", "seeds", "systems", "ablations")
        return {k: v for k, v in asdict(self).items() if k not in others}


def profile_names() -> list[str]:
    return sorted(p.name.removesuffix(".toml") for p in files("wsl.profiles").iterdir() if p.name.endswith(".toml"))


def load_profile(name: str, **changes: object) -> Profile:
    """A profile by name, or from a TOML file; `changes` that are not None win (data root, trunk, weights, ...)."""
    path = Path(name).expanduser() if name.endswith(".toml") else files("wsl.profiles") / f"{name}.toml"
    if not path.is_file():
        raise StudyError(f"profile {name!r} is unknown; choose one of {', '.join(profile_names())}, or name a .toml file")
    check_regular(path, "name a profile")
    try:
        values = tomllib.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise StudyError(f"{path}: not valid TOML ({error}); mend the line") from None
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    values |= {key: value for key, value in changes.items() if value is not None}
    try:
        if "name" in values:
            raise StudyError("unknown key 'name'; a profile is called as its file is")
        return _honoured(Profile(name=Path(name).stem, **values))
    except ValidationError as error:
        raise StudyError(f"{path}: {_in_words(error)}") from None
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None


def _honoured(profile: Profile) -> Profile:
    """`profile`, if its systems honour its kernel and its pooling, as far as they have a score map."""
    if profile.fraction < 1 and "rcnn" in dict(profile.targets()):
        raise StudyError(f"fraction = {profile.fraction!r} is not honoured by rcnn; leave one of the two out")
    for method in map(method_of, dict(profile.targets())):
        if method not in ("full_images", "rcnn"):
            check_honoured(method, profile)
    return profile


def check_honoured(method: str, settings: Profile) -> None:
    """Refuse a kernel or a pooling that a system would drop."""
    for key, default in (("kernel", 1), ("pool", "max")):
        if key not in HONOURED[method] and (value := getattr(settings, key)) != default:
            raise StudyError(f"{key} = {value!r} is not honoured by {method}; leave one of the two out")


def _in_words(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, as key, value and remedy in one line."""
    found = error.errors(include_url=False)[0]
    key = ".".join(map(str, found["loc"]))
    if found["type"] == "unexpected_keyword_argument":
        known = ", ".join(f.name for f in fields(Generate if "." in key else Profile) if f.name != "name")
        return f"unknown key {key!r}; the keys are {known}"
    return in_words(error, "see wsl/profile.py for its meaning")
