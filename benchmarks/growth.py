"""How time and memory grow from pictures to intervals: with images, classes, and the size of the input at all scales."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import Options, Side, Timing, dataset_of, photographs, repeat

SCALES = (1.0, 1.4, 2.0, 2.8)
RESAMPLES = 100


def _generated(options: Options) -> list[Path]:
    """Files of 160 x 120 pixels, each another part of a photograph."""
    from PIL import Image

    folder = Path(options.folder) / "generated"
    files = [folder / f"{i}.jpg" for i in range(options.images)]
    if not files[-1].is_file():
        folder.mkdir(exist_ok=True)
        draw, pictures = np.random.default_rng(0), [Image.open(file).convert("RGB") for file in photographs(options)]
        for i, file in enumerate(files):
            picture = pictures[i % len(pictures)]
            x, y = (draw.integers(max(1, length - least)) for length, least in zip(picture.size, (160, 120), strict=True))
            picture.crop((x, y, x + 160, y + 120)).save(file)
    return files


def pipeline(images: int, classes: int, scales: tuple[float, ...], canvas: int, options: Options) -> Timing:
    """Predict a data set with an untrained head, then AP of its table with intervals: one run, in a process of its own."""
    from wsl.evaluation.evaluate import from_table, measures
    from wsl.network.engines import one_pool
    from wsl.network.features import Features
    from wsl.network.model import Adaptation
    from wsl.network.trunk import load_trunk
    from wsl.systems.predict import Tester, predict

    dataset = dataset_of(_generated(options)[:images], images, classes)
    features = Features(load_trunk(), dataset, canvas)
    testers = {"run": Tester(Adaptation(features.trunk.channels, classes, 512).eval(), scales)}
    with one_pool():
        predict(Features(features.trunk, dataset.subset([0]), canvas), testers, progress=False)  # compiles

        def run() -> None:
            table = predict(features, testers, progress=False)["run"]
            measures({0: from_table(table)}, n_bootstrap=RESAMPLES)

        return repeat(run, budget=0)


def sides(options: Options) -> list[Side]:
    most = 40 if options.small else options.images
    few, canvas = max(4, most // 200), 128 if options.small else 500
    found = []
    for images in (most // 4, most // 2, most):
        run = partial(pipeline, images, 20, (1.0,), 128)
        found.append(Side("growth with images", f"{images:,} images", run, images))
    for classes in (20, 40, 80):
        run = partial(pipeline, most // 4, classes, (1.0,), 128)
        found.append(Side("growth with classes", f"{classes} classes", run, classes))
    for count in range(2, len(SCALES) + 1):
        scales = SCALES[:count]
        pixels = sum(round(s * canvas) ** 2 for s in scales) / 1e6
        run = partial(pipeline, few, 20, scales, canvas)
        name = f"{pixels:.2f} megapixels at {count} scales"
        found.append(Side(f"growth with scales, {few} images", name, run, round(pixels, 3)))
    return found
