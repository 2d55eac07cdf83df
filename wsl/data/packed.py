"""What a file holds, however it is packed: plain, gzip, bzip2, xz or zip; text in UTF-8 or with the mark of UTF-16.

People keep tables and annotations compressed, pipe them in, and save them with spreadsheets. What a file is, is told from
its first bytes, never from its name.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import sys
import zipfile
import zlib
from pathlib import Path

from wsl.errors import StudyError
from wsl.files import open_to_read, read_whole

LIMIT = 2**30  # bytes that a compressed file may unpack to
MOST_LISTS, MOST_VALUES = 20_000_000, 200_000_000  # of a JSON file: COCO's 860,000 objects of 2017 take 4 and 50 million
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def read_bytes(path: str | Path) -> bytes:
    """The content of a file, of a pipe, or ("-") of the standard input, unpacked. OSError as `open` raises it."""
    if str(path) == "-":
        return unpacked(read_whole(sys.stdin.buffer, "standard input"), "standard input")
    with open_to_read(path, "save the content to a file first") as file:
        return unpacked(read_whole(file, path), path)


def read_json(path: str | Path) -> object:
    """What a JSON file holds. Errors: as `read_bytes` has them, and ValueError or RecursionError where it is no JSON.

    In memory a list takes twenty times what it takes in the file, so their number is bounded, too.
    """
    data = read_bytes(path)
    if data.count(b"{") + data.count(b"[") > MOST_LISTS or data.count(b",") > MOST_VALUES:
        raise StudyError(f"{path}: has more than {MOST_LISTS:,} lists or {MOST_VALUES:,} values; give parts of it")
    return json.loads(data)


def unpacked(data: bytes, source: str | Path) -> bytes:
    """`data` itself, or what it holds if it is compressed; `source` is named in errors."""
    opener = next((opener for magic, opener in _OPENERS.items() if data.startswith(magic)), None)
    if opener is None and not data.startswith(b"PK\x03\x04"):
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            raise StudyError(f"{source}: is compressed with zstd; unpack it first (unzstd)")
        return data
    try:
        stream = opener(io.BytesIO(data)) if opener else _member(io.BytesIO(data), source)
        return read_whole(stream, source, LIMIT, "unpacks to")
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise StudyError(f"{source}: is compressed, but cut off or damaged ({error}); compress it again") from None


def _member(file: io.BytesIO, source: str | Path) -> io.IOBase:
    """The one file in a zip archive."""
    archive = zipfile.ZipFile(file)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "xl/workbook.xml" in names:
        raise StudyError(f"{source}: is an Excel workbook; save its sheet as CSV")
    if len(names) != 1:
        raise StudyError(f"{source}: is a zip archive of {len(names)} files; unpack it and name the one that is meant")
    return archive.open(names[0])


def as_text(data: bytes, source: str | Path) -> str:
    """Decode UTF-8, or UTF-16 that begins with its mark, as Windows writes it."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError(f"{source}: is not text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
