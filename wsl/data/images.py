"""Photographs from disk, and the square canvas that the network sees (Section 4).

"All training images are first rescaled to have the largest side of size 500 pixels and zero-padded
to 500x500": the picture lies top-left, the padding is zero after normalisation, that is, the mean colour.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, UnidentifiedImageError

from wsl.errors import StudyError
from wsl.files import check_regular

# Endings of pictures, the likelier first; HEIC is one, though it cannot be read: it is named, with what to do about it
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".mpo", ".heic", ".heif")
TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), start=2))  # EXIF orientation -> what makes it upright  # fmt: skip
MAX_PIXELS = 200_000_000  # what a format that cannot be decoded at reduced size may hold: 3.3 GiB of memory, drawing included
_GUARD = Lock()


def _open(path: Path) -> Image.Image:
    """`Image.open` without its limit of pixels, which would refuse a wide JPEG before it could be decoded at reduced size.

    MAX_PIXELS stands in its place. The limit belongs to the process: it is lifted for the opening alone.
    """
    check_regular(path, "give a picture file")
    with _GUARD:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def read_image(path: Path, size: tuple[int, int] | None = None, longest: int | None = None) -> np.ndarray:
    """The picture as uint8 RGB (H, W, 3); the first one of an animation.

    `size` is the (width, height) that the annotation states; without it the EXIF orientation is applied,
    with it only if that gives the stated size. `longest` lets JPEG files decode at a reduced size that is
    still at least so long, which bounds memory for very large pictures.
    Errors: StudyError that names the file where it is missing, empty, truncated, no picture or of another size.
    """
    return _read(path, size, longest)[0]


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is seen, its EXIF orientation applied."""
    return _read(path, None, 1)[1]


def _read(path: Path, size: tuple[int, int] | None, longest: int | None) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels, perhaps reduced, and the (width, height) of the whole picture as it is seen."""
    try:
        with _open(path) as picture:
            if picture.format == "EPS":  # a program, for which Pillow would start Ghostscript
                raise StudyError(f"{path}: a drawing in the format EPS; export it as PNG")
            stored = picture.size
            if longest and max(stored) >= 2 * longest:
                picture.draft("RGB", (longest, longest) if stored[0] == stored[1] else extent_on_canvas(stored, longest))
            if picture.width * picture.height > MAX_PIXELS:
                raise StudyError(f"{path}: {stored[0]}x{stored[1]} pixels are more than {MAX_PIXELS:,}; scale it down")
            if picture.format == "TIFF":  # Pillow turns it upright while it loads it, and only then is its size sure
                picture.load()
                stored = picture.size
            orientation = _orientation(picture)
            upright = stored[::-1] if orientation >= 5 else stored  # orientations 5..8 swap the sides
            if size is not None and tuple(size) not in (stored, upright):
                raise StudyError(
                    f"{path}: is {stored[0]}x{stored[1]} pixels, its annotation says {size[0]}x{size[1]}; "
                    "restore the original file, or correct the annotation"
                )
            rgb = _rgb(picture)
            if orientation in TURNS and (size is None or tuple(size) == upright != stored):
                rgb = rgb.transpose(TURNS[orientation])
            return np.asarray(rgb), upright
    except FileNotFoundError:
        raise StudyError(f"{path}: no such image; check its name and folder") from None
    except IsADirectoryError:
        raise StudyError(f"{path}: is a folder, not a picture") from None
    except PermissionError:
        raise StudyError(f"{path}: may not be read; change its permissions") from None
    except OSError as error:
        if error.errno is not None:  # of the system (a link to itself, a broken disk), not of Pillow
            raise StudyError(f"{path}: cannot be read ({error.strerror}); check the file") from None
        raise StudyError(f"{path}: not a readable image: {_reason(path, error)}") from None
    except (SyntaxError, ValueError, EOFError, KeyError, TypeError, struct.error, zlib.error) as error:
        raise StudyError(f"{path}: not a readable image: {_reason(path, error)}") from None


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be read as a picture, told from its first bytes, and what to do about it."""
    with open(path, "rb") as file:
        head = file.read(512)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "it is empty, or was cut off before its first byte; restore the original file"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"):
        return "a picture in the format HEIC, as telephones take it; convert it to JPEG"
    if b"<svg" in start:
        return "a drawing in the format SVG, which has no pixels; export it as PNG"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"{")):
        return "a web page or other text, not the picture itself; fetch the picture that it shows, as JPEG or PNG"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the picture itself; fetch it with `git lfs pull`"
    if start.startswith(b"%pdf"):
        return "a document in the format PDF; export its picture as JPEG or PNG"
    known = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"II*", b"MM")
    if isinstance(error, UnidentifiedImageError) and not head.startswith(known):
        return "of a format that Pillow does not know; convert it to JPEG or PNG"
    return f"cut off, damaged, or of a kind that Pillow does not know ({error}); restore the original file, or convert it to PNG"


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, where its block is damaged, and for a TIFF, once loaded."""
    if picture.format == "TIFF":
        return 1
    try:
        orientation = picture.getexif().get(0x0112, 1)
    except Exception:  # of many kinds; the pixels are whole without it, and every viewer shows them
        return 1
    return orientation if orientation in TURNS else 1


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel, which convert() would clip
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    picture.info.pop("transparency", None)  # convert() would drop it with a warning
    return picture.convert("RGB")


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    """Grey of any range as uint8. White is 65535 for integers, the first of 1, 255, 65535 that holds all floats, else the top."""
    steps = (1.0, 255.0, 65535.0) if grey.dtype.kind == "f" else (65535.0,)
    grey = np.nan_to_num(grey.astype(np.float64), nan=0, posinf=0, neginf=0).clip(0)
    top = grey.max(initial=0)
    full = next((step for step in steps if top <= step), top)
    return np.rint(grey * (255 / full)).astype(np.uint8)


def extent_on_canvas(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) with the longest side rescaled to `longest` pixels, at least one pixel each."""
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def on_canvas(rgb: np.ndarray, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The picture with its longest side rescaled to `side` pixels: uint8 (h, w, 3), and (w, h)."""
    width, height = extent_on_canvas((rgb.shape[1], rgb.shape[0]), side)
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)), (width, height)


def warped(rgb: np.ndarray, side: int) -> np.ndarray:
    """The whole picture warped to side x side pixels, uint8: the FULL IMAGES input."""
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR))
