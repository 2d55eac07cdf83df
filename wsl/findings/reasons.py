"""Where a claim does not hold: what more training images would change, which differences the test images resolve, and whether
the size of objects explains what boxes add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special  # not stats, whose import takes half a second of every page

from wsl.findings import results
from wsl.findings.results import Column, Result

# (title, system, system, metric): the comparisons of the claims that depend on the amount of training
COMPARISONS = (
    ("J − H, classification (C1, C2)", "weak_sup", "full_images", "classification"),
    ("J − K, localization (C8)", "weak_sup", "center", "location"),
    ("J − J at s = 1, classification (C4)", "weak_sup", "weak_sup@train_s1", "classification"),
    ("I − J, classification (C6)", "masked_pool", "weak_sup", "classification"),
    ("I − J, localization (C6)", "masked_pool", "weak_sup", "location"),
)
# What boxes add, by size of the objects (D28): (title, system, system, metric, sign), 1 where it should be larger among small
# objects, -1 where smaller, 0 where the explanation says nothing; and the parts of the sizes
BY_SIZE = (
    ("I − J, localization", "masked_pool", "weak_sup", "location", 1),
    ("L − J, localization", "rcnn", "weak_sup", "location", 1),
    ("I − J, classification", "masked_pool", "weak_sup", "classification", 0),
    ("L − J, classification", "rcnn", "weak_sup", "classification", -1),
)
SIZES = ("small", "middle", "large", "small less large")
DECIDES = {"profile": "coco-sample", "division": "thirds of all", "part": SIZES[-1]}  # the row that the rule of D28 asks
# Claim -> (the best explanation that the data allow why it may be open, what would refute the explanation)
EXPLANATIONS = {
    "C2": (
        "Too few test photographs of the rarer classes: nearly every class gains, and no interval lies below zero.",
        "With several times the test photographs, a class whose interval, all classes at once, lies below zero.",
    ),
    "C6": (
        "Boxes help most where a class has few training photographs: the difference falls as photographs are added, in "
        "classification on both data sets, in localization on VOC. That is not all: with equally many photographs of a class it "
        "is larger on COCO, and in localization it does not fall there. Why is not known; not because of the size of objects.",
        "More photographs than here, and a difference in classification that stays above the margin.",
    ),
    "C9": (
        "On VOC a weaker R-CNN* than the paper's, whose network was fine-tuned on boxes. On COCO its boxes help more than "
        "that costs, as they help masked pooling (C6).",
        "R-CNN* on a network fine-tuned on the same boxes, and still below weak supervision on VOC.",
    ),
    "C13": (
        "On the VOC sample both systems come close to the highest possible AP in many classes, where a gain has no room. On the "
        "COCO sample both leave room, and G is above B.",
        "Further data on which both leave room, and no gain of G over B there.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval (D27), in points of mAP."""

    value: float
    error: float  # its standard error
    freedom: float  # degrees of freedom of the error

    @property
    def reach(self) -> float:
        """Of the interval, to either side."""
        return self.error * float(special.stdtrit(self.freedom, 0.975))

    @property
    def low(self) -> float:
        return self.value - self.reach

    @property
    def high(self) -> float:
        return self.value + self.reach


def _combined(value: float, variances: Sequence[float], freedoms: Sequence[float]) -> Estimate:
    """An estimate whose error has independent parts; degrees of freedom of Welch and Satterthwaite."""
    parts = np.asarray(variances, float)
    rest = float((parts**2 / freedoms).sum())  # 0 where no part was itself estimated from few
    return Estimate(float(value), float(np.sqrt(parts.sum())), float(parts.sum() ** 2 / rest) if rest else np.inf)


def _drawn(seeds: np.ndarray) -> np.ndarray:
    """Variance of the mean over seeds (S, ...), as they tell it: 0 where there is one."""
    return np.var(seeds, axis=0, ddof=1) / len(seeds) if len(seeds) > 1 else np.zeros(seeds.shape[1:])


def estimate(samples: np.ndarray, seeds: np.ndarray) -> Estimate:
    """The mean over seeds: its error is that of drawing test images and that of drawing seeds (D27).

    samples: (B,) the mean in each resample of the test images. seeds: (S,) each seed's own; each draws its training images.
    One seed says nothing of other draws: the interval is then of the test images alone.
    """
    return _combined(np.mean(seeds), [np.var(samples), _drawn(seeds)], [np.inf, max(len(seeds) - 1, 1)])


def less(a: Estimate, b: Estimate) -> Estimate:
    """a minus b, found on different data."""
    return _combined(a.value - b.value, [a.error**2, b.error**2], [a.freedom, b.freedom])


@dataclass(frozen=True)
class Line:
    """What the straight line through a curve says at another amount of training."""

    at: Estimate
    positives: float  # a class, there
    fit: float  # probability of points as far off the line, were it straight; 1 where two points make it


