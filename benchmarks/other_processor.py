"""What does another processor change? The recorded run of the shipped head against the same head on this machine.

    python benchmarks/other_processor.py VOCROOT [--images 60]

VOCROOT holds the photographs of `voc-sample`. Prints the differences in score, the share of points that are the same, and both
mean average precisions. Without --images, all 1,312 photographs: some twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from wsl.evaluation.evaluate import evaluate_table
from wsl.evaluation.runs import read_run
from wsl.network.features import Features
from wsl.profile import load_profile
from wsl.systems.localize import load_localizer
from wsl.systems.predict import predict

RECORDED = Path("results/voc-sample/efficientnet_lite0/weak_sup/seed0")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root")
    p.add_argument("--images", type=int)
    args = p.parse_args()
    profile, (recorded, manifest) = load_profile("voc-sample", root=args.root), read_run(RECORDED)
    dataset = profile.dataset("val")
    dataset = dataset.subset(np.arange(len(dataset))[: args.images])
    localizer = load_localizer()
    here = predict(Features(localizer.trunk, dataset, profile.canvas), {"run": localizer.tester})["run"]
    recorded = recorded[: len(here)]  # both in the order of the images, then of the classes
    assert (recorded[["image", "class", "label"]].to_numpy() == here[["image", "class", "label"]].to_numpy()).all()
    moved = np.abs(here["score"] - recorded["score"])
    same = (np.abs(here[["x", "y"]] - recorded[["x", "y"]]) < 0.5).all(axis=1)[here["label"] > 0]
    print(f"{len(dataset)} photographs; recorded on {manifest['hardware']['processor']}, here in {localizer.trunk.arithmetic}")
    spread = recorded["score"].std()
    print(f"  a score moves by {moved.median():.2f} in the median, {moved.max():.2f} at most; their spread is {spread:.1f}")
    print(f"  {100 * same.mean():.1f}% of the points of classes that are there are the same to half a pixel")
    for name in ("ap", "location_ap"):
        before, after = (100 * evaluate_table(table)[name].iloc[-1] for table in (recorded, here))
        print(f"  {name:12s} mean over classes: recorded {before:.2f}, here {after:.2f}")


if __name__ == "__main__":
    main()
