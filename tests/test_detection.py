"""Detection AP against a slow implementation of the devkit's rule, and against COCOeval."""

from pathlib import Path

import numpy as np
import pytest

from wsl.data.dataset import Boxes, Dataset, labels_from_boxes
from wsl.evaluation.detection import Detections, bootstrap, box_iou, cocoeval, detection_average_precision
from wsl.evaluation.metrics import resample_counts

IOUS = (0.1, 0.3, 0.5, 0.75)


def slow_iou(a, b):
    """Share of pixels, counted one by one."""
    pixels = [{(x, y) for x in range(int(r[0]), int(r[2]) + 1) for y in range(int(r[1]), int(r[3]) + 1)} for r in (a, b)]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


def slow_ap(detections, dataset, k, threshold):
    """VOCevaldet.m, line by line: one class at one threshold."""
    b = dataset.boxes
    objects = [j for j in range(len(b)) if b.cls[j] == k]
    n_objects = sum(not b.ignored[j] for j in objects)
    if n_objects == 0:
        return float("nan")
    taken, verdicts = set(), []
    rows = [d for d in range(len(detections.score)) if detections.cls[d] == k]
    for d in sorted(rows, key=lambda d: -detections.score[d]):  # Python's sort is stable
        best, found = -np.inf, None
        for j in objects:
            if b.image[j] == detections.image[d] and (iou := slow_iou(detections.xyxy[d], b.xyxy[j])) > best:
                best, found = iou, j
        if best < threshold:
            verdicts.append(0)
        elif not b.ignored[found]:
            verdicts.append(0 if found in taken else 1)
            taken.add(found)
    curve, tp = [], 0
    for rank, verdict in enumerate(verdicts, 1):
        tp += verdict
        curve.append((tp / n_objects, tp / rank))
    ap, last = 0.0, 0.0
    for i, (recall, _) in enumerate(curve):
        ap += (recall - last) * max(precision for _, precision in curve[i:])
        last = recall
    return ap


def make_dataset(image, cls, xyxy, ignored, n=4, k=2):
    boxes = Boxes(
        np.array(image), np.array(cls), np.array(xyxy, float).reshape(-1, 4), np.array(ignored, bool), ("",) * len(image)
    )
    names = tuple(f"{i:04d}" for i in range(n))
    classes = tuple(f"class{i}" for i in range(k))
    sizes = np.full((n, 2), 100)
    return Dataset("test", classes, names, tuple(map(Path, names)), sizes, labels_from_boxes(boxes, n, k), boxes)


def random_boxes(draw, count, apart=False):
    corner = draw.integers(0, 12, (count, 2))
    boxes = np.concatenate([corner, corner + draw.integers(2, 12, (count, 2))], 1).astype(float)
    return boxes + (30 * np.arange(count)[:, None] if apart else 0)


def random_case(seed, apart=False):
    """Objects and detections on few pixels, so that they overlap, tie and repeat.

    apart: what both definitions share: no two objects meet, and a difficult one is found once at most.
    """
    draw = np.random.default_rng(seed)
    m, d = int(draw.integers(1, 14)), int(draw.integers(0, 40))
    image = draw.integers(0, 4, m)
    xyxy = random_boxes(draw, m, apart)
    dataset = make_dataset(np.sort(image), draw.integers(0, 2, m), xyxy, draw.random(m) < 0.25)
    source = draw.integers(0, m, d)  # near an object, some exactly on it
    if apart:
        first = np.isin(np.arange(d), np.unique(source, return_index=True)[1])
        source = source[first | ~dataset.boxes.ignored[source]]
        d = len(source)
    jitter = draw.integers(-1, 2, (d, 4)) * (draw.random((d, 1)) < 0.7)
    score = draw.integers(0, 6, d) / 4  # ties
    order = np.argsort(dataset.boxes.image[source], kind="stable")
    found = Detections(dataset.boxes.image[source], dataset.boxes.cls[source], score, dataset.boxes.xyxy[source] + jitter)
    return Detections(*(v[order] for v in vars(found).values())), dataset


