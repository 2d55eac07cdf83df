"""The places of the generated scenes: sea, road, kitchen, ... painted in a few layers of gradient, noise, pattern.

Colour images are float32 (3, H, W) arrays in 0..255 and colours are (3, 1, 1), so that masks and mixing weights,
(H, W) in 0..1, broadcast over them. `u, v` are coordinates on a ground plane seen in perspective: tiles, planks,
lanes and rails converge by themselves.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wsl.scenes.art import from_image, palette, to_image

SKIES = (
    ("4A90D0", "CFE6F5"),
    ("6FAAD8", "E8F1F5"),
    ("8FA3B5", "DDE3E8"),
    ("5C6FA8", "F6C9A0"),
    ("3F74B5", "F3E3C3"),
)
WOODS = ("B98A5A", "8C6242", "CDAA7D", "A57448", "D8B98C")


def rgb(code: str) -> np.ndarray:
    """The colour "RRGGBB", (3, 1, 1)."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32).reshape(3, 1, 1)


def jitter(rng: np.random.Generator, code: str, amount: float = 14) -> np.ndarray:
    """The colour "RRGGBB", a little varied, (3, 1, 1)."""
    return (rgb(code) + rng.normal(0, amount, (3, 1, 1)).astype(np.float32)).clip(0, 255)


