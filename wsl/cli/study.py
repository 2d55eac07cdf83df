"""The subcommands of `wsl` that compute, listed in COMMANDS, and `wsl data scenes`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from wsl.cli.arguments import RAW, add_head_arguments, add_profile_arguments, output, profile_of, seed, shown
from wsl.errors import StudyError


def _command(subparsers, name: str, run: Callable, **about: str) -> argparse.ArgumentParser:
    p = subparsers.add_parser(name, formatter_class=RAW, **about)
    p.set_defaults(run=run)
    return p


def _profile_command(subparsers, name: str, run: Callable, several: bool = False, **about: str) -> argparse.ArgumentParser:
    p = _command(subparsers, name, run, **about)
    add_profile_arguments(p, several)
    return p


def _add_seed(p: argparse.ArgumentParser) -> None:
    p.add_argument("--seed", type=seed, default=0, metavar="K", help="of the run (default: 0)")


def add_plan(subparsers) -> None:
    p = _profile_command(
        subparsers, "plan", run_plan,
        help="forecast of time, disk and memory before anything starts",
        description="What the runs of one or more profiles will take on this machine. Runs that are there cost nothing.",
        epilog="examples:\n  wsl plan scenes scenes-coco\n  wsl plan voc2012 --trunk alexnet",
        several=True,
    )
    p.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help="that may be used (default: all)")
    p.add_argument("--books", nargs="*", choices=("landing", "book"), default=[], help="which builds of the book besides")
    p.add_argument("--follow", action="store_true", help="leave the forecast in the runs folder, for the steps to follow it")


def run_plan(args: argparse.Namespace) -> int:
    from contextlib import nullcontext

    from wsl.systems.progress import follow, only_one

    with only_one() if args.follow else nullcontext():  # a second `make book` must not count anew what the first one follows
        from wsl.systems.plan import plan

        text, seconds = plan([profile_of(args, name) for name in args.profile], args.runs, args.cores, args.books)
        if args.follow:
            follow(args.runs, seconds)
    print(text)
    return 0


def add_data_scenes(subparsers) -> None:
    _profile_command(
        subparsers, "scenes", run_data_scenes,
        help="draw the generated scenes of a profile, in the official layout",
        description="Draw a profile's scenes to RUNS/data/PROFILE, in the VOC or COCO layout. Nothing is done if they\n"
        "are there. For other profiles: check that the data root exists.",
        epilog="example:\n  wsl data scenes scenes",
    )


def run_data_scenes(args: argparse.Namespace) -> int:
    from wsl.systems.data import make_data

    print(make_data(profile_of(args), args.runs))
    return 0


def add_features(subparsers) -> None:
    _profile_command(
        subparsers, "features", run_features,
        help="compute the frozen features of the training images once",
        description="Compute the frozen trunk's features of a profile's training images and keep them. `wsl train` does\n"
        "this itself where needed; several trainings at a time want it done before.",
    )


def run_features(args: argparse.Namespace) -> int:
    from wsl.systems.study import keep_features

    keep_features(profile_of(args), args.runs)
    return 0


def add_proposals(subparsers) -> None:
    p = _profile_command(
        subparsers, "proposals", run_proposals,
        help="compute the selective-search proposals of a profile's pictures once",
        description="Selective search on the training and evaluation images, kept below RUNS/PROFILE/proposals. What needs\n"
        "them (rcnn, extent) does this itself; an interrupted run goes on from its last 500 pictures.",
        epilog="example:\n  wsl proposals scenes --workers 2",
    )
    p.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")


def run_proposals(args: argparse.Namespace) -> int:
    from wsl.systems.proposals import keep_proposals

    for split in ("train", "val"):
        found = keep_proposals(profile_of(args), split, args.runs, args.workers)
        print(f"{split}: {len(found.boxes)} proposals of {len(found)} images")
    return 0


def add_train(subparsers) -> None:
    p = _profile_command(
        subparsers, "train", run_train,
        help="train the adaptation layers of one or more systems",
        description="Train heads and keep each in its run's folder. An interrupted training resumes after its last epoch;\n"
        "with other settings or data it starts afresh.",
        epilog="""\
