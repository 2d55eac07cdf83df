"""`make torture`: all hostile inputs, spoilt files, kills and commands; a line for each area, kept in book/torture.csv."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from hostile import inputs, network
from hostile.kills import kills
from hostile.own import spoilings

ROOT = Path(__file__).resolve().parents[2]


def trials(area: str, folder: Path, draw: random.Random, count: int) -> Iterator[tuple[str, str]]:
    if area == "kills":
        return kills(folder, draw, count)
    if area == "network":
        return network.commands(folder, sys.executable, ROOT)
    if area == "own files":
        return spoilings(folder, draw)
    return ((trial.what, inputs.held(trial)) for trial in inputs.AREAS[area](folder, draw))


def main() -> int:
    names = [*inputs.AREAS, "own files", "network", "kills"]
    p = argparse.ArgumentParser(prog="make torture", description=__doc__)
    p.add_argument("areas", nargs="*", metavar="AREA", help=f"of: {', '.join(names)} (default: all)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--kills", type=int, default=50, metavar="N", help="default: 50")
    p.add_argument("--record", type=Path, metavar="CSV", help="add a line for each area to this file")
    args = p.parse_args()
    lost = 0
    for area in args.areas or names:
        if area == "network" and not network.available():
            print("network: not tried, strace is not installed")
            continue
        with tempfile.TemporaryDirectory(prefix="wsl-torture-") as folder:
            tried = held = 0
            for _, fault in (bar := tqdm(trials(area, Path(folder), random.Random(args.seed), args.kills), area, unit="trial")):
                tried, held = tried + 1, held + (not fault)
                if fault:
                    bar.write(f"  {fault}")
        lost += tried - held
        print(f"{area}: tried {tried}, held {held}", flush=True)
        if args.record:
            with open(args.record, "a") as file:
                file.write(f"{area},{args.seed},{tried},{held}\n")
    return int(lost > 0)


sys.exit(main())
