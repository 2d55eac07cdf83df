"""The adaptation layers, global max-pooling, Eq. 1 and training."""

import math

import numpy as np
import pytest
import torch
from conftest import HEAD

from wsl.errors import StudyError
from wsl.network.heads import ArrayHead, check_head, read_head
from wsl.network.model import Adaptation, global_max_pool, load_head, multilabel_loss, pool, save_head
from wsl.systems.losses import masked_pool_loss, pooled_loss


@pytest.fixture(params=[1, 3], ids=["1x1", "3x3"])
def setting(request, monkeypatch):
    monkeypatch.setenv("WSL_ARITHMETIC", "float32")  # exact: the search in full precision
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = Adaptation(6, 3, hidden=8, kernel=request.param)
    head.mean.copy_(torch.rand(6, 1, 1, generator=generator))
    head.std.copy_(0.5 + torch.rand(6, 1, 1, generator=generator))
    features = torch.randn(4, 6, 5, 7, generator=generator)
    labels = torch.tensor([[1, -1, 0], [-1, 1, 1], [1, 1, -1], [-1, -1, -1]]).float()
    return head, features, labels, head.dropout_masks(0.5, generator)


def test_eq_1_by_hand():
    """Two images, three classes; label 0 is left out; sum over classes, mean over the batch."""
    scores = torch.tensor([[0.0, 2.0, 9.0], [-1.0, 0.5, 0.0]])
    labels = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0]])
    first = math.log(2) + math.log(1 + math.exp(2))
    second = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-0.5)) + math.log(2)
    assert multilabel_loss(scores, labels).item() == pytest.approx((first + second) / 2, rel=1e-6)


def gradients(head, loss):
    head.zero_grad()
    loss.backward(retain_graph=True)
    return [p.grad.clone() for p in head.parameters()]


def test_searching_winners_equals_max_pooling_the_whole_map(setting):
    head, features, labels, masks = setting
    dense = multilabel_loss(pool(head(features, masks), "max"), labels)
    searched = pooled_loss(head, features, labels, masks)
    torch.testing.assert_close(searched, dense)
    torch.testing.assert_close(gradients(head, searched), gradients(head, dense))
    torch.testing.assert_close(head.score_maps(features, masks), head(features, masks).detach())


def test_masked_pooling_and_its_outside_penalty(setting):
    """By hand on the whole map: three losses that differ, with their gradients."""
    head, features, labels, masks = setting
    allowed = torch.ones(4, 3, 5, 7, dtype=torch.bool)
    allowed[labels > 0] = False
    allowed[..., 2, 3] = True  # one cell for positive classes, all for negative ones
    allowed[1, 1] = True  # an object that fills its picture: nothing lies outside
    everywhere = allowed.flatten(2).all(2)
    maps = head(features, masks)
    inside = multilabel_loss(torch.where(everywhere, maps.flatten(2).amax(2), maps[..., 2, 3]), labels)
    outside = maps.masked_fill(allowed, -torch.inf).flatten(2).amax(2)[~everywhere]
    penalty = torch.nn.functional.softplus(outside).sum() / 4
    losses = [pooled_loss(head, features, labels, masks).item()]
    for push_outside, expected in ((False, inside), (True, inside + penalty)):
        loss = masked_pool_loss(head, features, labels, masks, allowed, push_outside)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(gradients(head, loss), gradients(head, expected))
        losses.append(loss.item())
    assert len(set(losses)) == 3


@pytest.mark.parametrize(("arithmetic", "atol"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_a_head_on_arrays_scores_as_the_head_does(tmp_path, monkeypatch, arithmetic, atol):
    monkeypatch.setenv("WSL_ARITHMETIC", arithmetic)
    torch.manual_seed(0)
    head, features = Adaptation(64, 3, hidden=32), torch.rand(2, 64, 5, 7).bfloat16()
    head.mean.copy_(torch.rand(64, 1, 1))
    head.std.copy_(0.5 + torch.rand(64, 1, 1))
    save_head(tmp_path / "head.safetensors", head, HEAD)
    expected = load_head(tmp_path / "head.safetensors")[0].score_maps(features)
    on_arrays = ArrayHead(read_head(tmp_path / "head.safetensors")[0])
    for form in (features, features.float().numpy()):
        np.testing.assert_allclose(on_arrays.score_maps(form), expected, rtol=0, atol=atol)


def test_ties_go_to_the_first_cell():
    assert global_max_pool(torch.zeros(1, 2, 3, 3))[1].tolist() == [[0, 0]]


def test_pooling_lies_between_mean_and_max():
    maps = torch.randn(2, 3, 4, 4)
    values = [pool(maps, how) for how in ("mean", "lse", "max")]
    assert (values[0] <= values[1]).all() and (values[1] <= values[2]).all()
    assert (pool(maps, "topk") <= values[2]).all()
    with pytest.raises(StudyError, match="pooling 'best' is unknown"):
        pool(maps, "best")


def test_head_file_round_trip_and_refusals(tmp_path, setting):
    head = setting[0]
    path = tmp_path / "head.safetensors"
    save_head(path, head, HEAD)
    again, read = load_head(path)
    assert read == HEAD | {"test_scales": (1.0,)}
    save_head(tmp_path / "again.safetensors", head, HEAD)
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()  # a manifest's hash names the head
    np.testing.assert_allclose(again.ca.weight.detach(), head.ca.weight.detach(), atol=1e-3)
    check_head(path, read, "t", "w", ("a", "b", "c"))
    with pytest.raises(StudyError, match="trained on trunk 't'"):
        check_head(path, read, "other", "w")
    with pytest.raises(StudyError, match="class list differs"):
        check_head(path, read, "t", "w", ("a", "b", "d"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StudyError, match="head.safetensors: not a head"):
        load_head(path)
    with pytest.raises(StudyError, match="no such head"):
        load_head(tmp_path / "none.safetensors")
