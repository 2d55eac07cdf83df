"""Detection average precision: how well boxes, not points, are predicted. Numpy and scipy; COCOeval through pycocotools.

The PASCAL devkit's rule (VOCevaldet, 2010 and later): detections of a class are ranked by score. Each one is
compared with the object of its class and image that it overlaps most; at IoU >= threshold it is a true positive
if no better-ranked detection took that object, else a false positive (a duplicate); below the threshold it is a
false positive. Difficult objects count neither way. AP is the area under the curve, as in wsl/evaluation/metrics.py.
Boxes hold whole pixels: both corners are inside, a box from 0 to 9 is ten pixels wide.

COCOeval differs: a detection may take its second best object if the best is taken, objects that count come before
those that do not, a second detection of a difficult object is a false positive, and AP is read at 101 recall levels.
The first two matter only where a detection overlaps two objects, the third where a difficult one is found twice;
`cocoeval` reads precision at every recall level that can occur, so the fourth makes no difference.

    >>> one = np.array([0])
    >>> box_iou(np.array([[0.0, 0, 9, 9]]), np.array([[0.0, 0, 9, 4]]))
    array([[0.5]])
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np

from wsl.data.dataset import Dataset
from wsl.evaluation import metrics

# How a proposal is scored from a score map, see `wsl.systems.extent.aggregations`
SCORINGS = {
    "ring": "mean score inside, minus that in a ring around",
    "positive": "sum of probabilities inside, over the square root of the area",
    "mean": "mean score inside",
}
REPORTED = "ring"


@dataclass(frozen=True)
class Detections:
    """D detected boxes; at equal scores the earlier row ranks higher."""

    image: np.ndarray  # (D,) int64 index into Dataset.images
    cls: np.ndarray  # (D,) int64 index into Dataset.classes
    score: np.ndarray  # (D,) float64
    xyxy: np.ndarray  # (D, 4) float64 pixels of the original image, corners inside


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (A, B) of boxes (A, 4) and (B, 4); corners inside (devkit: + 1 pixel)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low + 1).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None, :] - shared)


def detection_average_precision(detections: Detections, dataset: Dataset, ious: Sequence[float]) -> np.ndarray:
    """(T, K) AP by the devkit's rule at each IoU threshold, for each class; NaN without objects that count."""
    ap = np.full((len(ious), len(dataset.classes)), np.nan)
    for k, t, _, tp, fp, missed in _judged(detections, dataset, ious):
        ap[t, k] = _area(tp, fp, np.count_nonzero(tp) + len(missed))
    return ap


def bootstrap(detections: Detections, dataset: Dataset, ious: Sequence[float], n: int = 1000, seed: int = 0) -> np.ndarray:
    """(n, T, K) detection AP in resamples of the images: those of `wsl.evaluation.metrics.bootstrap`, with their boxes."""
    from scipy.sparse import csr_matrix

    out = np.full((n, len(ious), len(dataset.classes)), np.nan)
    ranked = []
    for k, t, found, tp, fp, missed in _judged(detections, dataset, ious):
        gap = np.cumsum(tp) - tp  # number of true positives ranked before
        kept = (tp | fp) & (gap < np.count_nonzero(tp))
        image, ones = detections.image[found], np.ones(np.count_nonzero(kept), np.float32)
        positives = np.concatenate([image[tp], dataset.boxes.image[missed]])  # an object that is not found is a miss, ranked last
        gaps = csr_matrix((ones, (gap[kept], image[kept])), shape=(len(positives), len(dataset)))
        hits = np.repeat([1.0, 0.0], [np.count_nonzero(tp), len(missed)])
        ranked.append((t, k, metrics.Ranked(positives, hits, gaps)))
    start = 0
    for counts in metrics.resample_counts(len(dataset), n, seed):
        stop = start + counts.shape[1]
        for t, k, one in ranked:
            out[start:stop, t, k] = one.weighted_ap(counts)[1]
        start = stop
    return out


def _judged(detections: Detections, dataset: Dataset, ious: Sequence[float]):
    """For each class k with objects that count and each threshold t: k, t, its detections in the order of their scores
    (D,), which of them are true positives (D,), which false ones (D,), and the objects that none of them found."""
    for k in range(len(dataset.classes)):
        truth = np.flatnonzero(dataset.boxes.cls == k)
        counted = truth[~dataset.boxes.ignored[truth]]
        if not len(counted):
            continue
        found = np.flatnonzero(detections.cls == k)
        found = found[np.argsort(-detections.score[found], kind="stable")]
        overlap, match = best_overlap(detections.image[found], detections.xyxy[found], dataset, truth)
        for t, threshold in enumerate(ious):
            tp, fp = _verdicts(overlap >= threshold, match, dataset.boxes.ignored)
            yield k, t, found, tp, fp, np.setdiff1d(counted, match[tp])


