"""The extent page: detection mAP from points that were never meant to be boxes (section 6, "Predicting extent")."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from wsl.evaluation.detection import RECORD, WAYS
from wsl.findings import paper
from wsl.findings import results as report
from wsl.findings.results import Cell
from wsl.pages.show import NOT_ATTEMPTED, Html

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
            coco = report.extent(root, profile, trunk, rule="ap_coco")[threshold].mean()
            cells.append(Cell(f"{text}<br>COCOeval {100 * coco:.2f}</small>", kind, "95% interval over test images; one seed"))
        rows.append((f"{threshold:g}", cells))
    caption = "Detection mAP, %, of weak supervision with scores gathered inside selective-search proposals: VOC devkit's rule, "
    caption += "below it its 95% interval over test images, and the value by COCO's rules for difficult objects and crowds."
    return report.table(heads, rows, caption, "extent")


def curves(sources, trunk: str) -> dict[str, pd.DataFrame]:
    """Detection mAP by threshold (value, low, high): the paper first, then each source that has it."""
    out = {"paper, VOC 2012": pd.DataFrame({"value": printed().sort_index(), "low": np.nan, "high": np.nan})}
    return out | {report.data_name(profile): means for _, profile, means in _means(sources, trunk) if means is not None}


def ways_table(sources, trunk: str) -> Html:
    """The same score maps and proposals, scored in other ways: mAP at 0.5 / 0.3 / 0.1, and what is left of it."""
    said = printed()
    paper_text = f"{' / '.join(f'{100 * said[t]:.1f}' for t in THRESHOLDS)}<br><small>{said[0.5] / said[0.1]:.0%} is left</small>"
    heads = [[("a proposal's score", 1, ""), ("paper: VOC 2012 validation", 1, "src-paper")]]
    heads[0] += [(report.Column(root, name, trunk).head(), 1, report.source_class(name)) for root, name in sources]
    empty = [Cell("", report.source_class(name)) for _, name in sources]
    rows = [("not told", [Cell(paper_text, "src-paper", paper.CITATION), *empty])]
    for how, words in WAYS.items():
        cells = [Cell("", "src-paper")]
        for root, profile in sources:
            kind, found = report.source_class(profile), report.extent_mean(root, profile, trunk, how)
            if found is None:
                cells.append(Cell(f"<small>{NOT_ATTEMPTED}</small>", kind))
                continue
            means, samples = found
            numbers = " / ".join(f"{100 * means.loc[t, 'value']:.1f}" for t in THRESHOLDS)
            share, drawn = report.share_left(means, samples)
            low, high = report.ends(drawn, share)
            left = f"{share:.0f}% ({low:.0f} to {high:.0f}) is left"
            text = f'<a href="{_href(root, profile, trunk)}">{numbers}</a><br><small>{left}</small>'
            cells.append(Cell(text, kind, "95% interval over test images; one seed"))
        record = " (of record)" if how == RECORD else ""
        rows.append((f"{words}{record}", cells))
    caption = "Detection mAP, %, at IoU 0.5 / 0.3 / 0.1 by how a proposal is scored; the first as a share of the last."
    return report.table(heads, rows, caption, "extent-ways")


def places(sources, trunk: str) -> list[str]:
    """The location mAP of the same network, a line a source."""
    weak = [report.load(root, name, trunk, "weak_sup") for root, name in sources if report.extent(root, name, trunk) is not None]
    return [f"{one.link}: {100 * one.location.value:.1f}" for one in weak if one and one.location]


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
