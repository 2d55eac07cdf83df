"""Proposals, R-CNN* and object patches on small made-up pictures."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import HEAD

from wsl.data.dataset import Boxes, Dataset
from wsl.data.geometry import Grid
from wsl.profile import load_profile
from wsl.systems import proposals, rcnn
from wsl.systems.patches import patch_labels, sample_patches
from wsl.systems.predict import one_pass
from wsl.systems.proposals import keep_proposals, selective_search


@pytest.fixture
def squares():
    """Three red and green squares on grey."""
    rgb = np.full((90, 120, 3), 128, np.uint8)
    rgb[20:50, 10:40], rgb[30:80, 60:110] = (220, 30, 30), (30, 200, 30)
    return rgb


def dataset_of(boxes, cls, ignored=None, size=(100, 100), n=1, k=2):
    m = len(boxes)
    ignored = np.zeros(m, bool) if ignored is None else np.array(ignored)
    boxes = Boxes(np.zeros(m, int), np.array(cls), np.array(boxes, float), ignored, ("",) * m)
    names = tuple(map(str, range(n)))
    return Dataset("test", ("a", "b")[:k], names, names, np.array([size] * n), np.ones((n, k), np.int8), boxes)


def test_proposals_find_the_squares_and_repeat(squares):
    found = selective_search(squares, longest=120)
    assert (found == selective_search(squares, longest=120)).all()
    for box in ([10, 20, 39, 49], [60, 30, 109, 79]):
        assert np.abs(found - box).max(1).min() <= 2
    few = selective_search(squares, longest=120, most=3)
    assert len(few) == 3 and {tuple(box) for box in few} <= {tuple(box) for box in found}
    flat = selective_search(np.zeros((40, 60, 3), np.uint8))
    np.testing.assert_allclose(flat, [[0, 0, 59, 39]])  # nothing to segment: the whole picture


def test_proposals_go_on_where_they_stopped(tmp_path, monkeypatch, squares):
    dataset = replace(dataset_of([[0, 0, 9, 9]], [0], n=3), sizes=np.array([[120, 90]] * 3))
    profile = load_profile("scenes-small")
    monkeypatch.setattr(type(profile), "dataset", lambda *_: dataset)
    monkeypatch.setattr(proposals, "CHUNK", 2)
    pictures = ["as they were"]
    monkeypatch.setattr(proposals, "files_digest", lambda _: pictures[-1])
    read = []

    def picture(file, *_):
        read.append(file)
        if read == ["0", "1", "2"]:
            raise KeyboardInterrupt
        return squares

    monkeypatch.setattr(proposals, "read_image", picture)
    with pytest.raises(KeyboardInterrupt):
        keep_proposals(profile, "val", tmp_path, progress=False)
    found = keep_proposals(profile, "val", tmp_path, progress=False)
    assert read == ["0", "1", "2", "2"] and len(found) == 3
    np.testing.assert_allclose(found[2], selective_search(squares, profile.proposal_side), atol=1e-4)
    keep_proposals(profile, "val", tmp_path, progress=False)
    assert len(read) == 4 and [p.name for p in (tmp_path / "scenes-small" / "proposals").glob("*.*s*")] == ["val.safetensors"]
    path = tmp_path / "scenes-small" / "proposals" / "val.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])  # spoilt: made anew
    keep_proposals(profile, "val", tmp_path, progress=False)
    assert len(read) == 7 and path.read_bytes() == content
    keep_proposals(replace(profile, proposals=2), "val", tmp_path, progress=False)  # another setting: made anew
    assert len(read) == 10
    pictures.append("one replaced")
    keep_proposals(replace(profile, proposals=2), "val", tmp_path, progress=False)
    assert len(read) == 13


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_scores_are_linear_in_pooled_features(grid):
    torch.manual_seed(0)
    maps, regions = torch.rand(5, 12, 12), torch.tensor([[0.0, 0, 12, 12], [1.3, 2.2, 5.1, 9.7], [3, 3, 3.4, 3.9]])
    pooled = rcnn.pooled_regions(maps, regions, grid).flatten(1)
    mean, std = torch.rand(pooled.shape[1]), torch.rand(pooled.shape[1]) + 0.5
    weight, bias = torch.randn(4, pooled.shape[1]), torch.randn(4)
    expected = (pooled - mean) / std @ weight.T + bias
    classifier = rcnn._unstandardised(weight, bias, mean, std, 5)
    torch.testing.assert_close(classifier(maps, regions), expected, atol=1e-5, rtol=1e-5)


def test_region_labels():
    dataset = dataset_of([[0, 0, 9, 9], [50, 50, 59, 59], [0, 0, 9, 9]], [0, 0, 1], [False, True, False])
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 3], [50, 50, 59, 59], [80, 80, 89, 89], [0, 0, 9, 5]], float)
    # the object, 40% of it, a difficult object, background, 60%
    assert rcnn.region_labels(boxes, dataset, 0).T.tolist() == [[1, 0, 0, -1, 1], [1, 0, -1, -1, 1]]


def test_hard_negatives_are_the_worst_of_each_class():
    scores = np.array([[3.0, -2], [1, 0], [2, -3], [-2, -5]])
    labels = np.array([[1, -1], [-1, 0], [-1, -1], [-1, -1]])
    assert rcnn.hard_negatives(scores, labels, 5).tolist() == [2]  # class 1 has none above the margin


def test_fit_separates():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=draw)
    y = torch.stack([x[:, 0].sign(), x[:, 1].sign()], 1)
    weight, bias = rcnn.fit(x, y, 1e-3)
    assert ((x @ weight.T + bias).sign() == y).float().mean() > 0.98


def test_classifier_finds_coloured_squares(tmp_path):
    """Feature maps that hold the colours: the best proposal of each class lies on its square."""
    draw = np.random.default_rng(0)
    n, cells = 12, 10
    corner = draw.integers(0, 7, (n, 2)) * 10
    boxes = np.concatenate([corner, corner + 29], 1).astype(float)
    cls = np.arange(n) % 2
    truth = Boxes(np.arange(n), cls, boxes, np.zeros(n, bool), ("",) * n)
    dataset = replace(dataset_of([], [], n=n), boxes=truth, labels=np.where(cls[:, None] == [0, 1], 1, -1).astype(np.int8))
    maps = torch.zeros(n, 2, cells, cells)
    for i, (x, y) in enumerate(corner // 10):
        maps[i, cls[i], y : y + 3, x : x + 3] = 1
    grid = np.array([[x, y, x + 29, y + 29] for x in range(0, 80, 10) for y in range(0, 80, 10)], float)
    profile = replace(load_profile("scenes-small"), canvas=100, train_scales=(1.0, 2.0))
    trunk = SimpleNamespace(engine=SimpleNamespace(prepare=lambda _: None), channels=2, input_size=40)
    features = SimpleNamespace(dataset=dataset, canvas=100, trunk=trunk)
    finer = maps.repeat_interleave(2, 2).repeat_interleave(2, 3)
    features.batches = lambda indices, sides: ([maps[list(batch)], finer[list(batch)]] for batch in indices)
    classifier, counts = rcnn.train_regions(profile, 0, features, [grid] * n, progress=False)
    assert len(counts) == rcnn.ROUNDS + 1
    reader = rcnn.RegionReader(profile, features, [grid] * n, classifier)
    one_pass(features, [reader], progress=False)
    df = reader.table()
    assert (df["distance"][df["label"] > 0] == 0).all()
    present, absent = (df["score"][df["label"] == v] for v in (1, -1))
    assert present.min() > absent.max()
    rcnn.save_classifier(tmp_path / "head.safetensors", classifier, HEAD | {"classes": ["a", "b"]})
    loaded, about = rcnn.load_classifier(tmp_path / "head.safetensors")
    assert about["classes"] == ["a", "b"]
    torch.testing.assert_close(loaded.weight, classifier.weight, rtol=2e-3, atol=1e-3)


def test_patch_labels_follow_oquab():
    """Patches of 50 pixels every 25: which cover 0.2 of the patch and 0.6 of the object."""
    trunk = SimpleNamespace(input_size=50, grid=lambda side: Grid(4, 25, 12))
    dataset = dataset_of([[0, 0, 39, 39], [70, 70, 79, 79]], [0, 1])
    labels, on_picture = patch_labels(dataset, 0, 100, 100, trunk)
    # centres 12.5, 37.5, ...: the first patch covers 37.5 of 40 pixels a side, the second 27.5: less than 0.6 of the object
    assert labels[0].tolist() == [[1, 1, -1, -1], [1, 0, -1, -1], [-1] * 4, [-1] * 4]
    assert labels[1].tolist() == [[-1] * 4] * 2 + [[-1, -1, 0, 0]] * 2  # 100 pixels of 2500: too small for this scale
    assert on_picture.all()
    both, _ = patch_labels(dataset_of([[0, 0, 39, 39]] * 2, [0, 1]), 0, 100, 100, trunk)
    assert (both[:, 0, 0] == 0).all() and (both[:, 3, 3] == -1).all()
    difficult, _ = patch_labels(dataset_of([[0, 0, 39, 39]], [0], [True]), 0, 100, 100, trunk)
    assert difficult[0, 0, 0] == 0
    cells, sampled = sample_patches(dataset, np.array([0]), 100, 100, trunk, [np.random.default_rng(0)])
    assert cells.shape == (1, 16) and sampled.shape == (1, 2, 16) and (sampled[0, 0] > 0).sum() == 8


def test_suppression_of_all_classes_at_once_is_that_of_each():
    """Boxes of whole pixels, so that some overlaps are exactly at the threshold, and equal scores."""
    from torchvision.ops import box_iou, nms

    from wsl.systems.extent import KEPT, OVERLAP, best_apart

    draw = torch.Generator().manual_seed(0)
    corner, size = torch.randint(0, 60, (200, 2), generator=draw), torch.randint(4, 40, (200, 2), generator=draw)
    boxes = torch.cat([corner, corner + size], 1).float()
    scores = torch.randint(0, 50, (200, 30), generator=draw).float()
    found = best_apart(scores, box_iou(boxes, boxes).double() > OVERLAP, KEPT)
    assert [own.tolist() for own in found] == [nms(boxes, column, OVERLAP)[:KEPT].tolist() for column in scores.T]