examples:
  wsl train scenes weak_sup full_images
  wsl train scenes weak_sup rcnn --missing --workers 2
  wsl train voc2012 weak_sup/1 --voc-root ~/data
  torchrun --nproc-per-node 4 -m wsl.cli train coco2014 weak_sup --coco-root ~/coco""",
    )
    _add_targets(p)
    p.add_argument("--missing", action="store_true", help="leave out what is there, made with these settings by this code")
    p.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the heads (default: 1)")


def run_train(args: argparse.Namespace) -> int:
    from wsl.systems.study import parse_target, train_side_by_side

    targets = [parse_target(text) for text in args.targets]
    print(*train_side_by_side(profile_of(args), targets, args.runs, args.missing, args.workers), sep="\n")
    return 0


def _add_targets(p: argparse.ArgumentParser) -> None:
    p.add_argument("targets", metavar="SYSTEM[/SEED]", nargs="+", help="which runs; the seed is 0 unless given")


def add_predict(subparsers) -> None:
    p = _profile_command(
        subparsers, "predict", run_predict,
        help="scores and points on the evaluation images, with trained heads",
        description="Write the predictions tables of one or more runs from one pass of the trunk over the evaluation\nimages.",
        epilog="example:\n  wsl predict scenes weak_sup/0 weak_sup/1 center/0 full_images/0 --evolve 0",
    )
    _add_targets(p)
    for name in ("evolve", "extent", "views"):
        told = f"from the same pass, what `wsl {name} --seed K` writes"
        p.add_argument(f"--{name}", type=seed, metavar="K", help=told)


def run_predict(args: argparse.Namespace) -> int:
    from wsl.systems.study import parse_target, predict_systems

    targets = [parse_target(text) for text in args.targets]
    print(*predict_systems(profile_of(args), targets, args.runs, args.evolve, args.extent, args.views), sep="\n")
    return 0


def add_run(subparsers) -> None:
    p = _profile_command(
        subparsers, "run", run_run,
        help="one run from data to predictions: data, train and predict in turn",
        description="Make one run again from nothing: what each manifest names as its command. A head that is there serves\n"
        "if it is of this very training.",
        epilog="example:\n  wsl run scenes weak_sup --seed 0",
    )
    p.add_argument("system", metavar="SYSTEM")
    _add_seed(p)


def run_run(args: argparse.Namespace) -> int:
    from wsl.profile import check_system, head_of
    from wsl.systems.data import make_data
    from wsl.systems.study import predict_systems, train_systems

    profile, head = profile_of(args), head_of(check_system(args.system))
    make_data(profile, args.runs)
    train_systems(profile, [(head, args.seed)], args.runs, missing=True)
    print(*predict_systems(profile, [(args.system, args.seed)], args.runs), sep="\n")
    return 0


def _besides_command(subparsers, name: str, **texts: str) -> None:
    """A command for what the pass of `wsl predict` serves besides tables: its option of the same name, alone."""

    def run(args: argparse.Namespace) -> int:
        from wsl.systems.study import predict_systems

        predict_systems(profile_of(args), [], args.runs, **{name: args.seed})
        return 0

    _add_seed(_profile_command(subparsers, name, run, **texts))


def add_evolve(subparsers) -> None:
    _besides_command(
        subparsers, "evolve",
        help="score maps and measures after each epoch of a recorded training (Figure 1)",
        description="From the heads that `wsl train PROFILE weak_sup` kept after each epoch: measures on the evaluation images\n"
        "after each epoch, the epoch of discovery of each object, and score maps of a few pictures.",
    )  # fmt: skip


def add_extent(subparsers) -> None:
    _besides_command(
        subparsers, "extent",
        help="detection AP of boxes found from weak_sup's score maps (Section 6)",
        description="Aggregate the score maps of a trained weak_sup inside selective-search proposals, and write the detection\n"
        "AP of each class at IoU 0.05 to 0.95 to extent.csv in the run's folder.",
        epilog="example:\n  wsl extent scenes --seed 0",
    )  # fmt: skip


def add_views(subparsers) -> None:
    _besides_command(
        subparsers, "views",
        help="boxes, addresses and small score maps of the evaluation images, for the book's browser",
        description="From a trained weak_sup, write what the book's per-image browser and Figure 6 show to pictures.parquet and\n"
        "views.parquet in the run's folder: numbers only, no photograph.",
        epilog="example:\n  wsl views coco-sample --seed 0 --coco-root ~/coco",
    )  # fmt: skip


def add_record(subparsers) -> None:
    p = subparsers.add_parser(
        "record",
        help="copy finished runs into the recorded results of the book",
        description="Copy tables, measures and manifests (no head, no picture) of finished runs into the recorded results.",
    )
    p.add_argument("folders", metavar="RUN", nargs="+", type=Path, help="RUNS/PROFILE/TRUNK/SYSTEM/seedK")
    p.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    p.set_defaults(run=run_record)


def run_record(args: argparse.Namespace) -> int:
    from wsl.systems.study import record_run

    for folder in args.folders:
        print(record_run(folder, args.results))
    return 0


def add_localize(subparsers) -> None:
    p = _command(
        subparsers, "localize", run_localize,
        help="find objects in your own photographs",
        description="The classes found in each photograph, one point each, and a picture with heat maps and crosses.\n"
        "The shipped head knows the 20 VOC classes; it was trained on real photographs. Files that cannot be read are\n"
        "named at the end; the exit status is then 1, or 2 if there was no other.",
        epilog="""\
