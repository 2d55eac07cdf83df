"""The command line `wsl`. One function a subcommand; heavy imports stay inside them, so that --help is quick.

To add a subcommand: write `run_<name>(args) -> int` and `add_<name>(subparsers)`, and list the latter in
`parser`. Bad input raises StudyError anywhere below: printed as `error: ...`, exit status 2.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import warnings
from pathlib import Path

from wsl import __version__
from wsl.cli import compare as cli_compare
from wsl.cli import points as cli_points
from wsl.cli import study as cli_study
from wsl.cli.arguments import (
    RAW,
    add_dataset_arguments,
    add_form_arguments,
    check_dataset_arguments,
    check_measure_arguments,
    form_of,
    how_made,
    load_dataset,
    output,
    shown,
    warn,
)
from wsl.errors import StudyError


def main(argv: list[str] | None = None) -> int:
    sys.stdout = sys.stdout or open(os.devnull, "w")  # None where the caller has closed it
    sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of pictures' metadata and palettes: nothing that a user can act on
    try:
        args = parser().parse_args(argv)
        status = args.run(args) or 0
        sys.stdout.flush()
        return status
    except StudyError as error:
        print("error:", "\n".join(map(shown, str(error).split("\n"))), file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:  # the base dependencies do for evaluate, compare and data check
        package = (error.name or "").partition(".")[0]
        if package == "wsl":
            raise
        remedy = "in the repository: pip install '.[train]'"
        print(f"error: this command needs {package}, which is not installed; {remedy}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `wsl ... | head`: the reader has gone, which is no error
        _leave_stdout()
        return 0
    except OSError as error:  # a full disk, no permission, a folder in place of a file
        where = "" if error.filename is None else f"{shown(error.filename)}: "
        remedy = "free some disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the place and its permissions"
        print(f"error: {where}{error.strerror or error}; {remedy}", file=sys.stderr)
        _leave_stdout()
        return 2
    except UnicodeEncodeError as error:  # of a library that takes no such name
        print(f"error: {error.object!a}: the name is not UTF-8; rename the file or folder", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: out of memory; close other programs, or give a smaller input", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _leave_stdout() -> None:
    """Python writes at its end what is still to be written: to nowhere, where that fails."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="wsl",
        formatter_class=RAW,
        description="Is object localization for free? A reproducibility study.\n\n"
        "Every subcommand explains itself: wsl COMMAND --help",
    )
    top.add_argument("--version", action="version", version=f"wsl {__version__}")
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_data, add_evaluate, cli_compare.add_compare, cli_points.add_points, *cli_study.COMMANDS):
        add(subparsers)
    return top


# ---- wsl evaluate


