"""Charts of the book: matplotlib, drawn once, readable on a light and on a dark page.

A chart becomes one inline SVG whose text and axes take the colour of the page's own text (`currentColor`),
so the theme's switch recolours it; data colours are Okabe-Ito mid-tones that hold 3:1 against white and
near-black and that colour-blind readers can tell apart. Output is deterministic: fixed ids, no date. No
pyplot, no global state.

Paper figures drawn here: Figure 5 (`class_bars`), the curves that quantify Figure 1 (`evolution_curve`,
`discovery_curve`), score maps and their gradients as Figure 4 draws them (`matrices`).
"""

import html
import io
import re

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from wsl.evaluation.evaluate import METRICS
from wsl.pages.show import Html

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


def _figure(width, height, rows=1, columns=1, **kwargs):
    """A new figure of `width` x `height` inches with a grid of axes; nothing is registered with pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def styled(function):
    """Run a drawing function under the book's style."""

    def wrapper(*args, **kwargs):
        with mpl.rc_context(_STYLE):
            return function(*args, **kwargs)

    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def as_html(figure: Figure, alt: str, caption: str = "", min_width: int = 0) -> Html:
    """One `<figure>` with the chart as inline SVG.

    `alt` says what a reader who cannot see it should know; `min_width` (pixels) lets a wide chart scroll
    sideways on a narrow screen instead of shrinking until nothing can be read.
    """
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[A-Za-z]+[_\d.]*">', "<g>", svg)  # matplotlib's group ids would repeat on the page
    svg = svg.replace(_INK, "currentColor")
    svg = re.sub(r"font: (?:(bold) )?([\d.]+)px [^;\"]*", r"font: \1 \2px system-ui, sans-serif", svg)
    widest = round(figure.get_figwidth() * 104)  # letters of about the page's own size, never larger
    opening = (
        f'<svg role="img" aria-label="{html.escape(alt)}" VIEWBOX xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'style="width:100%;height:auto;max-width:{widest}px;min-width:{min_width}px">'
    )
    view = re.search(r'viewBox="[^"]+"', svg)[0]
    svg = opening.replace("VIEWBOX", view) + svg[svg.index(">") + 1 :]
    scroll = ' tabindex="0" style="overflow-x:auto"' if min_width else ""
    note = f"<figcaption>{caption}</figcaption>" if caption else ""
    return Html(f'<figure class="wsl-figure"><div{scroll}>{svg}</div>{note}</figure>')


@styled
def timeline(steps):
    """One bar a step of the workflow, from its start to its end. `steps`: see `wsl.findings.speed.steps`."""
    figure, axes = _figure(7.4, 0.8 + 0.22 * len(steps))
    axis, ends = axes[0, 0], (steps["start"] + steps["seconds"]) / 60
    axis.barh(steps["stage"] + ": " + steps["name"], steps["seconds"] / 60, left=steps["start"] / 60, color=WEAK_SUP, zorder=2)
    for row, (end, cores) in enumerate(zip(ends, steps["cores"], strict=True)):
        axis.text(end, row, "" if np.isnan(cores) else f" {cores:.1f} cores", va="center")
    axis.invert_yaxis()
    axis.set(xlabel="minutes after the first step began")
    axis.grid(axis="x")
    axis.margins(x=0.12)
    return figure


@styled
def class_bars(bars, order, title=""):
    """Figure 5: one bar a class, series laid over each other as in the paper, whiskers for the interval.

    `bars`: list of (label, colour, table) where table is a DataFrame indexed by class with columns `ap`,
    `low`, `high` (0..1); the first is drawn behind. `order`: classes from left to right.
    """
    figure, axes = _figure(max(6.0, 0.135 * len(order) + 1), 2.9)
    axis, x = axes[0, 0], np.arange(len(order))
    for k, (label, colour, table) in enumerate(bars):
        table = table.reindex(order)
        ap = 100 * table["ap"].to_numpy(float)
        axis.bar(x, ap, width=0.82 - 0.34 * k, color=colour, alpha=0.9, label=label, zorder=2 + k)
        spread = np.abs(100 * table[["low", "high"]].to_numpy(float).T - ap)
        axis.errorbar(x + 0.12 * (2 * k - len(bars) + 1), ap, spread, fmt="none", ecolor=_INK, elinewidth=0.7, zorder=5)
    axis.set_xticks(x, order, rotation=90, fontsize=8)
    axis.set(xlim=(-0.7, len(order) - 0.3), ylim=(0, 100), ylabel="AP, %")
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    axis.tick_params(axis="x", length=0)
    place = dict(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, alignment="left", handlelength=1)
    axis.legend(ncols=len(bars), title=title or None, **place)
    return figure


def _end_labels(axis, lines, x, gap):
    """Write each line's name at its end, moved apart so that no two overlap. `lines`: (y, text, colour)."""
    previous = -np.inf
    for y, text, colour in sorted(lines):
        y = max(y, previous + gap)
        axis.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", va="center", color=colour)
        previous = y


