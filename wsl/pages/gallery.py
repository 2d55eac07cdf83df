"""Which pictures the book shows, and with which maps and points: chosen by rule from a run, never by hand.

A run's images are shown where they are on this machine (scenes always are); of recorded runs on real
photographs only numbers and the score maps of freely licensed photographs are in the repository.
"""

import html
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.data.images import read_image
from wsl.data.photographs import PHOTOGRAPHS
from wsl.errors import StudyError
from wsl.evaluation.evaluate import TOLERANCE
from wsl.evaluation.runs import read_run
from wsl.evaluation.views import Views
from wsl.evaluation.views import read as read_views
from wsl.findings.results import Column
from wsl.pages import pictures, tables
from wsl.pages.show import NOT_ATTEMPTED, Html
from wsl.profile import load_profile

OUTCOMES = ("found", "wrong location", "false positive", "not detected")


def dataset_of(profile: str, runs: str | Path, data_root: str = "", split: str = "val") -> Dataset | None:
    """The data set whose pictures can be shown, or None where its images are not on this machine."""
    try:
        dataset = load_profile(profile, root=data_root or None).dataset(split, Path(runs))
    except StudyError:
        return None
    return dataset if Path(dataset.files[0]).is_file() else None


def weak_sup_table(column: Column, seed: int = 0) -> pd.DataFrame | None:
    """The predictions of weak supervision with columns `probability` (Eq. 2) and `outcome`, or None without
    a run.

    A class is detected where its probability is above one half. `outcome`: "found" (detected, present,
    the point hits), "wrong location" (detected, present, the point misses), "false positive" (detected,
    absent), "not detected" (present, below one half), "" otherwise. Difficult-only images (label 0) have no
    outcome.
    """
    runs = [run for run in column.runs("weak_sup") if run.seed == seed]
    if not runs:
        return None
    table = read_run(runs[0].folder)[0]
    table["probability"] = 1 / (1 + np.exp(-table["score"].astype(float)))
    detected, present = table["score"] > 0, table["label"] > 0
    hit = table["distance"] <= TOLERANCE
    cases = [
        detected & present & hit,
        detected & present & ~hit,
        detected & (table["label"] < 0),
        ~detected & present,
    ]
    table["outcome"] = np.select(cases, OUTCOMES, "")
    return table


def outcome_shares(table: pd.DataFrame) -> dict[str, int]:
    """How many (image, class) pairs had each outcome."""
    counts = table["outcome"].value_counts()
    return {outcome: int(counts.get(outcome, 0)) for outcome in OUTCOMES}


def outcome_table(columns: list[Column]) -> Html:
    """How often each outcome happened, a row a column of runs."""
    rows = []
    for column in columns:
        table = weak_sup_table(column)
        counts = outcome_shares(table) if table is not None else {}
        total = max(1, sum(counts.values()))
        texts = [f"{counts[o]:,} ({counts[o] / total:.0%})" if counts else NOT_ATTEMPTED for o in OUTCOMES]
        rows.append((html.escape(column.title), [tables.Cell(text, column.source) for text in texts]))
    heads = [[(text, 1, "") for text in ("data", *OUTCOMES)]]
    caption = "Outcomes of weak supervision, one seed, counted over pairs of image and class; a share is of all four outcomes "
    caption += "together, false positives included."
    return tables.table(heads, rows, caption, "outcomes")


def choose(table: pd.DataFrame, outcome: str, count: int) -> list[str]:
    """Image ids that show an outcome: the most confident case of each class first, one image once.

    For "not detected" the least confident. Ties keep the order of the table.
    """
    cases = table[table["outcome"] == outcome]
    cases = cases.sort_values("score", ascending=outcome == "not detected", kind="stable")
    cases = cases.assign(rank=cases.groupby("class").cumcount()).sort_values("rank", kind="stable")
    return list(dict.fromkeys(cases["image"]))[:count]


def crosses(table: pd.DataFrame, image: str) -> list[tuple[float, float, str]]:
    """(x, y, label) of each class detected: "the most confident location per object per class"."""
    rows = table[(table["image"] == image) & (table["score"] > 0)]
    columns = rows[["x", "y", "class", "probability"]]
    return [(x, y, f"{name} {p:.2f}") for x, y, name, p in columns.itertuples(index=False)]


@dataclass(frozen=True)
class Album:
    """The test images of a run of weak supervision: what is beside the run, and the pictures where they are on this machine.

    A picture that is not here may have a public address: the page shows its boxes and crosses on an empty ground, and loads
    the photograph when a reader asks for it.
    """

    views: Views
    dataset: Dataset | None = None

    def picture(self, image: str) -> np.ndarray | pictures.Remote:
        if self.dataset is not None:
            return picture(image, self.dataset)
        about = self.views.pictures.loc[image]
        return pictures.Remote(int(about["width"]), int(about["height"]), about["address"])

    @property
    def host(self) -> str:
        """Where the photographs can be loaded from; empty where they are here, or have no address."""
        first = self.views.pictures["address"].iloc[0]
        return urlsplit(first).netloc if self.dataset is None else ""


