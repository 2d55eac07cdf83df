"""Tables and sentences of the book: cells, our columns beside the paper's, links from each number to its run.

Three sources are kept apart everywhere by colour and by words: the paper, photographs, generated scenes.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from wsl.evaluation.evaluate import METRICS, Measure
from wsl.evaluation.runs import GENERATED, REAL, Run
from wsl.findings import paper, reasons
from wsl.findings.reasons import Estimate
from wsl.findings.results import METHODS, Column, Result, difference, drops
from wsl.pages.show import NOT_ATTEMPTED, Html, interval, number, signed

PAPER = "paper"  # the third source of a cell
CSS = {PAPER: "src-paper", REAL: "src-real", GENERATED: "src-scenes", "": ""}  # source of a number -> class
# Row of the paper's tables -> system of the study, per metric; None where the paper prints a dash.
TABLE2_SYSTEMS = {
    "H": ("full_images", None),
    "I": ("masked_pool", "masked_pool"),
    "I′": ("masked_pool_outside", "masked_pool_outside"),  # in the paper's words only: "consistently worse results"
    "J": ("weak_sup", "weak_sup"),
    "K": (None, "center"),
    "L": ("rcnn", "rcnn"),
}
TABLE1_SYSTEMS = {"B": "object_patches", "F": "full_images", "G": "weak_sup"}
LETTERS = {
    **{classification or location: letter for letter, (classification, location) in TABLE2_SYSTEMS.items()},
    "object_patches": "B", "weak_sup@train_s1": "J trained at s = 1", "weak_sup@test_s1": "J tested at s = 1",
}  # fmt: skip
TRUNKS = {**{f"efficientnet_lite{n}": f"Lite{n}" for n in range(3)}, "squeezenet1_1": "SqueezeNet"}  # short, for heads of columns


# ---------------------------------------------------------------- links and headings


def anchor(run: Run) -> str:
    """Id of the run's entry on the Runs page; `-here`: photographs, made here; `-recorded`: generated, recorded."""
    name = f"{run.profile}-{run.trunk}-{run.system}-seed{run.seed}"
    return name if run.recorded == (run.source == REAL) else name + ("-recorded" if run.recorded else "-here")


def group_anchor(run: Run) -> str:
    """Id of the section on the Runs page that holds all seeds of the run's system, and their means."""
    return anchor(run).replace(f"-seed{run.seed}", "")


def href(run: Run) -> str:
    """Where a number leads: to all seeds of the system, since most numbers are means over them."""
    return f"runs.html#{group_anchor(run)}"


def result_link(result: Result) -> str:
    """The data's name, linked to the run."""
    return f'<a href="{href(result.run)}">{html.escape(result.data)}</a>'


def link(column: Column) -> str:
    """The column's title, linked to the run of weak supervision where there is one."""
    runs, title = column.runs("weak_sup"), html.escape(column.title)
    return f'<a href="{href(runs[0])}">{title}</a>' if runs else title


def links(columns: list[Column]) -> str:
    """The caption of a chart: which runs it shows."""
    return "Runs: " + "; ".join(dict.fromkeys(link(column) for column in columns if column.runs("weak_sup"))) + "."


def heading(column: Column) -> str:
    """The head of a column: what its data are called, no more; `tested_on` says the rest below the table's caption."""
    return html.escape(column.title)


def trunk(name: str) -> str:
    """What a trunk is called in a table: short if it is known."""
    return TRUNKS.get(name, html.escape(name))


def with_runs(columns: list[Column]) -> list[Column]:
    """The columns that have a run, or all where none has: a table needs no column that is empty from top to bottom."""
    return [column for column in columns if column.runs()] or columns


def tested_on(columns: list[Column]) -> str:
    """ "Tested on: VOC 2007 sample, 1,312 photographs (recorded); profile scenes (no run here).", for captions."""
    parts = []
    for column in columns:
        result = next(filter(None, (column.load(s) for s in ("weak_sup", "full_images"))), None)
        made = "recorded" if result and result.run.recorded else "made here"
        parts.append(f"{html.escape(result.data if result else column.title)} ({made if result else 'no run here'})")
    return f" Tested on: {'; '.join(parts)}."


# ---------------------------------------------------------------- sentences


