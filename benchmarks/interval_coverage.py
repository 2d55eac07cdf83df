"""Does a 95% interval hold the truth in 95% of the cases? Why `wsl.evaluation.metrics.interval` moves the percentiles.

    python benchmarks/interval_coverage.py [--trials 100]

Test sets are drawn from a known law: 1,312 images, 20 classes, each present in 7% of the images, scores
normal with a given distance between presence and absence. The truth is the mean mAP over many such test sets.
"""

from __future__ import annotations

import argparse

import numpy as np

from wsl.evaluation import metrics


def draw(rng: np.random.Generator, distance: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.where(rng.random((1312, 20)) < 0.07, 1, -1)
    return rng.normal(size=labels.shape) + distance * (labels > 0), labels


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--trials", type=int, default=100)
    trials = p.parse_args().trials
    rng = np.random.default_rng(0)
    for distance in (0, 1.5, 3):
        truth = np.mean([metrics.mean(metrics.per_class(*draw(rng, distance))) for _ in range(200)])
        held = np.zeros(2)
        for _ in range(trials):
            scores, labels = draw(rng, distance)
            value = metrics.mean(metrics.per_class(scores, labels))
            samples = metrics.mean(metrics.bootstrap(scores, labels, n=200).ap)
            low, high = np.percentile(samples, [2.5, 97.5])
            moved_low, moved_high = metrics.interval(samples[:, None], np.array([value]))
            held += low <= truth <= high, moved_low[0] <= truth <= moved_high[0]
        plain, moved = held / trials
        print(f"mAP {truth:.3f}, {trials} trials: percentiles hold it in {plain:.0%}, moved in {moved:.0%}")


if __name__ == "__main__":
    main()
