"""In which numbers the network computes, decided here and nowhere else (deviation D21).

    WSL_ARITHMETIC=auto       bfloat16 where the processor or GPU multiplies it natively, else float32 (the default)
    WSL_ARITHMETIC=float32    single precision everywhere
    WSL_ARITHMETIC=bfloat16   bfloat16 everywhere; PyTorch emulates it, slowly, where the machine lacks it

It holds for the trunk and for score maps. On a processor without bfloat16, OpenVINO knows float32 alone: the trunk then stays
there whatever the setting, `Trunk.arithmetic` says so, and only the score maps are emulated. Features are rounded to bfloat16
in every arithmetic (`features.maps_at`), and training scores the winning cell, which corrects the weights, in float32. On a
GPU, "float32" is PyTorch's, with the convolutions that cuDNN chooses.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsl.errors import StudyError

if TYPE_CHECKING:
    import torch

NAMES = ("float32", "bfloat16")  # as PyTorch calls the types, too


def arithmetic_on(device: torch.device | None = None) -> str:
    """"float32" or "bfloat16": what WSL_ARITHMETIC says, else what the device (None: the processor) multiplies natively."""
    asked = os.environ.get("WSL_ARITHMETIC", "auto")
    if asked in NAMES:
        return asked
    if asked != "auto":
        raise StudyError(f"WSL_ARITHMETIC = {asked!r} is not possible; set it to auto, {' or '.join(NAMES)}")
    if device is not None and device.type == "cuda":
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = _processor_has_bfloat16()
    return "bfloat16" if native else "float32"


def _processor_has_bfloat16() -> bool:
    """As PyTorch says; where Linux says it, without importing PyTorch."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        import torch

        return torch.cpu._is_avx512_bf16_supported()


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 numbers rounded, where they lie, to the nearest that bfloat16 holds; ties to even, as PyTorch does it."""
    bits = values.view(np.uint32)
    bits += 0x7FFF + ((bits >> 16) & 1)
    bits &= 0xFFFF0000
    return values


def instruction_set() -> str:
    """The widest instructions of the processor that the network can use, as a manifest names them, e.g. "AVX2"."""
    import torch

    if torch.cpu._is_amx_tile_supported():
        return "AMX BF16"
    if torch.cpu._is_avx512_bf16_supported():
        return "AVX-512 BF16"
    return torch.backends.cpu.get_cpu_capability().replace("AVX512", "AVX-512")
