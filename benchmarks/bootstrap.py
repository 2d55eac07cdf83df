"""How long 1,000 bootstrap resamples of 80 classes x 40,000 images take, and how much memory: COCO val at
paper scale.

    python benchmarks/bootstrap.py [--resamples 1000] [--classes 80] [--images 40000]

Synthetic scores from a fixed seed, classes as frequent as in COCO (one in half of the images, many in less
than 1%). A plain loop that ranks every resample anew does a small part of the same work: its results must
agree, and its time, scaled up, shows what the vectorised form saves. Both AP and location AP are computed, on
one core.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from wsl.evaluation import metrics


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--resamples", type=int, default=1000)
    p.add_argument("--classes", type=int, default=80)
    p.add_argument("--images", type=int, default=40_000)
    args = p.parse_args()

    rng = np.random.default_rng(0)
    shape = (args.images, args.classes)
    frequency = 0.5 * np.arange(1, args.classes + 1) ** -0.9  # (K,)
    labels = np.where(rng.random(shape) < frequency, 1, -1).astype(np.int8)
    scores = rng.normal(size=shape) + 2 * (labels > 0)
    hits = rng.random(shape) < 0.6
    print(f"{args.images} images, {args.classes} classes, {np.count_nonzero(labels > 0)} positives")

    start = time.perf_counter()
    fast = metrics.bootstrap(scores, labels, hits, args.resamples)
    fast_s = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"vectorised: {args.resamples} resamples in {fast_s:.1f} s, peak memory {memory:.2f} GiB")

    few = min(3, args.resamples)
    start = time.perf_counter()
    plain = metrics.bootstrap_loop(scores, labels, hits, few)
    plain_s = (time.perf_counter() - start) * args.resamples / few
    gap = max(np.abs(f[:few] - p).max() for f, p in zip(fast, plain, strict=True))
    print(f"plain loop: {few} resamples, scaled up {plain_s:.0f} s: {plain_s / fast_s:.0f} times as long")
    print(f"largest difference between the two: {gap:.1e}")


if __name__ == "__main__":
    main()
