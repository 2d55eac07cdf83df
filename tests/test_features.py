"""Features on disk: what they depend on, several writers at once, and writers that died."""

import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from wsl.data import voc
from wsl.errors import StudyError
from wsl.network import features as module
from wsl.network.engines import TorchEngine
from wsl.network.features import Features, bytes_kept
from wsl.network.trunk import IMAGENET, LITE, Trunk

CANVAS = 32


class Counting(TorchEngine):
    """Remembers the side of each input; `fails` in place of the features of one of them."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(torch.nn.Conv2d(3, 2, 3, 2, 1))
        self.sides, self.fails = [], None

    def __call__(self, images):
        self.sides.append(images.shape[-1])
        if self.fails == images.shape[-1]:
            raise KeyboardInterrupt
        return super().__call__(images)


@pytest.fixture
def features(voc_root):
    """Features of four pictures, none of them kept yet."""
    return Features(Trunk("tiny", Counting(), LITE, 24, "w"), voc.load(voc_root, "2007", "val"), CANVAS)


def at(features, side):
    (maps,) = next(features.batches([range(len(features.dataset))], [[side]]))
    assert maps.dtype == torch.bfloat16
    return maps


def test_kept_features_are_the_computed_ones(features, tmp_path):
    sides = [None, 32, 48]
    kept = features.keep(tmp_path / "features", sides, progress=False)
    for side in sides:
        assert torch.equal(at(kept, side), at(features, side))
        assert torch.equal(at(kept.subset(np.array([3, 1])), side), at(features, side)[[3, 1]])
    files = sorted((tmp_path / "features").glob("*.npy"))
    assert sum(np.load(file).nbytes for file in files) == bytes_kept(features.trunk, 4, sides)


def test_a_missing_side_is_added_to_those_that_are_there(features, tmp_path):
    features.keep(tmp_path / "features", [32], progress=False)
    features.trunk.engine.sides.clear()
    kept = features.keep(tmp_path / "features", [32, 48], progress=False)
    assert set(features.trunk.engine.sides) == {48}
    features.trunk.engine.sides.clear()
    features.keep(tmp_path / "features", [48], progress=False)
    assert features.trunk.engine.sides == []
    assert at(kept, 32).shape == (4, 2, 16, 16)


def other(features, **changes):
    return Features(replace(features.trunk, **changes), features.dataset, features.canvas)


def repaint(features, monkeypatch):
    Image.new("RGB", (40, 40), "red").save(features.dataset.files[2])
    return features


def with_engine(features, monkeypatch):
    engine = Counting()
    engine.name = "another"
    return other(features, engine=engine)


def with_arithmetic(features, monkeypatch):
    engine = Counting()
    engine.arithmetic = "float32" if engine.arithmetic == "bfloat16" else "bfloat16"
    return other(features, engine=engine)


def with_format(features, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    return features


def with_input(features, monkeypatch):
    return other(features, normalise=IMAGENET)


def with_canvas(features, monkeypatch):
    return Features(features.trunk, features.dataset, 40)


@pytest.mark.parametrize("change", [repaint, with_engine, with_arithmetic, with_format, with_input, with_canvas])
def test_features_are_computed_anew_where_what_they_depend_on_has_changed(features, tmp_path, monkeypatch, change):
    old = features.keep(tmp_path / "features", [32, 48], progress=False)
    before = at(old, 32)
    changed = change(features, monkeypatch)
    changed.trunk.engine.sides.clear()
    new = changed.keep(tmp_path / "features", [32], progress=False)
    assert set(changed.trunk.engine.sides) == {32} and torch.equal(at(new, 32), at(changed, 32))
    assert not (tmp_path / "features" / "48.npy").exists()  # nothing of another identity stays beside them
    assert torch.equal(at(old, 32), before)  # a training that reads the old ones goes on with the old ones


def test_of_several_at_once_one_computes_and_the_others_find(features, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda _: features.keep(tmp_path / "features", [32, 48], progress=False), range(4)))
    assert sorted(features.trunk.engine.sides) == [32, 48]
    assert all(torch.equal(at(k, 48), at(features, 48)) for k in kept)


def test_what_a_dead_writer_left_is_neither_used_nor_kept(features, tmp_path):
    folder = tmp_path / "features"
    features.trunk.engine.fails = 48
    with pytest.raises(KeyboardInterrupt):
        features.keep(folder, [32, 48], progress=False)
    assert not list(folder.glob("*.npy"))
    features.trunk.engine.fails = None
    (folder / ".32.npy.99999.tmp").write_bytes(b"half an array")  # of a process that could not clean up
    kept = features.keep(folder, [32, 48], progress=False)
    assert torch.equal(at(kept, 32), at(features, 32))
    assert sorted(path.name for path in folder.iterdir()) == ["32.npy", "48.npy", "features.json"]


SPOILT = {
    "gone": lambda path, content: path.unlink(),
    "empty": lambda path, content: path.write_bytes(b""),
    "cut": lambda path, content: path.write_bytes(content[:-70]),
    "zeroed": lambda path, content: path.write_bytes(bytes(len(content))),
    "a byte": lambda path, content: path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]),
}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_features_are_named_and_made_again(features, tmp_path, capsys, how):
    features.keep(tmp_path / "features", [32, 48], progress=False)
    path = tmp_path / "features" / "48.npy"
    content = path.read_bytes()
    SPOILT[how](path, content)
    features.trunk.engine.sides.clear()
    features.keep(tmp_path / "features", [32, 48], progress=False)
    assert set(features.trunk.engine.sides) == {48} and path.read_bytes() == content
    assert capsys.readouterr().err == ("" if how == "gone" else f"{path}: is cut off or spoilt; it is made again\n")


def test_a_full_disk_is_an_error_in_words(features, tmp_path):
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # no file may grow longer: writing fails as on a full disk
    try:
        with pytest.raises(StudyError, match="features could not be kept .*free some disk"):
            features.keep(tmp_path / "features", [32, 48], progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert not list((tmp_path / "features").glob("*.npy"))


def test_a_picture_that_is_gone_is_named(features, tmp_path):
    features.dataset.files[1].unlink()
    with pytest.raises(StudyError, match="000007.jpg: cannot be read"):
        features.keep(tmp_path / "features", [32], progress=False)
