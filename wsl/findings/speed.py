"""Timings of `make bench`: what each side took beside ours, the bars that were set, how time and memory grow.

A table lies in one CSV file a machine, `results/bench/*.csv` as recorded, `runs/bench/*.csv` as made here: a row a side, with the
median, lowest and highest of its runs in seconds, peak memory in MiB, and the machine, versions, date and commit of its
measurement. Sides of one `measure` do the same work; the one called "ours" is the study's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.errors import StudyError

OURS = "ours"
COCO = 123_000  # images of COCO 2014, training and validation
NUMBERS = ("size", "seconds", "low", "high", "memory_mib")  # empty where there is none
NEEDED = {"group", "measure", "side", "runs", "note", *NUMBERS}


@dataclass(frozen=True)
class Bar:
    """The fastest of some sides must take at least so many times as long as ours."""

    measure: str  # how the measure's name begins
    against: tuple[str, ...]
    least: float


LIBRARIES = ("scikit-learn", "torchmetrics")
BARS = (
    Bar("score maps", ("torch eager",), 4),
    Bar("score maps", ("window by window",), 15),
    Bar("score maps", ("grad-cam", "torchcam"), 10),
    Bar("score maps", ("bare OpenVINO trunk",), 1 / 1.25),
    Bar("an epoch", ("naive loop, trunk in it",), 20),
    Bar("average precision", (*LIBRARIES, "loop over pycocotools"), 1),
    Bar("1,000 resamples", LIBRARIES, 1),
    Bar("decode", ("bare libjpeg-turbo (simplejpeg)",), 0.8),
)


def read(path: str | Path) -> pd.DataFrame:
    """The table of one machine, with a column `ratio`: how many times as long as ours a side takes (NaN without ours).

    Errors: StudyError where the file is no such table.
    """
    try:
        missing = {name: [""] for name in NUMBERS}
        rows = pd.read_csv(path, dtype={"commit": str}, keep_default_na=False, na_values=missing)
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); make it with `make bench`") from None
    if lacking := NEEDED - set(rows.columns):
        raise StudyError(f"{path}: lacks {', '.join(sorted(lacking))}; make it with `make bench`")
    ours = rows[rows["side"] == OURS].set_index("measure")["seconds"]
    return rows.assign(ratio=rows["seconds"] / rows["measure"].map(ours))


def judge(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each of `BARS` whose measure is there: against the fastest of its sides; reached is None if none is measured."""
    found = []
    for bar in BARS:
        own = rows[rows["measure"].str.startswith(bar.measure)]
        if own.empty:
            continue
        measured = own[own["side"].isin(bar.against) & own["ratio"].notna()].sort_values("ratio", kind="stable")
        against, ratio = (measured["side"].iloc[0], measured["ratio"].iloc[0]) if len(measured) else (bar.against[0], np.nan)
        reached = bool(ratio >= bar.least) if len(measured) else None
        found.append((own["measure"].iloc[0], against, ratio, bar.least, reached))
    return pd.DataFrame(found, columns=["measure", "against", "ratio", "least", "reached"])


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """By measure of growth, what one more unit takes: seconds between the two smallest and between the two largest sizes (equal
    if time is linear), MiB between the smallest and the largest, and what `COCO` units would take at the last of these slopes."""
    found = {}
    for measure, own in rows[rows["size"].notna() & rows["seconds"].notna()].groupby("measure", sort=False):
        if len(own) < 3:
            continue
        size, seconds, memory = own.sort_values("size")[["size", "seconds", "memory_mib"]].to_numpy(float).T
        first, last = (np.diff(seconds) / np.diff(size))[[0, -1]]
        each = (memory[-1] - memory[0]) / (size[-1] - size[0])
        more = COCO - size[-1]
        found[measure] = (size[0], size[-1], first, last, each, seconds[-1] + more * last, memory[-1] + more * each)
    columns = ["smallest", "largest", "first", "last", "mib", "coco_seconds", "coco_mib"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns)


# ---- words


