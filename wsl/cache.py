"""What takes long to compute and never changes, kept between processes in the user's cache folder.

    network-<key>.kept    a trunk converted to OpenVINO, with what it expects of its pictures
    geometry-<key>.kept   the centres of its cells
    bootstrap-<key>.kept  average precision in resamples of a run's images

The key is a hash of all that the content depends on, so that nothing stale is read. A file appears whole or not at all, so
several processes may share the folder; what is cut off or spoilt is made again; beyond LIMIT bytes what was used least
recently goes. WSL_CACHE=off keeps nothing, WSL_CACHE=FOLDER keeps it there. Where nothing can be written, work goes on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wsl.errors import StudyError
from wsl.files import seal, unseal, whole_file

FORMAT = 1  # of what is kept; one more whenever this code makes it otherwise
LIMIT = 2**30  # bytes: the paper's AlexNet takes a quarter of that, the default trunk 13 MB
PACKAGES = ("openvino", "torch", "torchvision", "timm", "numpy", "scipy")  # other versions may give other content


def folder() -> Path | None:
    """Where things are kept; None for nowhere."""
    setting = os.environ.get("WSL_CACHE", "")
    if setting == "off":
        return None
    if setting:
        return Path(setting).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsl-study"
    except RuntimeError:  # a user without a home
        return None


def key(*about: str) -> str:
    """A name for what depends on `about`, on the packages that make it and on FORMAT."""
    return hashlib.sha256(json.dumps([FORMAT, *about, *map(_version, PACKAGES)]).encode()).hexdigest()[:32]


@functools.cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def load(name: str) -> bytes | None:
    """What `keep` was given under this name; None if it is not there, or no longer whole."""
    if (root := folder()) is None:
        return None
    path = root / f"{name}.kept"
    try:
        kept = path.read_bytes()
        os.utime(path)  # used just now
    except OSError:
        return None
    return unseal(kept)


def keep(name: str, content: bytes) -> None:
    """Keep the content, behind its sha256, if that is possible."""
    if (root := folder()) is None:
        return
    try:
        with whole_file(root / f"{name}.kept") as temporary:
            temporary.write_bytes(seal(content))
        total = 0
        for path in sorted(root.glob("*.kept*"), key=lambda path: path.stat().st_mtime, reverse=True):
            total += path.stat().st_size
            if total > LIMIT:
                path.unlink(missing_ok=True)
    except (OSError, StudyError):  # read-only, full, or another process was quicker: next time, then
        pass