def say_difference(a: Result | None, b: Result | None, metric: str, a_name: str, b_name: str) -> str:
    """One Markdown sentence that compares two systems on one data set, from computed values only."""
    if a is None or b is None:
        missing = a_name if a is None else b_name
        return f"No run of {missing} is there to compare."
    d = difference(a, b, metric)
    what = METRICS[metric]
    verdict = "above" if d.low > 0 else "below" if d.high < 0 else "not distinguishable from"
    x, y = (f'<a href="{href(one.run)}">{100 * getattr(one, metric).value:.1f}</a>' for one in (a, b))
    return (
        f"**{a.data}:** {a_name} reaches a {what} mAP of {x}, {b_name} {y}: a difference of {signed(d.value)} points "
        f"(paired 95% interval {interval(d.low, d.high)}), so {a_name} is {verdict} {b_name} here."
    )


def say_differences(columns: list[Column], a: str, b: str, metric: str) -> list[str]:
    """`say_difference` of two systems for each column that has runs of both."""
    pairs = filter(None, (column.load_pair(a, b) for column in columns))
    return [say_difference(x, y, metric, METHODS[a], METHODS[b]) for x, y in pairs if getattr(x, metric) and getattr(y, metric)]


def say_drops(columns: list[Column], classes: tuple[str, ...]) -> list[str]:
    """How far localization AP lies below classification AP in `classes` and in the others, a sentence a column with runs."""
    lines = []
    for result in filter(None, (column.load("weak_sup") for column in columns)):
        drop = drops(result)
        named, others = drop[drop.index.isin(classes)], drop[~drop.index.isin(classes)]
        if len(named):
            points = f"{number(named.mean())} points in the named classes, {number(others.mean())} in the others"
            lines.append(f"{result_link(result)}: {points}")
    return lines


def say_resolution(columns: list[Column], a: str, b: str) -> list[str]:
    """`reasons.resolution` of each column that has runs of both systems."""
    lines = []
    for found in filter(None, (reasons.resolution(column, a, b) for column in columns)):
        text = f"{result_link(found.result)}: the gain is {signed(found.gain)} points in the median class; its simultaneous "
        text += f"95% interval reaches {found.reach:.1f} points to either side"
        if found.gain > 0:
            text += f"; to tell such a gain from zero would take about {found.times_the_images:.1f} times as many test images"
        lines.append(text)
    return lines


def say_near_the_top(column: Column, *systems: str, above: float = 95.0) -> list[str]:
    """In how many classes each system leaves little to gain: those with an AP above `above`, %."""
    lines = []
    for system in systems:
        if (result := column.load(system)) is not None:
            count, ap = reasons.near_the_top(result, above / 100)
            name = f'<a href="{href(result.run)}">{METHODS[system]}</a>'
            median = f"the median class at {100 * ap.median():.1f}"
            lines.append(f"{name}: {count} of {len(ap)} classes lie above {above:.4g}, {median}")
    return lines


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Cell:
    """A table cell: HTML, where it comes from (a key of `CSS`, or "" for none), and what the tooltip says."""

    text: str
    source: str = ""
    title: str = ""
    left: bool = False  # prose: aligned left, not right as numbers are


def cell(result: Result | None, metric: str, applies: bool = True, small: bool = True) -> Cell:
    """A mean AP with its interval below it, the spread over seeds in the tooltip, linked to the run that made it."""
    if not applies:
        return Cell("–")
    measure = getattr(result, metric) if result else None
    if measure is None:
        return Cell(f'<small class="words">{NOT_ATTEMPTED}</small>', result.source if result else "")
    value, low, high = (f"{100 * x:.1f}" for x in (measure.value, measure.low, measure.high))
    spread = seed_spread(measure)
    title = f"95% interval over {result.n_images:,} images: {low} to {high}; {spread}"
    under = f"<br><small>{low} to {high}</small>" if small else ""
    return Cell(f'<a href="{href(result.run)}">{value}</a>{under}', result.source, title)


def seed_spread(measure: Measure) -> str:
    """ "3 seeds: 93.2 to 93.7"."""
    if len(measure.seeds) == 1:
        return "1 seed"
    low, high = (100 * end(measure.seeds.values()) for end in (min, max))
    return f"{len(measure.seeds)} seeds: {low:.1f} to {high:.1f}"


