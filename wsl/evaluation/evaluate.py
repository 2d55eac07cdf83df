"""From a predictions table to average precision, for any system: ours or an outsider's.

    our table (with label and distance)          -> from_table        \\
                                                                        Scored -> measures -> paired_difference
    any table (image, class, score, x, y) + data -> from_predictions  /

`measures` takes the tables of all seeds of a system; `evaluate` shows those of one table, a row a class.

    >>> frame = evaluate_table(predictions.read("results/.../predictions.parquet"))  # doctest: +SKIP
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset, box_distance, count
from wsl.errors import StudyError
from wsl.evaluation import metrics, predictions

TOLERANCE = 18.0  # pixels (the paper, section 4.2)
RANKINGS = ("score", "score_max")
MAPPINGS = {"stretch": "", "centre": "_centre"}  # name of the point mapping -> suffix of its columns
MEAN = "mAP"  # name of the last row of every result
METRICS = {"classification": "classification", "location": "localization"}  # metric -> its name before people
RESAMPLES = 1000
NO_LOCATION = "no row has a location (x, y); localization AP is not computed"
FEW = 50  # rows: fewer say nothing of a table as a whole


@dataclass(frozen=True)
class Truth:
    """What tables must share to be averaged or compared: N images and K classes, in their order, and the labels."""

    images: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray  # (N, K) int8 in {-1, 0, +1}

    def differs(self, other: Truth) -> str:
        """What parts this truth from another, in words; "" if nothing does."""
        for mine, theirs, what in ((self.images, other.images, "images"), (self.classes, other.classes, "classes")):
            if mine != theirs:
                if len(mine) != len(theirs):
                    return f"{len(mine)} {what} against {len(theirs)}"
                order = "the same {} in another order" if set(mine) == set(theirs) else "other {}"
                a, b = next((a, b) for a, b in zip(mine, theirs, strict=True) if a != b)
                return f"{order.format(what)}, the first {a!r} against {b!r}"
        unlike = np.argwhere(self.labels != other.labels)
        if not len(unlike):
            return ""
        n, k = unlike[0]
        labels = f"{self.labels[n, k]} against {other.labels[n, k]}"
        return f"{len(unlike)} other labels, the first of image {self.images[n]}, class {self.classes[k]}: {labels}"


@dataclass(frozen=True)
class Scored:
    """What the metrics need, on N images and K classes, in the order of the data set."""

    classes: tuple[str, ...]
    images: tuple[str, ...]
    scores: np.ndarray  # (N, K) float64, -inf where the table has no row
    labels: np.ndarray  # (N, K) int8 in {-1, 0, +1}
    distance: np.ndarray | None  # (N, K) float64 pixels from point to nearest box; None: no locations at all
    missing: int = 0  # (image, class) pairs without a row
    source: str = "predictions"  # the run or file, named in errors
    remarks: tuple[str, ...] = ()  # what a reader of the numbers should know, in words: to be shown with every result

    def __post_init__(self) -> None:
        if MEAN in self.classes:
            raise StudyError(f"{self.source}: a class is called {MEAN}, as the mean over classes is; rename it")

    @property
    def truth(self) -> Truth:
        return Truth(self.images, self.classes, self.labels)

    def hits(self, tolerance: float) -> np.ndarray | None:
        """(N, K) bool. A missing point misses, except at infinite tolerance, where localization AP is AP."""
        if not tolerance >= 0:
            raise StudyError(f"tolerance {tolerance:g} px: expected a number of pixels >= 0, or inf")
        if self.distance is None:
            return None
        return (self.distance <= tolerance) | np.isinf(tolerance)


def from_predictions(df: pd.DataFrame, dataset: Dataset, source: str = "predictions") -> Scored:
    """Any validated table (`predictions.read`) and the data set that it was made for."""
    aligned = predictions.align(df, dataset, source)
    distance = None if aligned.points is None else box_distance(aligned.points, dataset)
    without = [name for name, labels in zip(dataset.classes, dataset.labels.T, strict=True) if not (labels > 0).any()]
    notes = [*dataset.notes, *([f"no positives for {', '.join(without)}; left out of mAP"] if without else [])]
    remarks = (*(f"{dataset.name}: {note}" for note in notes), *(f"{source}: {what}" for what in _remarks(aligned, dataset)))
    return Scored(dataset.classes, dataset.images, aligned.scores, dataset.labels, distance, aligned.missing, source, remarks)


def _remarks(aligned: predictions.Aligned, dataset: Dataset) -> Iterable[str]:
    """What may be wrong with a table that is read all the same."""
    scores, points = aligned.scores, aligned.points
    if aligned.missing:
        absent = np.isneginf(scores).all(axis=1)
        first = f", among them all of {count(int(absent.sum()), 'image')}, the first {dataset.images[absent.argmax()]!r}"
        remedy = "; to evaluate the others alone, give their list as the split (VOC) or a JSON of them (COCO)"
        whole = first + remedy if absent.any() else ""
        yield f"{aligned.missing} of {scores.size} (image, class) rows are missing and ranked last{whole}"
    given = scores[np.isfinite(scores)]
    usual = np.median(given) if len(given) >= FEW else np.nan  # a value that most rows have is their median
    if 2 * (same := np.count_nonzero(given == usual)) > len(given):
        order = "equal ones keep the order of the list: maps that are scaled to a maximum of 1 need the scores of the network"
        yield f"{same} of {len(given)} scores are {usual:g}, and {order} beside them"
    if points is None:
        yield NO_LOCATION
        return
    there = ~np.isnan(points[..., 0])
    if (located := np.count_nonzero(there)) < FEW:
        return
    if 50 * (corner := np.count_nonzero((points[there] < 1).all(axis=1))) > located:
        first = f"{corner} of {located} points lie in the first pixel of their image, at the top left"
        yield f"{first}, as those of maps do that are the same everywhere, and points in fractions of the image"
    largest, sizes, of_images = np.nanmax(points, axis=(0, 1)), dataset.sizes.max(axis=0), points[there.any(axis=1)]
    apart = (np.nanmax(of_images, axis=1) > np.nanmin(of_images, axis=1)).any()  # else they may be the centers of the images
    if apart and (largest < 0.6 * sizes).all():
        beyond = f"no point lies beyond ({largest[0]:.0f}, {largest[1]:.0f}), where images have up to {sizes[0]} x {sizes[1]}"
        yield f"{beyond} pixels: expected are pixels of the original image, not of the network's input"


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
    row, images = _coded(df["image"], images)
    col, classes = _coded(df["class"], classes)
    shape = len(images), len(classes)
    if min(row.min(), col.min()) < 0 or not (np.bincount(row * shape[1] + col, minlength=shape[0] * shape[1]) == 1).all():
        raise StudyError(
            f"{source}: {len(df)} rows do not give {len(images)} images x {len(classes)} classes once each; "
            f"compare runs on the same data, and evaluate a table with missing rows with its data set"
        )

    def laid_out(name: str, dtype) -> np.ndarray:
        out = np.empty(shape, dtype)
        out[row, col] = df[name].to_numpy(dtype)
        return out

    distance = laid_out(column, np.float64)
    located = not np.isnan(distance).all()
    scores, labels = laid_out(ranking, np.float64), laid_out("label", np.int8)
    remarks = () if located else (f"{source}: {NO_LOCATION}",)
    return Scored(classes, images, scores, labels, distance if located else None, source=source, remarks=remarks)


def _coded(column: pd.Series, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Each value's position among `names` (-1: not there), and `names`; by default those of the column, as they come."""
    codes, found = pd.factorize(column, use_na_sentinel=False)
    found = tuple(found)
    return (codes, found) if names is None else (pd.Index(names).get_indexer(found)[codes], names)


