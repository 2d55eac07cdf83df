"""The file of a trained head, and a head on arrays: what `wsl localize` needs of the adaptation layers, without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from wsl.errors import StudyError
from wsl.network.arithmetic import arithmetic_on, to_bfloat16

if TYPE_CHECKING:
    from torch import Tensor


class ArrayHead:
    """Ca and Cb with 1x1 kernels on arrays: `Adaptation.score_maps` with the same arithmetic, but for the order of sums."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        """state: as `read_head` gives it. Standardising is folded into Ca."""
        self.rounded = to_bfloat16 if arithmetic_on() == "bfloat16" else lambda values: values
        weight = state["ca.weight"][:, :, 0, 0] * (1 / state["std"][:, 0, 0])
        bias = state["ca.bias"] - weight @ state["mean"][:, 0, 0]
        self.ca = self.rounded(weight), self.rounded(bias)[:, None]
        self.cb = state["cb.weight"][:, :, 0, 0], state["cb.bias"][:, None]

    def score_maps(self, features: np.ndarray | Tensor) -> np.ndarray:
        """(B, C, n, m) -> (B, K, n, m), float32."""
        if not isinstance(features, np.ndarray):
            features = features.float().numpy()
        (ca, ca_bias), (cb, cb_bias) = self.ca, self.cb
        x = self.rounded(ca @ features.reshape(*features.shape[:2], -1) + ca_bias)
        scores = cb @ np.maximum(x, 0, out=x) + cb_bias
        return scores.reshape(*scores.shape[:2], *features.shape[2:])


def read_head(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The tensors of a head's file by name, as float32 arrays, and what `save_head` wrote about it."""
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"{path}: no such head; train one with `wsl train`, or leave --head out for the shipped one")
    try:
        with safe_open(path, "np") as file:
            state = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}
            about = json.loads(file.metadata()["about"])
        hidden, channels, kernel, _ = state["ca.weight"].shape
        classes = len(about["classes"])
        wanted = {"ca.weight": (hidden, channels, kernel, kernel), "ca.bias": (hidden,), "cb.bias": (classes,)}
        wanted |= {"cb.weight": (classes, hidden, kernel, kernel), "mean": (channels, 1, 1), "std": (channels, 1, 1)}
        if (found := {key: value.shape for key, value in state.items()}) != wanted:
            raise ValueError(f"its arrays for {classes} classes are {found}")
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise StudyError(f"{path}: not a head of this study ({error}); make one with `wsl train`") from None
    return state, about


def check_head(path: Path, about: dict, trunk: str, weights_sha256: str, classes: tuple[str, ...] | None = None) -> None:
    """Refuse a head that was trained on another trunk or for other classes."""
    if about.get("trunk") != trunk or about.get("weights_sha256") not in (None, weights_sha256):
        raise StudyError(f"{path}: was trained on trunk {about.get('trunk')!r} (or other weights of it), not on {trunk!r}")
    if classes is not None and tuple(about["classes"]) != tuple(classes):
        other = sorted(set(about["classes"]) ^ set(classes)) or ["another order"]
        raise StudyError(f"{path}: its class list differs from the data set's (first difference: {other[0]!r}); train anew")
