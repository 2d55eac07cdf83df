"""Tables of predictions side by side as HTML: in the book, and as a page of its own (`wsl compare --html`)."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.evaluation.compare import Comparison, compare, read, remarks, table_rows
from wsl.evaluation.evaluate import MEAN, METRICS
from wsl.evaluation.runs import run_at
from wsl.files import whole_file
from wsl.pages import tables
from wsl.pages.intervals import DOT, Mark, Row, chart
from wsl.pages.show import Html, Text, interval, number, signed
from wsl.pages.tables import Cell


def to_html(comparison: Comparison, metric: str, data: str = "", link: bool = False) -> Html:
    """One metric as a table: mAP first, then the classes. link: names lead to the book's Runs page."""
    names = [re.sub("([/_])", r"\1<wbr>", html.escape(entry.name)) for entry in comparison.entries]  # where a name may break
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


# ---------------------------------------------------------------- pages of their own

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color-scheme: light dark; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1.5rem 0; }} caption {{ text-align: left; }}
th, td {{ padding: .3rem .7rem; border-top: 1px solid #8885; text-align: right; vertical-align: top; }}
th:first-child, th:has(> .left), td.left {{ text-align: left; }} small {{ opacity: .75; }} figure {{ margin: 1rem 0; }}
ul.wsl-key {{ list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0 1.5rem; }}
ul.wsl-key span {{ color: canvastext; }}
div.curves {{ display: flex; flex-wrap: wrap; gap: .8rem; }} div.curves figure {{ margin: 0; font-size: 12px; }}
dt {{ font-weight: 600; }} dd {{ overflow-wrap: anywhere; }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""
COLOURS = ("#2b83c6", "#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e")
CHANGED = 20  # classes in the chart of those that change most


def write(path: str | Path, title: str, parts: Sequence[str], about: Mapping[str, str], known: Sequence[str] = ()) -> None:
    """A page that needs no network and no other file. about: how it was made, name -> value. known: what to know first."""
    first = "".join(f"<li>{html.escape(remark)}</li>" for remark in known)
    lines = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in about.items())
    body = "\n".join([f"<ul>{first}</ul>" if first else "", *parts, "<h2>How this page was made</h2>", f"<dl>{lines}</dl>"])
    with whole_file(path) as temporary:
        temporary.write_text(PAGE.format(title=html.escape(title), body=body), encoding="utf8", errors="replace")


def write_page(comparison: Comparison, path: str | Path, data: str = "", about: Mapping[str, str] | None = None) -> None:
    """Means and differences, every class as a chart, the classes that change most, and the tables in full."""
    parts = [_means(comparison, data)]
    for metric in comparison.metrics:
        parts += [f"<h2>{METRICS[metric].capitalize()}</h2>", _by_class(comparison, metric), *_changes(comparison, metric)]
    parts += ["<h2>In full</h2>", *(to_html(comparison, metric, data) for metric in comparison.metrics)]
    names = " against ".join(entry.name for entry in comparison.entries)
    write(path, names, parts, about or {}, remarks(comparison.entries))


def _means(comparison: Comparison, data: str) -> Html:
    names = [html.escape(entry.name) for entry in comparison.entries]
    what = [METRICS[metric] for metric in comparison.metrics]
    heads = [[("", 1, ""), *((f"{one} {MEAN}, %", 1, "") for one in what)]]
    heads[0] += [(f"{one}<br><small>− {names[0]}</small>", 1, "") for one in what]
    values, differences = (
        [table_rows(several, metric) for metric in comparison.metrics] for several in (comparison.values, comparison.differences)
    )
    rows = []
    for k, name in enumerate(names):
        cells = [_cell(each[k].loc[MEAN], True) for each in values]
        rows.append((name, cells + [_cell(each[k - 1].loc[MEAN], True, "+") if k else Cell("") for each in differences]))
    where = f" on {html.escape(data)}" if data else ""
    caption = f"{len(comparison.entries[0].scored.images):,} images{where}, tolerance {comparison.tolerance:g} pixels."
    if "low" in values[0][0]:
        caption += " Below a value its 95% interval; a difference's comes from the same resampled images for both."
    return tables.table(heads, rows, caption, "means")


def _mark(row: pd.Series, colour: str) -> Mark:
    return Mark(*(100 * row.get(end, np.nan) for end in ("value", "low", "high")), colour)


def _by_class(comparison: Comparison, metric: str) -> Html:
    """A row a class, a dot a table, in the order of the first table's values."""
    values = table_rows(comparison.values, metric)
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(values))]
    order = values[0].iloc[:-1]["value"].dropna().sort_values(ascending=False, kind="stable").index
    rows = []
    for name in order:
        numbers = (number(100 * table.loc[name, "value"]) for table in values)
        told = ", ".join(f"{entry.name} {text}" for entry, text in zip(comparison.entries, numbers, strict=True))
        marks = tuple(_mark(table.loc[name], colour) for table, colour in zip(values, colours, strict=True))
        rows.append(Row(name, marks, title=f"{name}: {told}"))
    legend = [(DOT, colour, html.escape(entry.name)) for entry, colour in zip(comparison.entries, colours, strict=True)]
    alt = f"{METRICS[metric].capitalize()} AP of each class"
    return chart(rows, alt, legend, f"{alt}, %.", range(0, 101, 20), 24) if rows else Html("")


def _changes(comparison: Comparison, metric: str) -> list[Html]:
    """For each table but the first, the classes whose AP differs most from the first's."""
    charts = []
    first, *others = comparison.entries
    for entry, table in zip(others, table_rows(comparison.differences, metric), strict=True):
        gains = table.iloc[:-1].dropna(subset="value")
        gains = gains.loc[gains["value"].abs().sort_values(ascending=False, kind="stable").head(CHANGED).index]
        gains = gains.sort_values("value", ascending=False, kind="stable")
        rows = [Row(name, (_mark(row, COLOURS[0]),), signed(100 * row["value"])) for name, row in gains.iterrows()]
        alt = f"{METRICS[metric]} AP of {entry.name} minus {first.name}, the classes that change most"
        caption = f"{html.escape(entry.name)} minus {html.escape(first.name)}: the classes that change most, points."
        charts += [chart(rows, alt, caption=caption, beside=24)] if rows else []
    return charts


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
