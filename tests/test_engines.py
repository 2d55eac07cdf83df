"""What runs the trunk, and in which arithmetic."""

import sys
from types import SimpleNamespace

import pytest
import torch

from wsl.cli.main import main
from wsl.network import engines
from wsl.network.arithmetic import arithmetic_on, instruction_set
from wsl.network.engines import CPU, OpenVinoEngine, TorchEngine, one_pool

TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}  # of numbers below 2


@pytest.fixture(scope="module")
def openvino():
    torch.manual_seed(0)
    return OpenVinoEngine(torch.nn.Conv2d(3, 4, 3))


def test_openvino_follows_torch_and_keeps_a_bounded_number_of_compiled_networks(openvino):
    reference = TorchEngine(openvino.module, arithmetic="float32")
    for width in range(20, 24 + openvino.KEPT):
        images = torch.rand(2, 3, 20, width)
        torch.testing.assert_close(openvino(images), reference(images), rtol=0, atol=TOLERANCE[openvino.arithmetic])
    assert openvino.compiled.cache_info().currsize == openvino.KEPT


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
        assert engine.arithmetic == arithmetic_on(CPU) == expected
        rounded = torch.equal(engine(images), engine(images).bfloat16().float())
        assert rounded == (expected == "bfloat16")
    monkeypatch.setenv("WSL_ARITHMETIC", "half")
    assert main(["localize", str(tmp_path / "none.jpg")]) == 2
    assert "WSL_ARITHMETIC = 'half' is not possible; set it to auto, float32 or bfloat16" in capsys.readouterr().err


@pytest.mark.parametrize("capabilities", [["FP32"], ["FP32", "BF16"]])
def test_openvino_says_what_it_computes_in_not_what_it_was_asked_for(monkeypatch, capabilities):
    monkeypatch.setattr(OpenVinoEngine, "_core", SimpleNamespace(get_property=lambda *_: capabilities))
    engine = OpenVinoEngine(torch.nn.Identity(), arithmetic="bfloat16")
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
