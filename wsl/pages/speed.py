"""The Speed page: timings of `make bench` as tables of the book."""

import html

import pandas as pd

from wsl.pages.show import Html
from wsl.pages.tables import Cell, table


def as_html(words: pd.DataFrame, caption: str, name: str) -> Html:
    """A table of `wsl.findings.speed` in words; its first column is each row's header."""
    heads = [(html.escape(column), 1, "") for column in words.columns]
    words = words.map(html.escape).replace({" x ": " × ", r" \((.* runs?)\)$": r"<br><small>\1</small>"}, regex=True)
    rows = [(first, [Cell(text, left=True) for text in others]) for first, *others in words.to_numpy()]
    return table([heads], rows, caption, name)
