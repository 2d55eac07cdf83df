"""Average precision against hand-made cases and a slow, literal copy of the devkit's rule; the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from wsl.errors import StudyError
from wsl.evaluation import metrics

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("scores", "labels", "hits", "ap", "location_ap"),
    [
        ([3, 2, 1], [1, -1, 1], [1, 0, 1], (1 + 2 / 3) / 2, (1 + 2 / 3) / 2),
        (
            [3, 2, 1],
            [1, -1, 1],
            [0, 0, 1],
            (1 + 2 / 3) / 2,
            1 / 3 / 2,
        ),  # a miss is a false positive, npos stays 2
        ([3, 2, 1], [1, 1, 1], [0, 1, 1], 1, 2 / 3 * 2 / 3),  # precision 0, 1/2, 2/3: the envelope lifts 1/2
        ([3, 2, 1], [0, 1, -1], [1, 1, 1], 1, 1),  # 0 is dropped
        ([1, 1, 1], [-1, 1, -1], [0, 1, 0], 1 / 2, 1 / 2),  # ties keep the order given
        ([-INF, -1e300, -INF], [1, -1, 1], [1, 1, 1], 2 / 3, 2 / 3),  # missing scores come last, in order
        ([2, 1], [1, 1], [0, 0], 1, 0),
        ([2, 1], [-1, 0], [0, 0], NAN, NAN),  # no positives
        ([], [], [], NAN, NAN),
    ],
)
def test_hand_made(scores, labels, hits, ap, location_ap):
    scores, labels, hits = np.array(scores, float), np.array(labels, int), np.array(hits, bool)
    assert metrics.average_precision(scores, labels) == pytest.approx(ap, abs=1e-15, nan_ok=True)
    found = metrics.location_average_precision(scores, labels, hits)
    assert found == pytest.approx(location_ap, abs=1e-15, nan_ok=True)


def devkit(scores, labels, hits) -> tuple[list, list]:
    """recall and precision after each image, by plain loops: VOCevalcls.m with the location rule added."""
    ranked = sorted((i for i, label in enumerate(labels) if label != 0), key=lambda i: -scores[i])
    npos = sum(label > 0 for label in labels)
    tp = fp = 0
    recall, precision = [], []
    for i in ranked:
        if labels[i] > 0 and hits[i]:
            tp += 1
        else:
            fp += 1
        recall.append(tp / npos if npos else NAN)
        precision.append(tp / (tp + fp))
    return recall, precision


def devkit_ap(scores, labels, hits, definition: str) -> float:
    if not any(label > 0 for label in labels):
        return NAN
    recall, precision = devkit(scores, labels, hits)
    if definition == "voc2010":
        mrec, mpre = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
        for i in range(len(mpre) - 2, -1, -1):
            mpre[i] = max(mpre[i], mpre[i + 1])
        return sum((mrec[i] - mrec[i - 1]) * mpre[i] for i in range(1, len(mrec)) if mrec[i] != mrec[i - 1])
    points = {"voc2007": [t / 10 for t in range(11)], "coco101": np.linspace(0, 1, 101)}[definition]  # as in pycocotools
    reached = [[p for r, p in zip(recall, precision, strict=True) if r >= t] for t in points]
    return sum(max(p, default=0.0) for p in reached) / len(points)


rankings = st.lists(
    st.tuples(
        st.sampled_from([-INF, -2.5, 0.0, 0.1, 0.25, 1.0, 7.0]),  # few values: many ties
        st.sampled_from([-1, -1, 0, 1]),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
).map(
    lambda rows: tuple(
        np.array(c, t) for c, t in zip(zip(*rows, strict=True), (float, int, bool), strict=True)
    )
)


@settings(max_examples=150, deadline=None)
@given(rankings)
def test_agrees_with_devkit_and_has_its_properties(ranking):
    scores, labels, hits = ranking
    for definition in ("voc2010", "voc2007", "coco101"):
        ap = metrics.average_precision(scores, labels, definition)
        location_ap = metrics.location_average_precision(scores, labels, hits, definition)
        assert ap == pytest.approx(
            devkit_ap(scores, labels, np.ones_like(hits), definition), abs=1e-12, nan_ok=True
        )
        assert location_ap == pytest.approx(devkit_ap(scores, labels, hits, definition), abs=1e-12, nan_ok=True)
        assert np.isnan(ap) or 0 <= location_ap <= ap <= 1
        moved = np.where(np.isinf(scores), scores, np.exp(scores) - 100)  # a monotone map of the scores
        assert metrics.location_average_precision(moved, labels, hits, definition) == pytest.approx(
            location_ap, nan_ok=True
        )
    if (labels > 0).any():
        kept = labels != 0
        steps = average_precision_score(labels[kept] > 0, np.maximum(scores, -1e9)[kept])
        assert metrics.average_precision(scores, labels, "sklearn") == pytest.approx(steps, abs=1e-12)


def test_bad_arguments():
    with pytest.raises(StudyError, match="NaN"):
        metrics.average_precision(np.array([NAN, 1]), np.array([1, -1]))
    with pytest.raises(StudyError, match="voc2012"):
        metrics.average_precision(np.ones(2), np.array([1, -1]), "voc2012")
    with pytest.raises(ValueError, match="must be one"):
        metrics.average_precision(np.ones(3), np.array([1, -1]))


def example(n_images: int = 60):
    rng = np.random.default_rng(3)
    labels = rng.choice([-1, 0, 1], size=(n_images, 4), p=[0.7, 0.1, 0.2]).astype(np.int8)
    labels[:, 2] = -1  # no positives
    labels[:, 3] = np.where(np.arange(n_images) == 5, 1, -1)  # one: a third of the resamples lack it
    scores = np.round(rng.normal(size=labels.shape) + (labels > 0), 1)  # ties
    scores[::7, 0] = -INF
    return scores, labels, rng.random(labels.shape) < 0.5


def test_bootstrap_equals_a_loop_over_drawn_images():
    scores, labels, hits = example()
    fast = metrics.bootstrap(scores, labels, hits, n=150, seed=5)
    slow = metrics.bootstrap_loop(scores, labels, hits, n=150, seed=5)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    assert np.isnan(fast.ap[:, 2]).all() and 0.2 < np.isnan(fast.ap[:, 3]).mean() < 0.5
    blocks = [np.concatenate(list(metrics.resample_counts(60, 9, 1, chunk=c)), axis=1) for c in (2, 9)]
    np.testing.assert_array_equal(*blocks)
    assert metrics.bootstrap(scores, labels, n=2).location_ap is None


def test_interval_holds_its_value():
    scores, labels, hits = example(400)
    value = metrics.per_class(scores, labels, hits)
    low, high = metrics.interval(metrics.bootstrap(scores, labels, hits, 300).location_ap, value)
    assert np.isnan(low[2]) and (low <= value)[[0, 1, 3]].all() and (value <= high)[[0, 1, 3]].all()
    samples = np.linspace(0, 1, 201)
    assert metrics.ends(samples, 0.7) == pytest.approx((0.225, 1.175))  # percentiles, moved from their mean 0.5 to 0.7
