"""How the study's training recipe was chosen: on training images only (deviation D2).

    python benchmarks/recipe.py voc-sample --root VOCDEVKIT --runs runs

A fifth of the training images is held out; heads of several recipes are trained on the rest and tested on it at the
training scales, from the kept features (`wsl features` first). The evaluation images take no part. Prints one line a
recipe: classification and location mAP on the held-out fifth.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from wsl.evaluation.evaluate import evaluate_table
from wsl.network.engines import one_pool
from wsl.profile import load_profile
from wsl.systems.predict import Tester, predict
from wsl.systems.study import training_features, trunk_of
from wsl.systems.train import train

RECIPES = {
    "the study's": {},
    "no dropout": {"dropout": 0.0},
    "dropout 0.5, as in the script": {"dropout": 0.5},
    "half the epochs": {"epochs": 10},
    "twice the epochs": {"epochs": 40},
    "initial gains 1 and 1, the script's": {"gains": (1.0, 1.0)},
    "hidden 2048, as in the script": {"hidden": 2048},
    "learning rate 3e-4": {"learning_rate": 3e-4},
    "SGD 0.001, momentum 0.9, the paper's": {"optimizer": "sgd", "weight_decay": 0.0, "gains": (1.0, 1.0), "last_bias": 0.0},
    "AdaGrad 0.001, the script's": {"optimizer": "adagrad", "weight_decay": 5e-4, "gains": (1.0, 1.0), "last_bias": 0.0},
}


@one_pool()
def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("profile")
    p.add_argument("--root")
    p.add_argument("--runs", type=Path, default=Path("runs"))
    p.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE", help="which (default: all)")
    args = p.parse_args()
    profile = load_profile(args.profile, root=args.root)
    features = training_features(profile, args.runs, trunk_of(profile), profile.dataset("train", args.runs))
    order = np.random.default_rng(1).permutation(len(features.dataset))
    cut = len(order) // 5
    held_out, rest = features.subset(np.sort(order[:cut])), features.subset(np.sort(order[cut:]))
    for name in args.only:
        recipe = replace(profile, **RECIPES[name])
        values = []
        start = time.perf_counter()
        for system in ("full_images", "weak_sup"):
            head, _ = train(recipe, system, 0, rest, progress=False)
            scales = () if system == "full_images" else recipe.train_scales
            table = predict(held_out, {"run": Tester(head, scales)}, progress=False, batch=16)["run"]
            values += [100 * evaluate_table(table)[column].iloc[-1] for column in ("ap", "location_ap")]
        seconds = time.perf_counter() - start
        print(f"{name:38s} full images {values[0]:5.1f}   weak sup {values[2]:5.1f} location {values[3]:5.1f}   {seconds:4.0f} s",
              flush=True)


if __name__ == "__main__":
    main()
