"""Region features for R-CNN*: RoI pooling over one shared map against warped crops, on a part of the training images.

Both see the same proposals and regions, and train the same linear classifiers without hard negatives; half of the
images train, half judge. The evaluation split is not touched.

    python benchmarks/region_features.py voc-sample --voc-root ROOT [--images 300] [--proposals 100]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from wsl.cli.arguments import add_profile_arguments, profile_of
from wsl.data.dataset import Dataset
from wsl.data.images import read_image
from wsl.evaluation.evaluate import evaluate_table
from wsl.network.engines import OpenVinoEngine, TorchEngine, converted, one_pool
from wsl.network.features import Features
from wsl.network.trunk import Trunk
from wsl.systems import rcnn
from wsl.systems.predict import table
from wsl.systems.proposals import selective_search
from wsl.systems.study import trunk_of

CONTEXT = 16 / 224  # of the warped crop on every side (Girshick et al. 2014)


def warped_crop(picture: Image.Image, box: np.ndarray, side: int) -> np.ndarray:
    """The box with its context, warped to side x side pixels; what lies outside the picture is grey."""
    x0, y0, x1, y1 = box + (0, 0, 1, 1)
    pad_x, pad_y = (length * CONTEXT / (1 - 2 * CONTEXT) for length in (x1 - x0, y1 - y0))
    corners = (x0 - pad_x, y0 - pad_y, x1 + pad_x, y1 + pad_y)
    how = (Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR)
    return np.asarray(picture.transform((side, side), *how, fillcolor=(127, 127, 127)))


def crop_features(trunk: Trunk, rgb: np.ndarray, boxes: np.ndarray) -> Tensor:
    """(P, C): the mean of the trunk's map of each warped crop."""
    picture = Image.fromarray(rgb)
    crops = torch.from_numpy(np.stack([trunk.normalise(warped_crop(picture, box, trunk.input_size)) for box in boxes]))
    return torch.cat([torch.as_tensor(trunk(part)).mean((2, 3)).cpu() for part in crops.split(32)])


def pooled_features(features: Features, image: int, boxes: np.ndarray, sides: list[int], grid: int) -> Tensor:
    """(P, C G G): RoI pooling over the maps of the canvas at `sides` pixels."""
    (maps,) = features.batches([[image]], [sides])
    read = partial(rcnn.pooled_regions, grid=grid)
    return rcnn.at_best_scale([m[0] for m in maps], sides, boxes, features, image, read).flatten(1).cpu()


def measure(dataset: Dataset, boxes: list[np.ndarray], describe, decay: float) -> str:
    """Train on the first half, judge on the second."""
    started, half = time.monotonic(), len(dataset) // 2
    draw, xs, ys = np.random.default_rng(0), [], []
    for i in range(half):
        objects = dataset.boxes.xyxy[(dataset.boxes.image == i) & ~dataset.boxes.ignored]
        labels = rcnn.region_labels(boxes[i], dataset, i)
        chosen = rcnn.first_regions(boxes[i], labels, 40, draw)
        xs.append(describe(i, np.concatenate([boxes[i][chosen], objects])).half())
        ys.append(torch.from_numpy(np.concatenate([labels[chosen], rcnn.region_labels(objects, dataset, i)])).float())
    x, y = torch.cat(xs).float(), torch.cat(ys)
    mean, std = x.mean(0), x.std(0).clamp_min(1e-3)
    weight, bias = rcnn.fit(x.sub_(mean).div_(std), y, decay)
    trained = time.monotonic()
    judged = dataset.subset(range(half, len(dataset)))
    score, centre = np.zeros(judged.labels.shape), np.zeros((*judged.labels.shape, 2))
    for j, i in enumerate(range(half, len(dataset))):
        best, which = ((describe(i, boxes[i]) - mean) / std @ weight.T + bias).max(0)
        score[j], centre[j] = best.numpy(), ((boxes[i][:, :2] + boxes[i][:, 2:]) / 2)[which.numpy()]
    frame = evaluate_table(table(judged, score, score, centre, centre))
    seconds = f"train {trained - started:4.0f} s, test {(time.monotonic() - trained) / len(judged):.2f} s an image"
    return f"mAP {100 * np.nanmean(frame['ap']):.1f}  location mAP {100 * np.nanmean(frame['location_ap']):.1f}  {seconds}"


@one_pool()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_profile_arguments(parser)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--proposals", type=int, default=100, help="a picture, drawn from those of selective search")
    args = parser.parse_args()
    profile = replace(profile_of(args), proposals=args.proposals)
    dataset = profile.dataset("train", Path(args.runs))
    dataset = dataset.subset(np.random.default_rng(0).permutation(len(dataset))[: args.images])
    trunk = trunk_of(profile)
    features = Features(trunk, dataset, profile.canvas)
    pictures = [read_image(file) for file in dataset.files]
    boxes = [selective_search(rgb, profile.proposal_side, profile.proposals) for rgb in pictures]
    ways = {"warped crops, 224 px": lambda i, own: crop_features(trunk, pictures[i], own)}
    maps = {"": features}
    if isinstance(trunk.module, nn.Sequential) and isinstance(trunk.module[-1], nn.AvgPool2d):
        cells = trunk.module[0]  # without D10
        on_torch = isinstance(trunk.engine, TorchEngine)
        engine = TorchEngine(cells, trunk.device) if on_torch else OpenVinoEngine(converted(cells))
        maps["single cells, "] = Features(replace(trunk, engine=engine), dataset, profile.canvas)
    for kind, source in maps.items():
        for sides in ([profile.canvas], rcnn.region_sides(profile)):
            for grid in (1, 2, 3):
                name = f"{kind}RoI pooling, {grid} x {grid}, {' '.join(map(str, sides))} px"
                ways[name] = partial(pooled_features, source, sides=sides, grid=grid)
    for name, describe in ways.items():
        print(f"{name:45s} {measure(dataset, boxes, describe, rcnn.DECAY)}", flush=True)


if __name__ == "__main__":
    main()
