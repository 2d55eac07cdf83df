"""Arguments that several subcommands share, and what they mean."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsl import __version__
from wsl.errors import StudyError
from wsl.files import CONTROL

if TYPE_CHECKING:
    from wsl.data.dataset import Dataset

RAW = argparse.RawDescriptionHelpFormatter
PROFILE_HELP = "a profile's name (scenes, scenes-coco, voc-sample, coco-sample, voc2012, coco2014), or a TOML file"


def add_dataset_arguments(p: argparse.ArgumentParser, required: bool = True) -> None:
    """--voc ROOT --year Y --split S, or --coco JSON [--images DIR]: see `check_dataset_arguments`."""
    source = p.add_mutually_exclusive_group(required=required)
    source.add_argument(
        "--voc", metavar="ROOT", help="VOCdevkit folder (its parent, or VOC<year> itself, will do)"
    )
    source.add_argument("--coco", metavar="JSON", help="instances_<split>.json of COCO")
    p.add_argument("--year", help="with --voc: 2007, 2012, ... (folder VOC<year>)")
    p.add_argument("--split", help="with --voc: train, val, trainval, test (file ImageSets/Main/<split>.txt)")
    p.add_argument(
        "--images", metavar="DIR", help="with --coco: folder of the image files (default: <split>/)"
    )


def check_dataset_arguments(args: argparse.Namespace) -> None:
    if args.voc is not None and not (args.year and args.split):
        raise StudyError(f"--voc {args.voc}: needs --year and --split, e.g. --year 2007 --split val")
    if args.voc is not None and args.images is not None:
        raise StudyError("--images goes with --coco; --voc finds its images in JPEGImages")
    if args.coco is not None and (args.year or args.split):
        raise StudyError("--year and --split go with --voc; with --coco the JSON names the split")


def load_dataset(args: argparse.Namespace):
    """The `Dataset` that the arguments of `add_dataset_arguments` name."""
    from wsl.data import coco, voc

    check_dataset_arguments(args)
    return (
        voc.load(args.voc, args.year, args.split)
        if args.voc is not None
        else coco.load(args.coco, args.images)
    )


def add_form_arguments(p: argparse.ArgumentParser) -> None:
    """--json, --markdown or --latex in place of a table for people: see `form_of`."""
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object (values 0..1) instead of a table")
    form.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    form.add_argument("--latex", action="store_true", help="print the table for LaTeX, with booktabs")


def form_of(args: argparse.Namespace) -> str:
    """Of "text", "markdown" and "latex", a key of `wsl.evaluation.evaluate.FORMS`."""
    return "markdown" if args.markdown else "latex" if args.latex else "text"


def how_made(files: Sequence[str], dataset: Dataset | None, rule: str = "voc2010") -> dict[str, str]:
    """What a page says of how it was made, so that its reader can make it again."""
    from wsl.files import sha256

    about = {"Command": shlex.join(["wsl", *sys.argv[1:]])}
    for file in map(Path, files):
        table = file / "predictions.parquet" if file.is_dir() else file
        about[f"Table {file}"] = f"sha256 {sha256(table)}" if table.is_file() else "read from a pipe"
    if dataset is not None:
        about["Data set"] = f"{dataset.name}, annotations {dataset.digest()}"
    return about | {"Definition of average precision": rule, "Version": f"wsl {__version__}"}


def check_measure_arguments(args: argparse.Namespace) -> None:
    if not args.tolerance >= 0:
        raise StudyError(f"--tolerance {args.tolerance:g}: expected a number of pixels >= 0, or inf")
    if args.bootstrap < 0 or args.seed < 0:
        raise StudyError("--bootstrap and --seed: expected integers >= 0")


def shown(text: object) -> str:
    """Text for a terminal: what would steer it, as the name of a file from elsewhere may, is written as its escape."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(text))


def warn(message: str) -> None:
    print(f"warning: {shown(message)}", file=sys.stderr)


def output(*endings: str) -> Callable[[str], Path]:
    """The type of an argument that names a file to write, with the ending of its kind.

    Without it `--html *.csv`, in which a name was forgotten, would write over the first of the user's tables.
    """

    def path(text: str) -> Path:
        if not text.lower().endswith(endings):
            raise StudyError(f"{text}: expected a name that ends in {' or '.join(endings)}")
        return Path(text)

    return path


def add_profile_arguments(p: argparse.ArgumentParser, several: bool = False) -> None:
    p.add_argument("profile", metavar="PROFILE", nargs="+" if several else None, help=PROFILE_HELP)
    p.add_argument("--voc-root", metavar="DIR", help="folder of VOCdevkit, for profiles in the VOC layout")
    p.add_argument("--coco-root", metavar="DIR", help="folder with annotations/, for profiles in the COCO layout")
    p.add_argument("--trunk", help="frozen network in place of the profile's (efficientnet_lite0, alexnet, ...)")
    p.add_argument("--weights", metavar="FILE", help="the trunk's weights: a local .safetensors, .npz or .pth file")
    p.add_argument("--convention", help="what pixels these weights expect: imagenet, caffe or lite")
    p.add_argument("--runs", type=_folder, default=Path("runs"), metavar="DIR", help="where runs lie (default: runs)")


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def seed(text: str) -> int:
    """The seed of a run, as a profile takes it."""
    if not (text.isdecimal() and len(text) <= 9):
        raise StudyError(f"seed {text!r}: expected a whole number from 0 to 999999999")
    return int(text)


def profile_of(args: argparse.Namespace, name: str | None = None):
    """The profile that the arguments name, with their changes."""
    from wsl.profile import load_profile

    profile = load_profile(name or args.profile)
    root = args.voc_root if profile.layout == "voc" else args.coco_root
    changes = {"root": root, "trunk": args.trunk, "weights": args.weights, "convention": args.convention}
    return load_profile(name or args.profile, **changes)


def add_head_arguments(p: argparse.ArgumentParser) -> None:
    shipped = "voc (the default) or coco for a shipped head of 20 or 80 classes, or a file of `wsl train`"
    p.add_argument("--head", type=Path, metavar="HEAD", help=shipped)
    p.add_argument("--weights", metavar="FILE", type=Path, help="the trunk's weights, if they are a local file")
    p.add_argument("--convention", help="what pixels these weights expect: imagenet, caffe or lite")