# ---- measures and their differences


@dataclass(frozen=True)
class Measure:
    """One metric of one system over its seeds, 0..1."""

    value: float  # mean over seeds of the mean over classes
    low: float  # 95% bootstrap interval over test images, as all of these
    high: float
    seeds: dict[int, float]  # each seed's own value
    classes: pd.DataFrame  # by class: ap, low, high
    samples: np.ndarray  # (B,) `value` in each resample
    class_samples: np.ndarray  # (B, K)
    truth: Truth
    resamples: tuple[int, int]  # how many, and their seed: the same pair draws the same images
    source: str


@dataclass(frozen=True)
class Difference:
    """One measure minus another on the same images, classes, labels, seeds and resamples; 0..1, or points."""

    value: float
    low: float  # 95% interval of the paired bootstrap over test images
    high: float
    seeds: dict[int, float]  # each seed's own difference
    classes: pd.DataFrame  # by class: gain, low, high
    samples: np.ndarray  # (B,)
    class_samples: np.ndarray  # (B, K)

    def in_points(self) -> Difference:
        """The same in percentage points."""
        seeds = {seed: 100 * value for seed, value in self.seeds.items()}
        scaled = (100 * part for part in (self.value, self.low, self.high))
        return Difference(*scaled, seeds, 100 * self.classes, 100 * self.samples, 100 * self.class_samples)


class ByMetric(NamedTuple):
    """Measures, or differences; None without locations."""

    classification: Measure | Difference
    location: Measure | Difference | None


def check_same_truth(several: Iterable[Scored]) -> None:
    """Refuse tables that differ in images, classes or labels."""
    several = list(several)
    for other in several[1:]:
        _refuse(several[0], other, several[0].truth.differs(other.truth))


