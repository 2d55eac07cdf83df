"""The per-image browser: every test picture of a run as a card, failures first, filtered by class and by outcome.

Cards are plain HTML with their cases in `data-` attributes; `book/_static/wsl-browse.js` adds filters, keys and
permalinks. Without script, all cards show. Pictures are embedded small, so that the page stays below a few megabytes.
"""

from __future__ import annotations

import html

import pandas as pd

from wsl.data.dataset import Dataset
from wsl.pages import gallery, pictures
from wsl.pages.show import Html

MAX_IMAGES, WIDTH, QUALITY = 300, 256, 70  # about 10 kB a picture
# Failures first: wrong locations, false positives, missed objects; then what was found; then pictures without a case.
ORDER = ("wrong location", "false positive", "not detected", "found")
SIGNS = {"wrong location": "✗", "false positive": "✗", "not detected": "✗", "found": "✓"}


def cases(table: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """{image: [(class, outcome), ...]} for every image of `gallery.weak_sup_table`, worst outcome first in each."""
    out = {image: [] for image in pd.unique(table["image"])}
    told = table[table["outcome"] != ""]
    for outcome in ORDER:
        chosen = told[told["outcome"] == outcome]
        for image, name in chosen[["image", "class"]].itertuples(index=False):
            out[image].append((name, outcome))
    return out


def choose(found: dict[str, list[tuple[str, str]]], count: int = MAX_IMAGES) -> list[str]:
    """Image ids by their worst outcome, ties in the order of the data set; `count` at most."""

    def severity(image: str) -> int:
        return ORDER.index(found[image][0][1]) if found[image] else len(ORDER)

    return sorted(found, key=severity)[:count]


def browser(table: pd.DataFrame | None, dataset: Dataset | None, count: int = MAX_IMAGES) -> Html:
    """The browser, or the words that there is nothing to browse. table: `gallery.weak_sup_table`."""
    if table is None or dataset is None:
        return Html("<p>No run of weak supervision is here, or its pictures are not on this machine.</p>")
    found = cases(table)
    chosen = choose(found, count)
    by_image = dict(list(table[table["image"].isin(chosen)].groupby("image", sort=False)))
    cards = [_card(by_image[image], dataset, image, found[image]) for image in chosen]
    shown = f"{len(chosen)} of {len(found)} pictures" if len(chosen) < len(found) else f"all {len(found)} pictures"
    return Html(
        f'<div class="wsl-browse" id="browse">{_controls(found, chosen)}<p class="wsl-browse-count" role="status">{shown}, '
        f'failures first.</p><div class="wsl-browse-cards">{"".join(cards)}</div><dialog class="wsl-browse-large"></dialog></div>'
    )


def _controls(found, chosen) -> str:
    names = sorted({name for image in chosen for name, _ in found[image]})
    options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
    boxes = "".join(
        f'<label><input type="checkbox" name="outcome" value="{outcome}" checked> {SIGNS[outcome]} {outcome} '
        f"<kbd>{k}</kbd></label>"
        for k, outcome in enumerate(ORDER, 1)
    )
    return (
        f'<form class="wsl-browse-controls" hidden><label>class <select name="class"><option value="">all</option>{options}'
        f'</select> <kbd>c</kbd></label><fieldset><legend class="visually-hidden">outcomes</legend>{boxes}</fieldset></form>'
    )


def _card(rows: pd.DataFrame, dataset: Dataset, image: str, found: list[tuple[str, str]]) -> str:
    names = [name for name, outcome in found if outcome in ("wrong location", "not detected")]
    points = gallery.crosses(rows, image)
    alt = f"Picture {image}; crosses: {', '.join(label for *_, label in points) or 'none'}"
    missed = gallery.boxes(dataset, image, names)
    picture = pictures.with_points(gallery.picture(image, dataset), points, alt, WIDTH, missed, QUALITY)
    lines = "".join(
        f'<span class="{"hit" if outcome == "found" else "miss"}">{html.escape(name)}: {outcome}</span>'
        for name, outcome in found
    )
    told = html.escape("|".join(f"{name}={outcome}" for name, outcome in found))
    return (
        f'<div class="wsl-browse-card" id="image-{html.escape(image)}" data-image="{html.escape(image)}" data-cases="{told}" '
        f'tabindex="0" role="button">{picture}<p><b>{html.escape(image)}</b>{lines or "<span>no object, nothing detected</span>"}'
        "</p></div>"
    )