def paper_cell(value: float) -> Cell:
    return Cell("–" if pd.isna(value) else number(value), PAPER, paper.CITATION)


def of_frame(frame: pd.DataFrame, caption: str, name: str) -> Html:
    """A data frame as a table of the book: its first column is each row's header; numbers have two decimals, counts none."""
    heads = [(html.escape(column), 1, "") for column in frame.columns]
    words = frame.map(lambda v: html.escape(v) if isinstance(v, str) else number(v, 2 * isinstance(v, float)))
    words = words.replace({" x ": " × ", r" \((.* runs?)\)$": r"<br><small>\1</small>"}, regex=True)
    rows = [(first, [Cell(text, left=isinstance(v, str)) for text, v in zip(others, values, strict=True)])
            for (first, *others), (_, *values) in zip(words.to_numpy(), frame.itertuples(index=False), strict=True)]  # fmt: skip
    return table([heads], rows, caption, name)


def table(heads, rows, caption: str, name: str) -> Html:
    """A table of the book, laid out by pandas' Styler: the same bytes for the same numbers.

    `heads`: one list a header row of (text, span, source); the first column of every row is its header.
    `rows`: list of (row header, [Cell, ...]).
    """
    groups = [[k for k, (_, span, _) in enumerate(row[1:], 1) for _ in range(span)] for row in heads]
    columns = pd.MultiIndex.from_arrays(groups, names=[row[0][0] for row in heads])
    columns = columns if len(heads) > 1 else columns.get_level_values(0)

    def of_cells(value: Callable[[Cell], str]) -> pd.DataFrame:
        return pd.DataFrame([[value(cell) for cell in cells] for _, cells in rows], columns=columns, dtype=object)

    style = of_cells(lambda c: c.text).style.set_uuid(name).set_caption(caption)
    style = style.set_td_classes(of_cells(lambda c: f"{'left' * c.left} {CSS[c.source]}".strip()))
    style = style.set_tooltips(of_cells(lambda c: html.escape(c.title)), as_title_attribute=True)
    style = style.set_table_attributes('class="dataframe wsl-table"').format_index(lambda k: rows[k][0])
    prose = [False, *(all(cells[k].left for _, cells in rows) for k in range(len(columns)))]  # whose heads stand left as well
    for level, row in enumerate(heads):
        lowest = level == len(heads) - 1
        classes = [f"{CSS[source]} {'left' * (lowest and prose[k])}".strip() for k, (_, _, source) in enumerate(row)]
        named = zip(classes, (text for text, _, _ in row), strict=True)
        texts = [f'<span class="head {own}">{text}</span>' if own else text for own, text in named]
        style = style.format_index(lambda k, texts=texts: texts[k], level=level, axis="columns")
    own = r'<style.*?</style>\s*| id="T_[^"]*"| class="(?:col|row)_heading[^"]*"|(?<=class=")data row\d+ col\d+ ?'
    body = re.sub(own, "", style.to_html(), flags=re.S)  # names of cells that no style of ours refers to
    return Html(f'<div style="overflow-x:auto" tabindex="0" id="{name}">{body}</div>')


def table2(columns: list[Column], layout: str) -> Html:
    """Table 2 on one data set (`layout`: "voc" or "coco"): classification, then location prediction, each paper | ours."""
    printed = paper.table2()
    halves = (("classification", "classification"), ("location", "location prediction"))
    data, year = {"voc": ("Pascal VOC", "VOC 2012"), "coco": ("Microsoft COCO", "COCO 2014")}[layout]
    heads = [[("metric", 1, ""), *((what, 1 + len(columns), "") for _, what in halves)], [("system", 1, "")]]
    heads[1] += [one for _ in halves for one in [("paper", 1, PAPER), *((heading(c), 1, c.source) for c in columns)]]
    rows = []
    for letter, systems in TABLE2_SYSTEMS.items():
        cells = []
        for k, (metric, _) in enumerate(halves):
            worse = Cell("<small>worse than I</small>" if k == 0 else "–", PAPER, f"in words, without a number; {paper.CITATION}")
            cells.append(paper_cell(printed.loc[letter, f"{metric}_{layout}"]) if letter in printed.index else worse)
            for column in columns:
                found = cell(column.load(systems[k]) if systems[k] else None, metric, systems[k] is not None)
                cells.append(replace(found, source=column.source))
        rows.append((f"{letter}. {METHODS[systems[0] or systems[1]]}", cells))
    caption = (
        f"Table 2, {data}: mean average precision, %; below our numbers their 95% interval over test images. The paper's are on "
        f"{year} validation. A number links to its run.{tested_on(columns)}"
    )
    return table(heads, rows, caption, f"table2-{layout}")


