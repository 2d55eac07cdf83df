"""Anyone's own photographs: the classes found in them and one point each (Section 6, Figure 6)."""

from __future__ import annotations

import csv
import glob
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsl.data.geometry import Grid
from wsl.data.images import SUFFIXES, read_image, upright_size
from wsl.errors import StudyError
from wsl.files import whole_file
from wsl.network.engines import OpenVinoEngine, one_pool
from wsl.network.features import canvas_of, maps_at
from wsl.network.heads import ArrayHead, check_head, read_head
from wsl.network.lite import LITES
from wsl.network.trunk import Trunk, load_trunk
from wsl.systems.predict import Tester, read

if TYPE_CHECKING:
    import pandas as pd

# Heads that come with the library, by the names that --head takes; trained on samples of real photographs.
SHIPPED = {name: Path(str(files("wsl.systems") / "heads" / f"{name}-sample.safetensors")) for name in ("voc", "coco")}
SHIPPED_HEAD = SHIPPED["voc"]
DRAWN = "_localized.png"  # end of the name of a picture with crosses
LONGEST = 200  # bytes of its beginning: a name may have 255, while it is written with an ending of its own
PANEL, GAP, TITLE = 420, 12, 30  # pixels of the drawn picture
YELLOW = "#ffdd33"  # the crosses of Figure 6
HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])  # matplotlib's "inferno", each quarter


@dataclass(frozen=True)
class Localization:
    """What the network sees in one picture."""

    rgb: np.ndarray  # (h, w, 3) uint8, upright; a large JPEG is reduced, to no less than the canvas
    size: tuple[int, int]  # width, height of the picture itself
    classes: list[dict]  # best first: class, score, probability, x, y (pixels of the picture, 0-based)
    maps: dict[str, np.ndarray]  # score map (n, m) of each class at s = 1, covering the square canvas
    canvas: int

    @property
    def detected(self) -> list[dict]:
        """Those of `classes` that are more likely there than not."""
        return [row for row in self.classes if row["probability"] >= 0.5]

    def best(self, top: int | None = None) -> list[dict]:
        """The `top` best of `classes`, or those detected."""
        return self.detected if top is None else self.classes[:top]

    @property
    def found(self) -> pd.DataFrame:
        """`classes` as a table, one row a class."""
        import pandas as pd  # as long as half a photograph, and `wsl localize` does without

        return pd.DataFrame(self.classes)


@dataclass(frozen=True)
class Localizer:
    """A head with its trunk, ready for pictures."""

    tester: Tester
    about: dict
    trunk: Trunk

    @one_pool()
    def __call__(self, path: Path) -> Localization:
        """Scores and points as `predict` gives them: scores are means of the maxima over scales, points by `stretch`."""
        canvas = self.about["canvas"]
        sides = self.tester.sides(canvas)
        if None in sides:
            raise StudyError(f"{path}: a head of full_images finds classes, not places; give one of weak_sup with --head")
        size, rgb = upright_size(path), read_image(path, longest=canvas)
        square = canvas_of(rgb, self.trunk, canvas)[0][None]
        features = {side: maps_at(self.trunk, square, side) for side in sides}
        # "stretch" asks for the number of cells alone, not for their centres, which PyTorch would have to measure
        grids = {side: Grid(self.trunk.grid_cells(side), self.trunk.stride, np.nan) for side in sides}
        scores, points, maps = read(self.tester, features, grids, canvas, [size], ["stretch"])
        rows = zip(self.about["classes"], scores[0, 0].tolist(), points[0, 0].tolist(), strict=True)
        classes = [{"class": c, "score": s, "probability": 0.5 + 0.5 * math.tanh(s / 2), "x": x, "y": y} for c, s, (x, y) in rows]
        classes.sort(key=lambda row: -row["score"])
        at_one = maps[int(np.argmin([abs(side - canvas) for side in sides]))][0]
        return Localization(rgb, size, classes, dict(zip(self.about["classes"], at_one, strict=True)), canvas)


def load_localizer(head: Path | None = None, weights: Path | None = None, convention: str | None = None) -> Localizer:
    """A shipped head (`head`: voc, which None stands for, or coco) or the one in the file `head`, with its trunk."""
    path = SHIPPED.get(str(head or "voc")) or Path(head)
    state, about = read_head(path)
    if weights is None and about["trunk"] not in LITES:  # a file from elsewhere must not start a download
        raise StudyError(f"{path}: was trained on trunk {about['trunk']!r}; give that network's weights with --weights FILE")
    trunk = load_trunk(about["trunk"], weights, convention)
    check_head(path, about, trunk.name, trunk.weights_sha256)
    scales = () if about["system"].startswith("full_images") else about["test_scales"]
    if isinstance(trunk.engine, OpenVinoEngine) and state["ca.weight"].shape[-1] == 1:
        head = ArrayHead(state)
    else:
        from wsl.network.model import load_head

        head = load_head(path)[0].to(trunk.device)
    tester = Tester(head, scales)
    trunk.engine.prepare([side or trunk.input_size for side in tester.sides(about["canvas"])])
    return Localizer(tester, about, trunk)


