"""How fast the study is beside what one would use in its place, and how its time and memory grow.

Each side of a comparison runs in a process of its own, one after the other; figures are medians over several runs. The table
goes to OUT/<machine>.csv, where groups that are not measured now keep their rows. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Options
from wsl.files import whole_file

GROUPS = "maps training scoring decoding growth book".split()
FIELDS = "group measure side size seconds low high runs memory_mib note".split()


class Failed(Exception):
    """A process that gave no result; the message says why."""


def ask(*words: str, limit: float | None = None) -> object:
    """What `benchmarks.side` prints when called with these words."""
    command = [sys.executable, "-m", "benchmarks.side", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"not available: not done after {limit:.0f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with the compilers and others that it started
            process.wait()
    if process.returncode:
        raise Failed(f"failed: {(errors.strip() or f'ended with {process.returncode}').splitlines()[-1]}")
    return json.loads(out.splitlines()[-1])


def measure(group: str, number: int, side: dict, options: Options) -> dict:
    """The line of the table for one side."""
    try:
        result = ask(group, str(number), json.dumps(options._asdict()), limit=side["limit"])
    except Failed as error:
        result = {"seconds": [], "note": str(error), "memory_mib": None}
    seconds, memory = result["seconds"], result["memory_mib"]
    times = [f"{f(seconds):.6g}" for f in (statistics.median, min, max)] if seconds else [""] * 3
    size, memory = "" if side["size"] is None else side["size"], round(memory) if memory else ""
    values = group, side["measure"], side["side"], size, *times, len(seconds), memory, result["note"]
    return dict(zip(FIELDS, values, strict=True))


def replace(path: Path, group: str, rows: list[dict]) -> None:
    """Put `rows` into the table at `path` in place of those of their group."""
    if path.is_file():
        with open(path, newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["group"] != group] + rows
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: GROUPS.index(row["group"])))


def main(arguments: list[str] | None = None) -> None:
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    p.add_argument("groups", nargs="*", metavar="GROUP", help=f"which of {', '.join(GROUPS)} (default: all)")
    p.add_argument("--photographs", metavar="FOLDER", help="of JPEG files (default: those that the packages carry)")
    p.add_argument("--images", type=int, default=2000, metavar="N", help="largest number of images of `growth` (default: 2000)")
    p.add_argument("--small", action="store_true", help="very little of everything, to see that it works")
    p.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of the table (default: runs/bench)")
    args = p.parse_args(arguments)
    if unknown := set(args.groups) - set(GROUPS):
        p.error(f"no such group: {', '.join(sorted(unknown))}; choose of {', '.join(GROUPS)}")
    load = os.getloadavg()[0]
    about = ask("machine") | {"load_before": f"{load:.2f}", "date": datetime.now(UTC).isoformat(timespec="minutes")}
    name = re.sub(r"\W+", "-", f"{about['processor']} {about['instruction_set']} {about['cores']} cores").strip("-").lower()
    path = args.out / f"{name}.csv"
    with tempfile.TemporaryDirectory(prefix="wsl-bench-") as folder:
        options = Options(folder, args.photographs and os.path.abspath(args.photographs), args.images, args.small)
        for group in args.groups or GROUPS:
            rows = []
            for number, side in enumerate(ask(group, json.dumps(options._asdict()))):
                print(f"{group}: {side['measure']}, {side['side']} ...", file=sys.stderr, flush=True)
                rows.append(measure(group, number, side, options) | about)
            replace(path, group, rows)
    from wsl.findings import speed  # now that nothing is measured any more

    print(speed.to_text(speed.read(path)))
    print(f"\n{path}")


if __name__ == "__main__":
    main()
