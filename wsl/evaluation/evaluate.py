"""From a predictions table to average precision, for any system: ours or an outsider's.

    our table (with label and distance)          -> from_table        \\
                                                                        Scored -> evaluate -> one row a class
                                                                        + mAP
    any table (image, class, score, x, y) + data -> from_predictions  /

    >>> frame = evaluate_table(predictions.read("results/.../predictions.parquet"))  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset, box_distance
from wsl.errors import StudyError
from wsl.evaluation import metrics, predictions

TOLERANCE = 18.0  # pixels (the paper, section 4.2)
RANKINGS = ("score", "score_max")
MAPPINGS = {"stretch": "", "centre": "_centre"}  # name of the point mapping -> suffix of its columns
MEAN = "mAP"  # name of the last row of every result


@dataclass(frozen=True)
class Scored:
    """What the metrics need, on N images and K classes, in the order of the data set."""

    classes: tuple[str, ...]
    images: tuple[str, ...]
    scores: np.ndarray  # (N, K) float64, -inf where the table has no row
    labels: np.ndarray  # (N, K) int8 in {-1, 0, +1}
    distance: np.ndarray | None  # (N, K) float64 pixels from point to nearest box; None: no locations at all
    missing: int = 0  # (image, class) pairs without a row

    def hits(self, tolerance: float) -> np.ndarray | None:
        """(N, K) bool. A missing point misses, except at infinite tolerance, where location AP is AP."""
        if not tolerance >= 0:
            raise StudyError(f"tolerance {tolerance:g} px: expected a number of pixels >= 0, or inf")
        if self.distance is None:
            return None
        return (self.distance <= tolerance) | np.isinf(tolerance)


def from_predictions(df: pd.DataFrame, dataset: Dataset, source: str = "predictions") -> Scored:
    """Any validated table (`predictions.read`) and the data set that it was made for."""
    aligned = predictions.align(df, dataset, source)
    distance = None if aligned.points is None else box_distance(aligned.points, dataset)
    return Scored(dataset.classes, dataset.images, aligned.scores, dataset.labels, distance, aligned.missing)


def from_table(
    df: pd.DataFrame,
    ranking: str = "score",
    mapping: str = "stretch",
    images: tuple[str, ...] | None = None,
    classes: tuple[str, ...] | None = None,
    source: str = "predictions",
) -> Scored:
    """Our own table, which carries label and distance: no data set is needed.

    ranking: column to rank by. mapping: which predicted point. images, classes: order wanted (default: the
    table's).
    """
    if ranking not in RANKINGS or mapping not in MAPPINGS:
        raise StudyError(
            f"ranking {ranking!r}, mapping {mapping!r}: expected {RANKINGS} and {tuple(MAPPINGS)}"
        )
    column = f"distance{MAPPINGS[mapping]}"
    lacking = [name for name in ("label", ranking, column) if name not in df.columns]
    if lacking:
        raise StudyError(
            f"{source}: lacks {', '.join(lacking)}; evaluate it with its data set (wsl evaluate)"
        )
    images = tuple(pd.unique(df["image"])) if images is None else images
    classes = tuple(pd.unique(df["class"])) if classes is None else classes
    row = pd.Index(images).get_indexer(df["image"])
    col = pd.Index(classes).get_indexer(df["class"])
    cells = np.unique(row * len(classes) + col)
    if min(row.min(), col.min()) < 0 or not len(cells) == len(df) == len(images) * len(classes):
        raise StudyError(
            f"{source}: {len(df)} rows do not give {len(images)} images x {len(classes)} classes once each; "
            f"compare runs on the same data, and evaluate a table with missing rows with its data set"
        )

    def laid_out(name: str, dtype) -> np.ndarray:
        out = np.empty((len(images), len(classes)), dtype)
        out[row, col] = df[name].to_numpy(dtype)
        return out

    distance = laid_out(column, np.float64)
    located = not np.isnan(distance).all()
    scores, labels = laid_out(ranking, np.float64), laid_out("label", np.int8)
    return Scored(classes, images, scores, labels, distance if located else None)


def evaluate(
    scored: Scored, tolerance: float = TOLERANCE, kind: str = "voc2010", n_bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """One row a class and a last row "mAP": class, n_pos, ap, location_ap, in 0..1.

    n_bootstrap > 0 adds ap_low, ap_high, location_ap_low, location_ap_high: 95% intervals over images. NaN:
    class without positives, or no locations. mAP is the mean over the classes that have positives.
    """
    hits = scored.hits(tolerance)
    n_positive = (scored.labels > 0).sum(axis=0)
    frame = pd.DataFrame({"class": [*scored.classes, MEAN], "n_pos": [*n_positive, n_positive.sum()]})
    samples = (None, None)
    if n_bootstrap:
        samples = metrics.bootstrap(scored.scores, scored.labels, hits, n_bootstrap, seed, kind)
    for name, which in (("ap", 0), ("location_ap", 1)):
        located = which == 0 or hits is not None
        frame[name] = np.nan
        if located:
            frame[name] = metrics.with_mean(
                metrics.per_class(scored.scores, scored.labels, hits if which else None, kind)
            )
        if n_bootstrap:
            frame[[f"{name}_low", f"{name}_high"]] = np.nan
            if located:
                low, high = metrics.interval(metrics.with_mean(samples[which]), frame[name].to_numpy())
                frame[f"{name}_low"], frame[f"{name}_high"] = low.clip(0, 1), high.clip(0, 1)
    return frame


def evaluate_table(
    df: pd.DataFrame,
    tolerance: float = TOLERANCE,
    kind: str = "voc2010",
    ranking: str = "score",
    mapping: str = "stretch",
    n_bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """`evaluate` on one of our own tables."""
    return evaluate(from_table(df, ranking, mapping), tolerance, kind, n_bootstrap, seed)


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    tolerance: float = TOLERANCE,
    kind: str = "voc2010",
    ranking: str = "score",
    mapping: str = "stretch",
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """b - a for two of our own tables on the same data: class (last row "mAP"), ap, location_ap, each with
    _low, _high.

    95% intervals of the paired bootstrap: both tables see the same resamples of the images.
    """
    first = from_table(a, ranking, mapping, source="first table")
    second = from_table(b, ranking, mapping, first.images, first.classes, source="second table")
    return compare_scored(first, second, tolerance, kind, n_bootstrap, seed)


def compare_scored(
    a: Scored,
    b: Scored,
    tolerance: float = TOLERANCE,
    kind: str = "voc2010",
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """`compare` for tables already laid out on the same images and classes."""
    if a.images != b.images or a.classes != b.classes or not np.array_equal(a.labels, b.labels):
        raise StudyError("the two tables differ in images, classes or labels; compare runs on the same data")
    differences = metrics.paired_bootstrap(
        (a.scores, a.hits(tolerance)), (b.scores, b.hits(tolerance)), a.labels, n_bootstrap, seed, kind
    )
    frame = pd.DataFrame({"class": [*a.classes, MEAN]})
    for name, difference in zip(("ap", "location_ap"), differences, strict=True):
        for suffix, values in zip(("", "_low", "_high"), difference or (np.nan,) * 3, strict=True):
            frame[name + suffix] = values
    return frame


# ---- what `wsl evaluate` prints


def to_json(frame: pd.DataFrame, scored: Scored, tolerance: float) -> dict:
    """The object that `wsl evaluate --json` prints: 0..1, full precision, None for NaN."""

    def section(name: str) -> dict:
        classes, last = frame.iloc[:-1], frame.iloc[-1]
        out = {
            "mAP": _none(last[name]),
            "AP": dict(zip(classes["class"], map(_none, classes[name]), strict=True)),
        }
        if f"{name}_low" in frame:
            pair = [f"{name}_low", f"{name}_high"]
            out["mAP_interval"] = _pair(last[pair])
            intervals = map(_pair, classes[pair].to_numpy())
            out["AP_interval"] = dict(zip(classes["class"], intervals, strict=True))
        return out

    return {
        "classification": section("ap"),
        "location": None if scored.distance is None else section("location_ap"),
        "n_images": len(scored.images),
        "missing": scored.missing,
        "tolerance": "inf" if np.isinf(tolerance) else tolerance,
    }


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _pair(values) -> list[float] | None:
    low, high = values
    return None if np.isnan(low) else [float(low), float(high)]


def to_text(frame: pd.DataFrame) -> str:
    """The table that `wsl evaluate` prints: AP in percent, intervals in brackets, "-" where there is none."""

    def cell(row, name: str) -> str:
        if np.isnan(row[name]):
            return "-"
        text = f"{100 * row[name]:.1f}"
        if f"{name}_low" in frame:
            text += f" [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"
        return text

    lines = [("class", "positives", "AP %", "location AP %")]
    lines += [
        (r["class"], str(r["n_pos"]), cell(r, "ap"), cell(r, "location_ap")) for _, r in frame.iterrows()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join([w[0].ljust(widths[0]), *map(str.rjust, w[1:], widths[1:])]) for w in lines]
    rule = "-" * len(text[0])
    return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])