def duration(seconds: float) -> str:
    """Three digits and a unit: "703 ms", "3.26 s", "133 s", "37.5 min"."""
    if np.isnan(seconds):
        return "–"
    for factor, unit, most in ((1e6, "µs", 1e-3), (1e3, "ms", 1), (1, "s", 600), (1 / 60, "min", 7200)):
        if seconds < most:
            return f"{_digits(factor * seconds)} {unit}"
    return f"{_digits(seconds / 3600)} h"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float) -> str:
    """ "4.7×"."""
    return "" if np.isnan(ratio) else f"{_digits(ratio)}×"


def sides_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Every side of every measure, in words."""
    lines = []
    for _, row in rows.iterrows():
        took, low, high = (duration(row[name]) for name in ("seconds", "low", "high"))
        if row["runs"]:
            took += f" ({low} to {high}, {row['runs']} runs)" if row["runs"] > 1 else " (1 run)"
        memory = "" if np.isnan(row["memory_mib"]) else f"{row['memory_mib']:,.0f} MiB"
        lines.append((row["measure"], row["side"], took, times(row["ratio"]), memory, row["note"]))
    return pd.DataFrame(lines, columns=["measurement", "implementation", "time", "times ours", "peak memory", "note"])


def bars_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`judge`, in words."""
    words = {True: "reached", False: "missed", None: "not measured"}
    lines = [
        (row["measure"], row["against"], times(row["least"]), times(row["ratio"]), words[row["reached"]])
        for _, row in judge(rows).iterrows()
    ]
    return pd.DataFrame(lines, columns=["measurement", "against", "at least", "found", "verdict"])


def say_growth(rows: pd.DataFrame) -> list[str]:
    """A sentence a measure of growth."""
    lines = []
    for measure, g in growth(rows).iterrows():
        unit = {"growth with images": "image", "growth with classes": "class"}.get(measure, "megapixel of input")
        first, last = (duration(g[end]) if g[end] > 0 else "no time that could be measured" for end in ("first", "last"))
        line = f"{measure}: one more {unit} takes {first} at {_digits(g['smallest'])}, {last} at "
        line += f"{_digits(g['largest'])}, and {_digits(g['mib'])} MiB of memory"
        if unit == "image":
            line += f"; at that rate {COCO:,} images take {duration(g['coco_seconds'])} and {g['coco_mib'] / 1024:.1f} GiB"
        lines.append(line)
    return lines


def machines(rows: pd.DataFrame) -> list[str]:
    """A sentence for each state in which groups were measured: machine, load, commit, versions."""
    lines = []
    keys = ["processor", "instruction_set", "arithmetic", "cores", "memory_gib", "load_before", "date", "commit", "versions"]
    for values, own in rows.groupby(keys, sort=False):
        v = dict(zip(keys, values, strict=True))
        lines.append(
            f"{', '.join(own['group'].unique())}: {v['processor']}, {v['instruction_set']}, {v['arithmetic']}, "
            f"{v['cores']} cores, {v['memory_gib']} GiB; load {v['load_before']} before; {v['date']}, "
            f"commit {v['commit']}; {v['versions']}"
        )
    return lines


def to_text(rows: pd.DataFrame) -> str:
    """What `make bench` prints."""
    tables = [table.to_string(index=False) for table in (sides_table(rows), bars_table(rows)) if len(table)]
    return "\n\n".join([*machines(rows), *tables, *say_growth(rows)])


def steps(runs: str | Path) -> pd.DataFrame:
    """The steps of the workflow that ran last below the folder `runs`, in the order of their starts.

    Columns: stage, name, start (seconds after the first), seconds and memory_mib (the most at once that was seen; NaN where
    the step was too short to look). Source: Snakemake's `benchmark` files, each written when its job ended.
    """
    rows = []
    for path in Path(runs).glob("steps/*/*.tsv"):
        told = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
        rows.append((path.parent.name, path.stem, path.stat().st_mtime - told["s"], told["s"], told["max_rss"]))
    columns = "stage name start seconds memory_mib".split()
    table = pd.DataFrame(rows, columns=columns).sort_values("start", ignore_index=True)
    return table.assign(start=table["start"] - table["start"].min())