def _refuse(a: Scored | Measure, b: Scored | Measure, what: str, remedy: str = "make both again on the same data") -> None:
    if what:
        raise StudyError(
            f"{a.source} and {b.source}: {what}; only the same images, classes, labels and seeds can be averaged or "
            f"compared: {remedy}"
        )


def measures(
    scored: Mapping[int, Scored],
    tolerance: float = TOLERANCE,
    definition: str = "voc2010",
    n_bootstrap: int = RESAMPLES,
    seed: int = 0,
    bootstrap: Callable[..., metrics.Resamples] = metrics.bootstrap,
) -> ByMetric:
    """Classification and location of one system, from the table of each of its seeds {seed: table}.

    In each resample the images drawn are the same for every seed. Without resamples the intervals are NaN.
    StudyError if the tables differ in images, classes or labels.
    """
    check_same_truth(scored.values())
    hits = [s.hits(tolerance) for s in scored.values()]
    pairs = list(zip(scored.values(), hits, strict=True))
    drawn = [bootstrap(s.scores, s.labels, h, n_bootstrap, seed, definition) for s, h in pairs] if n_bootstrap else []
    found = []
    for which in (0, 1):
        if which == 1 and any(h is None for h in hits):
            found.append(None)
            continue
        values = [metrics.per_class(s.scores, s.labels, h if which else None, definition) for s, h in pairs]
        found.append(_measure(scored, values, [resample[which] for resample in drawn], (n_bootstrap, seed)))
    return ByMetric(*found)


def _measure(scored: Mapping[int, Scored], values: list[np.ndarray], samples: list[np.ndarray], resamples) -> Measure:
    """From each seed's AP by class (K,) and its resamples (B, K) to their means over seeds."""
    ap = np.mean(values, axis=0)
    by_class = np.mean(samples, axis=0) if samples else np.empty((0, len(ap)))
    value, means = metrics.mean(ap), metrics.mean(by_class)
    low, high = (end.clip(0, 1) for end in metrics.interval(by_class, ap))
    first = next(iter(scored.values()))
    table = pd.DataFrame({"ap": ap, "low": low, "high": high}, index=pd.Index(first.classes, name="class"))
    seeds = {seed: metrics.mean(v) for seed, v in zip(scored, values, strict=True)}
    return Measure(
        value, *np.clip(metrics.ends(means, value), 0, 1), seeds, table, means, by_class, first.truth, resamples, first.source
    )


def paired_difference(a: Measure, b: Measure) -> Difference:
    """a minus b with its 95% interval, over all classes and by class: the only place where two systems are compared.

    StudyError, naming both, unless images, classes, labels, seeds and resamples are the same: what is drawn apart has
    no paired interval.
    """
    _refuse(a, b, a.truth.differs(b.truth))
    if a.seeds.keys() != b.seeds.keys():
        what = " against ".join(f"seed{'s' * (len(m.seeds) > 1)} {', '.join(map(str, m.seeds))}" for m in (a, b))
        _refuse(a, b, what, "choose runs of the same seeds")
    if a.resamples != b.resamples:
        what = " against ".join(f"{n} resamples from seed {seed}" for n, seed in (a.resamples, b.resamples))
        _refuse(a, b, what, "draw as many resamples, from the same seed")
    gain, by_class = a.classes["ap"] - b.classes["ap"], a.class_samples - b.class_samples
    low, high = metrics.interval(by_class, gain.to_numpy())
    classes = pd.DataFrame({"gain": gain, "low": low, "high": high})
    value, samples = a.value - b.value, a.samples - b.samples
    seeds = {seed: own - b.seeds[seed] for seed, own in a.seeds.items()}
    return Difference(value, *metrics.ends(samples, value), seeds, classes, samples, by_class)


def rows(one: Measure | Difference) -> pd.DataFrame:
    """value by class, then over all (`MEAN`); with low and high where there are resamples."""
    table = one.classes.set_axis(["value", "low", "high"], axis=1)
    table.loc[MEAN] = one.value, one.low, one.high
    return table if len(one.samples) else table[["value"]]


