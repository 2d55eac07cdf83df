"""From run folders to numbers with their uncertainty. No HTML: tables, links and sentences are in `wsl.pages`.

`results/` holds recorded runs, `runs/` those made here. Nothing here needs images or torch.

Numbers: a value is the mean over seeds of each seed's value. Its 95% interval is the bootstrap over test
images of that same mean (`wsl.evaluation.metrics.interval`): in each of 1,000 resamples the images drawn are the same
for every seed. The spread over seeds (lowest to highest) stands beside it. A difference of two systems uses
the same resamples for both.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.evaluation.detection import REPORTED
from wsl.evaluation.evaluate import TOLERANCE, from_table
from wsl.evaluation.runs import GENERATED, Run, find_runs, read_run, run_folder

RESAMPLES = 1000
PERCENTS = (5, 10, 25, 50)  # shares of the training images on which systems `...@n<percent>` train
METHODS = {
    "full_images": "full images",
    "masked_pool": "masked pooling",
    "masked_pool_outside": "masked pooling with outside penalty",
    "weak_sup": "weak supervision",
    "center": "center prediction",
    "rcnn": "R-CNN*",
    "object_patches": "object patches",
    "weak_sup@train_s1": "weak supervision, trained at one scale",
    "weak_sup@test_s1": "weak supervision, tested at one scale",
    "weak_sup@s1": "weak supervision, one scale throughout",
    "weak_sup@test_wide": "weak supervision, wider search over test scales",
    "weak_sup@test_fine": "weak supervision, finer search over test scales",
    "weak_sup@3x3": "weak supervision, 3×3 adaptation layers",
    "weak_sup@sgd": "weak supervision, the paper's SGD",
    "weak_sup@adagrad": "weak supervision, the script's AdaGrad",
    "weak_sup@mean": "weak supervision, mean pooling",
    "weak_sup@lse": "weak supervision, log-sum-exp pooling",
    "weak_sup@topk": "weak supervision, mean of the best cells",
}


# ---------------------------------------------------------------- one system on one data set


@dataclass(frozen=True)
class Measure:
    """One metric of one system over its seeds, 0..1."""

    value: float
    low: float  # 95% bootstrap interval over test images
    high: float
    seeds: tuple[float, ...]
    classes: pd.DataFrame  # by class: ap, low, high
    samples: np.ndarray  # (RESAMPLES,) the mean over seeds and classes in each resample
    class_samples: np.ndarray  # (RESAMPLES, K)


@dataclass(frozen=True)
class Result:
    """A system on a data set: all its seeds."""

    runs: tuple[Run, ...]
    source: str  # of `wsl.evaluation.runs`: generated or photographs
    title: str  # what the data are called
    n_images: int
    classification: Measure
    location: Measure | None  # None where the system predicts no location

    @property
    def run(self) -> Run:
        """The first seed's: where its numbers link to."""
        return self.runs[0]

    @property
    def data(self) -> str:
        """ "VOC 2007 sample, 1,312 photographs"."""
        return f"{self.title}, {self.n_images:,} {'generated images' if self.source == GENERATED else 'photographs'}"


@dataclass(frozen=True)
class Column:
    """One of our own columns: where its runs lie."""

    root: str
    profile: str
    trunk: str

    def runs(self, system: str = "") -> list[Run]:
        return find_runs(self.root, self.profile, self.trunk, system)

    def folder(self, system: str, seed: int = 0) -> Path:
        return run_folder(self.root, self.profile, self.trunk, system, seed)

    @property
    def source(self) -> str:
        """Generated or photographs, as the runs say; "" where there is none to say it."""
        return runs[0].source if (runs := self.runs()) else ""

    @property
    def title(self) -> str:
        """What the runs call their data; where there is none, the profile's name and nothing more."""
        return runs[0].title if (runs := self.runs()) else f"profile {self.profile}"

    def load(self, system: str) -> Result | None:
        """The system's seeds with intervals, or None where no run exists."""
        return load(self.root, self.profile, self.trunk, system)

    def load_pair(self, a: str, b: str) -> tuple[Result, Result] | None:
        return load_pair(self.root, self.profile, self.trunk, a, b)


