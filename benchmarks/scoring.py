"""From scores to numbers at COCO's size, 40,504 images x 80 classes: average precision, 1,000 resamples, `wsl evaluate`.

Scores are drawn from a fixed seed, classes are as frequent as in COCO (one in half of the images, many in less than 1%).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import OURS, NotAvailable, Options, Side, Timing, repeat

RESAMPLES = 1000
SAMPLE = 200  # images of the loop over pycocotools


def size(options: Options) -> tuple[int, int]:
    """Images, classes."""
    return (300, 5) if options.small else (40_504, 80)


def draw(images: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 and labels int8 in {-1, +1}, (images, classes)."""
    rng = np.random.default_rng(0)
    frequency = 0.5 * np.arange(1, classes + 1) ** -0.9
    labels = np.where(rng.random((images, classes)) < frequency, 1, -1).astype(np.int8)
    return rng.normal(size=labels.shape) + 2 * (labels > 0), labels


# ---- AP of each class: ways to compute it, (scores, labels) -> (K,)


def ours_ap(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from wsl.evaluation import metrics

    return metrics.per_class(scores, labels)


def sklearn_ap(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from sklearn.metrics import average_precision_score

    return np.array([average_precision_score(y > 0, s) for s, y in zip(scores.T, labels.T, strict=True)])


def torchmetrics_ap(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    import torch
    from torchmetrics.functional.classification import multilabel_average_precision

    scores, labels = torch.from_numpy(scores), torch.from_numpy((labels > 0).astype(np.int64))
    return multilabel_average_precision(scores, labels, scores.shape[1], average="none").numpy()


def pycocotools_ap(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each image is one box, found once in every class; precision at 101 recalls."""
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, classes = labels.shape
    box = {"bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0}
    truth, found = COCO(), COCO()
    for coco, pairs in ((truth, np.argwhere(labels > 0)), (found, np.argwhere(np.isfinite(scores)))):
        boxes = [box | {"id": i, "image_id": int(n), "category_id": int(k)} for i, (n, k) in enumerate(pairs, 1)]
        for one in boxes if coco is found else ():
            one["score"] = float(scores[one["image_id"], one["category_id"]])
        coco.dataset = {"images": [{"id": n} for n in range(images)], "categories": [{"id": k} for k in range(classes)]}
        coco.dataset["annotations"] = boxes
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
    judged = COCOeval(truth, found, "bbox")
    judged.params.iouThrs, judged.params.maxDets = np.array([0.5]), [1]
    judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e10]], ["all"]
    with contextlib.redirect_stdout(io.StringIO()):
        judged.evaluate()
        judged.accumulate()
    return judged.eval["precision"][0, :, :, 0, 0].mean(0)


AP = {OURS: ours_ap, "scikit-learn": sklearn_ap, "torchmetrics": torchmetrics_ap}


def _ap(way: Callable, options: Options) -> Timing:
    scores, labels = draw(*size(options))
    way(scores[:100], labels[:100])  # imports
    return repeat(lambda: way(scores, labels))


def _pycocotools(options: Options) -> Timing:
    images, classes = size(options)
    scores, labels = draw(min(SAMPLE, images), classes)
    factor = images / len(scores)
    return repeat(lambda: pycocotools_ap(scores, labels)).scaled(factor, f"extrapolated from {len(scores)} of {images:,} images")


# ---- the bootstrap


def _ours_resampled(options: Options) -> Timing:
    from wsl.evaluation import metrics

    scores, labels = draw(*size(options))
    return repeat(lambda: metrics.bootstrap(scores, labels, n=RESAMPLES))


def _resampled(way: Callable, options: Options) -> Timing:
    scores, labels = draw(*size(options))
    images = np.random.default_rng(0).integers(len(labels), size=len(labels))
    way(scores[:100], labels[:100])  # imports
    timing = repeat(lambda: way(scores[images], labels[images]))
    return timing.scaled(RESAMPLES, f"a loop, extrapolated from 1 of {RESAMPLES:,} resamples")


# ---- wsl evaluate


def _write_tables(folder: Path, images: int, classes: int) -> None:
    """truth.json, an annotations file in COCO's layout, and a table of predictions as CSV and as Parquet."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    scores, labels = draw(images, classes)
    pairs = np.argwhere(labels > 0)
    boxes = [
        {"id": i, "image_id": int(n), "category_id": int(k), "bbox": [10, 10, 100, 100], "area": 10_000, "iscrowd": 0}
        for i, (n, k) in enumerate(pairs, 1)
    ]
    truth = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 640, "height": 480} for n in range(images)],
        "annotations": boxes,
        "categories": [{"id": k, "name": f"class {k}"} for k in range(classes)],
    }
    points = np.random.default_rng(1).uniform(0, 479, (2, images * classes)).astype(np.float32)
    table = pa.table({
        "image": pa.array(np.repeat(np.arange(images), classes)).cast(pa.string()),
        "class": pa.array([f"class {k}" for k in range(classes)]).take(pa.array(np.tile(np.arange(classes), images))),
        "score": scores.ravel().astype(np.float32),
        "x": points[0],
        "y": points[1],
    })  # fmt: skip
    pa.csv.write_csv(table, folder / "table.csv")
    pa.parquet.write_table(table, folder / "table.parquet")
    (folder / "truth.json").write_text(json.dumps(truth))


def _evaluate(table: str, resamples: int, options: Options) -> Timing:
    """The command as a user gives it, measured from outside."""
    folder, peaks = Path(options.folder), []
    if not (folder / "truth.json").is_file():  # in a process of its own: its memory would count as the command's
        writer = multiprocessing.get_context("spawn").Process(target=_write_tables, args=(folder, *size(options)))
        writer.start()
        writer.join()
    words = ["evaluate", folder / table, "--coco", folder / "truth.json", "--bootstrap", str(resamples)]

    def run() -> None:
        process = subprocess.Popen([sys.executable, "-m", "wsl.cli", *words], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise NotAvailable(f"wsl evaluate ended with {process.returncode}")
        peaks.append(usage.ru_maxrss / 1024)

    return repeat(run)._replace(memory_mib=max(peaks))


def sides(options: Options) -> list[Side]:
    images, classes = size(options)
    of = f"{images:,} images x {classes} classes"
    found = [Side(f"average precision, {of}", name, partial(_ap, way)) for name, way in AP.items()]
    found.append(Side(f"average precision, {of}", "loop over pycocotools", _pycocotools))
    measure = f"{RESAMPLES:,} resamples, {of}"
    found.append(Side(measure, OURS, _ours_resampled))
    found += [Side(measure, name, partial(_resampled, way)) for name, way in AP.items() if name != OURS]
    for resamples, words in ((0, ""), (RESAMPLES, f", {RESAMPLES:,} resamples")):
        for table in ("table.csv", "table.parquet"):
            name = f"from {'CSV' if table.endswith('csv') else 'Parquet'}{words}"
            found.append(Side(f"wsl evaluate, {images * classes:,} rows", name, partial(_evaluate, table, resamples)))
    return found
