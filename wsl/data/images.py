"""Photographs from disk, and the square canvas that the network sees (Section 4).

"All training images are first rescaled to have the largest side of size 500 pixels and zero-padded
to 500x500": the picture lies top-left, the padding is zero after normalisation, that is, the mean colour.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps

from wsl.errors import StudyError
from wsl.files import check_regular

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
    """The picture as uint8 RGB (H, W, 3).

    `size` is the (width, height) that the annotation states; without it the EXIF orientation is applied,
    with it only if that gives the stated size. `longest` lets JPEG files decode at a reduced size that is
    still at least so long, which bounds memory for very large pictures.
    Errors: StudyError that names the file where it is missing, empty, truncated or of another size.
    """
    try:
        with _open(path) as picture:
            stored = picture.size
            if longest and max(stored) >= 2 * longest:
                picture.draft("RGB", (longest, longest) if stored[0] == stored[1] else extent_on_canvas(stored, longest))
            if picture.width * picture.height > MAX_PIXELS:
                raise StudyError(f"{path}: {stored[0]}x{stored[1]} pixels are more than {MAX_PIXELS:,}; scale it down")
            turned = picture.getexif().get(0x0112, 1) >= 5  # orientations 5..8 swap the sides
            upright = (stored[1], stored[0]) if turned else stored
            if size is not None and tuple(size) not in (stored, upright):
                raise StudyError(
                    f"{path}: is {stored[0]}x{stored[1]} pixels, its annotation says {size[0]}x{size[1]}; "
                    "restore the original file"
                )
            deep = picture.mode.startswith("I")  # 16 bits a pixel, which convert() would clip
            rgb = (picture.point(lambda v: v / 256).convert("L") if deep else picture).convert("RGB")
            if size is None or (turned and tuple(size) == upright != stored):
                rgb = ImageOps.exif_transpose(_with_exif(rgb, picture))
            return np.asarray(rgb)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such image; check the data root (`wsl data check`)") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise StudyError(f"{path}: not a readable image ({error}); it may be empty or cut off: fetch it again") from None


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is seen, its EXIF orientation applied."""
    read_image(path, longest=1)
    with _open(path) as picture:
        turned = picture.getexif().get(0x0112, 1) >= 5
        return picture.size[::-1] if turned else picture.size


def extent_on_canvas(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) with the longest side rescaled to `longest` pixels, at least one pixel each."""
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _with_exif(rgb: Image.Image, picture: Image.Image) -> Image.Image:
    rgb.info["exif"] = picture.info.get("exif", b"")
    return rgb


def on_canvas(rgb: np.ndarray, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The picture with its longest side rescaled to `side` pixels: uint8 (h, w, 3), and (w, h)."""
    width, height = extent_on_canvas((rgb.shape[1], rgb.shape[0]), side)
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)), (width, height)


def warped(rgb: np.ndarray, side: int) -> np.ndarray:
    """The whole picture warped to side x side pixels, uint8: the FULL IMAGES input."""
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR))