def table1(columns: list[Column]) -> Html:
    """Table 1 with classes as rows: the paper's A to G, then our B, F and G on each data set."""
    printed = paper.table1()
    heads = [[("source", 1, ""), ("paper: VOC 2012 test", len(printed), PAPER)], [("class", 1, "")]]
    heads[1] += [(row, 1, PAPER) for row in printed.index]
    results = []
    for column in columns:
        source = column.source
        heads[0].append((heading(column), 3, source))
        for row, system in TABLE1_SYSTEMS.items():
            heads[1].append((row, 1, source))
            results.append((source, column.load(system)))
    means = [replace(cell(result, "classification", small=False), source=source) for source, result in results]
    rows = [("mAP", [paper_cell(printed.loc[row, "mAP"]) for row in printed.index] + means)]
    for short, name in paper.VOC_NAMES.items():
        cells = [paper_cell(printed.loc[row, short]) for row in printed.index]
        rows.append((name, cells + [class_cell(source, result, name) for source, result in results]))
    theirs = ", ".join(f"{row} {html.escape(method)}" for row, method in printed["method"].items())
    ours = ", ".join(f"{row} {METHODS[system]}" for row, system in TABLE1_SYSTEMS.items())
    caption = (
        f"Table 1: average precision by class, %, image classification. The paper: {theirs}. Ours: {ours}, computed on "
        f"test images of our own and so not comparable with the paper's columns.{tested_on(columns)}"
    )
    return table(heads, rows, caption, "table1")


def class_cell(source: str, result: Result | None, name: str, metric: str = "classification") -> Cell:
    """AP of one class, interval in the tooltip."""
    if result is None:  # the row of the mean says so in full
        return Cell("·", source, NOT_ATTEMPTED)
    classes = getattr(result, metric).classes
    if name not in classes.index or np.isnan(classes.loc[name, "ap"]):
        return Cell("<small>no such object</small>", source)
    ap, low, high = (100 * classes.loc[name, c] for c in ("ap", "low", "high"))
    return Cell(f'<a href="{href(result.run)}">{ap:.1f}</a>', source, f"95% interval {low:.1f} to {high:.1f}")


def drop_table(columns: list[Column], count: int) -> Html:
    """The classes whose localization AP lies furthest below their classification AP, for each source."""
    heads = [[("rank", 1, ""), *((heading(column), 1, column.source) for column in columns)]]
    results = [(column.source, column.load("weak_sup")) for column in columns]
    rows = []
    for rank in range(count):
        cells = []
        for source, result in results:
            drop = drops(result) if result else []
            if rank >= len(drop):
                cells.append(Cell("·", source, NOT_ATTEMPTED))
                continue
            name = drop.index[rank]
            ap, place = (100 * m.classes.loc[name, "ap"] for m in (result.classification, result.location))
            low, high = (100 * result.location.classes.loc[name, end] for end in ("low", "high"))
            title = f"classification AP {ap:.1f}, localization AP {place:.1f} (95% interval {low:.1f} to {high:.1f})"
            cells.append(Cell(f'{html.escape(name)} <a href="{href(result.run)}">{number(drop.iloc[rank])}</a>', source, title))
        rows.append((f"{rank + 1}.", cells))
    caption = f"The largest drops from classification AP to localization AP, points.{tested_on(columns)}"
    return table(heads, rows, caption, "drops")


def points_cell(d: Estimate | pd.Series, run: Run, source: str, title: str) -> Cell:
    """A difference in points, linked to a run, with its interval below."""
    return Cell(f'<a href="{href(run)}">{signed(d.value)}</a><br><small>{interval(d.low, d.high)}</small>', source, title)
