"""Charts of values with their intervals, a row a value: forest plots of differences, and APs by class (Figure 5).

One SVG whose marks stand at percentages of its width while its letters keep their size, so it fits a telephone as it fits
a desk; text takes the colour of the page. What a row holds in numbers is in its `<title>`, which `wsl.js` shows at once.

    >>> row = Row("J − K", (Mark(23.6, 20.1, 26.4, "#1b9e77"),))
    >>> "J − K" in chart([row], "an example")
    True
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsl.pages.show import Html, number

DOT, DIAMOND, BAR = "dot", "diamond", "bar"
SHAPES = {
    DOT: '<circle r="4"/>',
    DIAMOND: '<path d="M-5.5,0 0,-5.5 5.5,0 0,5.5z" fill="var(--page, #fff)" stroke="currentColor" stroke-width="1.6"/>',
    BAR: '<path d="M0,-7V7" stroke="currentColor" stroke-width="2" stroke-dasharray="3 2"/>',
}


@dataclass(frozen=True)
class Mark:
    """A value, with an interval where `low` and `high` are numbers."""

    value: float
    low: float = math.nan
    high: float = math.nan
    colour: str = "currentColor"
    shape: str = DOT


@dataclass(frozen=True)
class Row:
    """What stands in one row: its name, its marks, and what is written at its right end."""

    label: str
    marks: tuple[Mark, ...]
    text: str = ""
    href: str = ""  # where the text leads
    title: str = ""  # in full


def ticks(rows: Sequence[Row], zero: bool = True) -> list[float]:
    """Round numbers, some five, that span all that the rows show."""
    shown = [x for row in rows for m in row.marks for x in (m.value, m.low, m.high) if not math.isnan(x)] + [0.0] * zero
    least, most = min(shown), max(shown)
    most = most if most > least else least + 1  # equal tables: all differences are 0
    rough = (most - least) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough)
    return [step * k for k in range(math.floor(least / step), math.ceil(most / step) + 1)]


def chart(
    rows: Sequence[Row], alt: str, legend: Sequence[tuple[str, str, str]] = (), caption: str = "", at: Sequence[float] = (),
    beside: float = 0, columns: int = 1,
) -> Html:  # fmt: skip
    """One `<figure>`.

    legend: (shape, colour, words). at: ticks (default: fitting). beside: how much of the width, %, the names take; 0: they stand
    above their marks. columns: side by side, where there is room.
    """
    at = list(at) or ticks(rows)
    each = -(-len(rows) // columns)
    parts = [_svg(rows[k : k + each], alt, at, beside) for k in range(0, len(rows), each)]
    key = "".join(f'<li style="color:{colour}">{_symbol(shape)}<span>{words}</span></li>' for shape, colour, words in legend)
    note = f"<figcaption>{caption}</figcaption>" if caption else ""
    key = f'<ul class="wsl-key">{key}</ul>' if key else ""
    return Html(f'<figure class="wsl-figure wsl-intervals">{key}<div class="wsl-panels">{"".join(parts)}</div>{note}</figure>')


def _symbol(shape: str) -> str:
    return f'<svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true" fill="currentColor">{SHAPES[shape]}</svg>'


def _svg(rows: Sequence[Row], alt: str, at: list[float], beside: float) -> str:
    def x(value: float) -> str:
        share = (min(max(value, at[0]), at[-1]) - at[0]) / (at[-1] - at[0])
        return f"{beside + 3 + (94 - beside) * share:.2f}%"

    height = 21 if beside else 40
    bottom = height * len(rows) + 4
    parts = [
        f'<line x1="{x(tick)}" x2="{x(tick)}" y1="0" y2="{bottom}" stroke="currentColor" '
        f'stroke-opacity="{0.75 if tick == 0 else 0.18}"/>'
        f'<text x="{x(tick)}" y="{bottom + 14}" text-anchor="{"start" if tick == at[0] and not beside else "middle"}">'
        f"{number(tick, 0 if tick == round(tick) else 1)}</text>"
        for tick in at
    ]
    for k, row in enumerate(rows):
        top = height * k
        middle, write = (top + 11, top + 15) if beside else (top + 28, top + 15)
        name, place = html.escape(row.label), f'x="{beside}%" text-anchor="end"' if beside else 'x="0"'
        text = html.escape(row.text)
        text = f'<a href="{row.href}">{text}</a>' if row.href else text
        parts.append(f'<g><title>{html.escape(row.title or f"{row.label}: {row.text}")}</title>')
        parts.append(f'<rect class="row" x="0" y="{top}" width="100%" height="{height}" fill="transparent"/>')
        parts.append(f'<text {place} y="{write}">{name}</text>')
        parts.append(f'<text x="100%" y="{write}" text-anchor="end">{text}</text>' if text else "")
        dots = [mark for mark in row.marks if mark.shape == DOT]
        for mark in row.marks:
            if math.isnan(mark.value):
                continue
            y = middle + (5 * (dots.index(mark) - (len(dots) - 1) / 2) if mark.shape == DOT else 0)
            if not math.isnan(mark.low):
                parts.append(f'<line x1="{x(mark.low)}" x2="{x(mark.high)}" y1="{y:g}" y2="{y:g}" stroke="{mark.colour}" '
                             f'stroke-width="{1.6 if beside else 2}"/>')  # fmt: skip
            shape = '<circle r="2.4"/>' if beside and mark.shape == DOT else SHAPES[mark.shape]
            style = f'x="{x(mark.value)}" y="{y:g}" color="{mark.colour}" fill="{mark.colour}" style="overflow:visible"'
            parts.append(f"<svg {style}>{shape}</svg>")
        parts.append("</g>")
    role = "group" if any(row.href for row in rows) else "img"  # an image has no links in it
    about = f'role="{role}" aria-label="{html.escape(alt)}" xmlns="http://www.w3.org/2000/svg"'
    letters = f'font-family="system-ui, sans-serif" font-size="{12 if beside else 13}" fill="currentColor"'
    return f'<svg {about} width="100%" height="{bottom + 20}" {letters}>{"".join(parts)}</svg>'
