"""Anyone's own photographs: the classes found in them and one point each (Section 6, Figure 6)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.images import read_image, upright_size
from wsl.errors import StudyError
from wsl.files import whole_file
from wsl.network.engines import one_pool
from wsl.network.features import canvas_of, maps_at
from wsl.network.model import check_head, load_head
from wsl.network.trunk import Trunk, load_trunk
from wsl.profile import method_of
from wsl.systems.predict import MAPPINGS, Tester, read

SHIPPED_HEAD = Path(str(files("wsl.systems") / "heads" / "voc-sample.safetensors"))


@dataclass(frozen=True)
class Localization:
    """What the network sees in one picture."""

    rgb: np.ndarray  # (h, w, 3) uint8, upright; a large JPEG is reduced, to no less than the canvas
    size: tuple[int, int]  # width, height of the picture itself
    found: pd.DataFrame  # one row a class, best first: class, score, probability, x, y (pixels of the picture, 0-based)
    maps: dict[str, np.ndarray]  # score map (n, m) of each class at s = 1, covering the square canvas
    canvas: int


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
        grids = {side: self.trunk.grid(side) for side in sides}
        scores, points, maps = read(self.tester, features, grids, canvas, [size])
        score, (x, y) = scores[0, 0], points[MAPPINGS.index("stretch"), 0].T
        columns = {"class": self.about["classes"], "score": score, "probability": 1 / (1 + np.exp(-score)), "x": x, "y": y}
        found = pd.DataFrame(columns).sort_values("score", ascending=False, kind="stable", ignore_index=True)
        at_one = maps[int(np.argmin([abs(side - canvas) for side in sides]))][0]
        return Localization(rgb, size, found, dict(zip(self.about["classes"], at_one, strict=True)), canvas)


def load_localizer(head: Path | None = None, weights: Path | None = None, convention: str | None = None) -> Localizer:
    """The shipped head (VOC classes, trained on real photographs), or the one in `head`, with its trunk."""
    path = Path(head) if head else SHIPPED_HEAD
    adaptation, about = load_head(path)
    trunk = load_trunk(about["trunk"], weights, convention)
    check_head(path, about, trunk.name, trunk.weights_sha256)
    scales = () if method_of(about.get("system", "")) == "full_images" else tuple(about["test_scales"])
    return Localizer(Tester(adaptation.to(trunk.device), scales), about, trunk)


def localize(path: Path, head: Path | None = None) -> Localization:
    """`load_localizer(head)(path)`: for a single picture."""
    return load_localizer(head)(path)


def draw(result: Localization, path: Path, most: int = 6) -> Path:
    """A PNG: the picture, then for each class found (the best one if none is) its heat map and a yellow cross."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from wsl.pages.pictures import YELLOW, overlay, resize_to

    found = result.found[result.found["probability"] >= 0.5].head(most)
    found = result.found.head(1) if found.empty else found
    small = resize_to(result.rgb, 640)
    to_small = small.shape[1] / result.size[0]
    figure, axes = plt.subplots(1, 1 + len(found), figsize=(4.2 * (1 + len(found)), 4.2), squeeze=False)
    axes[0, 0].imshow(small)
    for axis, row in zip(axes[0, 1:], found.itertuples(index=False), strict=True):
        scores = result.maps[row[0]]
        axis.imshow(overlay(small, scores, float(scores.min()), float(scores.max())))
        axis.plot((row.x + 0.5) * to_small - 0.5, (row.y + 0.5) * to_small - 0.5, "+", color=YELLOW, ms=18, mew=3)
        axis.set_title(f"{row[0]}: {row.probability:.2f}")
    for axis in axes[0]:
        axis.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path
