"""`wsl evaluate --html`: a page to send, about one table of predictions on one data set, readable without a network."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.evaluation.evaluate import MEAN, METRICS, Scored
from wsl.evaluation.metrics import ranking
from wsl.files import whole_file
from wsl.pages.compare import PAGE
from wsl.pages.intervals import DOT, Mark, Row, chart
from wsl.pages.show import Html, interval, number
from wsl.pages.tables import Cell, table

COLUMNS = {"classification": ("ap", "#2b83c6"), "location": ("location_ap", "#1b9e77")}
SHOWN = 20  # rows of the lists of classes and of misses
SIDE = 100  # pixels of a precision-recall curve
STYLE = """<style>ul.wsl-key { list-style: none; padding: 0; display: flex; gap: 1.5rem; } ul.wsl-key span { color: canvastext; }
div.curves { display: flex; flex-wrap: wrap; gap: .8rem; } figure { margin: 1rem 0; }
div.curves figure { margin: 0; font-size: 12px; }
dt { font-weight: 600; } dd { overflow-wrap: anywhere; }</style>"""


def write_page(
    path: str | Path, frame: pd.DataFrame, scored: Scored, tolerance: float, title: str, about: dict[str, str]
) -> None:
    """frame: of `wsl.evaluation.evaluate.evaluate`. about: how the page was made, name -> value."""
    metrics = [metric for metric in COLUMNS if frame[COLUMNS[metric][0]].notna().any()]
    parts = [STYLE, _means(frame, metrics, scored, tolerance), "<h2>By class</h2>", _by_class(frame, metrics)]
    if "location" in metrics:
        parts += ["<h2>What localization loses</h2>", _losses(frame)]
    parts += ["<h2>Precision and recall</h2>", _curves(scored, tolerance, metrics), "<h2>The worst misses</h2>"]
    parts += [_misses(scored, tolerance), "<h2>How this page was made</h2>"]
    parts.append("<dl>" + "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in about.items()) + "</dl>")
    with whole_file(path) as temporary:
        text = PAGE.format(title=html.escape(title), body="\n".join(parts))
        temporary.write_text(text, encoding="utf8", errors="replace")


def _value(row: pd.Series, column: str) -> str:
    if np.isnan(row[column]):
        return "–"
    text = number(100 * row[column])
    if f"{column}_low" in row:
        text += f" <small>({interval(100 * row[f'{column}_low'], 100 * row[f'{column}_high'])})</small>"
    return text


def _means(frame: pd.DataFrame, metrics: list[str], scored: Scored, tolerance: float) -> Html:
    last = frame.iloc[-1]
    rows = [(f"{METRICS[metric].capitalize()} {MEAN}", [Cell(_value(last, COLUMNS[metric][0]))]) for metric in metrics]
    where = f", a point counts up to {tolerance:g} pixels from a box" if "location" in metrics else ""
    given = "; in brackets the 95% interval" if "ap_low" in frame else ""
    return table([[("", 1, ""), ("%", 1, "")]], rows, f"{len(scored.images):,} images{where}{given}.", "means")


def _by_class(frame: pd.DataFrame, metrics: list[str]) -> Html:
    classes = frame.iloc[:-1].dropna(subset="ap").sort_values("ap", ascending=False, kind="stable")
    rows = []
    for _, row in classes.iterrows():
        marks = []
        for column, colour in (COLUMNS[metric] for metric in metrics):
            ends = [100 * row.get(f"{column}_{end}", np.nan) for end in ("low", "high")]
            marks.append(Mark(100 * row[column], *ends, colour))
        values = ", ".join(f"{METRICS[metric]} {number(100 * row[COLUMNS[metric][0]])}" for metric in metrics)
        rows.append(Row(row["class"], tuple(marks), "", title=f"{row['class']}: {values}; {row['n_pos']} positives"))
    legend = [(DOT, COLUMNS[metric][1], f"{METRICS[metric]} AP") for metric in metrics]
    return chart(rows, "Average precision of each class", legend, "Average precision of each class, %.", range(0, 101, 20), 24)


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
            points = " ".join(f"{SIDE * x:.1f},{SIDE * (1 - y):.1f}" for x, y in zip(recall, precision, strict=True))
            lines.append(f'<polyline points="{points}" fill="none" stroke="{COLUMNS[metric][1]}" stroke-width="1.5"/>')
        label = f"{html.escape(name)}: precision over recall"
        frame = f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="currentColor" stroke-opacity=".3"/>'
        size = f'width="{SIDE}" height="{SIDE}" viewBox="0 0 {SIDE} {SIDE}"'
        drawn = f'<svg {size} role="img" aria-label="{label}">{frame}{"".join(lines)}</svg>'
        charts.append(f"<figure>{drawn}<figcaption>{html.escape(name)}</figcaption></figure>")
    return Html(f'<p>Recall to the right, precision upwards, both from 0 to 1.</p><div class="curves">{"".join(charts)}</div>')


def _misses(scored: Scored, tolerance: float) -> Html:
    """What costs most: absent classes, and points beside the object, that are ranked before the most positives."""
    hits, found = scored.hits(tolerance), []
    for k, name in enumerate(scored.classes):
        order = ranking(scored.scores[:, k], scored.labels[:, k])
        positive = scored.labels[order, k] > 0
        right = positive if hits is None else positive & hits[order, k]
        behind = right[::-1].cumsum()[::-1]  # right ones at this rank or after it
        for rank in np.flatnonzero(~right & np.isfinite(scored.scores[order, k]))[:SHOWN]:
            image = order[rank]
            why = f"{scored.distance[image, k]:.0f} pixels from the object" if positive[rank] else "the class is not there"
            found.append((-behind[rank], rank, name, scored.images[image], scored.scores[image, k], why))
    rows = []
    for _, rank, name, image, score, why in sorted(found)[:SHOWN]:
        cells = [Cell(html.escape(name), left=True), Cell(f"{score:.3g}"), Cell(str(rank + 1)), Cell(why, left=True)]
        rows.append((html.escape(image), cells))
    heads = [[(text, 1, "") for text in ("image", "class", "score", "rank in its class", "what is wrong")]]
    caption = "Wrong answers that stand before the most right ones of their class."
    return table(heads, rows, caption, "misses") if rows else Html("<p>There are none.</p>")
