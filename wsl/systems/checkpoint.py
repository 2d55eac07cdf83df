"""From where an interrupted training goes on, and how a training is told from every other.

The identity of a training is all that its head depends on: settings, training images, frozen network, arithmetic. It lies
in the checkpoint and in the head's file. Where it differs, the training starts afresh, and one line on stderr says why.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from wsl.errors import StudyError
from wsl.files import seal, sha256, unseal, whole_file
from wsl.network.features import Features
from wsl.profile import Profile

FORMAT = 3  # of the checkpoint; counted up where what the same settings train changes, too


def settings(profile: Profile, system: str, seed: int) -> dict:
    """The part of a training's identity that is known without its data: what was asked for, as JSON values."""
    values = profile.system_settings(system).values()
    unused = ("val", "test_scales", "generate") + (() if system == "rcnn" else ("proposal_side", "proposals"))
    about = {key: value for key, value in values.items() if key not in unused}
    return json.loads(json.dumps({"format": FORMAT, "system": system, "seed": seed} | about))  # lists, as a file gives them back


def identity(profile: Profile, system: str, seed: int, features: Features) -> dict:
    """All that the head of (system, seed) depends on. `features`: of the profile's training images."""
    return settings(profile, system, seed) | {
        "annotations_sha256": features.dataset.digest(),
        "pictures_sha256": _digest(features.dataset.files),
        "weights_sha256": features.trunk.weights_sha256,
        "engine": features.trunk.engine.name,
        "arithmetic": features.trunk.arithmetic,
        "device": features.trunk.device.type,
    }


def _digest(files: tuple[Path, ...]) -> str:
    """Hexadecimal sha256 over the bytes of all files, in order.

    The bytes, not their times as for kept features: a head's file is then the same wherever it is trained. 80,000
    photographs take about a minute to read, where their training takes hours.
    """
    sha = hashlib.sha256()
    for path in files:
        try:
            sha.update(bytes.fromhex(sha256(path)))
        except OSError as error:
            raise StudyError(f"{path}: cannot be read ({error.strerror}); check the data root (`wsl data check`)") from None
    return sha.hexdigest()


def differences(kept: dict, wanted: dict) -> str:
    """What differs between two identities, in words."""
    keys = [key for key in sorted({*kept, *wanted}) if kept.get(key) != wanted.get(key)]
    return ", ".join(
        key if key.endswith("sha256") else f"{key} = {kept.get(key)!r}, now {wanted.get(key)!r}" for key in keys
    )


def head_is_of(path: Path, about: dict) -> bool:
    """Whether a head's file is of the training that `about` identifies; says so where it is not."""
    try:
        with safe_open(path, "pt") as file:
            kept = json.loads(file.metadata()["about"])["identity"]
    except (SafetensorError, TypeError, KeyError, ValueError):
        kept = None
    return _is_same(path, kept, about)


def _is_same(path: Path, kept: dict | None, about: dict, quiet: bool = False) -> bool:
    """Whether the identity in a file is the wanted one; None: there is none that can be read."""
    if kept != about and not quiet:
        why = "is spoilt or of another form" if kept is None else f"is of another training ({differences(kept, about)})"
        print(f"{path}: {why}; the training starts afresh", file=sys.stderr)
    return kept == about


def check_settings(path: Path, about: dict, profile: Profile, system: str, seed: int) -> None:
    """Refuse a head (`about`: what its file says) that was trained with other settings than the manifest would state."""
    wanted = settings(profile, system, seed)
    kept = {key: value for key, value in about["identity"].items() if key in wanted}
    if different := differences(kept, wanted) if kept else "it does not say which":
        raise StudyError(f"{path}: was trained with other settings ({different}); train it anew with `wsl train`")


def save_checkpoint(path: Path, about: dict, epoch: int, losses: list[float], parts: dict) -> None:
    """parts: name -> what has a `state_dict` (head, optimiser, schedule)."""
    state = {name: part.state_dict() for name, part in parts.items()}
    content = io.BytesIO()
    torch.save({"identity": about, "epoch": epoch, "losses": losses, **state}, content)
    with whole_file(path) as temporary:
        temporary.write_bytes(seal(content.getvalue()))


def load_checkpoint(path: Path, about: dict, parts: dict, device: torch.device, quiet: bool) -> tuple[int, list[float]]:
    """Restore `parts` after the last whole epoch of this very training; returns that epoch and the losses so far.

    (0, []) and nothing restored where there is none; in words unless `quiet`, where it is another training's or unreadable.
    """
    if not path.is_file():
        return 0, []
    try:
        state = torch.load(io.BytesIO(unseal(path.read_bytes()) or b""), map_location=device, weights_only=True)
        kept = state["identity"]
    except Exception:  # spoilt, empty, an older form: each has its own error types, with the same remedy
        state, kept = {}, None
    if not _is_same(path, kept, about, quiet):
        return 0, []
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["epoch"], state["losses"]
