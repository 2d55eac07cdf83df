"""Forest plots of differences between systems, gains by class, and Figure 5: what `wsl.pages.intervals` draws of runs."""

import numpy as np

from wsl.evaluation.evaluate import METRICS
from wsl.evaluation.runs import GENERATED, REAL, Run
from wsl.findings import paper
from wsl.findings.results import METHODS, Column, Result, difference
from wsl.pages import tables
from wsl.pages.figures import FULL_IMAGES, LOCATION, WEAK_SUP
from wsl.pages.intervals import BAR, DIAMOND, DOT, Mark, Row, chart
from wsl.pages.show import NOT_ATTEMPTED, Html, interval, number, signed

COLOURS = {REAL: "#1b9e77", GENERATED: "#c98a00"}
OTHERS = "#8a8f98"


def differences(columns: dict[str, list[Column]], pairs) -> Html:
    """A forest plot: each (system, system, metric) of `pairs` on each column {layout: columns} that has runs of both."""
    rows, sources = [], set()
    for a, b, metric in pairs:
        for layout, several in columns.items():
            printed = paper.difference(a, b, metric, layout)
            for column in several:
                pair = column.load_pair(a, b)
                if pair is None or None in (getattr(pair[0], metric), getattr(pair[1], metric)):
                    continue
                d = difference(*pair, metric)
                name = f"{tables.LETTERS[a]} − {tables.LETTERS[b]}" + ("" if "@" in b else f", {METRICS[metric]}")
                full = f"{METHODS[a]} minus {METHODS[b]}, {METRICS[metric]} mAP, {pair[0].data}; {seeds(d.seeds)}"
                rows.append(row(name, layout, pair[0].run, (d.value, d.low, d.high), printed, full=full))
                sources.add(column.source)
    if not rows:
        return Html(f"<p>{NOT_ATTEMPTED.capitalize()}.</p>")
    caption = "Differences in mAP, points, with their paired 95% interval. A number links to its run."
    return chart(rows, "Differences between systems with their intervals", key(sources), caption)


def row(name: str, layout: str, run: Run, values, printed: float = np.nan, margins=(), sign: str = "", full: str = "") -> Row:
    """A row of a forest plot.

    values: (value, low, high). printed: the paper's own number (NaN: none). sign: before the name. full: what a pointer shows.
    """
    where = layout.upper() if run.source == REAL else f"{layout.upper()} scenes"
    value, low, high = values
    marks = [Mark(margin, shape=BAR) for margin in margins]
    marks += [Mark(value, low, high, COLOURS[run.source]), Mark(printed, shape=DIAMOND)]
    text = f"{signed(value)} ({interval(low, high)})"
    title = f"{full or name}: {text}" + ("" if np.isnan(printed) else f"; the paper: {signed(printed)}")
    return Row(f"{sign} {name}, {where}".strip(), tuple(marks), text, tables.href(run), title)


def key(sources, margins: bool = False) -> list[tuple[str, str, str]]:
    """What the marks of a forest plot mean."""
    words = {REAL: "photographs", GENERATED: "scenes (generated)"}
    found = [(DOT, COLOURS[source], text) for source, text in words.items() if source in sources]
    return [*found, (DIAMOND, "currentColor", "the paper")] + [(BAR, "currentColor", "margin of the rule")] * margins


def seeds(several: dict[int, float]) -> str:
    """ "3 seeds: −0.4 to 1.2"."""
    if len(several) == 1:
        return "1 seed"
    return f"{len(several)} seeds: {interval(min(several.values()), max(several.values()))}"


def gains(weak: Result, full: Result, named: tuple[str, ...] = ()) -> Html:
    """Gain in classification AP by class, the largest first, with its interval; the `named` classes in another colour."""
    by_class = difference(weak, full).classes.dropna().sort_values("gain", ascending=False, kind="stable")
    rows = []
    for name, (gain, low, high) in by_class[["gain", "low", "high"]].iterrows():
        title = f"{name}: {signed(gain)} ({interval(low, high)})"
        rows.append(Row(name, (Mark(gain, low, high, WEAK_SUP if name in named else OTHERS),), title=title))
    legend = [(DOT, WEAK_SUP, "named by the paper"), (DOT, OTHERS, "the other classes")] if named else []
    what = f"{METHODS['weak_sup']} over {METHODS['full_images']}"
    caption = f"Gain in classification AP of {what}, points, the largest first, with its "
    caption += f"95% interval: {tables.result_link(weak)}."
    return chart(rows, f"Gain in AP by class, {weak.data}", legend, caption, beside=20)


def class_chart(full: Result, weak: Result) -> Html:
    """Figure 5: classification AP of both systems and localization AP of the second, by class, all classes at once."""
    series = [(f"classification, {METHODS[s]}", colour, r.classification.classes) for s, colour, r in (
        ("full_images", FULL_IMAGES, full), ("weak_sup", WEAK_SUP, weak))]  # fmt: skip
    series.append((f"localization, {METHODS['weak_sup']}", LOCATION, weak.location.classes))
    order = weak.classification.classes["ap"].dropna().sort_values(ascending=False, kind="stable").index
    rows = []
    for name in order:
        values = [(words, colour, 100 * table.loc[name, ["ap", "low", "high"]]) for words, colour, table in series]
        title = "; ".join(f"{words} {number(ap)} ({interval(low, high)})" for words, _, (ap, low, high) in values)
        rows.append(Row(name, tuple(Mark(*value, colour=colour) for _, colour, value in values), title=f"{name}: {title}"))
    legend = [(DOT, colour, words) for words, colour, _ in series]
    alt = f"Average precision of {len(order)} classes, {weak.data}"
    caption = f"Average precision of each class, %, with its 95% interval: {tables.result_link(weak)}."
    return chart(rows, alt, legend, caption, at=range(0, 101, 25), beside=30, columns=2)
