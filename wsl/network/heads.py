"""The file of a trained head, and a head on arrays: what `wsl localize` needs of the adaptation layers, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open

from wsl.errors import StudyError
from wsl.files import check_regular
from wsl.network.arithmetic import arithmetic_on, to_bfloat16
from wsl.schema import STRICT, Scales, Seed, Side, TrunkName, check_inputs, in_words

if TYPE_CHECKING:
    from torch import Tensor


REMEDY = "make one with `wsl train`"
MOST = 10_000  # classes of a head


def _class_name(name: str) -> str:
    """A name that a terminal and a picture can show: no control characters, no halves of characters."""
    if not name.isprintable():
        raise ValueError("a class's name must be printable")
    return name


class About(BaseModel):
    """What the file of a head says of it (`wsl.systems.train.about_head`); more keys may stand beside."""

    model_config = STRICT | ConfigDict(extra="ignore")

    classes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_class_name)]],
        Field(min_length=1, max_length=MOST),
    ]
    trunk: TrunkName
    weights_sha256: str
    system: Annotated[str, Field(pattern=r"^\w+(@\w+)*$")]
    seed: Seed
    canvas: Side
    test_scales: Scales = ()  # R-CNN* has scales of its own
    trained_on: str
    identity: dict = {}

    @model_validator(mode="after")
    def _agree(self) -> About:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a class twice")
        check_inputs(self.canvas, self.test_scales)
        return self


def read_about(file: safe_open) -> dict:
    """What an open head says of itself, checked. Errors: ValueError, in words."""
    text = (file.metadata() or {}).get("about")
    if text is None:
        raise ValueError("it does not say what it is of")
    try:
        return About.model_validate_json(text).model_dump()
    except ValidationError as error:
        raise ValueError(in_words(error)) from None


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
    """The tensors of a head's file by name, as float32 arrays, and what `save_head` wrote about it.

    Errors: StudyError for a file that is no such head, before its arrays are read, and for weights that are not finite.
    """
    path = Path(path)
    check_regular(path, REMEDY)
    if not path.is_file():
        raise StudyError(f"{path}: no such head; train one with `wsl train`, or leave --head out for the shipped one")
    try:
        with safe_open(path, "np") as file:
            about, shapes = read_about(file), {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
            hidden, channels, kernel, _ = shapes["ca.weight"]
            classes = len(about["classes"])
            wanted = {"ca.weight": (hidden, channels, kernel, kernel), "ca.bias": (hidden,), "cb.bias": (classes,)}
            wanted |= {"cb.weight": (classes, hidden, kernel, kernel), "mean": (channels, 1, 1), "std": (channels, 1, 1)}
            if shapes != wanted:
                raise ValueError(f"its arrays for {classes} classes are {shapes}")
            if kernel not in (1, 3):
                raise ValueError(f"its kernel is {kernel}; possible are 1 and 3")
            state = {key: file.get_tensor(key).astype(np.float32) for key in shapes}
        for key, values in state.items():
            if not np.isfinite(values).all() or (key == "std" and not values.all()):
                raise ValueError(f"{key} holds numbers that are not finite, or a spread of 0")
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise StudyError(f"{path}: not a head of this study ({error}); {REMEDY}") from None
    return state, about


def check_head(path: Path, about: dict, trunk: str, weights_sha256: str, classes: tuple[str, ...] | None = None) -> None:
    """Refuse a head that was trained on another trunk or for other classes."""
    if (about["trunk"], about["weights_sha256"]) != (trunk, weights_sha256):
        raise StudyError(f"{path}: was trained on trunk {about['trunk']!r} (or other weights of it), not on {trunk!r}")
    if classes is not None and tuple(about["classes"]) != tuple(classes):
        other = sorted(set(about["classes"]) ^ set(classes)) or ["another order"]
        raise StudyError(f"{path}: its class list differs from the data set's (first difference: {other[0]!r}); train anew")
