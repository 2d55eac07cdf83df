"""Real photographs that Python packages carry: what they are, whose, under which terms.

Nothing is downloaded and nothing is copied into this repository: the files are read where scikit-image and
matplotlib installed them. Terms are quoted from those packages.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from wsl.data.images import read_image


@dataclass(frozen=True)
class Photograph:
    """One photograph of a package."""

    title: str
    package: str
    file: str  # below the package's folder
    terms: str  # whose it is and under which terms, with the place that says so
    classes: tuple[str, ...] = ()  # what it shows, in the words of VOC and of COCO

    @property
    def path(self) -> Path:
        return Path(str(files(self.package) / self.file))

    def read(self) -> np.ndarray:
        """uint8 RGB (H, W, 3)."""
        return read_image(self.path)


PHOTOGRAPHS = {
    "motorcycle_left": Photograph(
        "a motorbike",
        "skimage",
        "data/motorcycle_left.png",
        "Middlebury 2014 stereo benchmark: N. Nesic, P. Westling, X. Wang, Y. Kitajima, G. Krathwohl, "
        "D. Scharstein, Middlebury College; Scharstein et al., GCPR 2014 (docstring of "
        "`skimage.data.stereo_motorcycle`, which states no terms of its own). Shipped with scikit-image, "
        "whose `LICENSE.txt` puts all files under BSD-3-Clause.",
        ("motorbike", "motorcycle"),
    ),
    "astronaut": Photograph(
        "the astronaut Eileen Collins",
        "skimage",
        "data/astronaut.png",
        "NASA Great Images database; “no known copyright restrictions, released into the public domain” "
        "(docstring of `skimage.data.astronaut`).",
        ("person",),
    ),
    "chelsea": Photograph(
        "Chelsea the cat",
        "skimage",
        "data/chelsea.png",
        "“No copyright restrictions. CC0 by the photographer (Stefan van der Walt)” "
        "(docstring of `skimage.data.cat`).",
        ("cat",),
    ),
    "coffee": Photograph(
        "a cup of coffee",
        "skimage",
        "data/coffee.png",
        "“No copyright restrictions. CC0 by the photographer (Rachel Michetti)”; courtesy of Pikolo Espresso "
        "Bar (docstring of `skimage.data.coffee`).",
        ("cup",),
    ),
    "grace_hopper": Photograph(
        "Grace Hopper",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "Public domain: matplotlib took it in as a public-domain image (its pull request 1599); the file's "
        "own comment names its source, commons.wikimedia.org/wiki/File:Grace_Hopper.jpg.",
        ("person",),
    ),
}