@dataclass(frozen=True)
class Curve:
    """How a difference between two systems changes with the amount of training, in points of mAP."""

    title: str
    first: Result  # of the first system, on all training images
    images: np.ndarray  # (P,) training images of each part, ascending
    share: float  # of an image's labels that are positive, averaged over classes (of the test images)
    samples: np.ndarray  # (B, P) the difference in each resample of the test images
    seeds: np.ndarray  # (S, P) each seed's own

    @property
    def positives(self) -> np.ndarray:
        """(P,) training images with an object of a class, averaged over classes."""
        return self.images * self.share

    def of(self, weights: np.ndarray) -> Estimate:
        """The sum of the points, each times its weight (P,)."""
        return estimate(self.samples @ weights, self.seeds @ weights)

    def points(self) -> list[Estimate]:
        return [self.of(row) for row in np.eye(len(self.images))]

    def last_doubling(self) -> Estimate:
        """The change per doubling of the training images, between the largest part and all."""
        weights = np.zeros(len(self.images))
        weights[-2:] = np.array([-1, 1]) / np.log2(self.images[-1] / self.images[-2])
        return self.of(weights)

    def line(self, images: float) -> Line:
        """The least-squares line against log2 of the images, at `images`."""
        x = np.column_stack([np.ones(len(self.images)), np.log2(self.images)])
        fitting = np.linalg.pinv(x)
        off = np.eye(len(x)) - x @ fitting
        covariance = off @ (np.cov(self.samples.T) + np.diag(_drawn(self.seeds))) @ off.T
        apart = off @ self.seeds.mean(axis=0)
        far = float(apart @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ apart)
        fit = float(special.chdtrc(len(x) - 2, far)) if len(x) > 2 else 1.0
        return Line(self.of(np.array([1, np.log2(images)]) @ fitting), images * self.share, fit)


def curve(column: Column, title: str, a: str, b: str, metric: str) -> Curve | None:
    """System `a` minus `b`, on the seeds that all parts have; None with less than two parts."""
    parts = {percent: "" if percent == 100 else f"@n{percent}" for percent in (*results.PERCENTS, 100)}
    parts = {percent: part for percent, part in parts.items() if column.runs(a + part) and column.runs(b + part)}
    loaded = column.load_pair(*(system + part for part in parts.values() for system in (a, b))) if 100 in parts else None
    if loaded is None or len(parts) < 2 or getattr(loaded[-2], metric) is None or getattr(loaded[-1], metric) is None:
        return None
    found = [results.difference(*pair, metric) for pair in zip(loaded[::2], loaded[1::2], strict=True)]
    whole = loaded[-2].run.manifest["training"]["n_train"]
    return Curve(
        title, loaded[-2],
        images=np.round(whole * np.array(list(parts)) / 100),
        share=float((getattr(loaded[-2], metric).truth.labels > 0).mean()),
        samples=np.stack([d.samples for d in found], axis=1),
        seeds=np.array([list(d.seeds.values()) for d in found]).T,
    )  # fmt: skip


def curves(column: Column) -> list[Curve]:
    """The curve of each comparison that was run on at least two parts."""
    return [found for comparison in COMPARISONS if (found := curve(column, *comparison))]


def meetings(a: Curve, b: Curve, within: float = 1.25) -> list[tuple[int, int, Estimate]]:
    """Where two data sets were measured at nearly the same positives a class: indices of the points, and a minus b there.

    within: the factor by which the two numbers may differ; of several points that near, the nearest.
    """
    apart = np.abs(np.log(a.positives[:, None] / b.positives))
    near = [(i, int(row.argmin())) for i, row in enumerate(apart) if row.min() <= np.log(within)]
    return [(i, j, less(a.points()[i], b.points()[j])) for i, j in near]


def by_size(root: str | Path) -> pd.DataFrame | None:
    """What `benchmarks/object_size.py` wrote below `root` (D28), or None: columns profile, division (of the sizes), comparison
    (a title of `BY_SIZE`), part (of `SIZES`), positives (pairs of an image and a class) and, in points, value, low, high."""
    path = Path(root) / "object_size.csv"
    return pd.read_csv(path) if path.is_file() else None


def verdicts_by_size(found: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """By the rule of D28: (comparison, its row that decides, "confirmed", "refuted" or "open"); found: see `by_size`."""
    decides = found[(found[list(DECIDES)] == pd.Series(DECIDES)).all(axis=1)].set_index("comparison")
    verdicts = []
    for title, *_, sign in BY_SIZE:
        if sign:
            low, high = sorted(sign * decides.loc[title, ["low", "high"]])
            verdicts.append((title, decides.loc[title], "confirmed" if low > 0 else "refuted" if high < 0 else "open"))
    return verdicts


@dataclass(frozen=True)
class Resolution:
    """What the test images can tell of the gain of a typical class, all classes at once; points."""

    result: Result
    gain: float  # of the median class
    reach: float  # of its simultaneous interval, to either side

    @property
    def times_the_images(self) -> float:
        """How many times as many test images it would take to tell the gain from zero; NaN where there is no gain."""
        return float(np.square(self.reach / self.gain)) if self.gain > 0 else np.nan


def resolution(column: Column, a: str, b: str) -> Resolution | None:
    """The resolution of the gain of `a` over `b` in classification, or None where one has no run."""
    pair = column.load_pair(a, b)
    if pair is None:
        return None
    gain, reach = results.simultaneous(results.difference(*pair))
    return Resolution(pair[0], float(gain.median()), float(np.median(reach)))


def near_the_top(result: Result, above: float = 0.95) -> tuple[int, pd.Series]:
    """In how many classes a system leaves little to gain: classes with a classification AP above; AP of all (0..1)."""
    ap = result.classification.classes["ap"].dropna()
    return int((ap > above).sum()), ap
