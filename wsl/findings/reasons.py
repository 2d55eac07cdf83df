"""Where a claim does not hold: what more training images would change, and which differences the test images resolve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

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
# Claim -> (the best explanation that the data allow why it may be open, what would refute the explanation)
EXPLANATIONS = {
    "C2": (
        "Too few test photographs of the rarer classes: nearly every class gains, and no interval lies below zero.",
        "With several times the test photographs, a class whose interval, all classes at once, lies below zero.",
    ),
    "C6": (
        "Boxes help where a class has few training photographs: the difference falls as photographs are added, in classification "
        "on both data sets, in localization on VOC. On COCO it stays in localization: small objects, not too few images.",
        "More photographs than here, and a difference in classification that stays above the margin; or one in localization that "
        "is the same for large objects as for small ones.",
    ),
    "C9": (
        "On VOC a weaker R-CNN* than the paper's, whose network was fine-tuned on boxes. On COCO, where objects are smaller, "
        "its boxes help more than that costs, as they help masked pooling (C6).",
        "R-CNN* on a network fine-tuned on the same boxes, and still below weak supervision on VOC.",
    ),
    "C13": (
        "On the VOC sample both systems come close to the highest possible AP, so that a gain has no room.",
        "Data on which both leave room, and no gain there. On the COCO sample there is one.",
    ),
    "C14": (
        "As for C9: the network is frozen in every row.",
        "R-CNN* on a network fine-tuned on the same boxes, and the same verdict.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval (D27), in points of mAP."""

    value: float
    low: float
    high: float
    error: float  # its standard error
    freedom: float  # degrees of freedom of the error


def estimate(samples: np.ndarray, seeds: np.ndarray) -> Estimate:
    """The mean over seeds: its error is that of drawing test images and that of drawing seeds (D27).

    samples: (B,) the mean in each resample of the test images. seeds: (S,) each seed's own; each draws its training images.
    One seed says nothing of other draws: the interval is then of the test images alone.
    """
    drawn = float(np.var(seeds, ddof=1)) / len(seeds) if len(seeds) > 1 else 0.0
    squared = float(np.var(samples)) + drawn
    freedom = (len(seeds) - 1) * (squared / drawn) ** 2 if drawn else np.inf  # Welch and Satterthwaite
    value, error = float(np.mean(seeds)), float(np.sqrt(squared))
    reach = error * float(stats.t.ppf(0.975, freedom))
    return Estimate(value, value - reach, value + reach, error, freedom)


def less(a: Estimate, b: Estimate) -> Estimate:
    """a minus b, found on different data."""
    parts = np.square([a.error, b.error])
    rest = (np.square(parts) / [a.freedom, b.freedom]).sum()  # 0 where neither knows of other draws
    freedom = parts.sum() ** 2 / rest if rest else np.inf
    reach, value = float(np.sqrt(parts.sum()) * stats.t.ppf(0.975, freedom)), a.value - b.value
    return Estimate(value, value - reach, value + reach, float(np.sqrt(parts.sum())), float(freedom))


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
        drawn = self.seeds.var(axis=0, ddof=1) / len(self.seeds) if len(self.seeds) > 1 else np.zeros(len(x))
        covariance = off @ (np.cov(self.samples.T) + np.diag(drawn)) @ off.T
        apart = off @ self.seeds.mean(axis=0)
        far = float(apart @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ apart)
        fit = float(stats.chi2.sf(far, len(x) - 2)) if len(x) > 2 else 1.0
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
