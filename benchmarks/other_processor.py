"""What does another processor change? Recorded runs against the same runs in another arithmetic.

    python benchmarks/other_processor.py --voc VOCROOT [--images 60]    the shipped head's run, tested here once more
    python benchmarks/other_processor.py --runs RESULTS RUNS            every run below both folders, trained and tested apart

VOCROOT holds the photographs of `voc-sample`. Prints the differences in score, the share of points that are the same, and both
mean average precisions. Without --images, all 1,312 photographs: some twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.evaluation.evaluate import evaluate_table
from wsl.evaluation.runs import find_runs, read_run
from wsl.network.features import Features
from wsl.profile import load_profile
from wsl.systems.localize import load_localizer
from wsl.systems.predict import predict

RECORDED = Path("results/voc-sample/efficientnet_lite0/weak_sup/seed0")


def tested_here(root: str, images: int | None) -> None:
    """The head that comes with the repository, on this machine."""
    profile, (recorded, manifest) = load_profile("voc-sample", root=root), read_run(RECORDED)
    dataset = profile.dataset("val")
    dataset = dataset.subset(np.arange(len(dataset))[:images])
    localizer = load_localizer()
    here = predict(Features(localizer.trunk, dataset, profile.canvas), {"run": localizer.tester})["run"]
    print(f"{len(dataset)} photographs; recorded on {manifest['hardware']['processor']}, here in {localizer.trunk.arithmetic}")
    say(recorded[: len(here)], here)  # both in the order of the images, then of the classes


def made_apart(first: Path, second: Path) -> None:
    """Runs of the same systems and seeds below two folders."""
    for run in find_runs(first):
        other = second.joinpath(*run.folder.parts[-4:])
        if (other / "manifest.json").is_file():
            (before, a), (after, b) = read_run(run.folder), read_run(other)
            print(f"{run.profile} {run.system} seed {run.seed}: {arithmetic(a)} against {arithmetic(b)}")
            say(before, after)


def arithmetic(manifest: dict) -> str:
    return (manifest.get("hardware") or {}).get("arithmetic") or "arithmetic not recorded"


def say(before: pd.DataFrame, after: pd.DataFrame) -> None:
    columns = ["image", "class", "label"]
    assert (before[columns].to_numpy() == after[columns].to_numpy()).all()
    moved, spread = np.abs(after["score"] - before["score"]), before["score"].std()
    print(f"  a score moves by {moved.median():.2f} in the median, {moved.max():.2f} at most; their spread is {spread:.1f}")
    if before["x"].notna().all():
        same = (np.abs(after[["x", "y"]] - before[["x", "y"]]) < 0.5).all(axis=1)[after["label"] > 0]
        print(f"  {100 * same.mean():.1f}% of the points of classes that are there are the same to half a pixel")
    for name in ("ap", "location_ap"):
        means = [100 * evaluate_table(table)[name].iloc[-1] for table in (before, after)]
        print(f"  {name:12s} mean over classes: {means[0]:.2f} and {means[1]:.2f}")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--voc", metavar="VOCROOT")
    p.add_argument("--images", type=int)
    p.add_argument("--runs", nargs=2, type=Path, metavar=("RESULTS", "RUNS"))
    args = p.parse_args()
    if args.voc:
        tested_here(args.voc, args.images)
    if args.runs:
        made_apart(*args.runs)


if __name__ == "__main__":
    main()