@styled
def evolution_curve(panels):
    """Beside Figure 1: classification and localization mAP after each epoch, single-scale test.

    `panels`: dict title -> DataFrame with columns `epoch`, `classification`, `location` (0..1).
    """
    figure, axes = _figure(3.7 * max(2, len(panels)), 2.6, 1, max(1, len(panels)), sharey=True)
    for axis, (title, table) in zip(axes[0], panels.items(), strict=False):
        ends = []
        for column, colour in (("classification", WEAK_SUP), ("location", LOCATION)):
            axis.plot(table["epoch"], 100 * table[column], color=colour, marker="o", markersize=3, linewidth=1.6)
            ends.append((100 * table[column].iloc[-1], METRICS[column], colour))
        _end_labels(axis, ends, table["epoch"].iloc[-1], 6)
        axis.set(xlabel="epoch (0 = untrained)", ylim=(0, 100), title=title)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="y")
    axes[0, 0].set_ylabel("mAP on held-out images, %")
    return figure


@styled
def discovery_curve(tables):
    """Share of objects that are found for good by each epoch, by appearance (the claim in Figure 1's
    caption).

    `tables`: dict name -> Series indexed by epoch, share 0..1.
    """
    figure, axes = _figure(5.2, 2.6)
    axis, ends = axes[0, 0], []
    for (name, share), colour in zip(tables.items(), (WEAK_SUP, CENTRE, LOCATION), strict=False):
        axis.step(share.index, 100 * share, where="post", color=colour, linewidth=1.6)
        ends.append((100 * share.iloc[-1], name, colour))
    _end_labels(axis, ends, max(s.index[-1] for s in tables.values()), 6)
    axis.set(xlabel="epoch", ylabel="objects discovered, %", ylim=(0, 100))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(axis="y")
    return figure


@styled
def gain_bars(gain, low, high, highlight=()):
    """Per-class difference between two systems with its interval (Series by class, percentage points)."""
    gain = gain.sort_values(ascending=False)
    figure, axes = _figure(6.6, 2.8)
    axis, x = axes[0, 0], np.arange(len(gain))
    colours = [WEAK_SUP if name in highlight else "#8a8f98" for name in gain.index]
    axis.bar(x, gain, color=colours, width=0.75)
    spread = np.abs(np.stack([low.reindex(gain.index), high.reindex(gain.index)]) - gain.to_numpy())
    axis.errorbar(x, gain, spread, fmt="none", ecolor=_INK, elinewidth=0.7)
    axis.axhline(0, color=_INK, linewidth=0.6)
    axis.set_xticks(x, gain.index, rotation=90, fontsize=8)
    axis.set(ylabel="gain in AP, points", xlim=(-0.7, len(gain) - 0.3))
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    return figure


@styled
def matrices(panels, cmap="magma", titles_size=9):
    """Score maps or gradients as they are: cells as squares, one colour scale a panel, its range in the
    title.

    `panels`: dict title -> (array (n, m), (row, column) of the winning cell or None).
    """
    figure, axes = _figure(2.2 * len(panels), 2.3, 1, len(panels))
    for axis, (title, (values, winner)) in zip(axes[0], panels.items(), strict=True):
        axis.imshow(values, cmap=cmap, interpolation="nearest")
        if winner is not None:
            axis.plot(winner[1], winner[0], marker="x", color="#f7d038", markersize=9, markeredgewidth=2)
        axis.set_title(f"{title}\n{np.min(values):.2f} to {np.max(values):.2f}", fontsize=titles_size)
        axis.set(xticks=[], yticks=[])
    return figure


@styled
def image_curve(curves):
    """mAP against the share of training images: classification and localization, one panel a source.

    `curves`: dict title -> DataFrame with columns `percent` and, for each of `classification` and `location`,
    the value and its `_low` and `_high` (0..1).
    """
    figure, axes = _figure(3.7 * max(2, len(curves)), 2.7, 1, max(1, len(curves)), sharey=True)
    for axis, (title, table) in zip(axes[0], curves.items(), strict=False):
        for metric, colour, marker in (("classification", WEAK_SUP, "o"), ("location", LOCATION, "s")):
            value = 100 * table[metric].to_numpy(float)
            spread = np.abs(100 * table[[f"{metric}_low", f"{metric}_high"]].to_numpy(float).T - value)
            style = dict(color=colour, marker=marker, markersize=4, linewidth=1.6, elinewidth=0.8, label=METRICS[metric])
            axis.errorbar(table["percent"], value, spread, **style)
        axis.set(xscale="log", xlabel="training images used, %", ylim=(0, 100), title=title)
        axis.set_xticks(table["percent"], [f"{p:g}" for p in table["percent"]])
        axis.minorticks_off()
        axis.grid(axis="y")
    axes[0, 0].set_ylabel("mAP, %")
    axes[0, 0].legend(loc="upper left")
    return figure


