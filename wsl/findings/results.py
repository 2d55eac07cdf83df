"""From run folders to numbers with their uncertainty. No HTML: tables, links and sentences are in `wsl.pages`.

`results/` holds recorded runs, `runs/` those made here. Nothing here needs images or torch.

Numbers: a value is the mean over seeds of each seed's value. Its 95% interval is the bootstrap over test
images of that same mean (`wsl.evaluation.metrics.interval`): in each of 1,000 resamples the images drawn are the same
for every seed. The spread over seeds (lowest to highest) stands beside it. A difference of two systems is that of
`wsl.evaluation.evaluate.paired_difference`, which refuses what was not made on the same images, classes, labels and seeds.
"""

import functools
import hashlib
import inspect
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from wsl import cache
from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.evaluation.detection import REPORTED
from wsl.evaluation.evaluate import Difference, Measure, Scored, from_table, measures, paired_difference
from wsl.evaluation.metrics import Resamples
from wsl.evaluation.runs import GENERATED, Run, find_runs, read_run, run_folder

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
    "full_images_map": "full images, the head on every cell",
    "full_images_map@test_s1": "full images, the head on every cell at one scale",
    "cam": "CAM: mean pooling in training and testing",
    "grad_cam": "Grad-CAM of full images",
    "grad_cam_plus_plus": "Grad-CAM++ of full images",
    "layer_cam": "LayerCAM of full images",
}


# ---------------------------------------------------------------- one system on one data set


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

    def load_pair(self, a: str, b: str, *others: str) -> tuple[Result, ...] | None:
        return load_pair(self.root, self.profile, self.trunk, a, b, *others)


def load(root, profile: str, trunk: str, system: str) -> Result | None:
    """The system's seeds with intervals, or None where no run exists."""
    runs = _runs_on_the_same_data(root, profile, trunk)
    return _result(own) if (own := tuple(run for run in runs if run.system == system)) else None


def load_pair(root, profile: str, trunk: str, *systems: str) -> tuple[Result, ...] | None:
    """Two systems or more on the seeds that all have in common, or None where they have none."""
    runs = _runs_on_the_same_data(root, profile, trunk)
    seeds = [{run.seed for run in runs if run.system == system} for system in systems]
    shared = set.intersection(*seeds)
    if not shared:
        return None
    return tuple(_result(tuple(run for run in runs if run.system == system and run.seed in shared)) for system in systems)


def trunks(root, profile: str) -> list[str]:
    """The trunks that a profile was run with, below `root`."""
    return sorted({run.trunk for run in find_runs(root, profile)})


def runs_on(root, digest: str) -> dict[tuple[str, str], list[Run]]:
    """The runs below `root` whose test data have this digest (`Dataset.digest`), by system and trunk, as `METHODS` lists them."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in find_runs(root):
        if (run.manifest.get("data") or {}).get("digest") == digest:
            found.setdefault((run.system, run.trunk), []).append(run)
    order = list(METHODS)
    return dict(sorted(found.items(), key=lambda one: order.index(one[0][0]) if one[0][0] in order else len(order)))


def _runs_on_the_same_data(root, profile: str, trunk: str) -> tuple[Run, ...]:
    runs = tuple(find_runs(root, profile, trunk))
    _check_data(runs)
    return runs


@functools.cache
def _check_data(runs: tuple[Run, ...]) -> None:
    """Runs that stand side by side must have one source and one test set: an older one on other data is to be made again."""
    told = [(run, run.manifest) for run in runs]
    if not told:
        return
    newest, reference = max(told, key=lambda one: one[1].get("created") or "")
    for run, manifest in told:
        for what, mine, its in (
            ("test data", *((m.get("data") or {}).get("digest") for m in (manifest, reference))),
            ("source", run.source, newest.source),
        ):
            if mine != its:
                raise StudyError(f"{run.folder}: its {what} are not those of {newest.folder}; make {run.folder} again")


@functools.cache
def _result(runs: tuple[Run, ...]) -> Result:
    tables = scored(runs)
    n_images = len(tables[runs[0].seed].images)
    return Result(runs, runs[0].source, runs[0].title, n_images, *measures(tables, bootstrap=kept_bootstrap))


def scored(runs: Iterable[Run], ranking: str = "score", mapping: str = "stretch") -> dict[int, Scored]:
    """Each seed's table of a system, laid out; `ranking` and `mapping` as in `wsl.evaluation.evaluate.from_table`."""
    return {run.seed: from_table(read_run(run.folder)[0], ranking, mapping, source=str(run.folder)) for run in runs}