def best_overlap(image: np.ndarray, xyxy: np.ndarray, dataset: Dataset, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each box (D, 4) its largest IoU with the objects `truth` of its image, (D,), and which object that is."""
    overlap, match = np.full(len(image), -np.inf), np.full(len(image), -1)
    by_image = np.argsort(image, kind="stable")
    for i in np.unique(dataset.boxes.image[truth]):
        own = by_image[slice(*np.searchsorted(image[by_image], [i, i + 1]))]
        objects = truth[dataset.boxes.image[truth] == i]
        iou = box_iou(xyxy[own], dataset.boxes.xyxy[objects])
        overlap[own], match[own] = iou.max(1), objects[iou.argmax(1)]
    return overlap, match


def _verdicts(over: np.ndarray, match: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the ranked detections (D,) are true positives, and which false ones."""
    counted = over & ~ignored[match]
    first = np.zeros(len(over), bool)
    candidates = np.flatnonzero(counted)
    first[candidates[np.unique(match[candidates], return_index=True)[1]]] = True
    return first, ~over | (counted & ~first)


def _area(tp: np.ndarray, fp: np.ndarray, n_objects: int) -> float:
    if not len(tp):
        return 0.0
    tp, fp = np.cumsum(tp), np.cumsum(fp)
    precision = tp / np.maximum(tp + fp, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(tp / n_objects, prepend=0.0) * envelope))


def cocoeval(detections: Detections, dataset: Dataset, ious: Sequence[float], crowds: bool = False) -> np.ndarray:
    """(T, K) AP by pycocotools' matching, read at every recall level that can occur instead of at 101.

    crowds: ignored objects are crowds, whose overlap COCOeval measures as intersection over the detection.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    b = dataset.boxes
    size = b.xyxy[:, 2:] - b.xyxy[:, :2] + 1
    area = np.where(b.ignored & (not crowds), -1.0, size.prod(1))  # outside the range of areas: ignored
    coco, results = COCO(), COCO()
    images = [{"id": i + 1} for i in range(len(dataset))]
    classes = [{"id": k + 1, "name": name} for k, name in enumerate(dataset.classes)]
    truth = [
        {"id": j + 1, "image_id": int(b.image[j]) + 1, "category_id": int(b.cls[j]) + 1, "area": area[j]}
        | {"bbox": [*b.xyxy[j, :2], *size[j]], "iscrowd": int(crowds and b.ignored[j])}
        for j in range(len(b))
    ]
    d = detections
    sides = d.xyxy[:, 2:] - d.xyxy[:, :2] + 1
    found = [
        {"id": j + 1, "image_id": int(d.image[j]) + 1, "category_id": int(d.cls[j]) + 1, "score": float(d.score[j])}
        | {"bbox": [*d.xyxy[j, :2], *sides[j]], "area": sides[j].prod(), "iscrowd": 0}
        for j in range(len(d.image))
    ]
    ap = np.full((len(ious), len(dataset.classes)), np.nan)
    with redirect_stdout(io.StringIO()):
        for one, annotations in ((coco, truth), (results, found)):
            one.dataset = {"images": images, "categories": classes, "annotations": annotations}
            one.createIndex()
        judge = COCOeval(coco, results, "bbox")
        judge.params.iouThrs, judge.params.maxDets = np.asarray(ious), [len(d.image) + 1]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e12]], ["all"]
        judge.evaluate()
        evaluated, n_images = judge.evalImgs, len(dataset)  # of one class after the other
        n_objects = np.bincount(b.cls[~b.ignored], minlength=len(dataset.classes))
        for n in np.unique(n_objects[n_objects > 0]):
            own = np.flatnonzero(n_objects == n)
            judge.evalImgs = [one for k in own for one in evaluated[k * n_images : (k + 1) * n_images]]
            judge.params.catIds = judge._paramsEval.catIds = (own + 1).tolist()
            judge.params.recThrs = np.arange(1, n + 1) / n
            judge.accumulate(judge.params)
            ap[:, own] = judge.eval["precision"][:, :, :, 0, 0].mean(1)  # (T, recalls, K)
    return ap
