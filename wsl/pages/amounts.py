"""How the differences between systems change with the amount of training: chart, table and sentences of D27."""

from __future__ import annotations

import math

from wsl.findings import paper, reasons
from wsl.findings.reasons import Curve, Estimate
from wsl.findings.results import Column
from wsl.pages import figures, tables
from wsl.pages.show import Html, interval, number, signed
from wsl.pages.tables import PAPER, Cell

BELIEVED = 0.05  # a line is not believed where points as far off it are less probable (D27)


def chart(columns: dict[str, Column]) -> Html | None:
    """A panel for each comparison, with both data sets (`columns`: by layout) and the paper's numbers; None without curves."""
    panels: dict[str, list] = {title: [] for title, *_ in reasons.COMPARISONS}
    shown = []
    for layout, column in columns.items():
        for curve, printed in _with_paper(column, layout):
            line = curve.line(curve.images[0]), curve.line(paper.TRAINING[layout])
            panels[curve.title].append((column.title.split()[0], curve.positives, curve.points(), line, printed))
            shown.append(column)
    panels = {title: several for title, several in panels.items() if several}
    if not panels:
        return None
    alt = "Differences between systems against the number of training images with an object of a class"
    return figures.as_html(figures.difference_curves(panels), alt, tables.links(shown))


def _with_paper(column: Column, layout: str) -> list[tuple[Curve, float]]:
    """The curves of a data set, each with the paper's own difference (NaN where it prints none)."""
    printed = {title: paper.difference(*pair, layout) for title, *pair in reasons.COMPARISONS}
    return [(curve, printed[curve.title]) for curve in reasons.curves(column)]


def table(columns: dict[str, Column]) -> Html | None:
    """Each comparison on each data set: on all images, its last doubling, and the line at the paper's number of images."""
    rows = []
    for layout, column in columns.items():
        for curve, printed in _with_paper(column, layout):
            line = curve.line(paper.TRAINING[layout])
            fit = f"p = {number(line.fit, 2)}" if line.fit >= 0.005 else "p &lt; 0.01"
            straight = "no" if line.fit < BELIEVED else "yes"
            cells = [
                _estimate(curve.points()[-1], curve),
                _estimate(curve.last_doubling(), curve),
                _estimate(line.at, curve),
                Cell(f"{straight}<br><small>{fit}</small>", curve.first.source),
                Cell("–" if math.isnan(printed) else signed(printed), PAPER),
            ]
            rows.append((f"{curve.title}<br><small>{column.title}</small>", cells))
    if not rows:
        return None
    texts = ("all images", "last doubling", "line at the paper’s images", "are the points on the line?", "paper")
    heads = [[("comparison, data", 1, ""), *((text, 1, PAPER if text == "paper" else "") for text in texts)]]
    caption = (
        "Differences in mAP, points, against the amount of training; 95% intervals over test images and draws of training "
        "images, and so wider than those over test images alone on the other pages. Where the points lie off the line by more "
        "than their errors explain (p below 0.05), what the line says at the paper's number of images is not to be believed."
    )
    return tables.table(heads, rows, caption, "amounts")


def _estimate(one: Estimate, curve: Curve) -> Cell:
    several = len(curve.seeds) > 1
    title = f"{len(curve.seeds)} draws of training images" if several else "one draw: the interval is over test images alone"
    return tables.points_cell(one, curve.first.run, curve.first.source, title)


def say_meetings(columns: dict[str, Column]) -> list[str]:
    """Whether the curves of the two data sets continue each other, a sentence a comparison."""
    lines = []
    several = [{curve.title: curve for curve in reasons.curves(column)} for column in columns.values()]
    for title in (title for title, *_ in reasons.COMPARISONS if all(title in found for found in several)):
        a, b = (found[title] for found in several)
        if not (met := reasons.meetings(a, b)):
            continue
        places = [
            f"at {a.positives[i]:.0f} and {b.positives[j]:.0f} images a class {signed(a.points()[i].value)} and "
            f"{signed(b.points()[j].value)}, {signed(d.value)} apart ({interval(d.low, d.high)})"
            for i, j, d in met
        ]
        verdict = "continue" if all(d.low <= 0 <= d.high for _, _, d in met) else "do not continue"
        lines.append(f"{title}: the curves {verdict} each other; {'; '.join(places)}")
    return lines
