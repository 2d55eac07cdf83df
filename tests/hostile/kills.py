"""The workflow on the profile of `own`, killed with all its processes at random moments: it goes on, to the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hostile.own import PROFILE, tables

ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path) -> subprocess.Popen:
    words = [sys.executable, "-m", "snakemake", "--cores", "2", "--rerun-incomplete"]
    words += ["--config", "profiles=own.toml", "--", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = open(folder / "log", "w")
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def left_over(folder: Path) -> list[str]:
    """Parts of scenes, features and proposals; the temporary file of any other writer goes after a day."""
    patterns = (".*.part-*", "*.parts", "features/.*.tmp")
    return [path.name for pattern in patterns for path in (folder / "runs").rglob(pattern)]


def kills(folder: Path, draw: random.Random, count: int) -> Iterator[tuple[str, str]]:
    """(what was tried, "" if it held, else what is wrong): an uninterrupted run, then `count` kills.

    Each start is killed within a third of the time of the whole run. Most of a start is Python and its libraries; so a kill
    costs one or two jobs, and a chain of kills and starts goes through all of them, from drawing scenes to predictions.
    """
    for name in ("wsl", "notebooks", "results", "_config.yml", "Snakefile", "book", "tools"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "own.toml").write_text(PROFILE)
    began = time.monotonic()
    assert start(folder).wait() == 0, (folder / "log").read_text()
    whole, right = time.monotonic() - began, tables(folder / "runs")
    killed = 0
    while killed < count:
        for path in (folder / "runs", folder / ".snakemake"):
            subprocess.run(["rm", "-rf", path], check=True)
        fresh, began = True, time.monotonic()
        while True:  # kill and start again until it is done
            process = start(folder)
            try:
                moment = draw.uniform(0, whole / 3) if killed < count else None
                status = process.wait(moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                killed, fresh = killed + 1, False
                yield f"killed after {moment:.1f} s", ""
                continue
            whole = time.monotonic() - began if fresh else whole  # where the machine has become faster, kill sooner
            said = (folder / "log").read_text()
            fault = "" if status == 0 else f"exit {status}: {said[-500:]}"
            fault = fault or ("" if tables(folder / "runs") == right else "other predictions")
            yield "gone on to the end", fault or (f"left: {left_over(folder)}" if left_over(folder) else "")
            break
