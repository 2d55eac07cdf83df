"""How far a planned study has come: a line for each stage that is done, with what comes next and until when.

`wsl plan --follow` leaves its forecast in the runs folder, and every step of the workflow ends with
`python -m wsl.systems.progress RUNS PROFILE STAGE [PARTS]`: that step, or one of PARTS such steps, of the stage is done.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from wsl.errors import StudyError

STAGES = {
    "data": "scenes", "features": "features", "proposals": "proposals", "train": "heads", "predict": "predictions",
    "pages": "pages", "site": "site",
}  # fmt: skip


def only_one() -> AcquireReturnProxy:
    """The lock of the one `make book` in this folder, taken until its `with` block or the process ends, however that ends.

    StudyError while another process has it.
    """
    Path(".snakemake").mkdir(exist_ok=True)
    try:
        return FileLock(".snakemake/study.lock").acquire(timeout=0)
    except Timeout:
        raise StudyError(f"{Path.cwd()}: another `make book` works here; wait until it is done, or stop it first") from None


def follow(runs: Path, forecast: dict[str, float]) -> None:
    """Begin to count: the seconds that each "PROFILE STAGE" will take, in order."""
    Path(runs).mkdir(parents=True, exist_ok=True)
    (Path(runs) / "progress.log").unlink(missing_ok=True)
    (Path(runs) / "forecast.json").write_text(json.dumps({"started": time.time(), "seconds": forecast}))


def done(runs: Path, profile: str, stage: str, parts: int = 1, now: float | None = None) -> str:
    """Count a step; the line to show, or "" where there is no forecast or the stage has further parts to do.

    A forecast that is spoilt is none: no step fails for it.
    """
    try:
        return _done(Path(runs), profile, stage, parts, now)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _done(runs: Path, profile: str, stage: str, parts: int, now: float | None) -> str:
    plan = json.loads((runs / "forecast.json").read_text())
    name = f"{profile} {stage}"
    with open(runs / "progress.log", "a") as log:  # a short line is appended whole, whoever else appends
        log.write(f"{name}\t{1 / parts}\n")
    lines = [line.split("\t") for line in (runs / "progress.log").read_text().splitlines()]
    finished = {key: sum(float(part) for other, part in lines if other == key) > 0.999 for key in plan["seconds"]}
    if not finished.get(name):
        return ""
    passed = (time.time() if now is None else now) - plan["started"]
    expected = sum(seconds for key, seconds in plan["seconds"].items() if finished[key])
    left = {key: seconds for key, seconds in plan["seconds"].items() if not finished[key]}
    text = f"[{clock(passed)}] {_say(name)} done."
    if not left:
        return text
    trust = 0.1 * sum(plan["seconds"].values())  # in the forecast: the first short stages tell little
    pace = (passed + trust) / (expected + trust)  # of this machine now, against the forecast
    following, seconds = next(iter(left.items()))
    first, last = (clock(passed + pace * more) for more in (seconds, sum(left.values())))
    return f"{text} Next: {_say(following)}, until about {first}; everything done at about {last}."


def _say(name: str) -> str:
    profile, stage = name.rsplit(" ", 1)
    return f"{profile}: {STAGES.get(stage, stage)}"


def clock(seconds: float) -> str:
    """Minutes and seconds: 7:05; with hours from one on: 2:07:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


if __name__ == "__main__":
    runs, profile, stage, *parts = sys.argv[1:]
    if line := done(Path(runs), profile, stage, *map(int, parts)):
        print(line, flush=True)
