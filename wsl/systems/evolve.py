"""Figure 1: what the score maps, and the measures, look like after each epoch of training.

Works from the heads that the training of `weak_sup` keeps after each epoch. Everything is tested at one scale, s = 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from wsl.data.dataset import Dataset
from wsl.data.images import read_image
from wsl.data.photographs import PHOTOGRAPHS
from wsl.errors import StudyError
from wsl.evaluation.evaluate import TOLERANCE, evaluate_table
from wsl.files import whole_file
from wsl.network.features import Features, canvas_of, maps_at
from wsl.network.model import load_head
from wsl.network.trunk import Trunk
from wsl.systems.predict import HeadReader, Tester


def epoch_readers(folder: Path, features: Features) -> list[HeadReader]:
    """What reads the evaluation images with the heads of all epochs of a run, the one before training first."""
    files = sorted((folder / "epochs").glob("*.safetensors"))
    if not files:
        raise StudyError(f"{folder / 'epochs'}: no heads of single epochs; train weak_sup first (`wsl train`)")
    heads = [load_head(path)[0].to(features.trunk.device) for path in files]
    return [HeadReader(Tester(head, (1.0,)), features) for head in heads]


def write_evolution(folder: Path, readers: list[HeadReader], generated: bool) -> Path:
    """Write discovery.csv, evolution.safetensors and evolution.csv to `folder`, which it returns."""
    features = readers[0].features
    tables = [reader.table() for reader in readers]
    _write_csv(folder / "discovery.csv", discovery(tables, features.dataset))
    heads, chosen = [reader.tester.head for reader in readers], pictures(features.dataset, generated)
    with whole_file(folder / "evolution.safetensors") as temporary:
        save_file(score_maps(heads, features.trunk, features.canvas, chosen, features.dataset.classes), temporary)
    _write_csv(folder / "evolution.csv", measures(tables))
    return folder


def measures(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """AP and location AP of each class after each epoch: columns epoch, class, ap, location_ap."""
    frames = [evaluate_table(df)[["class", "ap", "location_ap"]].assign(epoch=epoch) for epoch, df in enumerate(tables)]
    return pd.concat(frames)[["epoch", "class", "ap", "location_ap"]]


def discovery(tables: list[pd.DataFrame], dataset: Dataset) -> pd.DataFrame:
    """First epoch from which on the point stays a hit: columns image, class, appearance, epoch (empty if never).

    One row for each image and class present. appearance: "usual" or "unusual" where all its objects are drawn so.
    """
    present = dataset.labels.ravel() > 0
    hits = np.stack([df["distance"].to_numpy()[present] <= TOLERANCE for df in tables])  # (epochs + 1, rows)
    misses_after = np.cumsum(~hits[::-1], axis=0)[::-1]
    epoch = np.where(hits[-1], (misses_after > 0).sum(0), np.nan)
    poses: dict[tuple[int, int], set[str]] = {}
    for image, cls, pose in zip(dataset.boxes.image, dataset.boxes.cls, dataset.boxes.pose, strict=True):
        poses.setdefault((int(image), int(cls)), set()).add(pose)
    rows = zip(*np.nonzero(dataset.labels > 0), strict=True)
    found = [poses[int(i), int(k)] for i, k in rows]
    appearance = [p.pop() if len(p) == 1 and p <= {"usual", "unusual"} else "" for p in found]
    frame = tables[0].loc[present, ["image", "class"]]
    return frame.assign(appearance=appearance, epoch=pd.array(epoch, "Float64").astype("Int64"))


def pictures(dataset: Dataset, scenes: bool) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Pictures whose maps are kept: {name: (file, classes)}. Photographs of packages, and on scenes motorbikes:
    of the images with a single one, the two largest of usual and the two largest of unusual appearance."""
    chosen = {name: (photo.path, photo.classes) for name, photo in PHOTOGRAPHS.items()}
    names = [k for k, name in enumerate(dataset.classes) if name in ("motorbike", "motorcycle")]
    if scenes and names:
        boxes = dataset.boxes
        own = np.flatnonzero(boxes.cls == names[0])
        image, count = np.unique(boxes.image[own], return_counts=True)
        own = own[np.isin(boxes.image[own], image[count == 1])]
        extent = (boxes.xyxy[own, 2:] - boxes.xyxy[own, :2]).prod(1)
        own = own[np.argsort(-extent, kind="stable")]
        for pose in sorted({boxes.pose[i] for i in own}, reverse=True):
            for i in [i for i in own if boxes.pose[i] == pose][:2]:
                index = int(boxes.image[i])
                chosen[dataset.images[index]] = (dataset.files[index], (dataset.classes[names[0]],))
    return chosen


def score_maps(
    heads: list[torch.nn.Module],
    trunk: Trunk,
    canvas: int,
    chosen: dict[str, tuple[Path, tuple[str, ...]]],
    classes: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """{"<picture>/<class>": float16 (epochs + 1, n, m)} at s = 1; the map covers the whole canvas."""
    maps = {}
    for name, (path, wanted) in chosen.items():
        features = maps_at(trunk, canvas_of(read_image(path, longest=canvas), trunk, canvas)[0][None], canvas)
        stack = np.stack([head.score_maps(features)[0].cpu().numpy() for head in heads])  # (epochs + 1, K, n, m)
        for cls in wanted:
            if cls in classes:
                maps[f"{name}/{cls}"] = np.ascontiguousarray(stack[:, classes.index(cls)], np.float16)
    return maps


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    with whole_file(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6f")
