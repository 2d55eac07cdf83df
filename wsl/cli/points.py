"""`wsl points`: the table of predictions from score maps, or from the boxes of a detector."""

from __future__ import annotations

import argparse
from pathlib import Path

from wsl.cli.arguments import RAW, add_dataset_arguments, load_dataset, output, warn
from wsl.errors import StudyError


def add_points(subparsers) -> None:
    p = subparsers.add_parser(
        "points",
        formatter_class=RAW,
        help="the table that `wsl evaluate` takes, from score maps (CAM, Grad-CAM, ...) or boxes of a detector",
        description="""\
One score and one point for each image and class: of a score map its best cell, of boxes the most confident one's centre.

MAPS is one of
  a folder of <image>.npy or <image>.npz, each (K, h, w), or an .npz with a map (h, w) under the name of each class
  an .npz or a Zarr group with an array (K, h, w) for each image, under its id or the name of its file
  an .npy or a Zarr array (N, K, h, w), in the order of the data set
  a .json of boxes: COCO results, or FiftyOne's labels.json or samples.json (its keypoints as well)""",
        epilog="""\
examples:
  wsl points maps/ --voc VOCdevkit --year 2012 --split val -o mine.parquet
  wsl points detections.json --coco annotations/instances_val2014.json -o mine.csv""",
    )
    p.add_argument("maps", metavar="MAPS", type=Path, help="folder, .npz, .npy, Zarr, or .json of boxes")
    add_dataset_arguments(p)
    out = output(".parquet", ".csv")
    p.add_argument("-o", "--out", metavar="FILE", type=out, required=True, help="table to write: .parquet or .csv")
    over = "what a map covers: the image (default), or the padded square with the image at its top left, or in its middle"
    p.add_argument("--over", choices=("image", "canvas", "centred"), default="image", help=over)
    p.add_argument("--scores", metavar="FILE", type=Path, help="scores (K,) of each image, kept as MAPS are (default: maxima)")
    p.add_argument("--classes", metavar="FILE", type=Path, help="text with the name of each of the K classes, one a line")
    p.set_defaults(run=run_points)


def run_points(args: argparse.Namespace) -> int:
    from wsl.data import coco
    from wsl.data.packed import as_text, read_bytes
    from wsl.evaluation import points, predictions
    from wsl.evaluation.evaluate import from_predictions
    from wsl.files import whole_file

    dataset = load_dataset(args)
    if ".json" in map(str.lower, args.maps.suffixes):
        names = coco.category_names(args.coco) if args.coco is not None else None
        df = points.predictions_from_boxes(args.maps, dataset, names)
    else:
        classes = list(dataset.classes)
        if args.classes is not None:
            try:
                lines = as_text(read_bytes(args.classes), args.classes).splitlines()
            except OSError as error:
                raise StudyError(f"{args.classes}: cannot be read ({error.strerror}); give one class a line") from None
            classes = [line.strip() for line in lines if line.strip()]
        sizes = dict(zip(dataset.images, dataset.sizes.tolist(), strict=True))
        scores = None if args.scores is None else dict(points.read_arrays(args.scores, dataset))
        try:
            df = points.predictions_from_maps(points.read_arrays(args.maps, dataset), sizes, classes, scores, args.over)
        except StudyError as error:
            raise StudyError(str(error) if str(args.maps) in str(error) else f"{args.maps}: {error}") from None
    for remark in from_predictions(df, dataset, str(args.maps)).remarks:  # refuses, and remarks, what `wsl evaluate` would
        warn(remark)
    if args.out.suffix.lower() == ".parquet":
        predictions.write(df, args.out)
    else:
        with whole_file(args.out) as temporary:
            df.to_csv(temporary, index=False)
    print(f"{args.out}: {len(df)} rows, {df['image'].nunique()} of {len(dataset)} images, {df['class'].nunique()} classes")
    return 0
