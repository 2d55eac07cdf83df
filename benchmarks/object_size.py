"""Does the size of objects explain where boxes help? Differences between systems among small, middle and large objects (D28).

    python benchmarks/object_size.py --voc-root VOCDEVKIT --coco-root COCO [--out results/object_size.csv]

Recorded runs and the annotations of their test photographs; no network. The size of a class in an image is the square root of the
area of its largest box over the longest side of the image. Each part of the sizes counts its own (image, class) pairs as positive
and leaves the others with an object out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.evaluation.evaluate import Measure, Scored, measures, paired_difference
from wsl.evaluation.more import largest_box
from wsl.findings import results
from wsl.findings.reasons import BY_SIZE, SIZES
from wsl.profile import load_profile
from wsl.systems.study import code_state


def sizes(dataset: Dataset) -> np.ndarray:
    """(N, K) size of each class in each image, 0..1; NaN where it has no object that counts."""
    side = np.sqrt(largest_box(dataset, ignored=False)) / dataset.sizes.max(axis=1)[:, None]
    return np.where(dataset.labels > 0, side, np.nan)


def parts(size: np.ndarray, edges: np.ndarray | None = None) -> np.ndarray:
    """(N, K) 0, 1 or 2: small, middle or large, by the `edges` or in thirds of each class; -1 without an object."""
    if edges is not None:
        part = np.digitize(size, edges)
    else:
        rank = np.argsort(np.argsort(size, axis=0), axis=0)  # NaN comes last
        part = 3 * rank // np.maximum(np.count_nonzero(~np.isnan(size), axis=0), 1)
    return np.where(np.isnan(size), -1, part)


def measured(scored: dict[int, Scored], part: np.ndarray, which: int) -> dict[str, Measure]:
    """Classification and localization of a system's seeds where only one part of the sizes is positive."""
    others = (part >= 0) & (part != which)
    return measures({seed: replace(s, labels=np.where(others, np.int8(0), s.labels)) for seed, s in scored.items()})._asdict()


def rows(column: results.Column, division: str, part: np.ndarray) -> list[dict]:
    """The differences in each part, and the small less the large, in points."""
    systems = {system for _, *pair, _, _ in BY_SIZE for system in pair}
    scored = {system: results.scored(column.runs(system)) for system in systems}
    by_part = [{system: measured(seeds, part, which) for system, seeds in scored.items()} for which in range(3)]
    found = []
    for title, a, b, metric, _ in BY_SIZE:
        several = [paired_difference(own[a][metric], own[b][metric]).in_points() for own in by_part]
        value, samples = several[0].value - several[2].value, several[0].samples - several[2].samples
        ends = [(d.value, d.low, d.high) for d in several] + [(value, *metrics.ends(samples, value))]
        for name, (value, low, high), which in zip(SIZES, ends, (0, 1, 2, None), strict=True):
            positives = np.count_nonzero(part >= 0 if which is None else part == which)
            about = {"profile": column.profile, "division": division, "comparison": title, "part": name, "positives": positives}
            found.append(about | {"value": value, "low": low, "high": high})
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--voc-root", required=True)
    p.add_argument("--coco-root", required=True)
    p.add_argument("--out", type=Path, default=Path("results/object_size.csv"))
    args = p.parse_args()
    found, edges = [], None
    for name, root in (("coco-sample", args.coco_root), ("voc-sample", args.voc_root)):
        dataset, column = load_profile(name, root=root).dataset("val"), results.Column("results", name, "efficientnet_lite0")
        if dataset.digest() != column.runs("weak_sup")[0].manifest["data"]["digest"]:
            raise StudyError(f"{root}: not the photographs and annotations of the recorded runs of {name}")
        size = sizes(dataset)
        own = np.nanquantile(size, (1 / 3, 2 / 3))
        edges = own if edges is None else edges
        print(f"{name}: sizes of a third, two thirds {own.round(3)}; of the parts' ends on COCO {edges.round(3)}", flush=True)
        divisions = {"thirds of all": parts(size, own), "thirds of each class": parts(size)}
        if name != "coco-sample":
            divisions["at the sizes of COCO"] = parts(size, edges)
        for division, part in divisions.items():
            found += rows(column, division, part)
    table = pd.DataFrame(found).assign(commit=code_state()["commit"]).round(3)
    table.to_csv(args.out, index=False)
    print(table.to_string())


if __name__ == "__main__":
    main()