examples:
  wsl localize holiday.jpg --out found
  wsl localize holiday/ 'trip/**/*.jpg' --out found --csv found.csv --top 3""",
    )
    p.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="a file, a folder of pictures, or a pattern")
    add_head_arguments(p)
    p.add_argument("--out", type=Path, default=Path("."), metavar="DIR", help="folder for the pictures (default: here)")
    p.add_argument("--top", type=int, metavar="N", help="the N best classes of each (default: those of probability 0.5 and more)")
    p.add_argument("--csv", type=output(".csv"), metavar="FILE", help="write what is found in all of them as one table, too")
    p.add_argument("--json", action="store_true", help="print one JSON object")


def run_localize(args: argparse.Namespace) -> int:
    import json

    from tqdm import tqdm

    from wsl.systems.localize import draw, find_photographs, load_localizer, names_of_drawings, write_csv

    if args.top is not None and args.top < 1:
        raise StudyError(f"--top {args.top}: expected a whole number from 1 on")
    photographs = find_photographs(args.images)
    localizer = load_localizer(args.head, args.weights, args.convention)
    report, failed = [], []
    bar = tqdm(photographs, unit="photograph", disable=None if len(photographs) > 1 else True)
    for path, picture in zip(bar, names_of_drawings(photographs, args.out), strict=True):
        try:
            result = localizer(path)
        except StudyError as error:
            failed.append({"image": str(path), "error": str(error)})
            continue
        found = result.best(args.top)
        draw(result, picture, found)
        report.append({"image": str(path), "picture": str(picture), "found": found})
        if not args.json:
            lines = ["  {class:12s} probability {probability:.3f}   x {x:.1f}   y {y:.1f}".format(**row) for row in found]
            bar.write("\n".join([f"{shown(path)} -> {shown(picture)}", *(lines or ["  nothing found"])]))
    if args.json:
        print(json.dumps({"images": report, "failed": failed}))
    for one in failed:
        print(f"error: {shown(one['error'])}", file=sys.stderr)
    if args.csv is not None:  # last: where it cannot be written, all else is there
        write_csv(report, args.csv)
    return (1 if report else 2) if failed else 0


def add_submit(subparsers) -> None:
    p = _command(
        subparsers, "submit", run_submit,
        help="the archive for the PASCAL VOC evaluation server (Table 1's test column)",
        description="Classify the pictures of a split list that has no labels (VOC 2012 test) and write the archive that the\n"
        "PASCAL VOC server takes, checked as the devkit reads it: results/VOC2012/Main/comp2_cls_test_CLASS.txt.\n"
        "The default head is the shipped one, trained on few photographs; give one that you trained on VOC 2012.",
        epilog="example:\n  wsl submit ~/VOCdevkit --head runs/voc2012/efficientnet_lite0/weak_sup/seed0/head.safetensors",
    )
    p.add_argument("root", metavar="VOCROOT", help="VOCdevkit folder with the test pictures and their list")
    p.add_argument("--year", default="2012", help="default: 2012")
    p.add_argument("--split", default="test", help="default: test")
    add_head_arguments(p)
    out = output(".tgz", ".tar.gz")
    p.add_argument("--out", type=out, default=Path("results.tgz"), metavar="FILE", help="default: results.tgz")


def run_submit(args: argparse.Namespace) -> int:
    from wsl.data.voc import load_unlabelled
    from wsl.systems.submit import file_names, predict_unlabelled, write_submission

    dataset = load_unlabelled(args.root, args.year, args.split)
    df = predict_unlabelled(dataset, args.head, args.weights, args.convention)
    path = write_submission(df, dataset.images, file_names(args.year, args.split), args.out)
    print(f"{path}: {len(dataset)} images, {len(dataset.classes)} classes")
    return 0


COMMANDS = (
    add_plan,
    add_features,
    add_proposals,
    add_train,
    add_predict,
    add_run,
    add_evolve,
    add_extent,
    add_views,
    add_record,
    add_localize,
    add_submit,
)