def load(root, profile: str, trunk: str, system: str) -> Result | None:
    """The system's seeds with intervals, or None where no run exists."""
    runs = find_runs(root, profile, trunk, system)
    return _result(tuple(runs)) if runs else None


def load_pair(root, profile: str, trunk: str, a: str, b: str) -> tuple[Result, Result] | None:
    """Both systems on the seeds that they have in common (all seeds if none is), or None where one has no run."""
    x, y = find_runs(root, profile, trunk, a), find_runs(root, profile, trunk, b)
    if not x or not y:
        return None
    shared = {run.seed for run in x} & {run.seed for run in y}
    return tuple(_result(tuple(run for run in runs if run.seed in shared or not shared)) for runs in (x, y))


@cache
def _result(runs: tuple[Run, ...]) -> Result:
    scored = [from_table(read_run(r.folder)[0], source=str(r.folder)) for r in runs]
    classes, n_images = scored[0].classes, len(scored[0].images)
    hits = [s.hits(TOLERANCE) for s in scored]
    resamples = [metrics.bootstrap(s.scores, s.labels, h, RESAMPLES) for s, h in zip(scored, hits, strict=True)]
    values = [metrics.per_class(s.scores, s.labels) for s in scored]
    classification = _measure(values, [r.ap for r in resamples], classes)
    location = None
    if all(h is not None for h in hits):
        values = [metrics.per_class(s.scores, s.labels, h) for s, h in zip(scored, hits, strict=True)]
        location = _measure(values, [r.location_ap for r in resamples], classes)
    return Result(runs, runs[0].source, runs[0].title, n_images, classification, location)


def _measure(values: list[np.ndarray], samples: list[np.ndarray], classes: tuple[str, ...]) -> Measure:
    """From each seed's AP by class (K,) and its resamples (B, K) to their means over seeds."""
    ap, by_class = np.mean(values, axis=0), np.mean(samples, axis=0)
    low, high = (end.clip(0, 1) for end in metrics.interval(by_class, ap))
    table = pd.DataFrame({"ap": ap, "low": low, "high": high}, index=pd.Index(classes, name="class"))
    value, means = metrics.mean(ap), metrics.mean(by_class)
    low, high = np.clip(metrics.ends(means, value), 0, 1)
    return Measure(value, low, high, tuple(metrics.mean(v) for v in values), table, means, by_class)


def difference(a: Result, b: Result, metric: str = "classification") -> dict:
    """a minus b in percentage points with its paired 95% interval, over all classes and by class."""
    x, y = getattr(a, metric), getattr(b, metric)
    gain = 100 * (x.classes["ap"] - y.classes["ap"])
    low, high = metrics.interval(100 * (x.class_samples - y.class_samples), gain.to_numpy())
    value = 100 * (x.value - y.value)
    total = metrics.ends(100 * (x.samples - y.samples), value)
    classes = pd.DataFrame({"gain": gain, "low": low, "high": high}, index=gain.index)
    return {"value": value, "low": total[0], "high": total[1], "classes": classes}


def simultaneous(x: Measure, y: Measure) -> tuple[pd.Series, np.ndarray]:
    """Gain in AP of each class from y to x, points, and how far its 95% interval reaches, all classes at once (Bonferroni)."""
    gain = 100 * (x.classes["ap"] - y.classes["ap"]).dropna()
    spread = 100 * np.nanstd((x.class_samples - y.class_samples)[:, ~np.isnan(x.classes["ap"])], axis=0)
    return gain, NormalDist().inv_cdf(1 - 0.025 / len(gain)) * spread


def drops(result: Result) -> pd.Series:
    """Classification AP minus location AP by class, points, the largest first; empty without locations."""
    if result.location is None:
        return pd.Series(dtype=float)
    drop = 100 * (result.classification.classes["ap"] - result.location.classes["ap"])
    return drop.dropna().sort_values(ascending=False, kind="stable")


# ---------------------------------------------------------------- Figure 1's curves


def evolution(column: Column, seed: int = 0) -> pd.DataFrame | None:
    """mAP and location mAP after each epoch (columns epoch, classification, location), or None."""
    path = column.folder("weak_sup", seed) / "evolution.csv"
    if not path.is_file():
        return None
    means = pd.read_csv(path).groupby("epoch")[["ap", "location_ap"]].mean().reset_index()
    return means.rename(columns={"ap": "classification", "location_ap": "location"})


