"""The extent page: detection mAP from points that were never meant to be boxes (section 6, "Predicting extent")."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from wsl import paper, report
from wsl.report import Cell
from wsl.show import NOT_ATTEMPTED, Html

THRESHOLDS = (0.5, 0.3, 0.1)


def printed() -> pd.Series:
    """The paper's three values (0..1) by threshold, VOC 2012 validation."""
    said = paper.sentences()["value"]
    return pd.Series({t: said[f"extent_iou_{t}"] / 100 for t in THRESHOLDS})


def _means(sources, trunk: str):
    """(root, profile, mAP by threshold with interval, or None) of each source."""
    found = [(root, profile, report.extent_mean(root, profile, trunk)) for root, profile in sources]
    return [(root, profile, pair and pair[0]) for root, profile, pair in found]


def _tables(sources, trunk: str):
    """(root, profile, table or None) of each source."""
    return [(root, profile, report.extent(root, profile, trunk)) for root, profile in sources]


def _href(root, profile: str, trunk: str) -> str:
    runs = report.find_runs(root, profile, trunk, "weak_sup")
    return f"runs.html#{runs[0].anchor}" if runs else "runs.html"


def table(sources, trunk: str) -> Html:
    """Thresholds as rows; paper | real photographs | scenes."""
    heads = [[("IoU at least", 1, ""), ("paper: VOC 2012 validation", 1, "src-paper")]]
    heads[0] += [(report.Column(root, name, trunk).head(), 1, report.source_class(name)) for root, name in sources]
    rows = []
    for threshold in THRESHOLDS:
        cells = [Cell(f"{100 * printed()[threshold]:.2f}", "src-paper", paper.CITATION)]
        for root, profile, means in _means(sources, trunk):
            kind = report.source_class(profile)
            if means is None or threshold not in means.index:
                cells.append(Cell(f"<small>{NOT_ATTEMPTED}</small>", kind))
                continue
            value, low, high = 100 * means.loc[threshold]
            text = f'<a href="{_href(root, profile, trunk)}">{value:.2f}</a><br><small>{low:.1f} to {high:.1f}'
            coco = report.extent(root, profile, trunk, rule="ap_coco")
            if coco is not None and threshold in coco:
                text += f"<br>COCOeval {100 * coco[threshold].mean():.2f}"
            cells.append(Cell(text + "</small>", kind, "95% interval over test images; one seed"))
        rows.append((f"{threshold:g}", cells))
    caption = "Detection mAP, %, of weak supervision with scores gathered inside selective-search proposals: VOC devkit's rule, "
    caption += "below it its 95% interval over test images, and the value by COCO's rules for difficult objects and crowds."
    return report.table(heads, rows, caption, "extent")


def curves(sources, trunk: str) -> dict[str, pd.DataFrame]:
    """Detection mAP by threshold (value, low, high): the paper first, then each source that has it."""
    out = {"paper, VOC 2012": pd.DataFrame({"value": printed().sort_index(), "low": np.nan, "high": np.nan})}
    return out | {report.data_name(profile): means for _, profile, means in _means(sources, trunk) if means is not None}


def sentences(sources, trunk: str) -> list[str]:
    """mAP at 0.5 over mAP at 0.1, and the location mAP of the same network, a line a source."""
    lines = []
    for root, profile, means in _means(sources, trunk):
        if means is not None and {0.1, 0.5} <= set(means.index) and means.loc[0.1, "value"] > 0:
            share, weak = means.loc[0.5, "value"] / means.loc[0.1, "value"], report.load(root, profile, trunk, "weak_sup")
            place = f"; the location mAP of its points is {100 * weak.location.value:.1f}" if weak and weak.location else ""
            lines.append(f"{report.data_name(profile)}: {share:.0%}{place}")
    return lines


def class_table(sources, trunk: str, threshold: float = 0.5) -> Html:
    """AP by class at one threshold, VOC-layout and COCO-layout sources in their own columns."""
    found = [(report.Column(root, name, trunk), table) for root, name, table in _tables(sources, trunk)]
    tables = [(column, table) for column, table in found if table is not None and threshold in table]
    names = list(dict.fromkeys(name for _, table in tables for name in table.index))
    links = [f'<a href="{_href(c.root, c.profile, trunk)}">{c.head_text()}</a>' for c, _ in tables]
    heads = [[("class", 1, ""), *((link, 1, c.kind) for link, (c, _) in zip(links, tables, strict=True))]]
    rows = []
    for name in names:
        values = [(column.kind, table[threshold].get(name, np.nan)) for column, table in tables]
        cells = [Cell("–" if np.isnan(value) else f"{100 * value:.1f}", kind) for kind, value in values]
        rows.append((html.escape(name), cells))
    if not rows:
        return Html(f"<p>{NOT_ATTEMPTED.capitalize()}.</p>")
    return report.table(heads, rows, f"Detection AP at IoU {threshold:g}, %.", "extent-classes")
