"""What profiles, heads and manifests may hold: strict types, bounds, and a fault in one line."""

from __future__ import annotations

import reprlib
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # no text for a number, no boolean, no inf or nan
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Side = Annotated[int, Field(ge=64, le=4096)]  # pixels
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=16)], ...], Field(min_length=1, max_length=32)]
TrunkName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # names a folder of the runs, too
LARGEST_INPUT = 4096  # pixels along a side of what the network sees: beyond it a picture takes more than 4 GiB of memory


def check_inputs(canvas: int, scales: tuple[float, ...]) -> None:
    """Refuse scales that make the canvas larger than the network can take."""
    if scales and canvas * max(scales) > LARGEST_INPUT:
        raise ValueError(f"canvas = {canvas} at scale {max(scales):g} is more than {LARGEST_INPUT} pixels; lower one of them")


def in_words(error: ValidationError, remedy: str = "") -> str:
    """The first thing that pydantic found wrong, as key, value and remedy in one line."""
    found = error.errors(include_url=False)[0]
    key = ".".join(map(str, found["loc"]))
    remedy = remedy and f"; {remedy}"
    if found["type"] == "missing":
        return f"{key} is missing{remedy}"
    reason = found["msg"].removeprefix("Value error, ").replace("uple", "ist")  # a tuple here, a list in the file
    if not key:
        return reason
    try:
        value = reprlib.repr(found["input"])
    except ValueError:  # an integer of more digits than Python writes out
        value = "a huge number"
    return f"{key} = {value} is not possible ({reason}){remedy}"