def add_evaluate(subparsers) -> None:
    p = subparsers.add_parser(
        "evaluate",
        formatter_class=RAW,
        help="average precision and localization average precision of any table of predictions",
        description="""\
Average precision (AP) of image classification and of location prediction, for any system.

PRED is a CSV or Parquet file with one row per image and class:

  image,class,score,x,y
  000012,car,3.1,241.5,180.0

  image   VOC image id with its leading zeros, or COCO image id
  class   class name, as in the data set
  score   any finite number; a higher one ranks the image higher
  x, y    predicted point in pixels of the original image, 0-based; empty in every row if there is none

Further columns are ignored. An absent row is legal: the image is then ranked last for that class. Ties keep
the order of the data set. AP is that of the PASCAL VOC devkit (2010 and later). A location counts as right if
the point lies in a box of the class grown by the tolerance on every side.""",
        epilog="""\
examples:
  wsl evaluate mine.csv --voc VOCdevkit --year 2007 --split val
  wsl evaluate mine.parquet --coco annotations/instances_val2014.json --bootstrap 1000 --json""",
    )
    p.add_argument("pred", metavar="PRED", help="CSV or Parquet table of predictions")
    add_dataset_arguments(p)
    p.add_argument("--tolerance", type=float, default=18.0, metavar="PX", help="pixels, or inf (default: 18)")
    p.add_argument(
        "--bootstrap", type=int, default=0, metavar="N", help="95%% intervals from N resamples of images"
    )
    p.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the resamples (default: 0)")
    rules = ("voc2010", "voc2007", "sklearn", "coco101")
    p.add_argument("--rule", choices=rules, default=rules[0], help="of average precision (default: voc2010)")
    questions = ("pointing", "size", "instances", "calibration")
    told = f"answer besides: {', '.join(questions)} (the page 'What each number means' defines them)"
    p.add_argument("--also", nargs="+", choices=questions, default=[], metavar="QUESTION", help=told)
    p.add_argument("--pointing-tolerance", type=float, default=15.0, metavar="PX", help="of --also pointing (default: 15)")
    add_form_arguments(p)
    p.add_argument("--html", type=output(".html", ".htm"), metavar="FILE", help="write a page: charts, curves, worst misses")
    p.set_defaults(run=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> int:
    from wsl.evaluation import evaluate, more, predictions

    check_measure_arguments(args)
    if not args.pointing_tolerance >= 0:
        raise StudyError(f"--pointing-tolerance {args.pointing_tolerance:g}: expected a number of pixels >= 0")
    table = predictions.read(args.pred, only_needed=True)
    dataset = load_dataset(args)
    scored = evaluate.from_predictions(table, dataset, args.pred)
    frame = evaluate.evaluate(scored, args.tolerance, args.rule, args.bootstrap, args.seed)
    tolerances = args.tolerance, args.pointing_tolerance
    also = {name: more.answer(name, table, dataset, *tolerances, args.bootstrap, args.seed) for name in args.also}

    for remark in scored.remarks:
        warn(remark)
    if args.json:
        answers = {"also": {name: more.to_json(one) for name, one in also.items()}} if also else {}
        rule = {} if args.rule == "voc2010" else {"rule": args.rule}
        print(json.dumps(evaluate.to_json(frame, scored, args.tolerance) | rule | answers, allow_nan=False))
    else:
        rule = "" if args.rule == "voc2010" else f", rule {args.rule}"
        form = evaluate.FORMS[form_of(args)]
        if form_of(args) == "text":
            print(f"{shown(args.pred)} on {dataset.name}: {len(dataset)} images, tolerance {args.tolerance:g} px{rule}\n")
        print(evaluate.to_text(frame, form))
        for name, one in also.items():
            extra = f", tolerance {args.pointing_tolerance:g} px in a straight line" if name == "pointing" else ""
            print(f"\n{name}{extra}\n\n{more.to_text(one, form)}")
    if args.html:  # last: where it cannot be written, the numbers are there
        from wsl.pages.evaluation import Settings, write_page

        settings = Settings(args.tolerance, args.rule, args.bootstrap, args.seed)
        about = how_made([args.pred], dataset, args.rule)
        write_page(args.html, Path(args.pred).name, frame, table, scored, dataset, settings, about)
    return 0


# ---- wsl data


def add_data(subparsers) -> None:
    p = subparsers.add_parser(
        "data", help="draw scenes, check a data set on disk", description="Work on data sets."
    )
    commands = p.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (cli_study.add_data_scenes, add_data_check):
        add(commands)


def add_data_check(subparsers) -> None:
    p = subparsers.add_parser(
        "check",
        formatter_class=RAW,
        help="read every annotation and image of a split and report what is wrong",
        description="Read every annotation and decode every image of a split. Up to 20 problems are shown.",
        epilog="""\
examples:
  wsl data check --voc VOCdevkit --year 2012 --split train
  wsl data check --coco annotations/instances_val2014.json""",
    )
    add_dataset_arguments(p)
    p.set_defaults(run=run_data_check)


def run_data_check(args: argparse.Namespace) -> int:
    from functools import partial

    from tqdm import tqdm

    from wsl.data import check

    check_dataset_arguments(args)
    progress = partial(tqdm, desc="checking", unit="image")
    if args.voc is not None:
        problems = check.check_voc(args.voc, args.year, args.split, progress)
    else:
        problems = check.check_coco(args.coco, args.images, progress)
    if problems:
        rest = len(problems) - check.SHOWN
        more = [f"... and {rest} more"] if rest > 0 else []
        lines = [f"{len(problems)} problem(s)", *problems[: check.SHOWN], *more]
        raise StudyError("\n  ".join(lines))
    dataset = load_dataset(args)
    print(f"{dataset.name}: {len(dataset)} images, {len(dataset.boxes)} boxes, no problem found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
