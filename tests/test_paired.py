"""The one paired difference: equal to a loop over resamples, and refused where the two sides were not drawn together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics import devkit_ap
from test_report import make_run

from wsl.errors import StudyError
from wsl.evaluation.evaluate import Scored, measures, paired_difference
from wsl.findings import claims, results
from wsl.findings.results import Column
from wsl.pages import sensitivity

CLASSES, IMAGES = ("cat", "dog"), tuple("abcdef")
LABELS = np.array([[1, -1], [-1, 1], [1, 0], [-1, -1], [-1, 1], [1, -1]], np.int8)


def table(seed: int = 0, **changes) -> Scored:
    draw = np.random.default_rng(seed)
    scores, distance = draw.normal(size=LABELS.shape), draw.choice([0.0, 30.0], LABELS.shape)
    return replace(Scored(CLASSES, IMAGES, scores, LABELS, distance, source=f"run{seed}"), **changes)


def test_refused_unless_images_classes_labels_seeds_and_resamples_agree():
    first, other = table(0), table(1)
    changed = LABELS.copy()
    changed[3, 1] = 1
    fewer = dict(images=IMAGES[:5], labels=LABELS[:5], scores=other.scores[:5], distance=other.distance[:5])
    for changes, words in (
        (fewer, "6 images against 5"),
        ({"images": IMAGES[::-1]}, "the same images in another order, the first 'a' against 'f'"),
        ({"images": (*IMAGES[:5], "z")}, "other images, the first 'f' against 'z'"),
        ({"classes": ("cat", "cow")}, "other classes, the first 'dog' against 'cow'"),
        ({"labels": changed}, "1 other labels, the first of image d, class dog: -1 against 1"),
    ):
        unlike = replace(other, **changes)
        a, b = measures({0: first}, n_bootstrap=3), measures({0: unlike}, n_bootstrap=3)
        with pytest.raises(StudyError, match=f"run0 and run1: {words}"):
            paired_difference(a.classification, b.classification)
        with pytest.raises(StudyError, match=f"run0 and run1: {words}"):  # as seeds of one system: not averaged either
            measures({0: first, 1: unlike})
    one, two = measures({0: first}, n_bootstrap=3), measures({0: first, 1: other}, n_bootstrap=3)
    with pytest.raises(StudyError, match="run0 and run0: seed 0 against seeds 0, 1"):
        paired_difference(one.location, two.location)
    with pytest.raises(StudyError, match="3 resamples from seed 0 against 3 resamples from seed 1"):
        paired_difference(one.location, measures({0: first}, n_bootstrap=3, seed=1).location)


values = st.sampled_from([0.0, 0.5, 1.0, 2.0])  # few: many ties


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[values] * 4, *[st.booleans()] * 4), min_size=6, max_size=6), st.integers(0, 5))
def test_equals_a_loop_over_resamples(drawn, seed):
    """Two systems of two seeds each, ranked anew for every resample by the literal devkit rule."""
    drawn = np.array(drawn, float)
    several = [
        {k: table(scores=drawn[:, [k, 3 - k]] + side, distance=30 * drawn[:, [4 + k + side, 5 + k + side]]) for k in (0, 1)}
        for side in (0, 1)
    ]
    several[1][0] = replace(several[1][0], scores=several[1][0].scores[::-1])
    n = 8
    found = [measures(tables, n_bootstrap=n, seed=seed) for tables in several]
    rng, location = np.random.default_rng(seed), [np.arange(6)]
    location += [np.sort(rng.integers(6, size=6)) for _ in range(n)]  # the value itself, then the resamples
    gaps = np.array([
        [
            np.mean([devkit_ap(s.scores[i, k], LABELS[i, k], s.distance[i, k] <= 18, "voc2010") for s in tables.values()])
            for tables in several
            for k in (0, 1)
        ]
        for i in location
    ])  # (1 + n, systems x classes)
    gaps = gaps[:, :2] - gaps[:, 2:]
    d = paired_difference(found[0].location, found[1].location)
    with np.errstate(all="ignore"):
        means = np.array([row[~np.isnan(row)].mean() if not np.isnan(row).all() else np.nan for row in gaps])
    np.testing.assert_allclose(d.classes["gain"], gaps[0], atol=1e-12)
    np.testing.assert_allclose(d.class_samples, gaps[1:], atol=1e-12)
    np.testing.assert_allclose(d.samples, means[1:], atol=1e-12)
    assert d.value == pytest.approx(means[0], abs=1e-12) == pytest.approx(np.mean(list(d.seeds.values())), abs=1e-12)
    valid = means[1:][~np.isnan(means[1:])]
    low, high = np.percentile(valid, [2.5, 97.5]) - valid.mean() + means[0]
    assert (d.low, d.high) == pytest.approx((low, high), abs=1e-12)


def test_forty_images_against_four_hundred_are_refused_everywhere(tmp_path):
    make_run(tmp_path, "voc-sample", "weak_sup", images=400)
    make_run(tmp_path, "voc-sample", "full_images", quality=0.1, images=40)
    column = Column(str(tmp_path), "voc-sample", "trunk")
    with pytest.raises(StudyError, match="weak_sup/seed0 and .*full_images/seed0: 400 images against 40"):
        claims.judge_all({"voc": [column]})
    make_run(tmp_path, "voc-sample", "weak_sup", 1, images=300)  # seeds are not averaged either
    for load in (lambda: column.load("weak_sup"), lambda: sensitivity.tolerance_curves(column)):
        with pytest.raises(StudyError, match="weak_sup/seed0 and .*weak_sup/seed1: 400 images against 300"):
            load()


def test_systems_without_a_common_seed_are_no_pair(tmp_path):
    make_run(tmp_path, "voc-sample", "weak_sup", 0)
    make_run(tmp_path, "voc-sample", "weak_sup", 1)
    make_run(tmp_path, "voc-sample", "full_images", 2)
    column = Column(str(tmp_path), "voc-sample", "trunk")
    assert column.load_pair("weak_sup", "full_images") is None
    make_run(tmp_path, "voc-sample", "full_images", 1)
    assert [[run.seed for run in result.runs] for result in column.load_pair("weak_sup", "full_images")] == [[1], [1]]
    with pytest.raises(StudyError, match="seeds 0, 1 against seeds 1, 2"):
        results.difference(column.load("weak_sup"), column.load("full_images"))


@pytest.mark.parametrize("change, word", [({"data": {"digest": "e" * 64}}, "test data"), ({"source": "generated"}, "source")])
def test_the_run_to_make_again_is_named(tmp_path, change, word):
    """The newest run tells what the data are now."""
    make_run(tmp_path, "voc-sample", "weak_sup")
    folder = make_run(tmp_path, "voc-sample", "rcnn")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change | {"created": "2026-01-01"}))
    with pytest.raises(StudyError, match=f"weak_sup/seed0: its {word} .*make .*weak_sup/seed0 again"):
        Column(str(tmp_path), "voc-sample", "trunk").load("rcnn")