def evaluate(
    scored: Scored, tolerance: float = TOLERANCE, definition: str = "voc2010", n_bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """One row a class and a last row "mAP": class, n_pos, ap, location_ap, in 0..1.

    n_bootstrap > 0 adds ap_low, ap_high, location_ap_low, location_ap_high: 95% intervals over images. NaN:
    class without positives, or no locations. mAP is the mean over the classes that have positives.
    """
    n_positive = (scored.labels > 0).sum(axis=0)
    frame = pd.DataFrame({"class": [*scored.classes, MEAN], "n_pos": [*n_positive, n_positive.sum()]})
    suffixes = {"value": "", "low": "_low", "high": "_high"} if n_bootstrap else {"value": ""}
    for name, one in zip(("ap", "location_ap"), measures({0: scored}, tolerance, definition, n_bootstrap, seed), strict=True):
        for column, suffix in suffixes.items():
            frame[name + suffix] = np.nan if one is None else rows(one)[column].to_numpy()
    return frame


def evaluate_table(
    df: pd.DataFrame,
    tolerance: float = TOLERANCE,
    definition: str = "voc2010",
    ranking: str = "score",
    mapping: str = "stretch",
    n_bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """`evaluate` on one of our own tables."""
    return evaluate(from_table(df, ranking, mapping), tolerance, definition, n_bootstrap, seed)


# ---- what `wsl evaluate` and `wsl compare` print


def to_json(frame: pd.DataFrame, scored: Scored, tolerance: float) -> dict:
    """The object that `wsl evaluate --json` prints: 0..1, full precision, None for NaN."""
    return {
        "classification": json_section(_rows_of(frame, "ap")),
        "location": None if scored.distance is None else json_section(_rows_of(frame, "location_ap")),
        "n_images": len(scored.images),
        "missing": scored.missing,
        "tolerance": "inf" if np.isinf(tolerance) else tolerance,
    }


def json_section(table: pd.DataFrame) -> dict:
    """One metric in JSON, from `rows`."""

    def pair(low: float, high: float) -> list[float] | None:
        return None if np.isnan(low) else [float(low), float(high)]

    values = {name: None if np.isnan(value) else float(value) for name, value in table["value"].items()}
    out = {"mAP": values.pop(MEAN), "AP": values}
    if "low" in table:
        pairs = {name: pair(*ends) for name, ends in zip(table.index, table[["low", "high"]].to_numpy(), strict=True)}
        out |= {"mAP_interval": pairs.pop(MEAN), "AP_interval": pairs}
    return out


def _rows_of(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """`rows` again, out of the frame of `evaluate`."""
    names = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    table = frame.set_index("class").rename(columns=names)
    return table[[column for column in names.values() if column in table]]


def to_text(frame: pd.DataFrame, form: Callable[[list[tuple[str, ...]]], str] | None = None) -> str:
    """The table that `wsl evaluate` prints: AP in percent, intervals in brackets, "-" where there is none.

    form: `text_table` unless given, or another of `FORMS`.
    """
    tables = [_rows_of(frame, name) for name in ("ap", "location_ap")]
    lines = [("class", "positives", "AP %", "localization AP %")]
    lines += [(r["class"], str(r["n_pos"]), *(percent(t.loc[r["class"]]) for t in tables)) for _, r in frame.iterrows()]
    return (form or text_table)(lines)


def percent(row: pd.Series, sign: str = "", interval: bool = True) -> str:
    """A row of `rows` in percent: "93.5 [92.6, 94.3]"; sign: "+" for a difference."""
    if np.isnan(row["value"]):
        return "-"
    numbers = [f"{100 * row[name]:{sign}.1f}" for name in ("value", "low", "high") if name in row]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]" if interval and len(numbers) > 1 else numbers[0]


def text_table(lines: list[tuple[str, ...]]) -> str:
    """Lines of cells in columns, with rules below the head and above the last line."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join([w[0].ljust(widths[0]), *map(str.rjust, w[1:], widths[1:])]) for w in lines]
    rule = "-" * len(text[0])
    return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])


def markdown_table(lines: list[tuple[str, ...]]) -> str:
    """The same lines for a README or an issue; names are shown as they are, whatever Markdown or HTML they hold."""
    rows = ["| " + " | ".join(re.sub(r"[\\|`*_<\[&~$]", r"\\\g<0>", cell) for cell in line) + " |" for line in lines]
    rule = "|" + "|".join([" --- ", *[" ---: "] * (len(lines[0]) - 1)]) + "|"
    return "\n".join([rows[0], rule, *rows[1:]])


def latex_table(lines: list[tuple[str, ...]]) -> str:
    """The same lines for a paper; needs the package booktabs."""
    special = {c: f"\\{c}" for c in "&%$#_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    rows = [" & ".join("".join(special.get(c, c) for c in cell) for cell in line) + r" \\" for line in lines]
    head = [rf"\begin{{tabular}}{{l{'r' * (len(lines[0]) - 1)}}}", r"\toprule", rows[0], r"\midrule"]
    return "\n".join([*head, *rows[1:-1], r"\midrule", rows[-1], r"\bottomrule", r"\end{tabular}"])


FORMS = {"text": text_table, "markdown": markdown_table, "latex": latex_table}
