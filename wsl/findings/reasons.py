"""Where a claim does not come out: what more data would do, and what the test images can resolve."""

from __future__ import annotations

import numpy as np
import pandas as pd

from wsl.findings import results as report
from wsl.findings.results import Column
from wsl.pages.ablations import PERCENTS

# (title, system, system, metric): the comparisons of the claims that depend on the amount of training
COMPARISONS = (
    ("J − H, naming (C1, C2)", "weak_sup", "full_images", "classification"),
    ("J − K, placing (C8)", "weak_sup", "center", "location"),
    ("J − J at s = 1, naming (C4)", "weak_sup", "weak_sup@train_s1", "classification"),
    ("I − J, naming (C6)", "masked_pool", "weak_sup", "classification"),
    ("I − J, placing (C6)", "masked_pool", "weak_sup", "location"),
)


def by_images(column: Column, a: str, b: str, metric: str) -> tuple[pd.DataFrame, np.ndarray]:
    """System `a` minus `b`, both trained on parts of the training images: images, value, low, high; resamples (B, rows).

    Points of mAP; the paired bootstrap draws the same test images for every part.
    """
    rows, samples = [], []
    for percent in (*PERCENTS, 100):
        part = "" if percent == 100 else f"@n{percent}"
        pair = column.load_pair(a + part, b + part)
        if pair is None or None in (getattr(pair[0], metric), getattr(pair[1], metric)):
            continue
        d = report.difference(*pair, metric)
        training = pair[0].runs[0].manifest["training"]
        rows.append({"images": round(training["n_train"] * percent / 100), **{k: d[k] for k in ("value", "low", "high")}})
        x, y = (getattr(result, metric).samples for result in pair)
        samples.append(100 * (x - y))
    return pd.DataFrame(rows, columns=["images", "value", "low", "high"]), np.array(samples).T


def curves(column: Column) -> dict[str, pd.DataFrame]:
    """`by_images` of each comparison that was run on at least two parts."""
    found = {title: by_images(column, a, b, metric)[0] for title, a, b, metric in COMPARISONS}
    return {title: table for title, table in found.items() if len(table) > 1}


def trends(column: Column) -> list[str]:
    """What a doubling of the training images does to each difference: slope of the line through the curve."""
    lines = []
    for title, a, b, metric in COMPARISONS:
        table, samples = by_images(column, a, b, metric)
        whole = column.load_pair(a, b)
        if len(table) < 3 or whole is None:
            continue
        doublings = np.log2(table["images"].to_numpy(float))
        weights = (doublings - doublings.mean()) / np.square(doublings - doublings.mean()).sum()
        slope = float(weights @ table["value"])
        low, high = report.ends(samples @ weights, slope)
        verdict = "grows" if low > 0 else "shrinks" if high < 0 else "shows no clear trend"
        last = table.iloc[-1]
        value = f'<a href="{whole[0].href}">{last["value"]:+.1f}</a>'
        lines.append(
            f"{title}: {value} with all {last['images']:,.0f} images; {slope:+.1f} points per doubling "
            f"({low:+.1f} to {high:+.1f}): {verdict}"
        )
    return lines


def resolution(column: Column, a: str, b: str) -> str | None:
    """How many test images it would take to tell the gain of a typical class from zero, all classes at once."""
    pair = column.load_pair(a, b)
    if pair is None:
        return None
    gain, reach = report.simultaneous(*(result.classification for result in pair))
    middle = float(gain.median())
    text = (
        f"{pair[0].link}: the gain is {middle:+.1f} points in the median class, its simultaneous 95% interval ± "
        f"{np.median(reach):.1f} wide"
    )
    if middle > 0:
        times = np.square(np.median(reach) / middle)
        text += f"; to tell such a gain from zero would take about {times:.1f} times as many test images"
    return text


def near_the_top(column: Column, *systems: str) -> list[str]:
    """In how many classes each system leaves little to gain."""
    lines = []
    for system in systems:
        if (found := column.load(system)) is not None:
            ap = 100 * found.classification.classes["ap"].dropna()
            name = f'<a href="{found.href}">{report.METHODS[system]}</a>'
            lines.append(f"{name}: {(ap > 95).sum()} of {len(ap)} classes lie above 95, the median class at {ap.median():.1f}")
    return lines