def mix(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """a where t = 0, b where t = 1."""
    return a + t * (b - a)


def smooth(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high` on, with a soft step between (or falling, where high < low)."""
    t = ((x - np.float32(low)) * np.float32(1 / (high - low))).clip(0, 1)
    return t * t * (3 - 2 * t)


def stripe(x: np.ndarray, half_width: float) -> np.ndarray:
    """1 where |x| < half_width, with a soft edge."""
    return smooth(np.abs(x), half_width, 0.65 * half_width)


def noise(rng: np.random.Generator, shape, across: float, down: float, octaves: int = 3) -> np.ndarray:
    """Smooth noise in 0..1 of shape (h, w), with about `across` x `down` features in the coarsest octave."""
    total, weight = np.zeros((2, 2), np.float32), 0.0
    for k in range(octaves):
        grid = rng.random((max(2, round(down * 2**k)), max(2, round(across * 2**k))), np.float32)
        total = _resize(total, grid.shape) + np.float32(0.55**k) * grid
        weight += 0.55**k
    return (_resize(total, shape) / np.float32(weight)).clip(0, 1)


def _resize(values: np.ndarray, shape) -> np.ndarray:
    image = Image.fromarray(values).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


@dataclass(frozen=True)
class Backdrop:
    """A painted place: its pixels (3, H, W) float32, the row of its horizon, below which objects stand, and its colour of air."""

    pixels: np.ndarray
    horizon: int
    air: np.ndarray  # (3, 1, 1)


class Painter:
    """Paints backdrops of w x h pixels.

    The methods from `sky` on are places: each returns the pixels, the row of the horizon and the colour of the air.
    The others are layers. `rows` restricts a painter to some rows of the picture: what lies below the horizon is
    painted there only.
    """

    def __init__(self, rng: np.random.Generator, w: int, h: int, rows: slice = slice(None)):
        self.rng, self.w, self.h = rng, w, h
        self.x = np.arange(w, dtype=np.float32)[None, :]  # (1, W)
        self.y = np.arange(h, dtype=np.float32)[rows, None]  # (rows, 1)
        self.shape = (self.y.size, w)

    def paint(self, place: str) -> Backdrop:
        pixels, horizon, air = getattr(self, place)()
        return Backdrop(np.ascontiguousarray(pixels, np.float32).clip(0, 255), round(horizon), air)

    # -------------------------------------------------------------------------------------------------- layers

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def between(self, low: float, high: float) -> np.float32:
        return np.float32(self.rng.uniform(low, high))

    def noise(self, across: float, down: float, octaves: int = 3) -> np.ndarray:
        return noise(self.rng, self.shape, across, down, octaves)

    def below(self, horizon: float) -> "Painter":
        """A painter of the rows from `horizon` on."""
        return Painter(self.rng, self.w, self.h, slice(round(horizon), None))

    def over(self, pixels: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """`pixels` with its lowest rows replaced by `ground`."""
        return np.concatenate([pixels[:, : pixels.shape[1] - ground.shape[1]], ground], axis=1)

    def heaven(self, horizon: float, cloudy: float = 0.5) -> np.ndarray:
        """A sky with clouds, paler towards the horizon."""
        top, low = SKIES[self.rng.choice(len(SKIES), p=[0.35, 0.25, 0.15, 0.12, 0.13])]
        t = (self.y / max(horizon, 1)).clip(0, 1)
        sky = mix(jitter(self.rng, top), jitter(self.rng, low, 6), t)
        cover = self.noise(self.between(2, 4), self.between(3, 7), 4)
        return mix(sky, rgb("FFFFFF") - self.between(0, 18), 0.85 * cloudy * smooth(cover, 0.5, 0.72) * (1 - 0.5 * t))

    def plane(self, depth: float = 0.12):
        """Perspective: u (across), v (away from the viewer), t (0 in the first row of this painter .. 1 in the last)."""
        t = (self.y - self.y[0]) / max(self.y[-1, 0] - self.y[0, 0], 1)
        v = 1 / (t + np.float32(depth))
        return (self.x / self.w - 0.5) * v, v, t

    def ground(self, far, near, grain: float = 26, across: float = 40):
        """Open ground from colour `far` to `near` with grain that grows towards the viewer: pixels, u, v, t."""
        u, v, t = self.plane()
        texture = noise(self.rng, (256, 256), 24, 24)
        iu, iv = (u * across + 128).astype(np.int32) % 256, (v * across).astype(np.int32) % 256
        shade = 2 * grain * (texture[iv, iu] - 0.5) * (0.25 + t) + 34 * (self.noise(3, 5, 2) - 0.5)
        return mix(far, near, t**0.7) + shade, u, v, t

    def ridge(self, base: float, height: float, rough: float) -> np.ndarray:
        """(h, w) mask of hills whose crest undulates up to `height` pixels above row `base`."""
        crest = base - height * (0.25 + 0.75 * noise(self.rng, (2, self.w), rough, 2, 4)[:1])
        return smooth(self.y - crest, -1, 1)

    def skyline(self, pixels: np.ndarray, horizon: float) -> np.ndarray:
        """Two slightly blurred rows of houses with windows on the horizon."""
        image = to_image(pixels)
        pen = ImageDraw.Draw(image)
        for row, tall in enumerate((0.8, 0.5)):
            x = -self.between(0, 30)
            while x < self.w:
                wide, high = self.w * self.between(0.06, 0.17), horizon * tall * self.between(0.35, 0.95)
                wall = palette(self.rng) * 0.22 + jitter(self.rng, "B9A896", 20) * 0.6 + 35 * (1 - row)
                pen.rectangle((x, horizon - high, x + wide, horizon + 2), fill=_ink(wall))
                columns, floors = int(self.rng.integers(3, 6)), max(int(3.2 * high / wide), 1)
                dx, dy, glass = wide / columns, high / floors, _ink(wall * self.pick(0.62, 1.25))
                for i, j in np.ndindex(floors, columns):
                    left, top = x + (j + 0.25) * dx, horizon - high + (i + 0.3) * dy
                    pen.rectangle((left, top, left + 0.5 * dx, top + 0.45 * dy), fill=glass)
                x += wide + self.between(-2, 6)
        return from_image(image.filter(ImageFilter.GaussianBlur(self.w / 320)))

    def trees(self, pixels, horizon, height, colour):
        """A line of foliage on the horizon."""
        leaves = colour + 55 * (self.noise(30, 30, 2) - 0.6)
        return mix(pixels, leaves, 0.95 * self.ridge(horizon + 2, height, self.w / 40))

    def wall(self, floor: float) -> np.ndarray:
        """An indoor wall down to row `floor`: plain, striped, dotted or panelled, lit from one side."""
        base = palette(self.rng) * 0.28 + jitter(self.rng, "D8CFC2", 16) * 0.72
        period, kind = self.w / self.between(7, 18), self.rng.integers(4)
        pixels = base + np.zeros(self.shape, np.float32)
        if kind == 1:
            pixels = pixels + self.pick(-14, 14) * np.sign(np.sin(2 * np.pi * self.x / period))
        elif kind == 2:
            dx = self.x % period - period / 2
            dy = (self.y + (self.x // period % 2) * period / 2) % period - period / 2
            dots = smooth(np.hypot(dx, dy), 0.2 * period, 0.14 * period)
            pixels = mix(pixels, base * self.pick(0.82, 1.12), dots)
        elif kind == 3:
            rail = self.y - 0.62 * floor
            pixels = mix(pixels, base * 0.82, smooth(rail, -1, 1)) - 30 * stripe(rail, self.h / 90)
        glow = 0.95 + self.pick(-0.22, 0.22) * (self.x / self.w - 0.5) - 0.1 * self.y / self.h
        return pixels * glow + 8 * (self.noise(4, 4) - 0.5)

    def tiled_wall(self, horizon: float) -> np.ndarray:
        size = self.w / self.between(9, 15)
        gx, gy = self.x / size, (self.y - horizon) / (size * self.pick(1.0, 0.6))
        joint = smooth(np.minimum(np.abs(gx - np.round(gx)), np.abs(gy - np.round(gy))), 0.02, 0.06)
        accents = (self.rng.random((64, 64)) < self.pick(0.0, 0.12)).astype(np.float32)
        accent = accents[np.floor(gy).astype(int) % 64, np.floor(gx).astype(int) % 64]
        base = palette(self.rng) * 0.15 + jitter(self.rng, "E3EAEA", 10) * 0.85
        tiles = mix(base, palette(self.rng) * 0.4 + 110, 0.8 * accent)
        return tiles * ((0.86 + 0.14 * joint) * (1.03 - 0.2 * self.x / self.w))

    def planks(self, code: str) -> np.ndarray:
        """A wooden floor or table top in perspective."""
        u, v, t = self.plane(self.between(0.25, 0.5))
        lines = u * self.between(4, 8)
        board = np.floor(lines).astype(np.int32)
        tone = self.rng.uniform(-16, 16, 64).astype(np.float32)[board % 64]
        tone = tone + 14 * np.sin(40 * v + 3 * np.sin(7 * u) + board.astype(np.float32) * 1.7)
        gap = smooth(np.abs(lines - np.round(lines)), 0.0, 0.06)
        pixels = jitter(self.rng, code, 10) * (0.78 + 0.3 * t) + 0.6 * tone * (0.3 + 0.7 * t)
        return pixels * (0.72 + 0.28 * gap)

    def tiles(self, a: np.ndarray, b: np.ndarray, size: float) -> np.ndarray:
        """A tiled floor in perspective, colours a and b in turn, with joints."""
        u, v, t = self.plane(0.3)
        gu, gv = u * size, v * (0.8 * size)
        check = (np.floor(gu) + np.floor(gv)) % 2
        joint = smooth(np.minimum(np.abs(gu - np.round(gu)), np.abs(gv - np.round(gv))), 0.0, 0.07)
        return mix(a, b, check) * ((0.72 + 0.28 * t) * (0.82 + 0.18 * joint))

    def room(self, horizon: float, floor: np.ndarray) -> np.ndarray:
        """Wall, skirting board and floor."""
        board = stripe(self.y - horizon + 0.022 * self.h, 0.022 * self.h)
        pixels = self.over(mix(self.wall(horizon), rgb("E6E2DA"), board), floor)
        return pixels * (1 - 0.25 * np.exp(-np.abs(self.y - horizon) / (0.03 * self.h)))

    def rug(self, pixels: np.ndarray, horizon: float) -> np.ndarray:
        """An elliptic rug on the floor."""
        deep = self.h - horizon
        dx = (self.x / self.w - self.between(0.3, 0.7)) / self.between(0.25, 0.42)
        dy = (self.y - horizon - deep * self.between(0.45, 0.7)) / (deep * self.between(0.25, 0.4))
        r, colour = np.hypot(dx, dy), palette(self.rng) * 0.6 + 70
        cloth = mix(colour, colour * 0.75, smooth(np.sin(28 * r), 0.1, 0.5))
        cloth = cloth + 10 * self.rng.standard_normal(self.shape, np.float32)
        return mix(pixels, cloth, smooth(r, 1.0, 0.97))

    def window(self, pixels: np.ndarray, horizon: float) -> np.ndarray:
        """A window in the wall, with the sky behind it."""
        left, top = self.w * self.between(0.05, 0.6), horizon * self.between(0.08, 0.25)
        wide, high = self.w * self.between(0.18, 0.32), horizon * self.between(0.4, 0.55)
        fx, fy, bar = (self.x - left) / wide, (self.y - top) / high, self.w / 90
        across = np.minimum(np.minimum(fx, 1 - fx), np.abs(fx - 0.5)) * wide < bar
        along = np.minimum(np.minimum(fy, 1 - fy), np.abs(fy - 0.45)) * high < bar
        view = np.where(across | along, rgb("F4F1EA"), self.heaven(0.8 * horizon))
        return np.where((fx > 0) & (fx < 1) & (fy > 0) & (fy < 1), view, pixels)

    # -------------------------------------------------------------------------------------------------- places

    def sky(self):
        horizon = self.h * self.between(0.78, 0.95)
        pixels = self.heaven(horizon, 1.0)
        for k, code in enumerate(("8FA7B5", "6F8F6A")):
            hills = self.ridge(horizon + k * 0.06 * self.h, self.h * 0.12, 4)
            pixels = mix(pixels, jitter(self.rng, code), hills)
        return pixels, horizon, rgb("CFE0EC")

    def sea(self):
        horizon = self.h * self.between(0.3, 0.52)
        pixels = self.heaven(horizon)
        if self.rng.random() < 0.5:
            pixels = mix(pixels, jitter(self.rng, "7B93A3"), self.ridge(horizon + 2, self.h * 0.1, 3))
        low = self.below(horizon)
        water, u, v, t = low.ground(jitter(self.rng, "7FB6CF"), jitter(self.rng, "1F5F8F"), 10)
        waves = np.sin(26 * v + 30 * low.noise(5, 6)) * low.noise(9, 18, 2)
        foam = smooth(low.noise(12, 36, 2), 0.66, 0.8) * (0.2 + 0.8 * t)
        water = mix(water + 24 * waves * (0.3 + t), rgb("FFFFFF"), 0.5 * foam)
        if self.rng.random() < 0.4:  # a beach in front
            bend = 8 * np.sin(self.x / self.w * self.between(4, 9) + self.between(0, 6))
            shore = low.y - (self.h * self.between(0.75, 0.88) + bend)
            sand = jitter(self.rng, "E3CFA0", 8) + 26 * (low.noise(60, 40, 2) - 0.5)
            water = mix(mix(water, rgb("F5FAFA"), 0.8 * smooth(shore, -7, -1)), sand, smooth(shore, 0, 5))
        return self.over(pixels, water), horizon, rgb("CFE0EC")

    def road(self):
        horizon = self.h * self.between(0.36, 0.5)
        pixels = self.heaven(horizon, 0.6)
        if self.rng.random() < 0.7:
            pixels = self.skyline(pixels, horizon)
        else:
            pixels = self.trees(pixels, horizon, self.h * 0.16, jitter(self.rng, "55784A"))
        low, verge = self.below(horizon), jitter(self.rng, self.pick("7F9A5B", "A9A39A"))
        ground, u, v, t = low.ground(0.6 * verge + 0.4 * rgb("CDD5D8"), verge, 20)
        asphalt = jitter(self.rng, "6B6E72", 6) + 22 * (low.noise(80, 50, 2) - 0.5) + 12 * (1 - t)
        s = (u - self.between(-0.25, 0.25)) / self.between(0.55, 0.8)  # -1 .. 1 from kerb to kerb
        ground = mix(ground, jitter(self.rng, "B9B4AB", 6), smooth(np.abs(s), 1.2, 1.17))
        ground = mix(ground, asphalt, smooth(np.abs(s), 1.03, 1.0))
        dashes = stripe(s, 0.04) * (np.sin(v * self.between(5, 8)) > 0)
        lines = np.maximum(dashes, stripe(np.abs(s) - 0.92, 0.03))
        return self.over(pixels, mix(ground, rgb("EFEDE3"), 0.85 * lines)), horizon, rgb("CBD3D8")

    def park(self):
        horizon = self.h * self.between(0.35, 0.5)
        pixels = self.heaven(horizon)
        for k, code in enumerate(("6E9560", "4F7A45")):
            pixels = self.trees(pixels, horizon + 2 * k, self.h * (0.3 - 0.14 * k), jitter(self.rng, code))
        low = self.below(horizon)
        grass, u, v, t = low.ground(jitter(self.rng, "9CBF72"), jitter(self.rng, "5E9142"), 30, 60)
        bend = u + 0.25 * np.sin(v * self.between(0.8, 1.6)) - self.between(-0.3, 0.3)
        path = jitter(self.rng, "D6C6A4", 8) + 20 * (low.noise(70, 45, 2) - 0.5)
        return self.over(pixels, mix(grass, path, smooth(np.abs(bend), 0.3, 0.27))), horizon, rgb("D5E2D5")

    def station(self):
        horizon = self.h * self.between(0.32, 0.45)
        pixels = self.skyline(self.heaven(horizon, 0.6), horizon)
        low = self.below(horizon)
        ground, u, v, t = low.ground(jitter(self.rng, "B3AEA6"), jitter(self.rng, "85807A"), 40, 90)
        s = u - self.between(-0.35, 0.1)
        sleepers = smooth(np.abs(s), 0.42, 0.4) * (np.sin(22 * v) > 0.2) * smooth(t, 0.02, 0.2)
        ground = mix(ground, jitter(self.rng, "5E4A3A", 6), 0.8 * sleepers)
        ground = mix(ground, rgb("C9CDD2"), stripe(np.abs(s) - 0.28, 0.03))
        platform = jitter(self.rng, "C3BDB3", 8) + 10 * (low.noise(30, 18, 2) - 0.5)
        ground = mix(ground, platform, smooth(s, 0.6, 0.62))
        ground = mix(ground, jitter(self.rng, "E8C33A", 6), stripe(s - 0.68, 0.03))
        return self.over(pixels, ground), horizon, rgb("D0D3D4")

    def hills(self, hill_colours, far: str, near: str, rise: float, flowers: float):
        horizon = self.h * self.between(0.34, 0.5)
        pixels = self.heaven(horizon)
        for k, code in enumerate(hill_colours):
            shade = jitter(self.rng, code) + 22 * (self.noise(9, 9) - 0.5)
            pixels = mix(pixels, shade, self.ridge(horizon + 2, self.h * rise * (1 - 0.5 * k), 3 + 3 * k))
        low = self.below(horizon)
        ground, u, v, t = low.ground(jitter(self.rng, far), jitter(self.rng, near), 30, 60)
        dots = Image.fromarray((self.rng.random(low.shape, np.float32) < flowers * t).astype(np.uint8))
        petals = np.asarray(dots.filter(ImageFilter.MaxFilter(3)), np.float32)
        return self.over(pixels, mix(ground, jitter(self.rng, "F5E9A0", 40), 0.8 * petals)), horizon

    def meadow(self):
        scene = self.hills(("94AFA0", "7FA369"), "A9C77B", "5F953F", 0.18, self.between(0, 0.006))
        return *scene, rgb("D5E2D5")

    def savanna(self):
        scene = self.hills(("A99A86", "B8A468"), "D9C184", "B58F45", 0.1, self.pick(0, 0, 0.003))
        return *scene, rgb("E3D9BF")

    def snow(self):
        horizon = self.h * self.between(0.4, 0.55)
        pixels = self.heaven(horizon)
        for k in range(2):
            cap = smooth(self.noise(10, 14), 0.42, 0.55)
            rock = mix(jitter(self.rng, "8795A8", 8), rgb("F4F7FA"), cap)
            pixels = mix(pixels, rock, self.ridge(horizon + 2, self.h * (0.38 - 0.16 * k), 3 + 4 * k))
        ground, u, v, t = self.below(horizon).ground(rgb("D9E3ED"), jitter(self.rng, "F5F8FB", 4), 8)
        return self.over(pixels, ground), horizon, rgb("E4EBF2")

    def sports(self):
        horizon = self.h * self.between(0.28, 0.42)
        crowd = self.rng.random((3, self.h // 4 + 1, self.w // 4 + 1), np.float32).repeat(4, 1).repeat(4, 2)
        crowd = jitter(self.rng, "6C7488", 10) + 90 * (crowd[:, : self.h, : self.w] - 0.5)
        pixels = mix(self.heaven(horizon), crowd, smooth(self.y, 0.35 * horizon, 0.37 * horizon))
        pixels = mix(pixels, palette(self.rng) * 0.5 + 60, smooth(self.y, 0.88 * horizon, 0.89 * horizon))
        court = jitter(self.rng, self.pick("5F9A45", "6BA04B", "B9653F", "3F7FA0"), 8)
        ground, u, v, t = self.below(horizon).ground(court * 1.12, court, 16, 60)
        ground = ground + 9 * np.sign(np.sin(9 * u))
        side, back = self.between(0.4, 0.7), self.between(1.2, 2.5)
        lines = np.maximum(stripe(np.abs(u) - side, 0.03), stripe(v - back, 0.05) * (np.abs(u) < side))
        return self.over(pixels, mix(ground, rgb("F5F5F0"), 0.9 * lines)), horizon, rgb("D5DDD5")

    def living(self):
        horizon = self.h * self.between(0.55, 0.72)
        pixels = self.room(horizon, self.below(horizon).planks(self.pick(*WOODS)))
        if self.rng.random() < 0.5:
            pixels = self.window(pixels, horizon)
        if self.rng.random() < 0.6:
            pixels = self.rug(pixels, horizon)
        return pixels, horizon, rgb("D8CFC2")

    def dining(self):
        horizon = self.h * self.between(0.5, 0.68)
        pixels = self.room(horizon, self.below(horizon).planks(self.pick(*WOODS)))
        return self.window(pixels, horizon) if self.rng.random() < 0.5 else pixels, horizon, rgb("D8CFC2")

    def bedroom(self):
        horizon, carpet = self.h * self.between(0.55, 0.7), palette(self.rng) * 0.35 + 110
        pixels = self.room(horizon, self.below(horizon).ground(carpet * 0.95, carpet, 22, 90)[0])
        return self.window(pixels, horizon) if self.rng.random() < 0.5 else pixels, horizon, rgb("D8CFC2")

    def kitchen(self):
        horizon, colour = self.h * self.between(0.5, 0.68), palette(self.rng) * 0.3 + 120
        floor = self.below(horizon).tiles(colour, colour * 0.8, self.between(3, 5))
        return self.over(self.tiled_wall(horizon), floor), horizon, rgb("DDE0DD")

    def bath(self):
        horizon, colour = self.h * self.between(0.55, 0.72), jitter(self.rng, "C9DDE3")
        floor = self.below(horizon).tiles(colour, colour * 0.86, self.between(4, 7))
        return self.over(self.tiled_wall(horizon), floor), horizon, rgb("DDE6E8")

    def tabletop(self):
        horizon = self.h * self.between(0.08, 0.28)
        low = self.below(horizon)
        if self.rng.random() < 0.5:
            top = low.planks(self.pick(*WOODS))
        else:  # a chequered cloth
            top = low.tiles(palette(self.rng) * 0.6 + 80, rgb("F3EFE6"), self.between(4, 7))
        wall = to_image(self.wall(self.h)).filter(ImageFilter.BoxBlur(4))
        return self.over(from_image(wall) * 0.85, top), horizon, rgb("E0D8CC")

    def desk(self):
        horizon = self.h * self.between(0.4, 0.58)
        top = self.below(horizon).planks(self.pick(*WOODS))
        return self.over(self.wall(horizon), top), horizon, rgb("DDD5CA")

    def studio(self):
        """A plain or clouded backdrop with soft discs of light: no place in particular."""
        a, b = palette(self.rng) * 0.55 + 70, palette(self.rng) * 0.55 + 70
        angle = self.rng.uniform(0, 2 * np.pi)
        t = np.float32(np.cos(angle)) * (self.x / self.w - 0.5) + np.float32(np.sin(angle)) * (self.y / self.h - 0.5)
        pixels = mix(a, b, (0.3 + 0.54 * t + 0.8 * (self.noise(3, 3) - 0.5)).clip(0, 1))
        for _ in range(self.rng.integers(3, 9)):
            r = np.hypot(self.x - self.between(0, self.w), self.y - self.between(0, self.h))
            disc = smooth(r / (self.w * self.between(0.03, 0.16)), 1.0, 0.8)
            pixels = mix(pixels, palette(self.rng) * 0.4 + 150, 0.35 * disc)
        return pixels, self.h * 0.3, (a + b) / 2


def _ink(colour: np.ndarray) -> tuple[int, int, int]:
    return tuple(int(c) for c in colour.ravel().clip(0, 255))
