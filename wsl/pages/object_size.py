"""Whether the size of objects explains what boxes add: table and verdicts of D28, from `wsl.findings.reasons.by_size`."""

from __future__ import annotations

import pandas as pd

from wsl.findings.reasons import BY_SIZE, SIZES, verdicts_by_size
from wsl.findings.results import Column
from wsl.pages import tables
from wsl.pages.show import Html, interval, signed
from wsl.pages.tables import Cell


def say_verdicts(found: pd.DataFrame) -> list[str]:
    """What became of the explanation, a sentence a comparison."""
    return [
        f"{title}, small objects less large ones: {signed(row['value'])} ({interval(row['low'], row['high'])}): {verdict}"
        for title, row, verdict in verdicts_by_size(found)
    ]


def table(found: pd.DataFrame, columns: list[Column]) -> Html:
    """Each comparison among small, middle and large objects, for each data set and division of the sizes."""
    rows = []
    for title, a, *_ in BY_SIZE:
        for column in columns:
            own = found[(found["comparison"] == title) & (found["profile"] == column.profile)]
            for division, parts in own.groupby("division", sort=False):
                cells = [_cell(parts[parts["part"] == part].iloc[0], column, a) for part in SIZES]
                rows.append((f"{title}<br><small>{column.title}, {division}</small>", cells))
    heads = [[("comparison, data, division", 1, ""), *((part, 1, "") for part in SIZES)]]
    caption = "Differences in mAP, points, by the size of the objects, with paired 95% intervals."
    return tables.table(heads, rows, caption, "object-size")


def _cell(row: pd.Series, column: Column, system: str) -> Cell:
    run = column.runs(system)[0]
    return tables.points_cell(row, run, run.source, f"{row['positives']:,} pairs of an image and a class that it shows")
