"""`wsl compare`: any tables of predictions side by side."""

from __future__ import annotations

import argparse
import json

from wsl.cli.arguments import (
    RAW,
    add_dataset_arguments,
    add_form_arguments,
    check_measure_arguments,
    form_of,
    how_made,
    load_dataset,
    output,
    warn,
)
from wsl.errors import StudyError


def add_compare(subparsers) -> None:
    p = subparsers.add_parser(
        "compare",
        formatter_class=RAW,
        help="tables of predictions side by side, with paired intervals of their differences",
        description="""\
AP of classification and of location for two or more tables of predictions, and the differences to the first, with 95%
intervals of the paired bootstrap: all tables are judged on the same resampled images.

A table is a run's folder (runs/PROFILE/TRUNK/SYSTEM/seed0) or a CSV or Parquet file as in `wsl evaluate`. Runs carry
their truth; for any other table, name the data set.""",
        epilog="""\
examples:
  wsl compare runs/scenes/efficientnet_lite0/full_images/seed0 runs/scenes/efficientnet_lite0/weak_sup/seed0
  wsl compare theirs.csv mine.csv --voc VOCdevkit --year 2012 --split val --html compared.html""",
    )
    p.add_argument("tables", metavar="TABLE", nargs="+", help="run folder, CSV or Parquet; the first is the reference")
    add_dataset_arguments(p, required=False)
    p.add_argument("--tolerance", type=float, default=18.0, metavar="PX", help="pixels, or inf (default: 18)")
    p.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of images (default: 1000; 0: none)")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the resamples (default: 0)")
    add_form_arguments(p)
    told = "write a page to send as well: differences, charts and tables"
    p.add_argument("--html", type=output(".html", ".htm"), metavar="FILE", help=told)
    p.set_defaults(run=run_compare)


def run_compare(args: argparse.Namespace) -> int:
    from wsl.evaluation import compare, evaluate

    check_measure_arguments(args)
    if len(args.tables) < 2:
        raise StudyError(f"{args.tables[0]}: one table only, nothing to compare; name two or more (wsl evaluate takes one)")
    given = args.voc is not None or args.coco is not None
    if not given and (args.year or args.split or args.images):
        raise StudyError("--year and --split go with --voc, --images with --coco; name the data set")
    dataset = load_dataset(args) if given else None
    entries = compare.read(args.tables, dataset)
    for remark in compare.remarks(entries):
        warn(remark)
    found = compare.compare(entries, args.tolerance, args.bootstrap, args.seed)
    if args.json:
        print(json.dumps(compare.to_json(found), allow_nan=False))
    else:
        where = f" on {dataset.name}" if dataset else ""
        if form_of(args) == "text":
            print(f"{len(entries)} tables{where}: {len(entries[0].scored.images)} images, tolerance {args.tolerance:g} px\n")
        print(compare.to_text(found, evaluate.FORMS[form_of(args)]))
    if args.html:  # last: where it cannot be written, the numbers are there
        from wsl.pages.compare import write_page

        write_page(found, args.html, dataset.name if dataset else "", how_made(args.tables, dataset))
    return 0
