"""Charts of the book: matplotlib, drawn once, readable on a light and on a dark page.

A chart becomes one inline SVG whose text and axes take the colour of the page's own text (`currentColor`),
so the theme's switch recolours it; data colours are Okabe-Ito mid-tones that hold 3:1 against white and
near-black and that colour-blind readers can tell apart. Output is deterministic: fixed ids, no date. No
pyplot, no global state.

Drawn here: the curves that quantify Figure 1 (`evolution_curve`, `discovery_curve`), score maps and their gradients as
Figure 4 draws them (`matrices`), and what depends on a number (images, overlap, tolerance). Several panels are several
drawings, which stand side by side where there is room and below one another where there is not. Values with intervals, a row
a value, are in `wsl.pages.intervals`.
"""

import html
import io
import re

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from textalloc import allocate

from wsl.evaluation.evaluate import METRICS
from wsl.pages.show import Html, number

# The paper's colours in Figure 5, in a colour-blind safe reading of "red", "blue", "green".
FULL_IMAGES, WEAK_SUP, LOCATION, CENTRE = "#d5603f", "#2b83c6", "#1b9e77", "#c98a00"
_INK = "#010203"  # stands for the page's text colour until `as_html` replaces it
_STYLE = {
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "wsl",
    "path.simplify": True,
}


def _panel(width: float, height: float):
    """A new figure of `width` x `height` inches and its axes; nothing is registered with pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def styled(function):
    """Run a drawing function under the book's style."""

    def wrapper(*args, **kwargs):
        with mpl.rc_context(_STYLE):
            return function(*args, **kwargs)

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def as_html(figures: Figure | list[Figure], alt: str, caption: str = "") -> Html:
    """One `<figure>` with the chart, or its panels, as inline SVG. `alt`: what a reader who cannot see it should know."""
    panels = figures if isinstance(figures, list) else [figures]
    note = f"<figcaption>{html.escape(alt.rstrip('.'))}. {caption}</figcaption>" if caption else ""
    svg = "".join(_svg(panel, alt) for panel in panels)
    least = 75 * max(panel.get_figwidth() for panel in panels)  # pixels below which two do not stand side by side
    return Html(f'<figure class="wsl-figure"><div class="wsl-panels" style="--panel:{least:.0f}px">{svg}</div>{note}</figure>')


def _svg(figure: Figure, alt: str) -> str:
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[A-Za-z]+[_\d.]*">', "<g>", svg)  # matplotlib's group ids would repeat on the page
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r"font: (?:(bold) )?([\d.]+)px [^;\"]*", r"font: \1 \2px system-ui, sans-serif", svg)
    view = re.search(r'viewBox="[^"]+"', svg)[0]
    widest = round(figure.get_figwidth() * 104)  # letters of about the page's own size, never larger
    opening = (
        f'<svg role="img" aria-label="{html.escape(alt)}" {view} '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'style="width:100%;height:auto;max-width:{widest}px">'
    )
    return opening + svg[svg.index(">") + 1 :]


@styled
def timeline(steps):
    """One bar a step of the workflow, from its start to its end. `steps`: see `wsl.findings.speed.steps`."""
    figure, axis = _panel(5.0, 0.8 + 0.22 * len(steps))
    ends = (steps["start"] + steps["seconds"]) / 60
    axis.barh(steps["stage"] + ": " + steps["name"], steps["seconds"] / 60, left=steps["start"] / 60, color=WEAK_SUP, zorder=2)
    for row, (end, seconds) in enumerate(zip(ends, steps["seconds"], strict=True)):
        axis.text(end, row, f" {seconds:.0f} s", va="center")
    axis.invert_yaxis()
    axis.set_xlabel("minutes after the first step began", loc="right")  # long names of steps leave the axis little width
    axis.grid(axis="x")
    axis.margins(x=0.12)
    return figure


def _end_labels(axis, lines, x, gap, top=100):
    """Write each line's name at its end, moved apart where two would overlap, with a thin line to the end that it names.

    `lines`: (y, text, colour).
    """
    lines = sorted(lines)
    places = [y for y, _, _ in lines]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + gap)
    for k in reversed(range(len(places))):
        places[k] = min(places[k], top - gap * (len(places) - 1 - k))
    for place, (y, text, colour) in zip(places, lines, strict=True):
        leader = dict(arrowstyle="-", color=colour, linewidth=0.6, shrinkA=0, shrinkB=0, relpos=(0, 0.5))
        to = dict(textcoords=axis.get_yaxis_transform(), va="center", color=colour, annotation_clip=False)
        axis.annotate(text, (x, y), (1.03, place), arrowprops=leader, **to)


def _epochs(axis, label):
    axis.set(xlabel=label, ylim=(0, 100))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(axis="y")


