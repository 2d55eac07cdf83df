"""The same tables of predictions under other rules of measuring.

Every function takes our own tables (with label and distance) and needs no data set. Values are means over seeds.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from wsl.evaluation import metrics
from wsl.evaluation.evaluate import (
    MAPPINGS,
    METRICS,
    RANKINGS,
    TOLERANCE,
    Scored,
    check_same_truth,
    measures,
    paired_difference,
)
from wsl.evaluation.runs import Run
from wsl.findings import results
from wsl.findings.results import METHODS, Column
from wsl.pages import tables
from wsl.pages.show import NOT_ATTEMPTED, Html, number, signed
from wsl.pages.tables import Cell

DEFINITIONS = {
    "voc2010": "VOC 2010+",
    "voc2007": "VOC 2007",
    "sklearn": "scikit-learn",
    "coco101": "COCO",
}
LABELS = {0: "dropped", 1: "positive", -1: "negative"}
SYSTEMS = ("weak_sup", "full_images", "center")
TOLERANCES = (0.0, 5.0, 10.0, 18.0, 30.0, 50.0, 80.0, 120.0, 200.0, np.inf)
SHOWN = {
    "weak_sup": "J. weak supervision", "center": "K. center", "rcnn": "L. R-CNN*", "masked_pool": "I. masked pooling",
    "masked_pool_outside": "I′. outside penalty",
}  # fmt: skip


@cache
def scored(runs: tuple[Run, ...], ranking: str = "score", mapping: str = "stretch") -> dict[int, Scored]:
    """Each seed's table, laid out; StudyError if they differ in images, classes or labels."""
    several = results.scored(runs, ranking, mapping)
    check_same_truth(several.values())
    return several


def mean_ap(several, location: bool, definition: str = "voc2010", tolerance: float = TOLERANCE, zero: int = 0) -> float:
    """mAP (0..1), mean over seeds; NaN where there are none or no locations. zero: what label 0 counts as (0: dropped)."""
    values = []
    for s in several.values():
        hits = s.hits(tolerance) if location else None
        if location and hits is None:
            return np.nan
        labels = np.where(s.labels == 0, zero, s.labels)
        values.append(metrics.mean(metrics.per_class(s.scores, labels, hits, definition)))
    return float(np.mean(values)) if values else np.nan


def _cell(value: float, column: Column, system: str, reference: float = np.nan) -> Cell:
    if np.isnan(value):
        return Cell(f"<small>{NOT_ATTEMPTED}</small>" if not column.runs(system) else "–", column.source)
    moved = "" if np.isnan(reference) or value == reference else f" <small>({signed(100 * (value - reference))})</small>"
    href = tables.href(column.runs(system)[0])
    return Cell(f'<a href="{href}">{number(100 * value)}</a>{moved}', column.source)


def _table(columns: list[Column], systems, choices: dict, value, caption: str, name: str, locations=(False, True)) -> Html:
    """Rows: data, system and metric; columns: the choices. `value(column, system, location, choice)` -> mAP."""
    heads = [[("data, system, metric", 1, ""), *((text, 1, "") for text in choices.values())]]
    rows = []
    for column in columns:
        for system in systems:
            for location in locations:
                if (system, location) in (("full_images", True), ("center", False)):
                    continue
                found = [value(column, system, location, choice) for choice in choices]
                cells = [_cell(v, column, system, found[0]) for v in found]
                what = METRICS["location" if location else "classification"]
                name = f"{tables.heading(column)}<br><small>{tables.LETTERS[system]}. {METHODS[system]}, {what}</small>"
                rows.append((name, cells))
    return tables.table(heads, rows, caption + tables.tested_on(columns), name)


def definitions_table(columns: list[Column]) -> Html:
    """mAP by definition of average precision."""

    def value(column, system, location, definition):
        return mean_ap(scored(tuple(column.runs(system))), location, definition)

    caption = "mAP, %, by definition of average precision; in brackets the difference to the book's own (left), points."
    return _table(columns, SYSTEMS, DEFINITIONS, value, caption, "definitions")


def points_table(columns: list[Column]) -> Html:
    """mAP of weak supervision by mapping of the point and by ranking score."""
    words = {"centre": "center", "score": "mean"}
    choices = {(m, r): f"{words.get(m, m)}, {words.get(r, 'max')}" for m in MAPPINGS for r in RANKINGS}

    def value(column, system, location, choice):
        mapping, ranking = choice
        lacking = not all(_has(run, ranking, mapping) for run in column.runs(system))
        return np.nan if lacking else mean_ap(scored(tuple(column.runs(system)), ranking, mapping), location)

    caption = "mAP, %, by mapping of cells and by ranking score; in brackets the difference to the first, points."
    return _table(columns, ("weak_sup",), choices, value, caption, "points")


def _has(run: Run, ranking: str, mapping: str) -> bool:
    """Whether the run's table carries the columns of a choice."""
    import pyarrow.parquet as pq

    return {ranking, f"distance{MAPPINGS[mapping]}"} <= set(pq.read_schema(run.folder / "predictions.parquet").names)


def labels_table(columns: list[Column]) -> Html:
    """mAP by what an image with only difficult or crowd objects counts as."""

    def value(column, system, location, zero):
        return mean_ap(scored(tuple(column.runs(system))), location, zero=zero)

    caption = "mAP, %, where images whose only objects of a class are difficult or crowds are dropped, count as positive, or as "
    caption += "negative; in brackets the difference to dropping them, points. No bracket: nothing changes."
    return _table(columns, SYSTEMS, LABELS, value, caption, "labels")


def tolerance_curves(column: Column) -> dict[str, pd.Series]:
    """Localization mAP (0..1) by tolerance, for each system with locations; the last tolerance is infinite."""
    out = {}
    for system, name in SHOWN.items():
        several = scored(tuple(column.runs(system)))
        if several and all(s.distance is not None for s in several.values()):
            values = [mean_ap(several, True, tolerance=t) for t in TOLERANCES]
            out[name] = pd.Series(values, index=pd.Index(TOLERANCES))
    return out


def order_sentences(columns: list[Column]) -> list[str]:
    """For each source: is weak supervision above center prediction at every tolerance?"""
    lines = []
    for column in columns:
        pair = column.load_pair("weak_sup", "center")
        if pair is None or pair[0].location is None:
            continue
        tables_of = [scored(result.runs) for result in pair]
        gaps = {}
        for tolerance in TOLERANCES[:-1]:
            weak, centre = (measures(several, tolerance, n_bootstrap=0).location for several in tables_of)
            gaps[tolerance] = paired_difference(weak, centre).value
        gap = pd.Series(gaps)
        below = [f"{t:g} pixels ({number(100 * d)} points)" for t, d in gap.items() if d <= 0]
        text = "J stays above K at every finite tolerance"
        if below:
            text = f"J is above K up to {max(gap.index[gap > 0], default=0):g} pixels, and not at {', '.join(below)}"
        sizes = f"at 0 pixels by {number(100 * gap[0.0])} points, at 18 by {number(100 * gap[18.0])}"
        lines.append(f"{tables.link(column)}: {text}; {sizes}.")
    return lines