@styled
def difference_curves(curves):
    """Differences in mAP, points, against the number of training images: one panel each.

    `curves`: dict title -> DataFrame with columns `images`, `value`, `low`, `high`.
    """
    columns = 3
    figure, axes = _figure(2.7 * columns, 2.2 * -(-len(curves) // columns), -(-len(curves) // columns), columns)
    for axis, (title, table) in zip(axes.flat, curves.items(), strict=False):
        spread = np.abs(table[["low", "high"]].to_numpy(float).T - table["value"].to_numpy(float))
        axis.axhline(0, color=_INK, linewidth=0.6)
        axis.errorbar(table["images"], table["value"], spread, color=WEAK_SUP, marker="o", markersize=4, elinewidth=0.8)
        axis.set(xscale="log", xlabel="training images", title=title)
        axis.set_xticks(table["images"], [f"{n:,}" for n in table["images"]])
        axis.minorticks_off()
        axis.grid(axis="y")
    for axis in list(axes.flat)[len(curves) :]:
        axis.set_axis_off()
    axes[0, 0].set_ylabel("difference, points")
    return figure


@styled
def extent_curve(curves):
    """Detection mAP against the IoU threshold. `curves`: dict name -> value, low, high (0..1) by threshold."""
    figure, axes = _figure(5.4, 3.0)
    axis = axes[0, 0]
    for (name, curve), colour in zip(curves.items(), (_INK, WEAK_SUP, LOCATION, CENTRE, FULL_IMAGES), strict=False):
        style = dict(marker="D", linestyle=":") if colour == _INK else dict(marker="o", linestyle="-")
        axis.plot(curve.index, 100 * curve["value"], color=colour, markersize=4, linewidth=1.4, label=name, **style)
        axis.vlines(curve.index, 100 * curve["low"], 100 * curve["high"], color=colour, linewidth=0.8)
    axis.set(xlabel="IoU threshold", ylabel="detection mAP, %", ylim=(0, None))
    axis.grid(axis="y")
    axis.legend(loc="upper right")
    return figure


@styled
def scatter(classification, localization, named=(), extra=5):
    """Localization AP against classification AP, one dot a class (Series by class, 0..1); `named` classes in orange.

    Labelled: the named classes, and the `extra` largest drops among the others.
    """
    figure, axes = _figure(5.2, 4.4)
    axis = axes[0, 0]
    both = 100 * np.stack([classification, localization])
    drop = (classification - localization).sort_values(ascending=False, kind="stable").dropna()
    chosen = [*(n for n in classification.index if n in named), *drop.index[~drop.index.isin(named)][:extra]]
    colours = [FULL_IMAGES if name in named else WEAK_SUP for name in classification.index]
    axis.plot([0, 100], [0, 100], color=_INK, linewidth=0.6, linestyle="--")
    axis.scatter(*both, c=colours, s=22, zorder=3, edgecolors="none")
    places, taken = dict(zip(classification.index, both.T, strict=True)), []
    for name in sorted(chosen, key=lambda name: places[name][1]):
        x, y = places[name]
        if np.isnan([x, y]).any():
            continue
        at = y
        while any(abs(at - b) < 3.6 and abs(x - a) < 24 for a, b in taken):
            at += 0.6
        taken.append((x, at))
        right = x > 78
        place = dict(xytext=(x - 1.6 if right else x + 1.6, at), ha="right" if right else "left", va="center")
        axis.annotate(name, (x, y), fontsize=8, **place)
    axis.set(xlim=(-2, 102), ylim=(-3, 102), xlabel="classification AP, %", ylabel="localization AP, %")
    axis.grid()
    axis.set_axisbelow(True)
    return figure


@styled
def tolerance_curve(curves, marked=18):
    """Localization mAP against tolerance in pixels; the last point of a curve is at infinite tolerance.

    `curves`: dict system -> Series by tolerance (float, the last one inf), 0..1.
    """
    figure, axes = _figure(6.2, 3.0)
    axis, ends = axes[0, 0], []
    lines, colours = ("-", "--", "-.", ":"), (LOCATION, CENTRE, WEAK_SUP, FULL_IMAGES, _INK)
    for k, ((name, curve), colour) in enumerate(zip(curves.items(), colours, strict=False)):
        places = np.arange(len(curve))
        axis.plot(places, 100 * curve, color=colour, linewidth=1.5, linestyle=lines[k % 4])
        ends.append((100 * curve.iloc[-1], name, colour))
        last = len(curve) - 1
        index = list(curve.index)
    _end_labels(axis, ends, last, 5)
    axis.axvline(np.interp(marked, index[:-1], range(last)), color=_INK, linewidth=0.8, linestyle="--")
    axis.set_xticks(range(len(index)), ["∞" if np.isinf(t) else f"{t:g}" for t in index])
    axis.set(xlabel="tolerance, pixels", ylabel="localization mAP, %", ylim=(0, 100))
    axis.grid(axis="y")
    return figure