@styled
def evolution_curve(panels):
    """Beside Figure 1: classification and localization mAP after each epoch, single-scale test.

    `panels`: dict title -> DataFrame with columns `epoch`, `classification`, `location` (0..1).
    """
    figures = []
    for title, table in panels.items():
        figure, axis = _panel(3.7, 2.6)
        ends = []
        for column, colour in (("classification", WEAK_SUP), ("location", LOCATION)):
            axis.plot(table["epoch"], 100 * table[column], color=colour, marker="o", markersize=3, linewidth=1.6)
            ends.append((100 * table[column].iloc[-1], METRICS[column], colour))
        _end_labels(axis, ends, table["epoch"].iloc[-1], 7)
        _epochs(axis, "epoch (0 = untrained)")
        axis.set(title=title, ylabel="mAP on test images, %")
        figures.append(figure)
    return figures


@styled
def discovery_curve(tables):
    """Share of objects that are discovered by each epoch, by appearance (the claim in Figure 1's caption).

    `tables`: dict name -> DataFrame with columns share, low, high (0..1), index epoch.
    """
    figure, axis = _panel(4.6, 2.6)
    ends = []
    for (name, table), colour in zip(tables.items(), (WEAK_SUP, CENTRE, LOCATION), strict=False):
        axis.step(table.index, 100 * table["share"], where="post", color=colour, linewidth=1.6)
        axis.fill_between(table.index, 100 * table["low"], 100 * table["high"], step="post", color=colour, alpha=0.2, linewidth=0)
        ends.append((100 * table["share"].iloc[-1], name, colour))
    _end_labels(axis, ends, max(table.index[-1] for table in tables.values()), 7)
    _epochs(axis, "epoch")
    axis.set(ylabel="objects discovered, %")
    return figure


@styled
def matrices(panels, cmap="magma", titles_size=9):
    """Score maps or gradients as they are: cells as squares, one colour scale a panel, its range in the title.

    `panels`: dict title -> (array (n, m), (row, column) of the winning cell or None).
    """
    figures = []
    for title, (values, winner) in panels.items():
        figure, axis = _panel(2.2, 2.3)
        axis.imshow(values, cmap=cmap, interpolation="nearest")
        if winner is not None:
            axis.plot(winner[1], winner[0], marker="x", color="#f7d038", markersize=9, markeredgewidth=2)
        axis.set_title(f"{title}\n{number(np.min(values), 2)} to {number(np.max(values), 2)}", fontsize=titles_size)
        axis.set(xticks=[], yticks=[])
        figures.append(figure)
    return figures


@styled
def image_curve(curves):
    """mAP against the share of training images: classification and localization, one panel a source.

    `curves`: dict title -> DataFrame with columns `percent` and, for each of `classification` and `location`,
    the value and its `_low` and `_high` (0..1).
    """
    figures = []
    for title, table in curves.items():
        figure, axis = _panel(3.9, 2.7)
        ends = []
        for metric, colour, marker in (("classification", WEAK_SUP, "o"), ("location", LOCATION, "s")):
            value = 100 * table[metric].to_numpy(float)
            spread = np.abs(100 * table[[f"{metric}_low", f"{metric}_high"]].to_numpy(float).T - value)
            style = dict(color=colour, marker=marker, markersize=4, linewidth=1.6, elinewidth=0.8)
            axis.errorbar(table["percent"], value, spread, **style)
            ends.append((value[-1], METRICS[metric], colour))
        _end_labels(axis, ends, table["percent"].iloc[-1], 7)
        axis.set(xscale="log", xlabel="training images used, %", ylabel="mAP, %", ylim=(0, 100), title=title)
        axis.set_xticks(table["percent"], [f"{p:g}" for p in table["percent"]])
        axis.minorticks_off()
        axis.grid(axis="y")
        figures.append(figure)
    return figures


