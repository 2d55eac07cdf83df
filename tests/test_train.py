"""Training on a tiny network and a dozen pictures: resume, processes, recipes, and what a loss refuses."""

import os
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from wsl.data.dataset import Boxes, Dataset, labels_from_boxes
from wsl.errors import StudyError
from wsl.network.engines import TorchEngine
from wsl.network.features import Features
from wsl.network.trunk import LITE, Trunk
from wsl.profile import load_profile
from wsl.systems import train as training
from wsl.systems.checkpoint import identity
from wsl.systems.train import ALONE, Process, make_optimizer, train, train_one_epoch, training_sides

PROFILE = replace(
    load_profile("voc2012"), canvas=64, train_scales=(0.7, 1.4), hidden=8, epochs=3, batch=4, learning_rate=0.01, trunk="tiny"
)


def tiny_features(folder, seed=0):
    """Twelve pictures of 64x48 under a network of one layer: two boxes in the colours of their classes, on grey."""
    draw, n = np.random.default_rng(seed), 12
    corner = draw.integers(0, 20, (2 * n, 2))
    xyxy, cls = np.concatenate([corner, corner + draw.integers(12, 27, (2 * n, 2))], 1), draw.integers(0, 3, 2 * n)
    boxes = Boxes(np.repeat(np.arange(n), 2), cls, xyxy.astype(float), np.zeros(2 * n, bool), ("",) * 2 * n)
    files = tuple(folder / f"{i}.png" for i in range(n))
    pictures = np.full((n, 48, 64, 3), 100, np.uint8)
    for image, k, (x0, y0, x1, y1) in zip(boxes.image, cls, xyxy, strict=True):
        pictures[image, y0 : y1 + 1, x0 : x1 + 1] = 250 * np.eye(3)[k]
    for file, picture in zip(files, pictures, strict=True):
        if not file.exists():  # other annotations (seed) leave the pictures as they are
            Image.fromarray(picture).save(file)
    names, sizes, labels = tuple(map(str, range(n))), np.tile([64, 48], (n, 1)), labels_from_boxes(boxes, n, 3)
    dataset = Dataset("tiny", ("a", "b", "c"), names, files, sizes, labels, boxes)
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 16, 8, padding=4), nn.ReLU())
    return Features(Trunk("tiny", TorchEngine(layers), LITE, 32, "weights"), dataset, PROFILE.canvas)


@pytest.fixture
def features(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a network so small is slower on several
    yield tiny_features(tmp_path)
    torch.set_num_threads(threads)


@pytest.fixture
def interrupt(monkeypatch, features):
    """Train into a folder and stop after an epoch, as Ctrl-C does."""

    def run(out, system="weak_sup", after=1, **options):
        save = training.save_checkpoint

        def stop(path, about, epoch, *rest):
            save(path, about, epoch, *rest)
            if epoch == after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training, "save_checkpoint", stop)
            with pytest.raises(KeyboardInterrupt):
                train(PROFILE, system, 0, features, out, progress=False, **options)
        assert (out / "checkpoint.pt").is_file() and not (out / "head.safetensors").exists()

    return run


def fresh(profile, system, features):
    head, losses = train(profile, system, 0, features, progress=False)
    return head.state_dict(), losses


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in b)


@pytest.mark.parametrize("system", ["weak_sup", "object_patches", "weak_sup@sgd"])
def test_an_interrupted_training_resumes_to_the_same_head(tmp_path, features, interrupt, capsys, system):
    whole, losses = fresh(PROFILE, system, features)
    interrupt(tmp_path / "out", system)
    resumed, again = train(PROFILE, system, 0, features, tmp_path / "out", progress=False)
    assert again == losses and same(resumed.state_dict(), whole)
    assert os.listdir(tmp_path / "out") == ["head.safetensors"] and capsys.readouterr().err == ""


