"""`wsl evaluate --html`: a page to send, about one table of predictions on one data set, readable without a network."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset, count
from wsl.data.images import read_image
from wsl.errors import StudyError
from wsl.evaluation.evaluate import MEAN, METRICS, TOLERANCE, Scored, measures
from wsl.evaluation.metrics import ranking
from wsl.evaluation.predictions import align
from wsl.findings import paper, results
from wsl.findings.results import METHODS, kept_bootstrap, runs_on
from wsl.pages import pictures
from wsl.pages.compare import write
from wsl.pages.intervals import DOT, Mark, Row, chart
from wsl.pages.show import Html, interval, number
from wsl.pages.tables import Cell, paper_cell, table

COLUMNS = {"classification": ("ap", "#2b83c6"), "location": ("location_ap", "#1b9e77")}
SHOWN = 20  # rows of the lists of classes and of misses
SIDE = 100  # pixels of a precision-recall curve
RECORDED = Path(__file__).resolve().parents[2] / "results"  # beside a checkout; an installed wheel has none


@dataclass(frozen=True)
class Settings:
    """How a table was evaluated: what the rows beside it are evaluated with, too."""

    tolerance: float
    rule: str
    resamples: int
    seed: int


def write_page(
    path: str | Path, name: str, frame: pd.DataFrame, table: pd.DataFrame, scored: Scored, dataset: Dataset, settings: Settings,
    about: dict[str, str], recorded: Path = RECORDED,
) -> None:  # fmt: skip
    """name: of the table. frame: of `wsl.evaluation.evaluate.evaluate`. about: how the page was made, name -> value.

    recorded: the folder of runs of which those on the same data set stand beside.
    """
    metrics = [metric for metric in COLUMNS if frame[COLUMNS[metric][0]].notna().any()]
    others = [*_printed(dataset, settings), *_recorded(dataset, settings, recorded)]
    parts = [_means(name, frame, metrics, others, scored, settings.tolerance), "<h2>By class</h2>", _by_class(frame, metrics)]
    if "location" in metrics:
        parts += ["<h2>What localization loses</h2>", _losses(frame)]
    parts += ["<h2>Precision and recall</h2>", _curves(scored, settings.tolerance, metrics), "<h2>The worst misses</h2>"]
    parts += _misses(scored, table, dataset, settings.tolerance)
    write(path, f"{name} on {dataset.name}", parts, about, scored.remarks)


def _printed(dataset: Dataset, settings: Settings) -> list[tuple[str, list[Cell]]]:
    """The paper's rows of Table 2, where this is its data set and its tolerance."""
    printed = paper.table2_on(dataset.name, len(dataset))
    if printed is None or settings.tolerance != TOLERANCE:
        return []
    return [
        (f"{letter}. {row['method']} <small>(the paper)</small>", [paper_cell(row[metric]) for metric in COLUMNS])
        for letter, row in printed.iterrows()
    ]


def _recorded(dataset: Dataset, settings: Settings, root: Path) -> list[tuple[str, list[Cell]]]:
    """This study's recorded systems on these images, evaluated as the table is: means over seeds; none with changed settings."""
    rows = []
    for (system, trunk), runs in runs_on(root, dataset.digest()).items():
        if "@" in system:
            continue
        seeds = results.scored(runs)
        found = measures(seeds, settings.tolerance, settings.rule, settings.resamples, settings.seed, kept_bootstrap)
        cells = [Cell(_percent(*(getattr(one, end) for end in ("value", "low", "high"))) if one else "–") for one in found]
        label = f"{html.escape(METHODS.get(system, system))} <small>({html.escape(trunk)}, {count(len(runs), 'seed')})</small>"
        rows.append((label, cells))
    return rows


def _percent(value: float, low: float = np.nan, high: float = np.nan) -> str:
    """ "93.5 (92.6 to 94.3)" of shares 0..1."""
    if np.isnan(value):
        return "–"
    return number(100 * value) + ("" if np.isnan(low) else f" <small>({interval(100 * low, 100 * high)})</small>")


def _value(row: pd.Series, column: str) -> str:
    return _percent(row[column], *(row.get(f"{column}_{end}", np.nan) for end in ("low", "high")))


def _means(name: str, frame: pd.DataFrame, metrics: list[str], others: list, scored: Scored, tolerance: float) -> Html:
    own = [Cell(f"<b>{_value(frame.iloc[-1], COLUMNS[metric][0])}</b>") for metric in metrics]
    rows = [(f"<b>{html.escape(name)}</b>", own), *((label, cells[: len(metrics)]) for label, cells in others)]
    where = f", a point counts up to {tolerance:g} pixels from a box" if "location" in metrics else ""
    given = "; in brackets the 95% interval" if "ap_low" in frame else ""
    beside = ". Below it other systems on the same images; wsl compare gives differences with their intervals" if others else ""
    heads = [[("", 1, ""), *((f"{METRICS[metric]} {MEAN}, %", 1, "") for metric in metrics)]]
    return table(heads, rows, f"{len(scored.images):,} images{where}{given}{beside}.", "means")


def _by_class(frame: pd.DataFrame, metrics: list[str]) -> Html:
    classes = frame.iloc[:-1].dropna(subset="ap").sort_values("ap", ascending=False, kind="stable")
    rows = []
    for _, row in classes.iterrows():
        marks = []
        for column, colour in (COLUMNS[metric] for metric in metrics):
            ends = [100 * row.get(f"{column}_{end}", np.nan) for end in ("low", "high")]
            marks.append(Mark(100 * row[column], *ends, colour))
        values = ", ".join(f"{METRICS[metric]} {number(100 * row[COLUMNS[metric][0]])}" for metric in metrics)
        label, title = f"{row['class']} ({row['n_pos']})", f"{row['class']}: {values}; {row['n_pos']} positives"
        rows.append(Row(label, tuple(marks), "", title=title))
    legend = [(DOT, COLUMNS[metric][1], f"{METRICS[metric]} AP") for metric in metrics]
    caption = "Average precision of each class, %; in brackets the number of its images."
    return chart(rows, "Average precision of each class", legend, caption, range(0, 101, 20), 24)