def discovery_rows(column: Column, seed: int = 0) -> pd.DataFrame | None:
    """discovery.csv as it is: image, class, appearance ("" unknown), epoch (NaN: never found); None if absent."""
    path = column.folder("weak_sup", seed) / "discovery.csv"
    if not path.is_file():
        return None
    return pd.read_csv(path, dtype={"image": str, "class": str}).fillna({"appearance": ""})


def discovery(column: Column, seed: int = 0) -> dict[str, pd.Series] | None:
    """Share of objects found for good by each epoch, by appearance ("all objects" where none is told)."""
    found = discovery_rows(column, seed)
    if found is None:
        return None
    curves = evolution(column, seed)
    last = int(curves["epoch"].max() if curves is not None else found["epoch"].max())
    epochs = pd.RangeIndex(last + 1)
    groups = found.groupby("appearance")
    known = {name: group for name, group in groups if name in ("usual", "unusual")} or {"all objects": found}
    return {
        f"{name} ({len(group):,})": pd.Series([(group["epoch"] <= e).mean() for e in epochs], index=epochs)
        for name, group in sorted(known.items(), reverse=True)
    }


def discovery_epochs(column: Column, seed: int = 0) -> pd.DataFrame | None:
    """By appearance: number of objects, share ever found, median epoch of discovery among those found."""
    found = discovery_rows(column, seed)
    if found is None:
        return None
    other = "usual and unusual in one picture" if (found["appearance"] != "").any() else "all objects"
    found = found.replace({"appearance": {"": other}})
    by = found.groupby("appearance")["epoch"]
    return pd.DataFrame({"objects": by.size(), "found": by.count() / by.size(), "median_epoch": by.median()})


def epoch_of_half(curve: pd.DataFrame, metric: str) -> int:
    """First epoch that reaches half of the final value."""
    return int(curve["epoch"][curve[metric] >= curve[metric].iloc[-1] / 2].iloc[0])


# ---------------------------------------------------------------- the extent of objects, as detections


def detection_ap(column: Column, scoring: str = REPORTED, definition: str = "ap", seed: int = 0) -> pd.DataFrame | None:
    """Detection AP (0..1) by class (rows) and IoU threshold (columns, float), from extent.csv; None if absent.

    scoring: of a proposal, one of `wsl.evaluation.detection.SCORINGS`. definition: "ap" (VOC devkit) or "ap_coco" (COCOeval).
    """
    path = column.folder("weak_sup", seed) / "extent.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"class": str})
    if missing := {"how", "iou", "class", "ap", "ap_coco"} - set(table):
        raise StudyError(f"{path}: lacks the column {min(missing)!r}; make it again with `wsl extent`")
    table = table[table["how"] == scoring].assign(iou=table["iou"].round(4))
    return table.pivot(index="class", columns="iou", values=definition)


def detection_map(column: Column, scoring: str = REPORTED, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Detection mAP (0..1) by threshold, columns value, low, high, and resamples of it by threshold; None if absent.

    Intervals are there where resamples are: at the paper's thresholds.
    """
    table = detection_ap(column, scoring, seed=seed)
    if table is None:
        return None
    samples = pd.read_csv(column.folder("weak_sup", seed) / "extent_samples.csv")
    samples = samples[samples["how"] == scoring].drop(columns="how").rename(columns=lambda name: round(float(name), 4))
    means = pd.DataFrame({"value": table.mean(), "low": np.nan, "high": np.nan})
    interval = metrics.interval(samples.to_numpy(), means.loc[samples.columns, "value"].to_numpy())
    means.loc[samples.columns, ["low", "high"]] = np.clip(interval, 0, 1).T
    return means, samples


def share_left(means: pd.DataFrame, samples: pd.DataFrame) -> tuple[float, np.ndarray]:
    """mAP at IoU 0.5 as a percentage of that at 0.1 (NaN where that is 0), and its resamples."""
    loose, strict = (means.loc[t, "value"] for t in (0.1, 0.5))
    share = 100 * strict / loose if loose else np.nan
    return share, (100 * samples[0.5] / samples[0.1].clip(1e-9)).to_numpy()
