"""How large a difference can a number of test images show? Computed before a run, from runs on fewer images.

    python benchmarks/power.py coco-sample 1579

For each comparison of Table 2: the standard deviation of the difference over resamples of the recorded runs' images, scaled
to the new number of images by 1 / sqrt(n), and the true difference that a 95% interval then leaves zero out of in 80% of
samples (2.8 standard deviations), for the mean over classes and for the median class, in points.
"""

from __future__ import annotations

import argparse

import numpy as np

from wsl.findings import results

DETECTABLE = 1.960 + 0.842  # standard deviations: two-sided 95%, power 80%
PAIRS = (
    ("J - H", "weak_sup", "full_images", "classification"),
    ("J - J trained at s = 1", "weak_sup", "weak_sup@train_s1", "classification"),
    ("J - J tested at s = 1", "weak_sup", "weak_sup@test_s1", "classification"),
    ("I - J", "masked_pool", "weak_sup", "classification"),
    ("I - J", "masked_pool", "weak_sup", "location"),
    ("I' - I", "masked_pool_outside", "masked_pool", "classification"),
    ("J - K", "weak_sup", "center", "location"),
    ("J - L", "weak_sup", "rcnn", "classification"),
    ("J - L", "weak_sup", "rcnn", "location"),
    ("J - B", "weak_sup", "object_patches", "classification"),
)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("profile", help="of the recorded runs")
    p.add_argument("images", type=int, help="test images of the runs to come")
    p.add_argument("--trunk", default="efficientnet_lite0")
    args = p.parse_args()
    column = results.Column("results", args.profile, args.trunk)
    for name, a, b, metric in PAIRS:
        if (pair := column.load_pair(a, b)) is None:
            continue
        difference, scale = results.difference(*pair, metric), np.sqrt(pair[0].n_images / args.images)
        mean = difference.samples.std() * scale
        one_class = np.nanmedian(np.nanstd(difference.class_samples, axis=0)) * scale
        print(f"{name:24s} {metric:15s} on {pair[0].n_images:,} images {difference.value:+5.1f}; on {args.images:,} detectable: "
              f"mean {DETECTABLE * mean:.1f}, median class {DETECTABLE * one_class:.1f}", flush=True)


if __name__ == "__main__":
    main()