@styled
def difference_curves(panels):
    """Differences in mAP, points, against positives a class, a panel for each comparison.

    `panels`: dict title -> list of (name, positives (P,), points (P `wsl.findings.reasons.Estimate`), line (its first and last
    `wsl.findings.reasons.Line`), the paper's value). The line is dashed; at its end, the paper's number of training images, are
    its interval and the paper's value (a diamond).
    """
    figures = []
    for title, several in panels.items():
        figure, axis = _panel(4.2, 2.9)
        axis.axhline(0, color=_INK, linewidth=0.6)
        for (name, positives, points, (first, last), printed), colour, marker in zip(
            several, (WEAK_SUP, FULL_IMAGES), "os", strict=False
        ):
            style = dict(color=colour, marker=marker, markersize=4, elinewidth=0.8)
            axis.errorbar(positives, [one.value for one in points], [one.reach for one in points], label=name, **style)
            ends = [first.positives, last.positives], [first.at.value, last.at.value]
            axis.plot(*ends, color=colour, linewidth=0.8, linestyle="--")
            axis.errorbar(last.positives, last.at.value, last.at.reach, color=colour, elinewidth=0.8)
            axis.plot(last.positives, printed, color=_INK, marker="D", markersize=5, linestyle="", markerfacecolor=colour)
        axis.plot([], [], color=_INK, marker="D", markersize=5, linestyle="", markerfacecolor="none", label="the paper")
        axis.set(xscale="log", xlabel="training images of a class", ylabel="difference, points", title=title)
        axis.set_xticks(ticks := [3, 10, 30, 100, 300, 1000, 3000], [f"{n:,}" for n in ticks])
        axis.minorticks_off()
        axis.grid(axis="y")
        figure.legend(loc="outside lower left", borderpad=0, ncols=3)
        figures.append(figure)
    return figures


@styled
def extent_curve(curves):
    """Detection mAP against the IoU threshold. `curves`: dict name -> value, low, high (0..1) by threshold."""
    figure, axis = _panel(4.6, 3.1)
    for (name, curve), colour in zip(curves.items(), (_INK, WEAK_SUP, LOCATION, CENTRE, FULL_IMAGES), strict=False):
        style = dict(marker="D", linestyle=":") if colour == _INK else dict(marker="o", linestyle="-")
        axis.plot(curve.index, 100 * curve["value"], color=colour, markersize=4, linewidth=1.4, label=name, **style)
        axis.vlines(curve.index, 100 * curve["low"], 100 * curve["high"], color=colour, linewidth=0.8)
    axis.set(xlabel="IoU threshold", ylabel="detection mAP, %", ylim=(0, None))
    axis.grid(axis="y")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, ncols=2)
    return figure


@styled
def scatter(classification, localization, named=(), extra=3):
    """Localization AP against classification AP, one dot a class (Series by class, 0..1); `named` classes in orange.

    Labelled: the named classes, and the `extra` largest drops among the others, each joined to its dot by a line.
    """
    figure, axis = _panel(4.6, 4.4)
    both = 100 * np.stack([classification, localization])
    drop = (classification - localization).sort_values(ascending=False, kind="stable").dropna()
    chosen = [*(n for n in drop.index if n in named), *drop.index[~drop.index.isin(named)][:extra]]
    colours = [FULL_IMAGES if name in named else WEAK_SUP for name in classification.index]
    axis.plot([0, 100], [0, 100], color=_INK, linewidth=0.6, linestyle="--")
    dots = axis.scatter(*both, c=colours, s=22, zorder=3, edgecolors="none")
    axis.set(xlim=(-2, 102), ylim=(-3, 102), xlabel="classification AP, %", ylabel="localization AP, %")
    axis.grid()
    axis.set_axisbelow(True)
    labelled = 100 * np.stack([classification[chosen], localization[chosen]])
    diagonal = dict(x_lines=[np.array([0, 100])], y_lines=[np.array([0, 100])])
    style = dict(textsize=8, textcolor=_INK, linecolor=_INK, linewidth=0.5)
    apart = dict(avoid_label_lines_overlap=True, avoid_crossing_label_lines=True)
    allocate(axis, *labelled, chosen, scatter_plot=dots, **diagonal, **style, **apart)
    return figure


@styled
def tolerance_curves(panels, marked=18):
    """Localization mAP against tolerance in pixels; the last point of a curve is at infinite tolerance.

    `panels`: dict title -> dict system -> Series by tolerance (float, the last one inf), 0..1.
    """
    figures, lines, colours = [], ("-", "--", "-.", ":"), (LOCATION, CENTRE, WEAK_SUP, FULL_IMAGES, _INK)
    for title, curves in panels.items():
        figure, axis = _panel(4.6, 3.1)
        ends = []
        for k, ((name, curve), colour) in enumerate(zip(curves.items(), colours, strict=False)):
            axis.plot(range(len(curve)), 100 * curve, color=colour, linewidth=1.5, linestyle=lines[k % 4])
            ends.append((100 * curve.iloc[-1], name, colour))
            tolerances = list(curve.index)
        last = len(tolerances) - 1
        _end_labels(axis, ends, last, 7)
        axis.axvline(np.interp(marked, tolerances[:-1], range(last)), color=_INK, linewidth=0.8, linestyle="--")
        axis.set_xticks(range(last + 1), ["∞" if np.isinf(t) else f"{t:g}" for t in tolerances])
        axis.set(xlabel="tolerance, pixels", ylabel="localization mAP, %", ylim=(0, 100), title=title)
        axis.grid(axis="y")
        figures.append(figure)
    return figures
