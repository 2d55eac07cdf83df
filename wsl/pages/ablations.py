"""One change at a time: the ablations of weak supervision as one table, and the curve over training images."""

from __future__ import annotations

import html

import pandas as pd

from wsl.findings import results as report
from wsl.findings.results import Cell, Column
from wsl.pages.show import Html

REFERENCE = "weak_sup"
# (group, [(system, row name)]); runs of further `weak_sup@...` systems are added below by their name.
ROWS = (
    ("scales", [
        ("weak_sup@train_s1", "trained at s = 1"),
        ("weak_sup@test_s1", "tested at s = 1"),
        ("weak_sup@s1", "trained and tested at s = 1"),
        ("weak_sup@test_wide", "wider search in testing"),
        ("weak_sup@test_fine", "finer search in testing"),
    ]),
    ("adaptation", [("weak_sup@3x3", "3×3 kernels (script)")]),
    ("recipe", [("weak_sup@sgd", "SGD of the paper"), ("weak_sup@adagrad", "AdaGrad of the script")]),
    ("pooling", [
        ("weak_sup@mean", "mean"), ("weak_sup@lse", "log-sum-exp"), ("weak_sup@topk", "mean of the best cells"),
    ]),
)  # fmt: skip
PERCENTS = (5, 10, 25, 50)


def systems(columns: list[Column]) -> list[tuple[str, str]]:
    """(system, row name) of every row: those of `ROWS`, then whatever else was run with one change."""
    known = [(system, f"{group}: {name}") for group, several in ROWS for system, name in several]
    images = [(f"{REFERENCE}@n{p}", f"images: {p}%") for p in PERCENTS]
    names = {run.system for c in columns for run in report.find_runs(c.root, c.profile, c.trunk)}
    single = [n for n in names if n.startswith(f"{REFERENCE}@") and n.count("@") == 1]
    rest = sorted(n for n in single if n not in dict(known + images))
    return known + [(name, html.escape(name.split("@")[1])) for name in rest] + images


def table(columns: list[Column], metric: str) -> Html:
    """mAP of every variant and its difference to weak supervision on the same seeds and resampled images."""
    heads = [[("", 1, "")], [("one change to J", 1, "")]]
    for column in columns:
        heads[0].append((column.head(), 2, column.kind))
        heads[1] += [("mAP", 1, column.kind), ("against J", 1, column.kind)]
    rows = [("<b>J, weak supervision</b>", [c for column in columns for c in _reference(column, metric)])]
    for system, name in systems(columns):
        cells = []
        for column in columns:
            found = report.cell(column.load(system), metric, small=False)
            cells += [
                Cell(found.text, column.kind, found.title),
                report.difference_cell(column.load_pair(system, REFERENCE), metric, column.kind),
            ]
        rows.append((name, cells))
    what = "classification" if metric == "classification" else "location prediction"
    caption = f"Ablations, {what}: mAP in %, and the difference to J in points with its paired 95% interval."
    return report.table(heads, rows, caption, "ablations" if metric == "classification" else "ablations-location")


def _reference(column: Column, metric: str) -> list[Cell]:
    found = report.cell(column.load(REFERENCE), metric, small=False)
    return [Cell(found.text, column.kind, found.title), Cell("0", column.kind)]


def image_curve(column: Column) -> pd.DataFrame:
    """percent, classification, classification_low, ..., location_high (0..1) by share of training images."""
    rows = []
    for percent in (*PERCENTS, 100):
        result = column.load(REFERENCE if percent == 100 else f"{REFERENCE}@n{percent}")
        if result is None or result.location is None:
            continue
        row = {"percent": percent}
        for metric in ("classification", "location"):
            measure = getattr(result, metric)
            row |= {metric: measure.value, f"{metric}_low": measure.low, f"{metric}_high": measure.high}
        rows.append(row)
    return pd.DataFrame(rows)


def trunk_table(sources) -> Html | None:
    """Weak supervision, full images and the centre on every trunk that was run, for each (root, profile)."""
    found = [(root, profile, trunk) for root, profile in sources for trunk in _trunks(root, profile)]
    if not found:
        return None
    texts = ("J, classification", "J − H", "J, location", "J − K")
    rows = []
    for root, profile, trunk in found:
        column = Column(root, profile, trunk)
        weak, kind = column.load(REFERENCE), column.kind
        naming, placing = (report.cell(weak, metric, small=False) for metric in ("classification", "location"))
        cells = [
            Cell(naming.text, kind, naming.title),
            report.difference_cell(column.load_pair(REFERENCE, "full_images"), "classification", kind),
            Cell(placing.text, kind, placing.title),
            report.difference_cell(column.load_pair(REFERENCE, "center"), "location", kind),
        ]
        rows.append((f"{column.head_text()}<br><small>{html.escape(trunk)}</small>", cells))
    heads = [[("data, trunk", 1, ""), *((text, 1, "") for text in texts)]]
    return report.table(heads, rows, "The core comparisons on every trunk that was run.", "trunks")


def _trunks(root, profile: str) -> list[str]:
    return sorted({run.trunk for run in report.find_runs(root, profile)})
