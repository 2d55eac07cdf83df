"""What the same table answers beside average precision: pointing, hits by size and number of objects, calibration.

All are shares: a sum over images of what counts, divided by a sum over images of what is asked. Each has a 95% interval from
the resamples of images that `metrics.bootstrap` draws, so that they go with its intervals.

    pointing     the pointing game, "pointing without prediction": of the (image, class) pairs whose class is present (+1), those
                 whose point is nearer than 15 pixels, in a straight line, to a box of the class. By class, the mean over
                 classes, and all pairs. Zhang et al., ECCV 2016; Fong, Patrick, Vedaldi, ICCV 2019 (TorchRay)
    size         hits (a box grown by the tolerance, as in localization AP) among such pairs, by the share of the image that
                 the largest box of the class covers
    instances    the same hits, by the number of boxes of the class in the image
    calibration  of all pairs that count (+1 or -1), by probability in 15 equal bins: how many are positive; and the expected
                 calibration error, the mean over pairs of |mean probability - share of positives| of their bin. Guo et al.,
                 ICML 2017. Probabilities are the scores if all lie in 0..1, and their logistic function otherwise

"Pointing with prediction" (Zhu et al., Soft Proposal Networks, ICCV 2017) is localization AP itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset, box_distance
from wsl.errors import StudyError
from wsl.evaluation import evaluate, metrics, predictions

POINTING_TOLERANCE = 15.0  # pixels, in a straight line (TorchRay)
SIZES = (0.0, 0.01, 0.05, 0.25)  # shares of the image at which a size begins
INSTANCES = (1, 2, 3, 5)  # numbers of boxes at which a group begins
BINS = 15
ALL = "all pairs"
QUESTIONS = ("pointing", "size", "instances", "calibration")


def answer(
    question: str,
    df: pd.DataFrame,
    dataset: Dataset,
    tolerance: float = evaluate.TOLERANCE,
    pointing_tolerance: float = POINTING_TOLERANCE,
    n_bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """One of `QUESTIONS` about a table and its data set: index group; columns value (0..1), n (pairs), low, high.

    NaN for a group without pairs. StudyError for a question of points about a table without any.
    """
    if question not in QUESTIONS:
        raise StudyError(f"{question!r}: expected one of {', '.join(QUESTIONS)}")
    aligned = predictions.align(df, dataset)
    if question == "calibration":
        return _calibration(aligned.scores, dataset.labels, n_bootstrap, seed)
    if aligned.points is None:
        raise StudyError(f"{question}: the table has no location (x, y) in any row")
    asked = dataset.labels > 0
    if question == "pointing":
        with np.errstate(invalid="ignore"):
            hit = box_distance(aligned.points, dataset, euclidean=True) < pointing_tolerance
        groups = {name: np.arange(len(dataset.classes)) == k for k, name in enumerate(dataset.classes)}
        table, samples = _shares(hit, asked, list(groups.values()), list(groups), n_bootstrap, seed)
        everything, _ = _shares(hit, asked, [np.array(True)], [ALL], n_bootstrap, seed)
        mean = metrics.mean(table["value"].to_numpy())
        low, high = metrics.ends(metrics.mean(samples), mean) if n_bootstrap else (np.nan, np.nan)
        return pd.concat([table, everything, pd.DataFrame([[mean, int(asked.sum()), low, high]], ["mean"], table.columns)])
    hit = (box_distance(aligned.points, dataset) <= tolerance) | np.isinf(tolerance)
    share, number = _objects(dataset)
    values, starts = (share, SIZES) if question == "size" else (number, INSTANCES)
    which = np.searchsorted(starts, values, side="right") - 1
    return _shares(hit, asked, [which == g for g in range(len(starts))], _names(question), n_bootstrap, seed)[0]


def _names(question: str) -> list[str]:
    if question == "size":
        return [f"from {a:.0%} of the image" if a else f"below {SIZES[1]:.0%} of the image" for a in SIZES]
    ends = [*(b - 1 for b in INSTANCES[1:]), np.inf]
    return [f"{a}" if a == b else f"{a} and more" if np.isinf(b) else f"{a} to {b}" for a, b in zip(INSTANCES, ends, strict=True)]


def _objects(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) share of the image that the largest box of the class covers, and (N, K) number of its boxes."""
    number = np.zeros(dataset.labels.shape, np.int64)
    np.add.at(number, (dataset.boxes.image, dataset.boxes.cls), 1)
    return largest_box(dataset) / dataset.sizes.prod(axis=1)[:, None], number


