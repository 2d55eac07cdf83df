"""Files of our own, spoilt one by one: the commands find it out, name the file, and come to the bytes of an untouched run."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

from wsl.cli.main import main

PROFILE = """
year = "scenes"
generate = { train = 16, val = 4, seed = 0, size = 96 }
canvas = 64
train_scales = [1.0]
test_scales = [1.0, 1.5]
hidden = 8
epochs = 2
proposal_side = 96
proposals = 20
systems = ["weak_sup", "rcnn"]
"""
# below the runs of the profile -> whether `wsl train --missing` makes it again; of the others `wsl predict` does
FILES = {
    "features/64.npy": "features", "features/features.json": "features", "proposals/val.safetensors": "proposals",
    "weak_sup/seed0/head.safetensors": "train", "weak_sup/seed0/training.json": "train",
    "weak_sup/seed0/epochs/001.safetensors": "train", "rcnn/seed0/head.safetensors": "train",
    "weak_sup/seed0/predictions.parquet": "predict", "weak_sup/seed0/manifest.json": "predict",
}  # fmt: skip
SPOILT = {
    "gone": None,
    "empty": lambda content, draw: b"",
    "cut": lambda content, draw: content[: draw.randrange(1, len(content))],
    "zeros": lambda content, draw: bytes(len(content)),
    "one byte": lambda content, draw: _changed(content, draw.randrange(len(content))),
    "something else": lambda content, draw: draw.randbytes(100),
}


def _changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :]


def call(*words: str) -> tuple[int, str]:
    """Exit status and what was said on stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        return main([*words]), err.getvalue()


def make_again(words: list[str], made_by: str) -> tuple[int, str]:
    """What a user, or the workflow, types after something was spoilt."""
    steps = {"features": ("features", []), "proposals": ("proposals", [])}
    steps |= {"train": ("train", ["--missing", "--", "weak_sup", "rcnn"]), "predict": ("predict", ["--", "weak_sup", "rcnn"])}
    said = ""
    for step in dict.fromkeys([made_by, "train", "predict"]):
        command, targets = steps[step]
        status, text = call(command, *words, *targets)
        said += text
        if status:
            return status, said
    return 0, said


def tables(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("predictions.parquet"))]


def spoilings(folder: Path, draw: random.Random) -> Iterator[tuple[str, str]]:
    """(what was tried, "" if it held, else what is wrong)."""
    (folder / "own.toml").write_text(PROFILE)
    words = [str(folder / "own.toml"), "--runs", str(folder / "runs")]
    assert call("data", "scenes", *words)[0] == 0 and make_again(words, "features")[0] == 0
    place = folder / "runs" / "own"
    right = tables(place)
    for name, made_by in FILES.items():
        path = place / name if name.startswith("proposals") else place / "efficientnet_lite0" / name
        for how, spoil in SPOILT.items():
            content = path.read_bytes()
            path.unlink()
            if spoil:
                path.write_bytes(spoil(content, draw))
            named = True
            if made_by == "predict" and spoil and name.endswith("parquet"):  # who reads it must refuse it
                named = call("compare", str(path.parent), str(path.parents[2] / "rcnn" / "seed0"))[0] == 2
            status, said = make_again(words, made_by)
            what = f"{name}, {how}"
            if status or "Traceback" in said:
                yield what, f"{what}: exit {status}, {said[-300:]}"
            elif not named or (spoil and made_by != "predict" and path.name not in said and name != "features/features.json"):
                yield what, f"{what}: it was not said that the file is spoilt"
            else:
                yield what, "" if tables(place) == right else f"{what}: other predictions"