def kept_bootstrap(
    scores: np.ndarray, labels: np.ndarray, hits: np.ndarray | None, n: int, seed: int, definition: str
) -> Resamples:
    """`metrics.bootstrap` from the cache, where it is kept for the next page of the book that shows the run."""
    arrays = [scores, labels] if hits is None else [scores, labels, hits]
    about = [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]
    name = "bootstrap-" + cache.key(inspect.getsource(metrics), repr((scores.shape, n, seed, definition)), *about)
    if (kept := cache.load(name)) is None:
        drawn = metrics.bootstrap(scores, labels, hits, n, seed, definition)
        kept = np.stack([part for part in drawn if part is not None]).tobytes()
        cache.keep(name, kept)
    ap, *location = np.frombuffer(kept).reshape(-1, n, scores.shape[1])
    return Resamples(ap, location[0] if location else None)


def difference(a: Result, b: Result, metric: str = "classification") -> Difference:
    """a minus b in percentage points with its paired 95% interval, over all classes and by class."""
    return paired_difference(getattr(a, metric), getattr(b, metric)).in_points()


def simultaneous(d: Difference) -> tuple[pd.Series, np.ndarray]:
    """Gain of each class and how far its 95% interval reaches, all classes at once (Bonferroni)."""
    gain = d.classes["gain"].dropna()
    spread = np.nanstd(d.class_samples[:, d.classes["gain"].notna()], axis=0)
    return gain, NormalDist().inv_cdf(1 - 0.025 / len(gain)) * spread


def trained_on(column: Column, system: str = "weak_sup") -> int | None:
    """The number of training images of a system, or None where no run tells it."""
    runs = column.runs(system)
    return (runs[0].manifest.get("training") or {}).get("n_train") if runs else None


def location_loss(result: Result) -> Difference | None:
    """Classification minus location, in percentage points, on the same runs; None without locations."""
    return paired_difference(result.classification, result.location).in_points() if result.location else None


def drops(result: Result) -> pd.Series:
    """Classification AP minus localization AP by class, points, the largest first; empty without locations."""
    lost = location_loss(result)
    return pd.Series(dtype=float) if lost is None else lost.classes["gain"].dropna().sort_values(ascending=False, kind="stable")


# ---------------------------------------------------------------- Figure 1's curves


def evolution(column: Column, seed: int = 0) -> pd.DataFrame | None:
    """mAP and localization mAP after each epoch (columns epoch, classification, location), or None."""
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


def discovery(column: Column, seed: int = 0) -> dict[str, pd.DataFrame] | None:
    """Share (0..1) of objects discovered by each epoch with its 95% interval, by appearance ("all objects": none is told).

    One minus the Kaplan-Meier estimate of survival, with Greenwood's interval: an object that is not discovered when
    training ends is censored then, for no more is known than that it would take longer. Columns share, low, high; index epoch.
    """
    from scipy.stats import CensoredData, ecdf

    found = discovery_rows(column, seed)
    if found is None:
        return None
    evolved = evolution(column, seed)
    last = int(evolved["epoch"].max() if evolved is not None else found["epoch"].max())
    epochs = pd.RangeIndex(last + 1)
    groups = found.groupby("appearance")
    known = {name: group for name, group in groups if name in ("usual", "unusual")} or {"all objects": found}
    curves = {}
    for name, group in sorted(known.items(), reverse=True):
        missed = int(group["epoch"].isna().sum())
        share = ecdf(CensoredData(uncensored=group["epoch"].dropna(), right=np.full(missed, last))).cdf
        with warnings.catch_warnings(action="ignore"):  # the interval has no width where all, or none, are discovered: NaN
            ends = share.confidence_interval()
        table = pd.DataFrame({"share": share.evaluate(epochs)}, index=epochs)
        table[["low", "high"]] = np.stack([end.evaluate(epochs) for end in (ends.low, ends.high)], axis=-1)
        curves[f"{name} ({len(group):,})"] = table.fillna({"low": table["share"], "high": table["share"]})
    return curves


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
