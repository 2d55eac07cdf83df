"""The places of the generated scenes: sea, road, kitchen, ... each painted in a few layers of gradient,
noise and pattern.

Colour images are float32 (H, W, 3) arrays in 0..255; masks and mixing weights t are (H, W) in 0..1. `u, v`
are coordinates on a ground plane seen in perspective, so that tiles, planks, lanes and rails converge.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wsl.scenes_art import palette


def rgb(code: str) -> np.ndarray:
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32)


def jitter(rng: np.random.Generator, code: str, amount: float = 14) -> np.ndarray:
    """The colour "RRGGBB", a little varied."""
    return (rgb(code) + rng.normal(0, amount, 3)).clip(0, 255).astype(np.float32)


def noise(
    rng: np.random.Generator, h: int, w: int, across: float, down: float, octaves: int = 4
) -> np.ndarray:
    """(h, w) smooth noise in 0..1 with about `across` x `down` features in the coarsest octave."""
    total, weight = np.zeros((h, w), np.float32), 0.0
    for k in range(octaves):
        grid = rng.random((max(2, round(down * 2**k)), max(2, round(across * 2**k)))).astype(np.float32)
        total += 0.55**k * np.asarray(Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC))
        weight += 0.55**k
    return (total / weight).clip(0, 1)


def mix(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """a where t = 0, b where t = 1; t (h, w), colours (3,) or (h, w, 3)."""
    t = np.asarray(t, np.float32)[..., None]
    return np.asarray(a, np.float32) + t * np.asarray(b - a, np.float32)


def smooth(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Backdrop:
    """A painted place: pixels (H, W, 3) float32, row of the horizon (things stand below it), the colour of its air."""

    pixels: np.ndarray
    horizon: int
    air: np.ndarray


class Painter:
    """Paints backdrops of w x h pixels; one method a kind of place, each a few layers of gradient, noise and pattern."""

    def __init__(self, rng: np.random.Generator, w: int, h: int):
        self.rng, self.w, self.h = rng, w, h
        self.y, self.x = np.mgrid[0:h, 0:w].astype(np.float32)

    def paint(self, kind: str) -> Backdrop:
        pixels, horizon, air = getattr(self, kind)()
        return Backdrop(np.ascontiguousarray(pixels, np.float32).clip(0, 255), int(horizon), air)

    # -- layers
    def backdrop_sky(self, horizon: float, cloudy: float = 0.5) -> np.ndarray:
        """Sky gradient with clouds, over the whole picture (the ground covers the rest)."""
        rng = self.rng
        top, low = [
            ("4A90D0", "CFE6F5"),
            ("6FAAD8", "E8F1F5"),
            ("8FA3B5", "DDE3E8"),
            ("5C6FA8", "F6C9A0"),
            ("3F74B5", "F3E3C3"),
        ][rng.choice(5, p=[0.35, 0.25, 0.15, 0.12, 0.13])]
        t = (self.y / max(horizon, 1)).clip(0, 1) ** 0.9
        sky = mix(jitter(rng, top), jitter(rng, low, 6), t)
        cover = noise(rng, self.h, self.w, rng.uniform(2, 4), rng.uniform(3, 7))
        return mix(
            sky, rgb("FFFFFF") - rng.uniform(0, 18), 0.85 * cloudy * smooth(cover, 0.5, 0.72) * (1 - 0.5 * t)
        )

    def plane(self, horizon: float, depth: float = 0.12):
        """Perspective coordinates below `horizon`: u (across), v (away), t (0 at the horizon .. 1 at the lower edge)."""
        t = ((self.y - horizon) / max(self.h - horizon, 1)).clip(0, 1)
        z = 1 / (t + depth)
        return (self.x / self.w - 0.5) * z, z, t

    def ground(self, horizon, far, near, grain: float = 26, across: float = 40):
        """A ground plane from colour `far` to `near` with grain that grows towards the viewer: pixels, u, v, t."""
        u, v, t = self.plane(horizon)
        texture = noise(self.rng, 256, 256, 24, 24, 3)
        iu, iv = (u * across + 128).astype(int) % 256, (v * across).astype(int) % 256
        pixels = mix(far, near, t**0.7) + (grain * (texture[iv, iu] - 0.5) * (0.25 + t))[..., None] * 2
        blotch = noise(self.rng, self.h, self.w, 3, 8, 2) - 0.5
        return pixels + 34 * blotch[..., None], u, v, t

    def ridge(self, base: float, height: float, rough: float) -> np.ndarray:
        """(h, w) mask of hills whose crest undulates `height` pixels above row `base`."""
        crest = base - height * (0.25 + 0.75 * noise(self.rng, 2, self.w, rough, 2, 4)[0])
        return smooth(self.y - crest[None, :], -1, 1)

    def over(self, pixels, horizon, ground):
        return mix(pixels, ground, smooth(self.y, horizon - 1, horizon + 1))

    def skyline(self, pixels: np.ndarray, horizon: float) -> np.ndarray:
        """Two blurred rows of houses with windows on the horizon."""
        rng = self.rng
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for row, tall in ((0, 0.8), (1, 0.5)):
            x = -rng.uniform(0, 30)
            while x < self.w:
                bw, bh = self.w * rng.uniform(0.06, 0.17), horizon * tall * rng.uniform(0.35, 0.95)
                wall = palette(rng) * 0.22 + jitter(rng, "B9A896", 20) * 0.6 + 35 * (1 - row)
                pen.rectangle(
                    (x, horizon - bh, x + bw, horizon + 2), fill=tuple(wall.clip(0, 255).astype(int))
                )
                glass = tuple((wall * rng.choice([0.62, 1.25])).clip(0, 255).astype(int))
                step, n = bw / rng.integers(3, 6), int(bh / (bw / 3.2))
                for i in range(n):
                    for j in range(int(bw / step)):
                        wx, wy = x + (j + 0.25) * step, horizon - bh + (i + 0.35) * bh / max(n, 1)
                        pen.rectangle((wx, wy, wx + step * 0.5, wy + bh / max(n, 1) * 0.45), fill=glass)
                x += bw + rng.uniform(-2, 6)
        return np.asarray(image.filter(ImageFilter.GaussianBlur(self.w / 320)), np.float32)

    def trees(self, pixels, horizon, height, colour):
        """A blurred line of foliage on the horizon."""
        mask = self.ridge(horizon + 2, height, self.w / 40)
        leaf = colour + (55 * (noise(self.rng, self.h, self.w, 30, 30, 2) - 0.6))[..., None]
        return mix(pixels, leaf, 0.95 * mask)

    def wall(self, floor: float):
        """An indoor wall: plain, striped, dotted or panelled, lit from one side."""
        rng = self.rng
        base = palette(rng) * 0.28 + jitter(rng, "D8CFC2", 16) * 0.72
        pixels = np.broadcast_to(base, (self.h, self.w, 3)).copy()
        period = self.w / rng.uniform(7, 18)
        kind = rng.integers(4)
        if kind == 1:
            pixels += (14 * np.sign(np.sin(2 * np.pi * self.x / period)))[..., None] * rng.choice([-1, 1])
        elif kind == 2:
            dx, dy = (
                self.x % period - period / 2,
                (self.y + (self.x // period % 2) * period / 2) % period - period / 2,
            )
            pixels = mix(
                pixels,
                base * rng.choice([0.82, 1.12]),
                smooth(dx**2 + dy**2, (0.2 * period) ** 2, (0.14 * period) ** 2),
            )
        elif kind == 3:
            pixels = mix(pixels, base * 0.82, (self.y > floor * 0.62).astype(np.float32))
            pixels -= (np.float32(30) * (np.abs(self.y - floor * 0.62) < self.h / 130))[..., None]
        side = rng.choice([-1, 1])
        glow = 1.06 - 0.22 * ((side * (self.x / self.w - 0.5)) + 0.5) - 0.10 * (self.y / self.h)
        return pixels * glow[..., None] + 8 * (noise(rng, self.h, self.w, 4, 4, 3) - 0.5)[..., None]

    def planks(self, horizon, code):
        """A wooden floor or table top in perspective."""
        rng = self.rng
        u, v, t = self.plane(horizon, rng.uniform(0.25, 0.5))
        lines = u * rng.uniform(4, 8)
        board = np.floor(lines).astype(int)
        shade = rng.uniform(-16, 16, 64)[board % 64] + 14 * np.sin(40 * v + 3 * np.sin(7 * u) + board * 1.7)
        gap = smooth(np.abs(lines - np.round(lines)), 0.0, 0.06)
        pixels = (
            jitter(rng, code, 10) * (0.78 + 0.3 * t)[..., None] + (0.6 * shade * (0.3 + 0.7 * t))[..., None]
        )
        return pixels * (0.72 + 0.28 * gap)[..., None]

    def tiles(self, horizon, a, b, size):
        """A tiled floor in perspective, colours a and b in turn, with joints."""
        u, v, t = self.plane(horizon, 0.3)
        gu, gv = u * size, v * size * 0.8
        check = (np.floor(gu) + np.floor(gv)) % 2
        joint = smooth(np.minimum(np.abs(gu - np.round(gu)), np.abs(gv - np.round(gv))), 0.0, 0.07)
        return mix(a, b, check) * (0.72 + 0.28 * t)[..., None] * (0.82 + 0.18 * joint)[..., None]

    def room(self, floor, low, high):
        """Wall, skirting board and floor; the floor begins between the heights `low` and `high` (fractions)."""
        horizon = self.h * self.rng.uniform(low, high)
        wall = self.wall(horizon)
        wall = mix(
            wall,
            rgb("F2EEE6") * 0.95,
            smooth(-np.abs(self.y - horizon + self.h * 0.022), -self.h * 0.02, -self.h * 0.016),
        )
        pixels = self.over(wall, horizon, floor(horizon))
        shade = 1 - 0.25 * np.exp(-np.abs(self.y - horizon) / (0.03 * self.h))
        return pixels * shade[..., None], horizon, rgb("D8CFC2")

    def rug(self, pixels, horizon):
        """An elliptic rug on the floor."""
        rng = self.rng
        cy, ry = (
            horizon + (self.h - horizon) * rng.uniform(0.45, 0.7),
            (self.h - horizon) * rng.uniform(0.25, 0.4),
        )
        r = np.hypot(
            (self.x - self.w * rng.uniform(0.3, 0.7)) / (self.w * rng.uniform(0.25, 0.42)), (self.y - cy) / ry
        )
        colour = palette(rng) * 0.6 + 70
        cloth = mix(
            colour, colour * 0.75, (np.sin(r * 28) > 0.3).astype(np.float32)
        ) + 10 * rng.standard_normal((self.h, self.w, 1), np.float32)
        return mix(pixels, cloth, smooth(r, 1.0, 0.97))

    def window(self, pixels, horizon):
        """A window with the sky behind it."""
        rng, s = self.rng, self.w
        x0, y0 = s * rng.uniform(0.05, 0.6), horizon * rng.uniform(0.08, 0.25)
        ww, wh = s * rng.uniform(0.18, 0.32), horizon * rng.uniform(0.4, 0.55)
        fx, fy = (self.x - x0) / ww, (self.y - y0) / wh
        inside = (fx > 0) & (fx < 1) & (fy > 0) & (fy < 1)
        bar = (np.minimum(np.minimum(fx, 1 - fx), np.abs(fx - 0.5)) * ww < s / 90) | (
            np.minimum(np.minimum(fy, 1 - fy), np.abs(fy - 0.45)) * wh < s / 90
        )
        view = np.where(bar[..., None], rgb("F4F1EA"), self.backdrop_sky(horizon * 0.8))
        return np.where(inside[..., None], view, pixels)

    # -- places: each returns pixels, row of the horizon, colour of the air
    def sky(self):
        horizon = self.h * self.rng.uniform(0.78, 0.95)
        pixels = self.backdrop_sky(horizon, 1.0)
        for k in range(2):
            hills = jitter(self.rng, ("8FA7B5", "6F8F6A")[k])
            pixels = mix(pixels, hills, self.ridge(horizon + k * 0.06 * self.h, self.h * 0.12, 4))
        return pixels, horizon, rgb("CFE0EC")

    def sea(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.3, 0.52)
        water, u, v, t = self.ground(horizon, jitter(rng, "7FB6CF"), jitter(rng, "1F5F8F"), 10)
        waves = np.sin(26 * v + 5 * noise(rng, self.h, self.w, 5, 9) * 6) * noise(
            rng, self.h, self.w, 9, 30, 2
        )
        water = water + (24 * waves * (0.3 + t))[..., None]
        water = mix(
            water,
            rgb("FFFFFF"),
            0.5 * smooth(noise(rng, self.h, self.w, 12, 60, 2), 0.66, 0.8) * (0.2 + 0.8 * t),
        )
        pixels = self.backdrop_sky(horizon)
        if rng.random() < 0.5:
            pixels = mix(pixels, jitter(rng, "7B93A3"), self.ridge(horizon + 2, self.h * 0.1, 3))
        pixels = self.over(pixels, horizon, water)
        if rng.random() < 0.4:  # a beach in front
            shore = self.h * rng.uniform(0.75, 0.88) + 8 * np.sin(
                self.x / self.w * rng.uniform(4, 9) + rng.uniform(0, 6)
            )
            sand = jitter(rng, "E3CFA0", 8) + (26 * (noise(rng, self.h, self.w, 60, 60, 2) - 0.5))[..., None]
            pixels = mix(
                mix(pixels, rgb("F5FAFA"), 0.8 * smooth(self.y - shore, -7, -1)),
                sand,
                smooth(self.y - shore, 0, 5),
            )
        return pixels, horizon, rgb("CFE0EC")

    def road(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.36, 0.5)
        pixels = self.backdrop_sky(horizon, 0.6)
        pixels = (
            self.skyline(pixels, horizon)
            if rng.random() < 0.7
            else self.trees(pixels, horizon, self.h * 0.16, jitter(rng, "55784A"))
        )
        verge = jitter(rng, *[("7F9A5B", 10), ("A9A39A", 8)][rng.integers(2)])
        ground, u, v, t = self.ground(horizon, mix(verge, rgb("CDD5D8"), np.float32(0.4)), verge, 20)
        asphalt = (
            jitter(rng, "6B6E72", 6)
            + (22 * (noise(rng, self.h, self.w, 80, 80, 2) - 0.5) + 12 * (1 - t))[..., None]
        )
        centre, half = rng.uniform(-0.25, 0.25), rng.uniform(0.55, 0.8)
        s = (u - centre) / half
        ground = mix(ground, jitter(rng, "B9B4AB", 6), smooth(np.abs(s), 1.2, 1.17))
        ground = mix(ground, asphalt, smooth(np.abs(s), 1.03, 1.0))
        dash = smooth(np.abs(s), 0.04, 0.025) * (np.sin(v * rng.uniform(5, 8)) > 0)
        edge = smooth(np.abs(np.abs(s) - 0.92), 0.03, 0.015)
        return (
            self.over(pixels, horizon, mix(ground, rgb("EFEDE3"), 0.85 * np.maximum(dash, edge))),
            horizon,
            rgb("CBD3D8"),
        )

    def park(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.35, 0.5)
        pixels = self.backdrop_sky(horizon)
        for k in range(2):
            pixels = self.trees(
                pixels, horizon + 2 * k, self.h * (0.3 - 0.14 * k), jitter(rng, ("6E9560", "4F7A45")[k])
            )
        grass, u, v, t = self.ground(horizon, jitter(rng, "9CBF72"), jitter(rng, "5E9142"), 30, 60)
        bend = u + 0.25 * np.sin(v * rng.uniform(0.8, 1.6)) - rng.uniform(-0.3, 0.3)
        path = jitter(rng, "D6C6A4", 8) + (20 * (noise(rng, self.h, self.w, 70, 70, 2) - 0.5))[..., None]
        return (
            self.over(pixels, horizon, mix(grass, path, smooth(np.abs(bend), 0.3, 0.27))),
            horizon,
            rgb("D5E2D5"),
        )

    def station(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.32, 0.45)
        pixels = self.skyline(self.backdrop_sky(horizon, 0.6), horizon)
        ground, u, v, t = self.ground(horizon, jitter(rng, "B3AEA6"), jitter(rng, "85807A"), 40, 90)
        s = u - rng.uniform(-0.35, 0.1)
        sleepers = smooth(np.abs(s), 0.42, 0.4) * (np.sin(v * 22) > 0.2) * smooth(t, 0.02, 0.2)
        ground = mix(ground, jitter(rng, "5E4A3A", 6), 0.8 * sleepers)
        for rail in (-0.28, 0.28):
            ground = mix(ground, rgb("C9CDD2"), smooth(np.abs(s - rail), 0.03, 0.02))
        platform = jitter(rng, "C3BDB3", 8) + (10 * (noise(rng, self.h, self.w, 30, 30, 2) - 0.5))[..., None]
        ground = mix(ground, platform, smooth(s, 0.6, 0.62))
        ground = mix(ground, jitter(rng, "E8C33A", 6), smooth(np.abs(s - 0.68), 0.03, 0.02))
        return self.over(pixels, horizon, ground), horizon, rgb("D0D3D4")

    def hills(self, far, near, colours, rise):
        rng = self.rng
        horizon = self.h * rng.uniform(0.34, 0.5)
        pixels = self.backdrop_sky(horizon)
        for k, code in enumerate(colours):
            shade = jitter(rng, code) + (22 * (noise(rng, self.h, self.w, 9, 9, 3) - 0.5))[..., None]
            pixels = mix(pixels, shade, self.ridge(horizon + 2, self.h * rise * (1 - 0.5 * k), 3 + 3 * k))
        ground, u, v, t = self.ground(horizon, jitter(rng, far), jitter(rng, near), 30, 60)
        return self.over(pixels, horizon, ground), horizon, t

    def flowers(self, pixels, t, amount):
        dots = self.rng.random((self.h, self.w)) < amount * t
        spread = (
            np.asarray(
                Image.fromarray((dots * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(3)), np.float32
            )
            / 255
        )
        return mix(pixels, jitter(self.rng, "F5E9A0", 40), 0.8 * spread)

    def meadow(self):
        pixels, horizon, t = self.hills("A9C77B", "5F953F", ("94AFA0", "7FA369"), 0.18)
        return self.flowers(pixels, t, self.rng.uniform(0, 0.006)), horizon, rgb("D5E2D5")

    def savanna(self):
        pixels, horizon, t = self.hills("D9C184", "B58F45", ("A99A86", "B8A468"), 0.1)
        return self.flowers(pixels, t, 0.003) if self.rng.random() < 0.3 else pixels, horizon, rgb("E3D9BF")

    def snow(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.4, 0.55)
        pixels = self.backdrop_sky(horizon, 0.5)
        for k in range(2):
            mask = self.ridge(horizon + 2, self.h * (0.38 - 0.16 * k), 3 + 4 * k)
            rock = mix(
                jitter(rng, "8795A8", 8),
                rgb("F4F7FA"),
                smooth(noise(rng, self.h, self.w, 10, 14, 3), 0.42, 0.55),
            )
            pixels = mix(pixels, rock, mask)
        ground, u, v, t = self.ground(horizon, rgb("E9EFF5"), jitter(rng, "F5F8FB", 4), 8)
        return (
            self.over(pixels, horizon, ground - rgb("281E14") * (1 - t)[..., None] * 0.4),
            horizon,
            rgb("E4EBF2"),
        )

    def sports(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.28, 0.42)
        crowd = jitter(rng, "6C7488", 10) + 90 * (rng.random((self.h // 4 + 1, self.w // 4 + 1, 3)) - 0.5)
        crowd = np.repeat(np.repeat(crowd, 4, 0), 4, 1)[: self.h, : self.w]
        pixels = mix(self.backdrop_sky(horizon), crowd, smooth(self.y, horizon * 0.35, horizon * 0.37))
        pixels = mix(pixels, palette(rng) * 0.5 + 60, (self.y > horizon * 0.88).astype(np.float32))
        court = jitter(rng, ["5F9A45", "6BA04B", "B9653F", "3F7FA0"][rng.integers(4)], 8)
        ground, u, v, t = self.ground(horizon, court * 1.12, court, 16, 60)
        ground += (9 * np.sign(np.sin(u * 9)))[..., None]
        side, back = rng.uniform(0.4, 0.7), rng.uniform(1.2, 2.5)
        line = np.maximum(
            smooth(np.abs(np.abs(u) - side), 0.03, 0.02),
            smooth(np.abs(v - back), 0.05, 0.03) * (np.abs(u) < side),
        )
        return self.over(pixels, horizon, mix(ground, rgb("F5F5F0"), 0.9 * line)), horizon, rgb("D5DDD5")

    def living(self):
        pixels, horizon, air = self.room(
            lambda y: self.planks(y, ["B98A5A", "8C6242", "CDAA7D"][self.rng.integers(3)]), 0.55, 0.72
        )
        if self.rng.random() < 0.5:
            pixels = self.window(pixels, horizon)
        return self.rug(pixels, horizon) if self.rng.random() < 0.6 else pixels, horizon, air

    def dining(self):
        pixels, horizon, air = self.room(
            lambda y: self.planks(y, ["A57448", "D2B48C"][self.rng.integers(2)]), 0.5, 0.68
        )
        return self.window(pixels, horizon) if self.rng.random() < 0.5 else pixels, horizon, air

    def bedroom(self):
        carpet = palette(self.rng) * 0.35 + 110
        pixels, horizon, air = self.room(
            lambda y: self.ground(y, carpet * 0.95, carpet, 22, 90)[0], 0.55, 0.7
        )
        return self.window(pixels, horizon) if self.rng.random() < 0.5 else pixels, horizon, air

    def tiled_wall(self, horizon):
        rng, size = self.rng, self.w / self.rng.uniform(9, 15)
        gx, gy = self.x / size, (self.y - horizon) / (size * rng.choice([1.0, 0.6]))
        joint = smooth(np.minimum(np.abs(gx - np.round(gx)), np.abs(gy - np.round(gy))), 0.02, 0.06)
        accent = (rng.random((64, 64)) < rng.choice([0.0, 0.12]))[
            np.floor(gy).astype(int) % 64, np.floor(gx).astype(int) % 64
        ]
        base = palette(rng) * 0.15 + jitter(rng, "E3EAEA", 10) * 0.85
        return (
            mix(base, palette(rng) * 0.4 + 110, 0.8 * accent)
            * (0.86 + 0.14 * joint)[..., None]
            * (1.03 - 0.2 * self.x / self.w)[..., None]
        )

    def kitchen(self):
        horizon = self.h * self.rng.uniform(0.5, 0.68)
        a = palette(self.rng) * 0.3 + 120
        return (
            self.over(
                self.tiled_wall(horizon), horizon, self.tiles(horizon, a, a * 0.8, self.rng.uniform(3, 5))
            ),
            horizon,
            rgb("DDE0DD"),
        )

    def bath(self):
        horizon = self.h * self.rng.uniform(0.55, 0.72)
        a = jitter(self.rng, "C9DDE3", 14)
        return (
            self.over(
                self.tiled_wall(horizon), horizon, self.tiles(horizon, a, a * 0.86, self.rng.uniform(4, 7))
            ),
            horizon,
            rgb("DDE6E8"),
        )

    def tabletop(self):
        rng = self.rng
        horizon = self.h * rng.uniform(0.08, 0.28)
        if rng.random() < 0.5:
            top = self.planks(horizon, ["B98A5A", "8C6242", "D8B98C"][rng.integers(3)])
        else:
            a = palette(rng) * 0.6 + 80
            top = self.tiles(horizon, a, rgb("F3EFE6"), rng.uniform(4, 7))
        room = np.asarray(
            Image.fromarray(self.wall(self.h).clip(0, 255).astype(np.uint8)).filter(
                ImageFilter.GaussianBlur(4)
            ),
            np.float32,
        )
        return self.over(room * 0.85, horizon, top), horizon, rgb("E0D8CC")

    def desk(self):
        horizon = self.h * self.rng.uniform(0.4, 0.58)
        top = self.planks(horizon, ["C79A66", "9A6F4A", "DCC7A6"][self.rng.integers(3)])
        return self.over(self.wall(horizon), horizon, top), horizon, rgb("DDD5CA")

    def studio(self):
        """A plain or clouded backdrop with soft discs of light: no place in particular."""
        rng = self.rng
        a, b = palette(rng) * 0.55 + 70, palette(rng) * 0.55 + 70
        angle = rng.uniform(0, 2 * np.pi)
        t = 0.5 + (np.cos(angle) * (self.x / self.w - 0.5) + np.sin(angle) * (self.y / self.h - 0.5)) * 0.9
        pixels = mix(a, b, (0.6 * t + 0.8 * (noise(rng, self.h, self.w, 3, 3) - 0.5)).clip(0, 1))
        for _ in range(rng.integers(3, 9)):
            r = np.hypot(self.x - rng.uniform(0, self.w), self.y - rng.uniform(0, self.h)) / (
                self.w * rng.uniform(0.03, 0.16)
            )
            pixels = mix(pixels, palette(rng) * 0.4 + 150, 0.35 * smooth(r, 1.0, 0.8))
        return pixels, self.h * 0.3, (a + b) / 2