def _losses(frame: pd.DataFrame) -> Html:
    classes = frame.iloc[:-1].dropna(subset=["ap", "location_ap"])
    lost = (classes["ap"] - classes["location_ap"]).sort_values(ascending=False, kind="stable").head(SHOWN)
    rows = [
        (html.escape(row["class"]), [Cell(number(100 * lost[k])), *(Cell(_value(row, c)) for c in ("ap", "location_ap"))])
        for k, row in classes.loc[lost.index].iterrows()
    ]
    heads = [[("class", 1, ""), ("lost, points", 1, ""), ("classification AP", 1, ""), ("localization AP", 1, "")]]
    return table(heads, rows, "Classes whose objects are named and not found: classification AP minus localization AP.", "lost")


def _curves(scored: Scored, tolerance: float, metrics: list[str]) -> Html:
    """Precision over recall at each positive of each class, one small chart a class."""
    hits, charts = scored.hits(tolerance), []
    for k, name in enumerate(scored.classes):
        order = ranking(scored.scores[:, k], scored.labels[:, k])
        positive = scored.labels[order, k] > 0
        if not positive.any():
            continue
        lines = []
        for metric in metrics:
            right = positive if metric == "classification" else positive & hits[order, k]
            at = np.flatnonzero(positive)
            at = at[np.unique(np.linspace(0, len(at) - 1, min(len(at), 60)).round().astype(int))]
            recall, precision = np.cumsum(right)[at] / positive.sum(), np.cumsum(right)[at] / (at + 1)
            line = [(0, precision[0]), *zip(recall, precision, strict=True)]
            points = " ".join(f"{SIDE * x:.1f},{SIDE * (1 - y):.1f}" for x, y in line)
            lines.append(f'<polyline points="{points}" fill="none" stroke="{COLUMNS[metric][1]}" stroke-width="1.5"/>')
        label = f"{html.escape(name)}: precision over recall"
        frame = f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="currentColor" stroke-opacity=".3"/>'
        size = f'width="{SIDE}" height="{SIDE}" viewBox="0 0 {SIDE} {SIDE}"'
        drawn = f'<svg {size} role="img" aria-label="{label}">{frame}{"".join(lines)}</svg>'
        charts.append(f"<figure>{drawn}<figcaption>{html.escape(name)}</figcaption></figure>")
    return Html(f'<p>Recall to the right, precision upwards, both from 0 to 1.</p><div class="curves">{"".join(charts)}</div>')


def _misses(scored: Scored, table_of_predictions: pd.DataFrame, dataset: Dataset, tolerance: float) -> list[Html]:
    """What costs most: absent classes, and points beside the object, that are ranked before the most positives."""
    hits, found = scored.hits(tolerance), []
    for k in range(len(scored.classes)):
        order = ranking(scored.scores[:, k], scored.labels[:, k])
        positive = scored.labels[order, k] > 0
        right = positive if hits is None else positive & hits[order, k]
        behind = positive[::-1].cumsum()[::-1]  # positives at this rank or after it
        for rank in np.flatnonzero(~right & (behind > 0) & np.isfinite(scored.scores[order, k]))[:SHOWN]:
            found.append((-behind[rank], rank, k, order[rank]))
    if not found:
        return [Html("<p>There are none.</p>")]
    points = align(table_of_predictions, dataset).points
    rows, cards = [], []
    for n, (_, rank, k, image) in enumerate(sorted(found)[:SHOWN], 1):
        name = html.escape(scored.classes[k])
        there = scored.labels[image, k] > 0
        why = f"{scored.distance[image, k]:.0f} pixels from the object" if there else "the class is not there"
        score = f"{scored.scores[image, k]:.3g}".replace("-", "−")
        cells = [Cell(name, left=True), Cell(score), Cell(str(rank + 1)), Cell(why, left=True)]
        rows.append((f"{n}. {html.escape(scored.images[image])}", cells))
        if picture := _picture(dataset, image, k, None if points is None else points[image, k]):
            cards.append((picture, f"{n}. {name}: {why}"))
    heads = [[(text, 1, "") for text in ("image", "class", "score", "rank in its class", "what is wrong")]]
    caption = "Wrong answers that stand before the most positives of their class, or are positives at the wrong place."
    note = "The same with the predicted point (cross) and the true boxes (dashed). Pictures are under the terms of their authors."
    return [table(heads, rows, caption, "misses"), *([Html(f"<p>{note}</p>"), pictures.gallery(cards, 4)] if cards else [])]


def _picture(dataset: Dataset, image: int, k: int, point: np.ndarray | None) -> str:
    """The image with the point and the boxes of class k; "" where its file is not there, or is another picture."""
    try:
        rgb = read_image(dataset.files[image], tuple(dataset.sizes[image]))
    except (StudyError, OSError):
        return ""
    boxes = dataset.boxes.xyxy[(dataset.boxes.image == image) & (dataset.boxes.cls == k)]
    marks = [] if point is None or np.isnan(point).any() else [(*point, dataset.classes[k])]
    alt = f"image {dataset.images[image]}, predicted point of {dataset.classes[k]}"
    return pictures.with_points(rgb, marks, alt, 320, boxes, 75)
