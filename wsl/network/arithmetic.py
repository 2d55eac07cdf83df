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

import torch

from wsl.errors import StudyError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def arithmetic_on(device: torch.device) -> str:
    """"float32" or "bfloat16": what WSL_ARITHMETIC says, else what the device multiplies natively."""
    asked = os.environ.get("WSL_ARITHMETIC", "auto")
    if asked in DTYPES:
        return asked
    if asked != "auto":
        raise StudyError(f"WSL_ARITHMETIC = {asked!r} is not possible; set it to auto, {' or '.join(DTYPES)}")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def instruction_set() -> str:
    """The widest instructions of the processor that the network can use, as a manifest names them, e.g. "AVX2"."""
    if torch.cpu._is_amx_tile_supported():
        return "AMX BF16"
    if torch.cpu._is_avx512_bf16_supported():
        return "AVX-512 BF16"
    return torch.backends.cpu.get_cpu_capability().replace("AVX512", "AVX-512")