CHANGES = {
    "learning_rate": 0.1, "weight_decay": 0.3, "dropout": 0.5, "last_bias": 0.0, "gains": (1.0, 1.0), "pool": "mean",
    "train_scales": (1.0,), "epochs": 4, "batch": 6, "hidden": 16, "kernel": 3, "optimizer": "sgd", "fraction": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("change", [*CHANGES, "annotations_sha256", "pictures_sha256", "weights_sha256", "seed"])
def test_a_changed_training_starts_afresh_and_says_what_differs(tmp_path, features, interrupt, capsys, change):
    interrupt(tmp_path / "out")
    profile, seed = replace(PROFILE, **{change: CHANGES[change]} if change in CHANGES else {}), int(change == "seed")
    if change == "annotations_sha256":
        features = tiny_features(tmp_path, seed=1)  # other boxes; the pictures stay
    elif change == "pictures_sha256":
        features.dataset.files[3].write_bytes(features.dataset.files[4].read_bytes())
    elif change == "weights_sha256":
        features.trunk.weights_sha256 = "others"
    whole, losses = train(profile, "weak_sup", seed, features, progress=False)
    head, again = train(profile, "weak_sup", seed, features, tmp_path / "out", progress=False)
    assert again == losses and same(head.state_dict(), whole.state_dict())
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint.pt: is of another training" in line and change in line and line.endswith("starts afresh")


def test_engine_and_arithmetic_are_part_of_the_identity(features):
    before = identity(PROFILE, "weak_sup", 0, features)
    features.trunk.engine.name, features.trunk.engine.arithmetic = "another", "float16"
    assert identity(PROFILE, "weak_sup", 0, features) == before | {"engine": "another", "arithmetic": "float16"}


def test_a_checkpoint_that_cannot_be_read_starts_afresh(tmp_path, features, interrupt, capsys):
    whole, losses = fresh(PROFILE, "weak_sup", features)
    interrupt(tmp_path / "out")
    path = tmp_path / "out" / "checkpoint.pt"
    good = path.read_bytes()
    zeroed = good[:-5000] + bytes(1000) + good[-4000:]
    for content in (good[: len(good) // 2], zeroed, b"", b"something else", {"about": {"seed": 0}, "epoch": 1}):
        torch.save(content, path) if isinstance(content, dict) else path.write_bytes(content)
        head, again = train(PROFILE, "weak_sup", 0, features, tmp_path / "out", progress=False)
        assert again == losses and same(head.state_dict(), whole)
        (line,) = capsys.readouterr().err.splitlines()
        assert "checkpoint.pt: is spoilt or of another form; the training starts afresh" in line


def test_recorded_epochs_are_all_of_one_training(tmp_path, features, interrupt, capsys):
    epochs, names = tmp_path / "out" / "epochs", [f"{epoch:03d}.safetensors" for epoch in range(4)]
    interrupt(tmp_path / "out")  # not recorded: its first epochs would be missing
    train(PROFILE, "weak_sup", 0, features, tmp_path / "out", record=True, progress=False)
    assert sorted(os.listdir(epochs)) == names and "record = False, now True" in capsys.readouterr().err
    (epochs / "004.safetensors").write_bytes(b"of a longer training")
    train(PROFILE, "weak_sup", 0, features, tmp_path / "out", record=True, progress=False)
    assert sorted(os.listdir(epochs)) == names
    last, head = load_file(epochs / names[-1]), load_file(tmp_path / "out" / "head.safetensors")
    assert same(last, head) and not same(load_file(epochs / names[0]), head)


def train_among(rank, world, port, folder):
    """One of several processes, as torchrun starts them."""
    torch.set_num_threads(1)
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {key: str(value) for key, value in places.items()}
    with Process.join() as process:
        for system in ("weak_sup", "object_patches"):
            head, losses = train(PROFILE, system, 0, tiny_features(folder), folder / system, progress=False, process=process)
            if rank == 0:
                torch.save((head.state_dict(), losses), folder / f"{system}.pt")


def test_two_processes_train_the_head_of_one(tmp_path, features):
    """The gradient of a mini-batch is the mean of its halves': the same steps but for rounding, which AdamW magnifies."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(train_among, (2, port, tmp_path), nprocs=2)
    for system in ("weak_sup", "object_patches"):
        alone, losses = fresh(PROFILE, system, features)
        together, again = torch.load(tmp_path / f"{system}.pt")
        assert again == pytest.approx(losses, rel=1e-5)
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)
        assert (tmp_path / system / "head.safetensors").is_file()


def test_each_process_takes_a_gpu_of_its_own(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda place: calls.append(place))
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: calls.append(backend))
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: calls.append("left"))
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with Process.join() as process:
        assert process == Process(3, 4) and calls == [1, "nccl"]
    assert calls[2:] == ["left"]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(StudyError, match="process 2 has no GPU: there are 2"), Process.join():
        pass
    monkeypatch.setenv("WORLD_SIZE", "1")
    with Process.join() as process:
        assert process is ALONE


def test_the_loss_is_read_once_an_epoch(monkeypatch):
    """On a GPU each reading waits for all that was asked of it."""
    reads, item = [], torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: reads.append(1) or item(self))
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    batches = [(None, torch.tensor([float(target)])) for target in (1, 2, 6)]
    averages = train_one_epoch(
        model, lambda model, target, _: (model.weight[0] - target).sum(), batches, torch.optim.SGD(model.parameters(), 1), None
    )
    assert averages == {"loss": (-1 - 3 - 8) / 3} and len(reads) == 1  # the weight falls by one each step


def test_a_loss_that_is_no_longer_finite_is_an_error(tmp_path, features):
    with pytest.raises(StudyError, match="no longer finite in epoch 1; lower learning_rate"):
        train(replace(PROFILE, learning_rate=1e30, optimizer="sgd"), "weak_sup", 0, features, progress=False)


def test_scales_are_drawn_freely_where_features_are_not_kept():
    draw = np.random.default_rng(0)
    free = training_sides(PROFILE, "weak_sup@adagrad", draw, 400)
    assert (min(free), max(free)) == (45, 89) and len(set(free)) == 45  # U(0.7, 1.4) of 64 pixels
    assert np.mean(free) == pytest.approx(1.05 * 64, abs=2)
    assert set(training_sides(replace(PROFILE, cache_features=True), "weak_sup", draw, 100)) == {45, 90}
    assert set(training_sides(replace(PROFILE, train_scales=(1.0,)), "weak_sup", draw, 100)) == {64}
    assert training_sides(PROFILE, "full_images@n10", draw, 3) == [None] * 3


@pytest.mark.parametrize(
    ("optimizer", "after"),
    [
        ("sgd", [1 - 0.1 * 1.5, 1 - 0.1 * 1.5 - 0.1 * (0.9 * 1.5 + 1 + 0.5 * 0.85)]),  # momentum 0.9
        ("adagrad", [0.9, 0.9 - 0.1 * 1.45 / (1.5**2 + 1.45**2) ** 0.5]),
    ],
)
def test_the_papers_recipes_by_hand(optimizer, after):
    """Two steps of a weight of 1 under a gradient of 1, learning rate 0.1, decay 0.5."""
    weight = nn.Linear(1, 1, bias=False)
    nn.init.ones_(weight.weight)
    recipe, schedule = make_optimizer(replace(PROFILE, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5), weight, 2)
    assert schedule is None
    for value in after:
        weight.weight.grad = torch.ones(1, 1)
        recipe.step()
        assert weight.weight.item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "system",
    ["full_images", "weak_sup@sgd", "weak_sup@adagrad", "weak_sup@3x3", "weak_sup@lse", "masked_pool", "masked_pool@3x3",
     "masked_pool_outside", "masked_pool_outside@3x3@n50", "object_patches"],
)  # fmt: skip
def test_every_system_learns_its_training_pictures(features, system):
    rate = 0.001 if "sgd" in system else PROFILE.learning_rate  # the paper's
    profile = replace(PROFILE, epochs=20, dropout=0.0, learning_rate=rate)
    _, losses = train(profile, system, 0, features, progress=False)
    assert len(losses) == (40 if "n50" in system else 20) and np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("system", "change", "message"),
    [
        ("masked_pool", {"pool": "mean"}, "pool = 'mean' is not honoured by masked_pool"),
        ("masked_pool_outside@n50", {"pool": "lse"}, "pool = 'lse' is not honoured by masked_pool_outside"),
        ("object_patches", {"pool": "topk"}, "pool = 'topk' is not honoured by object_patches"),
        ("object_patches", {"kernel": 3}, "kernel = 3 is not honoured by object_patches"),
        ("rcnn", {}, "system rcnn: has no adaptation layers of its own"),
        ("center", {}, "system center: has no adaptation layers of its own"),
    ],
)
def test_a_setting_that_a_loss_would_pass_over_is_refused(features, system, change, message):
    with pytest.raises(StudyError, match=message):
        train(replace(PROFILE, **change), system, 0, features, progress=False)