def localize(path: Path, head: Path | None = None) -> Localization:
    """`load_localizer(head)(path)`: for a single picture."""
    return load_localizer(head)(path)


def find_photographs(given: Sequence[Path]) -> list[Path]:
    """The files that are meant: each one itself, the pictures in a folder, or what fits a pattern (`trip/**/*.jpg`).

    Each comes once; in folders and patterns, what `draw` has written and the "._" files of macOS are left out.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()]
            what = "no picture in this folder"
        elif any(mark in str(path) for mark in "*?[") and not path.exists():
            inside = [Path(name) for name in glob.glob(str(path), recursive=True) if not Path(name).is_dir()]
            what = "no file has such a name"
        else:
            found.append(path)
            continue
        inside = [file for file in inside if not file.name.endswith(DRAWN) and not file.name.startswith("._")]
        if not inside:
            raise StudyError(f"{path}: {what}; name files, a folder of pictures or a pattern")
        found += sorted(inside)
    return list(dict.fromkeys(found))


def names_of_drawings(photographs: Sequence[Path], folder: Path) -> list[Path]:
    """A file in `folder` for the drawing of each, no two alike and none of them a photograph: IMG_1, then IMG_1-2.

    A long name is cut, as the drawing's is longer than its photograph's.
    """
    taken = {str(path.resolve()).lower() for path in photographs}  # some file systems do not tell A from a
    names = []
    for path in photographs:
        number, stem = 1, path.stem
        while len(os.fsencode(stem)) > LONGEST:
            stem = stem[:-1]
        while True:
            name = folder / f"{stem}{f'-{number}' if number > 1 else ''}{DRAWN}"
            if (key := str(name.resolve()).lower()) not in taken:
                break
            number += 1
        taken.add(key)
        names.append(name)
    return names


def write_csv(report: Sequence[dict], path: Path) -> None:
    """One row for each class found in each photograph; columns as `wsl evaluate` reads them, and the probability.

    report: dicts of `image` and `found`, rows of `Localization.classes`.
    """
    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "score", "x", "y", "probability"])
        for one in report:
            for row in one["found"]:
                writer.writerow([one["image"], *(row[key] for key in ("class", "score", "x", "y", "probability"))])


def draw(result: Localization, path: Path, found: Sequence[dict] | None = None, most: int = 6) -> Path:
    """A PNG: the picture, then for each class found (the best one if none is) its heat map and a yellow cross.

    found: rows of `result.classes`; those detected unless given. By PIL: importing matplotlib takes as long as looking at the
    photograph.
    """
    found = list(result.detected if found is None else found)[:most] or result.classes[:1]
    picture = Image.fromarray(result.rgb)
    picture.thumbnail((PANEL, PANEL), Image.Resampling.LANCZOS)
    to_panel = picture.width / result.size[0]
    sheet = Image.new("RGB", ((PANEL + GAP) * (1 + len(found)) - GAP, TITLE + picture.height), "white")
    sheet.paste(picture, (0, TITLE))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for panel, row in enumerate(found, 1):
        left = panel * (PANEL + GAP)
        sheet.paste(heated(picture, result.maps[row["class"]]), (left, TITLE))
        pen.text((left, TITLE / 2), f"{row['class']}: {row['probability']:.2f}", "black", font, "lm")
        x, y = left + (row["x"] + 0.5) * to_panel - 0.5, TITLE + (row["y"] + 0.5) * to_panel - 0.5
        for width, colour in ((7, "black"), (3, YELLOW)):  # a dark rim keeps the cross visible on bright ground
            pen.line((x - 12, y, x + 12, y), colour, width)
            pen.line((x, y - 12, x, y + 12), colour, width)
    with whole_file(path) as temporary:
        sheet.save(temporary, "png")
    return path


def heated(picture: Image.Image, scores: np.ndarray) -> Image.Image:
    """The picture in grey under a score map (n, m) of the square canvas, on which it lies top-left: dark to bright."""
    square = Image.fromarray(scores).resize([max(picture.size)] * 2, Image.Resampling.BILINEAR)
    heat = np.asarray(square)[: picture.height, : picture.width]
    heat = (heat - scores.min()) / max(np.ptp(scores), 1e-9)
    colours = np.stack([np.interp(heat, np.linspace(0, 1, len(HEAT)), channel) for channel in HEAT.T], 2)
    alpha, grey = 0.85 * heat[..., None], 0.85 * np.asarray(picture).mean(2, keepdims=True)
    return Image.fromarray(((1 - alpha) * grey + alpha * colours).astype(np.uint8))
