"""What runs the trunk, and in which arithmetic."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsl.cli.main import main
from wsl.network import engines
from wsl.network.arithmetic import arithmetic_on, instruction_set, to_bfloat16
from wsl.network.engines import OpenVinoEngine, TorchEngine, converted, one_pool

TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}  # of numbers below 2


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    return torch.nn.Conv2d(3, 4, 3)


@pytest.fixture(scope="module")
def openvino(layer):
    return OpenVinoEngine(converted(layer))


def test_openvino_follows_torch_and_keeps_a_bounded_number_of_compiled_networks(openvino, layer):
    reference = TorchEngine(layer, arithmetic="float32")
    for width in range(20, 24 + openvino.KEPT):
        images = torch.rand(2, 3, 20, width)
        np.testing.assert_allclose(openvino(images), reference(images), rtol=0, atol=TOLERANCE[openvino.arithmetic])
        assert openvino.shape(20, width) == (1, 4, 18, width - 2) == reference.shape(20, width)
    assert openvino.compiling.cache_info().currsize == openvino.KEPT


@pytest.mark.parametrize("side", [1, 33, 250, 350, 499, 500, 501, 700, 1400])
def test_arrays_are_resized_as_torch_resizes_its_tensors(layer, openvino, side):
    canvases = np.random.default_rng(0).uniform(-1, 1, (2, 3, 500, 500)).astype(np.float32)
    with one_pool():  # on several threads torch rounds the places of a few lines otherwise, by 1e-5
        ours, torchs = openvino.at_side(torch.from_numpy(canvases), side), TorchEngine(layer).at_side(canvases, side)
    assert ours.shape == (2, 3, side, side) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, torchs, rtol=0, atol=1e-6)


def test_arrays_are_rounded_to_bfloat16_as_tensors_are():
    random = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    ties = np.float32([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-23, 0, -0.0, 1e-40, 3.4e38, np.inf])
    for values in (random, ties):
        np.testing.assert_array_equal(to_bfloat16(values.copy()), torch.from_numpy(values).bfloat16().float())


def test_torch_is_asked_for_a_gpu_only_where_there_may_be_one(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(engines, "GPU_FILES", (str(tmp_path / "none"),))
    assert not engines.has_gpu()
    monkeypatch.setattr(engines, "GPU_FILES", (str(tmp_path / "none"), str(tmp_path)))
    assert engines.has_gpu()
    monkeypatch.setattr(engines, "GPU_FILES", ())
    monkeypatch.setattr(sys, "platform", "win32")
    assert engines.has_gpu()


def test_openvino_does_not_report_home(openvino):
    openvino(torch.rand(1, 3, 20, 24))
    awake = [name for name, value in sys.modules.items() if name.partition(".")[0] == "openvino_telemetry" and value]
    assert "openvino.tools.ovc" in sys.modules and awake == []


def test_one_setting_decides_the_arithmetic(monkeypatch, tmp_path, capsys):
    layer = torch.nn.Conv2d(3, 4, 3)
    images = torch.rand(1, 3, 8, 8)
    native = torch.cpu._is_avx512_bf16_supported()
    for asked, expected in {"auto": "bfloat16" if native else "float32", "float32": "float32", "bfloat16": "bfloat16"}.items():
        monkeypatch.setenv("WSL_ARITHMETIC", asked)
        engine = TorchEngine(layer)
        assert engine.arithmetic == arithmetic_on() == expected
        rounded = torch.equal(engine(images), engine(images).bfloat16().float())
        assert rounded == (expected == "bfloat16")
    monkeypatch.setenv("WSL_ARITHMETIC", "half")
    assert main(["localize", str(tmp_path / "none.jpg")]) == 2
    assert "WSL_ARITHMETIC = 'half' is not possible; set it to auto, float32 or bfloat16" in capsys.readouterr().err


@pytest.mark.parametrize("capabilities", [["FP32"], ["FP32", "BF16"]])
def test_openvino_says_what_it_computes_in_not_what_it_was_asked_for(monkeypatch, capabilities):
    core = SimpleNamespace(get_property=lambda *_: capabilities)
    monkeypatch.setattr(engines, "openvino", lambda: SimpleNamespace(Core=lambda: core))
    engine = OpenVinoEngine(None, arithmetic="bfloat16")
    assert engine.arithmetic == ("bfloat16" if "BF16" in capabilities else "float32")


@pytest.mark.parametrize(
    ("amx", "bf16", "capability", "name"),
    [
        (True, True, "AVX512", "AMX BF16"),
        (False, True, "AVX512", "AVX-512 BF16"),
        (False, False, "AVX512", "AVX-512"),
        (False, False, "AVX2", "AVX2"),
    ],
)
def test_instruction_set_is_the_widest_that_serves(monkeypatch, amx, bf16, capability, name):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert instruction_set() == name


def test_torch_keeps_to_one_thread_beside_openvino_and_has_its_own_back(monkeypatch):
    before = torch.get_num_threads()
    for engine, inside in (("openvino", 1), ("torch", before)):
        monkeypatch.setattr(engines, "fastest_engine", lambda engine=engine: engine)
        with pytest.raises(KeyError), one_pool():
            assert torch.get_num_threads() == inside
            raise KeyError
        assert torch.get_num_threads() == before
