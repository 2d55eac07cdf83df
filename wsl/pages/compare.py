"""Tables of predictions side by side as HTML: in the book, and as a page of its own (`wsl compare --html`)."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.evaluation.compare import Comparison, compare, read, table_rows
from wsl.evaluation.evaluate import MEAN, METRICS
from wsl.evaluation.runs import run_at
from wsl.files import whole_file
from wsl.pages import tables
from wsl.pages.show import Html, Text, interval, number
from wsl.pages.tables import Cell


def to_html(comparison: Comparison, metric: str, data: str = "", link: bool = False) -> Html:
    """One metric as a table: mAP first, then the classes. link: names lead to the book's Runs page."""
    names = [html.escape(entry.name) for entry in comparison.entries]
    runs = [entry.run if link else None for entry in comparison.entries]
    linked = [f'<a href="{tables.href(run)}">{name}</a>' if run else name for name, run in zip(names, runs, strict=True)]
    heads = [[("class", 1, ""), *((name, 1, "") for name in linked)]]
    heads[0] += [(f"{name}<br><small>− {names[0]}</small>", 1, "") for name in names[1:]]
    values, differences = (table_rows(several, metric) for several in (comparison.values, comparison.differences))
    rows = []
    for name in [MEAN, *values[0].index[:-1]]:
        cells = [_cell(table.loc[name], name == MEAN) for table in values]
        cells += [_cell(table.loc[name], True, "+") for table in differences]
        rows.append((f"<b>{MEAN}</b>" if name == MEAN else html.escape(name), cells))
    n = len(comparison.entries[0].scored.images)
    where = f" on {html.escape(data)}" if data else ""
    extra = f", tolerance {comparison.tolerance:g} pixels" if metric == "location" else ""
    caption = f"{METRICS[metric].capitalize()} AP, %{where}, {n:,} images{extra}; differences in points with 95% intervals."
    return tables.table(heads, rows, caption, re.sub(r"\W+", "-", f"compare {metric} {data}".strip()))


def _cell(row: pd.Series, below: bool, sign: str = "") -> Cell:
    """A number with its interval in the tooltip, and `below` it."""
    if np.isnan(row["value"]):
        return Cell("–", title="no positives, or no locations")
    text, title = number(100 * row["value"], sign=bool(sign)), ""
    if "low" in row:
        ends = interval(100 * row["low"], 100 * row["high"])
        title = f"95% interval {ends}"
        text += f"<br><small>{ends}</small>" if below else ""
    return Cell(text, title=title)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color-scheme: light dark; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1.5rem 0; }} caption {{ text-align: left; }}
th, td {{ padding: .3rem .7rem; border-top: 1px solid #8885; text-align: right; vertical-align: top; }}
th:first-child {{ text-align: left; }} small {{ opacity: .75; }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


def write_page(comparison: Comparison, path: str | Path, data: str = "") -> None:
    """A page of its own: both tables, readable without a network."""
    parts = [to_html(comparison, m, data) for m in comparison.metrics]
    title = html.escape(" against ".join(entry.name for entry in comparison.entries))
    with whole_file(path) as temporary:
        temporary.write_text(PAGE.format(title=title, body="".join(parts)), encoding="utf8", errors="replace")


# ---------------------------------------------------------------- the book's page


def page(others: Sequence[str], references: Sequence[str | Path], dataset: Dataset | None, data: str) -> list:
    """What the notebook shows: both tables of `references` (our runs) and `others` (an outsider's), or why not."""
    there = [str(path) for path in references if run_at(path)]
    sources = [*there, *others]
    if others and dataset is None:
        return [Text("The data set of this profile is not on this machine, and the tables do not say where the objects are.")]
    if len(sources) < 2:
        return [Text("Fewer than two tables are here: nothing to compare yet.")]
    found = compare(read(sources, dataset if others else None))
    return [to_html(found, metric, data, link=True) for metric in found.metrics]