def largest_box(dataset: Dataset, ignored: bool = True) -> np.ndarray:
    """(N, K) area of the largest box of the class, square pixels; 0 without one. ignored: difficult objects and crowds, too."""
    b, area = dataset.boxes, np.zeros(dataset.labels.shape)
    inclusive = any(b.pose)  # VOC's corners are the last pixels inside; COCO, whose corners are not, knows no pose
    kept = ~b.ignored | ignored
    np.maximum.at(area, (b.image[kept], b.cls[kept]), (b.xyxy[kept, 2:] - b.xyxy[kept, :2] + inclusive).prod(axis=1))
    return area


def _shares(hit, asked, groups, names, n_bootstrap, seed) -> tuple[pd.DataFrame, np.ndarray]:
    """Hits among the pairs asked, (N, K) bool, in each group of pairs (masks that fit (N, K)); and (B, G) resamples."""
    top = np.stack([(hit & asked & group).sum(axis=1) for group in groups], axis=1).astype(np.float64)  # (N, G)
    bottom = np.stack([(asked & group).sum(axis=1) for group in groups], axis=1).astype(np.float64)
    value = _ratio(top.sum(axis=0), bottom.sum(axis=0))
    blocks = metrics.resample_counts(len(hit), n_bootstrap, seed)
    samples = [_ratio(top.T @ counts, bottom.T @ counts).T for counts in blocks]
    samples = np.concatenate(samples) if samples else np.empty((0, len(groups)))
    low, high = (end.clip(0, 1) for end in metrics.interval(samples, value))
    columns = {"value": value, "n": bottom.sum(axis=0).astype(int), "low": low, "high": high}
    return pd.DataFrame(columns, index=names), samples


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.where(bottom > 0, top / np.maximum(bottom, 1), np.nan)


def _calibration(scores: np.ndarray, labels: np.ndarray, n_bootstrap: int, seed: int) -> pd.DataFrame:
    """The reliability curve, a row a bin with its mean probability, and the expected calibration error."""
    asked = (labels != 0) & np.isfinite(scores)
    given = scores[asked]
    as_given = given.size and given.min() >= 0 and given.max() <= 1
    p = np.where(asked, scores if as_given else 0.5 + 0.5 * np.tanh(np.where(asked, scores, 0) / 2), 0)
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    groups = [which == g for g in range(BINS)]
    names = [f"{g / BINS:.2f} to {(g + 1) / BINS:.2f}" for g in range(BINS)]
    table, _ = _shares(labels > 0, asked, groups, names, n_bootstrap, seed)
    sums = np.stack([np.where(asked & group, p, 0).sum(axis=1) for group in groups], axis=1)  # (N, G)
    gaps = sums - np.stack([(asked & group & (labels > 0)).sum(axis=1) for group in groups], axis=1)
    pairs = asked.sum(axis=1).astype(np.float64)
    table.insert(0, "probability", _ratio(sums.sum(axis=0), table["n"].to_numpy()))
    error = float(np.abs(gaps.sum(axis=0)).sum() / max(pairs.sum(), 1))
    blocks = metrics.resample_counts(len(p), n_bootstrap, seed)
    samples = [np.abs(gaps.T @ counts).sum(axis=0) / np.maximum(pairs @ counts, 1) for counts in blocks]
    low, high = metrics.ends(np.concatenate(samples), error) if samples else (np.nan, np.nan)
    table.loc["expected error"] = [np.nan, error, int(pairs.sum()), max(low, 0) if samples else low, high]
    return table.astype({"n": int})


def to_text(table: pd.DataFrame, form: Callable[[list[tuple[str, ...]]], str] = evaluate.text_table) -> str:
    """A table for people: percent, intervals in brackets. form: see `evaluate.FORMS`."""
    head = [name for name in ("probability",) if name in table]
    lines = [("", "pairs", *(f"{name} %" for name in head), "%")]
    for name, row in table.iterrows():
        probability = [("-" if np.isnan(row[key]) else f"{100 * row[key]:.1f}") for key in head]
        ends = row[["value", "low", "high"]] if not np.isnan(row["low"]) else row[["value"]]
        lines.append((str(name), f"{int(row['n'])}", *probability, evaluate.percent(ends)))
    return form(lines)


def to_json(table: pd.DataFrame) -> dict:
    """{group: {value, n, interval, ...}}, None for NaN."""
    out = {}
    for name, row in table.iterrows():
        one = {key: None if np.isnan(row[key]) else float(row[key]) for key in row.index if key not in ("low", "high", "n")}
        out[str(name)] = one | {"n": int(row["n"])} | ({} if np.isnan(row["low"]) else {"interval": [row["low"], row["high"]]})
    return out
