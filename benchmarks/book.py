"""The book that was made last in this folder, stage by stage: read from what Snakemake keeps of each job, nothing is run."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import Options, Side, Timing

METADATA = Path(".snakemake/metadata")


def jobs(folder: Path) -> list[tuple[str, float, float]]:
    """(rule, start, end) in seconds of every finished job that Snakemake's metadata tell of; a job of several files once."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            about = json.loads(path.read_text())
            if about.get("endtime") and not about.get("incomplete"):
                job = about["rule"], about.get("job_hash")
                start, end = found.get(job, (float("inf"), 0.0))
                found[job] = min(start, about["starttime"]), max(end, about["endtime"])
    return sorted((rule, *times) for (rule, _), times in found.items())


def busy(times: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of these intervals lies."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(times):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def sides(options: Options) -> list[Side]:
    done = jobs(METADATA)
    found = []
    for rule in dict.fromkeys(rule for rule, *_ in done):
        own = [times for name, *times in done if name == rule]
        timing = Timing([busy(own)], f"{len(own)} job{'s' * (len(own) > 1)}", 0)
        found.append(Side("make book", rule, lambda _, timing=timing: timing))
    if done:
        whole = Timing([busy([times for _, *times in done])], f"{len(done)} jobs, several at a time", 0)
        found.append(Side("make book", "all stages", lambda _: whole))
    return found
