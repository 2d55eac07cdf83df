"""The per-image browser: every test picture of a run as a card, failures first, filtered by class and by outcome.

The page holds the cases, boxes, points and score maps as data; `book/_static/wsl-browse.js` lays out the cards, filters,
keys and permalinks, and loads photographs that are not here only when a reader presses the button. Pictures that are here
are embedded small, the worst first, as many as keep the page below two megabytes.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode

import numpy as np
import pandas as pd

from wsl.pages import gallery, pictures
from wsl.pages.show import Html

WIDTH, QUALITY = 256, 70  # of embedded pictures, about 10 kB each
MOST = 1_500_000  # characters of cards
# Failures first: wrong locations, false positives, missed objects; then what was found; then pictures without a case.
ORDER = ("wrong location", "false positive", "not detected", "found")
SIGNS = {"wrong location": "✗", "false positive": "✗", "not detected": "✗", "found": "✓"}


def cases(table: pd.DataFrame) -> dict[str, list[tuple[str, str, int, int, int]]]:
    """{image: [(class, outcome, probability in %, x, y), ...]} of all images of `gallery.weak_sup_table`, worst outcome first."""
    out = {image: [] for image in pd.unique(table["image"])}
    told = table[table["outcome"] != ""]
    for outcome in ORDER:
        chosen = told[told["outcome"] == outcome]
        numbers = np.rint(chosen[["probability", "x", "y"]].to_numpy(float) * (100, 1, 1)).astype(int).tolist()
        for image, name, (p, x, y) in zip(chosen["image"], chosen["class"], numbers, strict=True):
            out[image].append((name, outcome, p, x, y))
    return out


def choose(found: dict[str, list[tuple]]) -> list[str]:
    """Image ids by their worst outcome, ties in the order of the data set."""

    def severity(image: str) -> int:
        return ORDER.index(found[image][0][1]) if found[image] else len(ORDER)

    return sorted(found, key=severity)


def cells(probabilities: np.ndarray | None, size: tuple[int, int]) -> str:
    """The part of a score map that lies on the image, in 16 steps, two cells a byte, as base64; "" where there is no map.

    The image of `size` (width, height) lies top-left on the square canvas that the (n, n) cells cover.
    """
    if probabilities is None:
        return ""
    columns, rows = (-(-len(probabilities) * side // max(size)) for side in size)
    steps = np.rint(probabilities[:rows, :columns] / 17).astype(np.uint8).ravel()
    pairs = np.append(steps, np.uint8(0))[: len(steps) + len(steps) % 2].reshape(-1, 2)
    return b64encode((16 * pairs[:, 0] + pairs[:, 1]).tobytes()).decode()


def entries(found: dict[str, list[tuple]], album: gallery.Album) -> list[list]:
    """One entry a picture: id, width, height, source of the picture, cells on the canvas' side, and its cases with their boxes
    and map; the worst first, as many as `MOST` allows."""
    out, length = [], 0
    for image in choose(found):
        picture = album.picture(image)
        height, width = picture.shape[:2]
        if isinstance(picture, pictures.Remote):
            source = picture.address
        else:
            source = pictures.data_uri(picture, width=WIDTH, quality=QUALITY)
        told, side = [], 0
        for name, outcome, *numbers in found[image]:
            probabilities = album.views.probabilities(image, name)
            side = len(probabilities) if probabilities is not None else side
            boxes = [[round(v) for v in box] for box in album.views.boxes(image, [name])]
            told.append([name, ORDER.index(outcome), *numbers, boxes, cells(probabilities, (width, height))])
        out.append([image, width, height, source, side, told])
        length += len(json.dumps(out[-1], separators=(",", ":")))
        if length > MOST:
            return out[:-1]
    return out


def browser(table: pd.DataFrame | None, album: gallery.Album | None) -> Html:
    """The browser, or the words that there is nothing to browse. table: `gallery.weak_sup_table`."""
    if table is None or album is None:
        return Html(
            "<p>There is nothing to browse in this edition: the recorded run does not bring the sizes, boxes and score maps of "
            "its pictures yet.</p>"
        )
    found = cases(table)
    shown = entries(found, album)
    names = sorted({case[0] for entry in shown for case in entry[-1]})
    count = f"{len(shown):,} of {len(found):,} pictures" if len(shown) < len(found) else f"all {len(found):,} pictures"
    data = json.dumps({"outcomes": ORDER, "pictures": shown}, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return Html(
        f'{pictures.photographs_button(album.host)}<div class="wsl-browse" id="browse">{_controls(names)}'
        f'<p class="wsl-browse-count" role="status">{count}, failures first.</p>'
        "<noscript><p>The cards are laid out by a script, which this browser does not run.</p></noscript>"
        f'<div class="wsl-browse-cards"></div><dialog class="wsl-browse-large" aria-label="Enlarged picture"></dialog>'
        f'<script type="application/json">{data}</script></div>'
    )


def _controls(names: list[str]) -> str:
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