def album(column: Column, runs: str | Path, data_root: str = "", seed: int = 0) -> Album | None:
    """The album of a run; None where no `wsl views` was made, or the pictures are neither here nor have an address."""
    folder = column.folder("weak_sup", seed)
    found = read_views(folder) if (folder / "manifest.json").is_file() else None
    if found is None:
        return None
    own = Album(found, dataset_of(column.profile, runs, data_root))
    return own if own.dataset is not None or own.host else None


def names_with(table: pd.DataFrame, image: str, outcome: str) -> list[str]:
    """Classes that had `outcome` in an image."""
    return table.loc[(table["image"] == image) & (table["outcome"] == outcome), "class"].to_list()


def evolution_maps(column: Column, seed: int = 0) -> dict[tuple[str, str], np.ndarray]:
    """{(picture, class): float32 (epochs + 1, n, m)}, score maps after each epoch; empty where none are."""
    path = column.folder("weak_sup", seed) / "evolution.safetensors"
    if not path.is_file():
        return {}
    from safetensors.numpy import load_file

    maps = {tuple(key.rsplit("/", 1)): value.astype(np.float32) for key, value in load_file(path).items()}
    return dict(sorted(maps.items()))


def picture(name: str, dataset: Dataset | None = None) -> np.ndarray | None:
    """An image by name: a packaged photograph, or one of the data set; None if it is not here."""
    if name in PHOTOGRAPHS:
        return PHOTOGRAPHS[name].read()
    if dataset is None or name not in dataset.images:
        return None
    return read_image(dataset.files[dataset.images.index(name)])


def evolution_columns(runs: Column, dataset: Dataset | None, epochs=(0, 1, 2, 4, 8, 99), width: int = 220):
    """Figure 1: (columns, row labels) for `pictures.grid`: each recorded picture and its map after `epochs`.

    Pictures of `dataset`, with the boxes of the class, or without one the packaged photographs.
    """
    columns, labels = [], []
    for (name, cls), maps in evolution_maps(runs).items():
        rgb = picture(name, dataset) if (name in PHOTOGRAPHS) == (dataset is None) else None
        if rgb is not None:
            chosen = sorted({min(epoch, len(maps) - 1) for epoch in epochs})
            labels = ["image", *(f"epoch {epoch}" for epoch in chosen)]
            small = pictures.resize_to(rgb, width)
            frames = evolution_frames(small, maps[chosen])
            shown = [(small, f"picture with {cls}")]
            shown += [(frame, f"{cls} scores, {label}") for frame, label in zip(frames, labels[1:], strict=True)]
            boxes = [] if dataset is None else boxes_of(dataset, name, cls) / max(1, rgb.shape[1] / width)
            title = f"{cls} {appearance(dataset, name, cls)}".strip()
            columns.append((title, [(pictures.with_boxes(frame, boxes), alt) for frame, alt in shown]))
    return sorted(columns, key=lambda column: ("unusual" in column[0], "motor" not in column[0])), labels


def evolution_frames(rgb: np.ndarray, maps: np.ndarray) -> list[np.ndarray]:
    """The picture under each of its maps (epochs, n, m). Brightness is the probability of each cell (Equation 2), from 0 to 1:
    the scores themselves would make the untrained map, whose scores all lie near the upper end, bright everywhere."""
    return [pictures.overlay(rgb, 1 / (1 + np.exp(-one)), 0.0, 1.0) for one in maps]


def boxes_of(dataset: Dataset, image: str, cls: str) -> np.ndarray:
    """(M, 4) ground-truth boxes of a class in an image, pixels."""
    b = dataset.boxes
    return b.xyxy[(b.image == dataset.images.index(image)) & (b.cls == dataset.classes.index(cls))]


def appearance(dataset: Dataset | None, image: str, cls: str) -> str:
    """ "(usual)" or "(unusual)" where the data set says how a class is drawn in an image."""
    if dataset is None:
        return ""
    own = (dataset.boxes.image == dataset.images.index(image)) & (
        dataset.boxes.cls == dataset.classes.index(cls)
    )
    poses = {dataset.boxes.pose[i] for i in np.flatnonzero(own)}
    return f"({poses.pop()})" if len(poses) == 1 and poses <= {"usual", "unusual"} else ""


def cards(table: pd.DataFrame | None, album: Album | None, outcome: str, count: int) -> list[tuple[str, str]]:
    """Pictures that show an outcome, chosen by `choose`; none without a run or without its album."""
    if table is None or album is None:
        return []
    return [card(table, album, image, outcome) for image in choose(table, outcome, count)]


def card(table: pd.DataFrame, album: Album, image: str, outcome: str) -> tuple[str, str]:
    """(picture with its crosses and the boxes of the classes in question, caption) for one image that shows `outcome`."""
    names, points = names_with(table, image, outcome), crosses(table, image)
    labels = ", ".join(dict.fromkeys(label for *_, label in points)) or "nothing detected"
    body = pictures.with_points(
        album.picture(image), points, f"Picture {image}; crosses: {labels}", 360, album.views.boxes(image, names)
    )
    return body, f"{outcome}: {', '.join(names)}"
