"""The page on the extent of objects: how well boxes from the score maps detect them (Section 6, "Predicting extent")."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from wsl.evaluation import metrics
from wsl.evaluation.detection import REPORTED, SCORINGS
from wsl.findings import paper, results
from wsl.findings.results import Column
from wsl.pages import tables
from wsl.pages.show import NOT_ATTEMPTED, Html
from wsl.pages.tables import PAPER, Cell

THRESHOLDS = (0.5, 0.3, 0.1)


def printed() -> pd.Series:
    """The paper's three values (0..1) by threshold, VOC 2012 validation."""
    said = paper.sentences()["value"]
    return pd.Series({t: said[f"extent_iou_{t}"] / 100 for t in THRESHOLDS})


def _heads(first: str, columns: list[Column]) -> list:
    heads = [(first, 1, ""), ("paper", 1, PAPER)]
    return [heads + [(tables.heading(column), 1, column.source) for column in columns]]


def _href(column: Column) -> str:
    return tables.href(column.runs("weak_sup")[0])


def table(columns: list[Column]) -> Html:
    """Thresholds as rows; paper | photographs | scenes."""
    rows = []
    for threshold in THRESHOLDS:
        cells = [Cell(f"{100 * printed()[threshold]:.2f}", PAPER, paper.CITATION)]
        for column in columns:
            found = results.detection_map(column)
            if found is None or threshold not in found[0].index:
                cells.append(Cell(f"<small>{NOT_ATTEMPTED}</small>", column.source))
                continue
            value, low, high = 100 * found[0].loc[threshold]
            text = f'<a href="{_href(column)}">{value:.2f}</a><br><small>{low:.1f} to {high:.1f}'
            coco = results.detection_ap(column, definition="ap_coco")[threshold].mean()
            text += f"<br>COCOeval {100 * coco:.2f}</small>"
            cells.append(Cell(text, column.source, "95% interval over test images; one seed"))
        rows.append((f"{threshold:g}", cells))
    caption = "Detection mAP, %, of weak supervision with scores aggregated in selective-search proposals, by the VOC devkit; "
    caption += "below, its 95% interval over test images, and the value by COCO's rules for difficult objects and crowds. "
    caption += f"The paper's values are on VOC 2012 validation.{tables.tested_on(columns)}"
    return tables.table(_heads("IoU at least", columns), rows, caption, "extent")


def curves(columns: list[Column]) -> dict[str, pd.DataFrame]:
    """Detection mAP by threshold (value, low, high): the paper first, then each column that has it."""
    out = {"paper, VOC 2012": pd.DataFrame({"value": printed().sort_index(), "low": np.nan, "high": np.nan})}
    found = [(column.title, results.detection_map(column)) for column in columns]
    return out | {title: means_and_samples[0] for title, means_and_samples in found if means_and_samples is not None}


def scorings_table(columns: list[Column]) -> Html:
    """The same score maps and proposals, scored in other ways: mAP at 0.5 / 0.3 / 0.1, and the first as a share of the last."""
    said = printed()
    paper_text = f"{' / '.join(f'{100 * said[t]:.1f}' for t in THRESHOLDS)}<br><small>{said[0.5] / said[0.1]:.0%} is left</small>"
    empty = [Cell("", column.source) for column in columns]
    rows = [("the paper does not say", [Cell(paper_text, PAPER, paper.CITATION), *empty])]
    for scoring, words in SCORINGS.items():
        cells = [Cell("", PAPER)]
        for column in columns:
            found = results.detection_map(column, scoring)
            if found is None:
                cells.append(Cell(f"<small>{NOT_ATTEMPTED}</small>", column.source))
                continue
            means, samples = found
            numbers = " / ".join(f"{100 * means.loc[t, 'value']:.1f}" for t in THRESHOLDS)
            share, drawn = results.share_left(means, samples)
            low, high = metrics.ends(drawn, share)
            left = f"{share:.0f}% ({low:.0f} to {high:.0f}) is left"
            text = f'<a href="{_href(column)}">{numbers}</a><br><small>{left}</small>'
            cells.append(Cell(text, column.source, "95% interval over test images; one seed"))
        rows.append((words + (" (the reported one)" if scoring == REPORTED else ""), cells))
    caption = "Detection mAP, %, at IoU 0.5 / 0.3 / 0.1 by the scoring of proposals; below, the first as a share of the last."
    return tables.table(_heads("a proposal's score", columns), rows, caption, "extent-scorings")


def locations(columns: list[Column]) -> list[str]:
    """The localization mAP of the same network, a line a column that has detections."""
    weak = [column.load("weak_sup") for column in columns if results.detection_ap(column) is not None]
    return [f"{tables.result_link(one)}: {100 * one.location.value:.1f}" for one in weak if one and one.location]


def class_table(columns: list[Column], threshold: float = 0.5) -> Html:
    """AP by class at one threshold, VOC-layout and COCO-layout data in their own columns."""
    found = [(column, results.detection_ap(column)) for column in columns]
    found = [(column, ap) for column, ap in found if ap is not None and threshold in ap]
    names = list(dict.fromkeys(name for _, ap in found for name in ap.index))
    links = [f'<a href="{_href(column)}">{html.escape(column.title)}</a>' for column, _ in found]
    heads = [[("class", 1, ""), *((link, 1, column.source) for link, (column, _) in zip(links, found, strict=True))]]
    rows = []
    for name in names:
        values = [(column.source, ap[threshold].get(name, np.nan)) for column, ap in found]
        cells = [Cell("–" if np.isnan(value) else f"{100 * value:.1f}", source) for source, value in values]
        rows.append((html.escape(name), cells))
    if not rows:
        return Html(f"<p>{NOT_ATTEMPTED.capitalize()}.</p>")
    return tables.table(heads, rows, f"Detection AP at IoU {threshold:g}, %.", "extent-classes")