def test_iou_counts_whole_pixels():
    draw = np.random.default_rng(0)
    a, b = random_boxes(draw, 20), random_boxes(draw, 20)
    expected = [[slow_iou(one, other) for other in b] for one in a]
    np.testing.assert_allclose(box_iou(a, b), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_the_devkit_rule(seed):
    detections, dataset = random_case(seed)
    ap = detection_average_precision(detections, dataset, IOUS)
    expected = [[slow_ap(detections, dataset, k, threshold) for k in range(2)] for threshold in IOUS]
    np.testing.assert_allclose(ap, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_bootstrap_is_the_rule_on_copies_of_the_drawn_images(seed):
    """Each image that is drawn w times stands w times in the data set, with its objects and its detections."""
    detections, dataset = random_case(seed)
    order = np.argsort(-detections.score, kind="stable")  # copies of an image keep its detections' place among equal scores
    detections = Detections(*(v[order] for v in vars(detections).values()))
    samples = bootstrap(detections, dataset, IOUS, n=5, seed=seed)
    for counts, sample in zip(next(resample_counts(4, 5, seed)).T.astype(int), samples, strict=True):
        old = np.repeat(np.arange(4), counts)
        b = dataset.boxes
        rows = [(new, j) for new, image in enumerate(old) for j in np.flatnonzero(b.image == image)]
        new, j = np.array(rows, int).reshape(-1, 2).T
        drawn = make_dataset(new, b.cls[j], b.xyxy[j], b.ignored[j], n=4)
        rows = [(new, d) for d in range(len(detections.image)) for new in np.flatnonzero(old == detections.image[d])]
        new, d = np.array(rows, int).reshape(-1, 2).T
        found = Detections(new, detections.cls[d], detections.score[d], detections.xyxy[d])
        np.testing.assert_allclose(sample, detection_average_precision(found, drawn, IOUS), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_cocoeval_where_objects_do_not_meet(seed):
    detections, dataset = random_case(seed, apart=True)
    ap = detection_average_precision(detections, dataset, IOUS)
    np.testing.assert_allclose(cocoeval(detections, dataset, IOUS), ap, rtol=0, atol=1e-12)


def test_where_cocoeval_differs():
    """A detection whose best object is taken: the devkit calls it a duplicate, COCOeval gives it the other object."""
    dataset = make_dataset([0, 0], [0, 0], [[0, 0, 9, 9], [0, 0, 9, 12]], [False, False], k=1)
    found = Detections(np.zeros(2, int), np.zeros(2, int), np.array([2.0, 1.0]), np.array([[0, 0, 9, 9], [0, 0, 9, 9.0]]))
    assert detection_average_precision(found, dataset, [0.5])[0, 0] == 0.5
    assert cocoeval(found, dataset, [0.5])[0, 0] == 1.0


def test_duplicates_difficult_objects_and_nothing_found():
    dataset = make_dataset([0, 1, 2], [0, 0, 1], [[0, 0, 9, 9]] * 3, [False, True, True])
    box = np.array([[0.0, 0, 9, 9]])

    def found(images, scores):
        d = len(images)
        return Detections(np.array(images, int), np.zeros(d, int), np.array(scores, float), box.repeat(d, 0))

    ap = detection_average_precision(found([1, 1, 0, 0], [4, 3, 2, 1]), dataset, [0.5])
    assert ap[0, 0] == 1.0  # the difficult object of image 1 counts neither way; the duplicate comes after full recall
    assert np.isnan(ap[0, 1])  # all difficult
    assert detection_average_precision(found([3, 0], [2, 1]), dataset, [0.5])[0, 0] == 0.5
    assert detection_average_precision(found([], []), dataset, [0.5])[0, 0] == 0.0
    assert cocoeval(found([], []), dataset, [0.5])[0, 0] == 0.0
