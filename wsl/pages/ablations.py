"""One change at a time: the ablations of weak supervision as one table, and the curve over training images."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from wsl.evaluation.evaluate import METRICS
from wsl.findings.results import PERCENTS, Column, difference, trunks
from wsl.pages import tables
from wsl.pages.show import Html, interval, signed
from wsl.pages.tables import Cell

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

# Methods since the paper (wsl/systems/gradcam.py): what a map for each class costs where training does not search.
SINCE = (
    ("full_images", "H. full images: no map"),
    ("full_images_map@test_s1", "H on every cell, one scale"),
    ("full_images_map", "H on every cell, six scales"),
    ("grad_cam", "H with Grad-CAM (2017)"),
    ("grad_cam_plus_plus", "H with Grad-CAM++ (2018)"),
    ("layer_cam", "H with LayerCAM (2021)"),
    ("cam", "CAM (2016): trained by the mean, one scale"),
    ("weak_sup@test_s1", "J tested at one scale"),
)


def systems(columns: list[Column]) -> list[tuple[str, str]]:
    """(system, row name) of every row: those of `ROWS`, then whatever else was run with one change."""
    known = [(system, f"{group}: {name}") for group, several in ROWS for system, name in several]
    images = [(f"{REFERENCE}@n{p}", f"images: {p}%") for p in PERCENTS]
    names = {run.system for column in columns for run in column.runs()}
    single = [n for n in names if n.startswith(f"{REFERENCE}@") and n.count("@") == 1]
    rest = sorted(n for n in single if n not in dict(known + images))
    return known + [(name, html.escape(name.split("@")[1])) for name in rest] + images


def table(columns: list[Column], metric: str, others: Sequence[tuple[str, str]] | None = None) -> Html:
    """mAP of every variant and its difference to weak supervision on the same seeds and resampled images.

    others: (system, row name) of the rows below J; by default every change of one thing that was run.
    """
    first, what, name = ("one change to J", "Ablations", "ablations") if others is None else ("system", "Methods since", "since")
    heads = [[(first, 1, ""), *((tables.heading(column), 1, column.source) for column in columns)]]
    rows = [("J. weak supervision", [_cell(column, REFERENCE, metric) for column in columns])]
    for system, row in systems(columns) if others is None else others:
        rows.append((row, [_cell(column, system, metric) for column in columns]))
    caption = f"{what}, {METRICS[metric]}: mAP, %, the mean over seeds, and below it the difference to J in points with its "
    caption += "paired 95% interval. ¹: one seed. A difference is taken on the seeds that both have: in a row marked ¹ it is to "
    caption += "J on this seed, given below J's mean. –: not run on these data, or without locations."
    return tables.table(heads, rows, caption + tables.tested_on(columns), name + ("-location" if metric == "location" else ""))


def _cell(column: Column, system: str, metric: str) -> Cell:
    result = column.load(system)
    if column.runs() and (result is None or getattr(result, metric) is None):
        return Cell("–", column.source, "predicts no location" if result else "not run on these data")
    found = tables.cell(result, metric, small=False)
    all_seeds = getattr(column.load(REFERENCE), metric, None)
    if result and all_seeds and getattr(result, metric) and len(all_seeds.seeds) > 1:
        seeds = getattr(result, metric).seeds
        first = min(all_seeds.seeds)
        value = f"<span>{found.text}¹</span>" if len(seeds) == 1 else found.text  # one item, where the cell is a grid
        beside = f"<br><small>seed {first}: {100 * all_seeds.seeds[first]:.1f}</small>" if system == REFERENCE else ""
        found = replace(found, text=value + beside)
    pair = column.load_pair(system, REFERENCE) if system != REFERENCE else None
    if pair and None not in (getattr(pair[0], metric), getattr(pair[1], metric)):
        d = difference(*pair, metric)
        found = replace(found, text=f"{found.text}<br><small>{signed(d.value)} ({interval(d.low, d.high)})</small>")
    return replace(found, source=column.source)


def image_curve(column: Column) -> pd.DataFrame:
    """percent, classification, ..., location_high (0..1) by share of training images, on the seeds that all parts have."""
    parts = {percent: f"{REFERENCE}@n{percent}" for percent in PERCENTS} | {100: REFERENCE}
    parts = {percent: system for percent, system in parts.items() if column.runs(system)}
    loaded = column.load_pair(*parts.values()) if len(parts) > 1 else None  # a curve has two points at least
    rows = []
    for percent, result in zip(parts, loaded or (), strict=loaded is not None):
        if result.location is None:
            continue
        row = {"percent": percent}
        for metric in ("classification", "location"):
            measure = getattr(result, metric)
            row |= {metric: measure.value, f"{metric}_low": measure.low, f"{metric}_high": measure.high}
        rows.append(row)
    return pd.DataFrame(rows)


def trunk_table(sources) -> Html | None:
    """mAP of weak supervision on every trunk that was run, for each (root, profile)."""
    columns = [Column(root, profile, trunk) for root, profile in sources for trunk in trunks(root, profile)]
    rows = [
        (f"{html.escape(column.title)}<br><small>{tables.trunk(column.trunk)}</small>",
         [tables.cell(column.load(REFERENCE), metric) for metric in METRICS])
        for column in columns
    ]  # fmt: skip
    heads = [[("data, trunk", 1, ""), *((what, 1, "") for what in METRICS.values())]]
    caption = "J. weak supervision on every trunk that was run: mAP, %, with its 95% interval over test images."
    return tables.table(heads, rows, caption, "trunks") if rows else None
