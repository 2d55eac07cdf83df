"""Files that appear whole or not at all, their hashes, and which files may be read and written."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import secrets
import select
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import BinaryIO

from wsl.errors import StudyError

KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
PATIENCE = 10  # seconds that a pipe may stay silent
LARGEST = 2**31  # bytes of a file that is read as a whole
# Characters that steer a terminal, end a line, or turn round the order in which a line is read: no name has them
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
STALE = 24 * 3600  # seconds after which a temporary file is of a writer that died


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary name in the folder of `path` to write to; it becomes `path` only if the block ends without error.

    What `path` names is refused unless it is a regular file that may be written, or nothing yet: a device or a folder of that
    name is not put out of the way. A symbolic link stays, and the file that it leads to is replaced.
    """
    check_regular(path, "name another file to write to", math.inf)
    path = Path(os.path.realpath(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise StudyError(f"{path}: is write-protected; name another file, or allow writing to it")
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that nobody else has or can foresee, on this machine or on another with the same disk
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()
        except OSError:  # another writer was quicker
            pass
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_regular(path: str | Path, remedy: str, most: float = LARGEST) -> None:
    """Refuse what is there and no regular file: a pipe would be waited for without end, a device read or overwritten.

    most: bytes of what will be read as a whole.
    """
    try:
        about = os.stat(path)
    except OSError:  # absent, or not to be reached: who opens it says so
        return
    kind = stat.S_IFMT(about.st_mode)
    if kind != stat.S_IFREG:
        raise StudyError(f"{path}: is {KINDS.get(kind, 'a device')}, not a regular file; {remedy}")
    if about.st_size > most:
        raise StudyError(f"{path}: has {about.st_size:,} bytes, at most {most:,} are read; {remedy}")


def open_to_read(path: str | Path, remedy: str = "give a file") -> BinaryIO:
    """A file, or a pipe to which somebody writes. Refuses a device, which may have no end, and a pipe that nobody opens."""
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        check_regular(path, remedy)
        return open(path, "rb")
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opened otherwise, it would wait for a writer without end
    if not select.select([pipe], [], [], PATIENCE)[0]:
        os.close(pipe)
        raise StudyError(f"{path}: is a pipe to which nothing was written for {PATIENCE} seconds; {remedy}")
    os.set_blocking(pipe, True)
    return open(pipe, "rb")


def read_whole(file: BinaryIO, source: str | Path, most: int = LARGEST, has: str = "has") -> bytes:
    """The content of an open file or pipe; StudyError once it is more than `most` bytes, which need not be its end."""
    content = io.BytesIO()
    while part := file.read(2**24):
        content.write(part)
        if content.tell() > most:
            raise StudyError(f"{source}: {has} more than {most:,} bytes; give a smaller file")
    return content.getvalue()


def as_kept(path: Path) -> Path:
    """`path`, or the file of that name in the other form that Unicode has for letters with accents, if that one is there.

    macOS and what it packs take such letters apart (NFD); lists that people type have them whole (NFC).
    """
    if path.name.isascii() or path.exists():
        return path
    forms = (path.with_name(unicodedata.normalize(form, path.name)) for form in ("NFC", "NFD"))
    return next((other for other in forms if other.exists()), path)


def composed(name: str) -> str:
    """A name with its accented letters whole (NFC): the same for both forms."""
    return unicodedata.normalize("NFC", name)


def inside(folder: Path, name: str, source: Path) -> Path:
    """`folder / name`; StudyError where that lies elsewhere: what `source` names must not lead out of its data set."""
    path = folder / name
    if "\0" in name or not os.path.normpath(path).startswith(os.path.join(os.path.normpath(folder), "")):
        raise StudyError(f"{source}: names the file {name!r}, which is not in {folder}; name its folder with --images")
    return path


def sha256(path: str | Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(content: bytes) -> bytes:
    """The content behind its sha256, so that `unseal` knows whether it is whole."""
    return hashlib.sha256(content).digest() + content


def unseal(sealed: bytes) -> bytes | None:
    """What `seal` was given; None where a byte of it has changed."""
    content = sealed[32:]
    return content if hashlib.sha256(content).digest() == sealed[:32] else None
