"""Where a claim does not hold: what more training images would change, and which differences the test images resolve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from wsl.evaluation import metrics
from wsl.findings import paper, results
from wsl.findings.results import Column, Result

# (title, system, system, metric): the comparisons of the claims that depend on the amount of training
COMPARISONS = (
    ("J − H, classification (C1, C2)", "weak_sup", "full_images", "classification"),
    ("J − K, localization (C8)", "weak_sup", "center", "location"),
    ("J − J at s = 1, classification (C4)", "weak_sup", "weak_sup@train_s1", "classification"),
    ("I − J, classification (C6)", "masked_pool", "weak_sup", "classification"),
    ("I − J, localization (C6)", "masked_pool", "weak_sup", "location"),
)


def by_images(column: Column, a: str, b: str, metric: str) -> tuple[pd.DataFrame, np.ndarray]:
    """System `a` minus `b`, both trained on parts of the training images: images, value, low, high; resamples (B, rows).

    Points of mAP, on the seeds that all parts have; the paired bootstrap draws the same test images for every part.
    """
    parts = {percent: "" if percent == 100 else f"@n{percent}" for percent in (*results.PERCENTS, 100)}
    parts = {percent: part for percent, part in parts.items() if column.runs(a + part) and column.runs(b + part)}
    loaded = column.load_pair(*(system + part for part in parts.values() for system in (a, b))) if parts else None
    rows, samples = [], []
    for percent, *pair in zip(parts, (loaded or ())[::2], (loaded or ())[1::2], strict=loaded is not None):
        if None in (getattr(pair[0], metric), getattr(pair[1], metric)):
            continue
        d = results.difference(*pair, metric)
        training = pair[0].run.manifest["training"]
        rows.append((round(training["n_train"] * percent / 100), d.value, d.low, d.high))
        samples.append(d.samples)
    return pd.DataFrame(rows, columns=["images", "value", "low", "high"]), np.array(samples).T


def curves(column: Column) -> dict[str, pd.DataFrame]:
    """`by_images` of each comparison that was run on at least two parts."""
    found = {title: by_images(column, a, b, metric)[0] for title, a, b, metric in COMPARISONS}
    return {title: table for title, table in found.items() if len(table) > 1}


@dataclass(frozen=True)
class Trend:
    """What the last doubling of the training images did to a difference, in points, on the seeds that all parts have."""

    title: str
    result: Result  # of the first system, on all images
    images: int
    value: float  # with all images
    paper: float  # NaN where it has none
    slope: float  # per doubling, between the largest part and all images
    low: float
    high: float


def trends(column: Column, layout: str = "voc") -> list[Trend]:
    """The trend of each comparison that was run on all images and on at least two parts; the paper's numbers on `layout`."""
    found = []
    for title, a, b, metric in COMPARISONS:
        table, samples = by_images(column, a, b, metric)
        whole = column.load_pair(a, b)
        if len(table) < 3 or whole is None:
            continue
        before, last = table.iloc[-2], table.iloc[-1]
        doublings = np.log2(last["images"] / before["images"])
        slope = float((last["value"] - before["value"]) / doublings)
        low, high = metrics.ends((samples[:, -1] - samples[:, -2]) / doublings, slope)
        printed = paper.difference(a, b, metric, layout)
        found.append(Trend(title, whole[0], int(last["images"]), float(last["value"]), printed, slope, low, high))
    return found


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
