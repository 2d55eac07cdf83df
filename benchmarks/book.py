"""The book that was made last in this folder, stage by stage: read from what Snakemake keeps of each job, nothing is run."""

from __future__ import annotations

from benchmarks.measure import Options, Side, Timing
from wsl.findings.speed import steps


def busy(times: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of these intervals lies."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(times):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def sides(options: Options) -> list[Side]:
    done = steps("runs")
    done["end"] = done["start"] + done["seconds"]
    found = []
    for stage, own in [*done.groupby("stage", sort=False), ("all stages", done)]:
        if len(own):
            timing = Timing([busy(list(zip(own["start"], own["end"], strict=True)))], f"{len(own)} job{'s' * (len(own) > 1)}", 0)
            found.append(Side("make book", stage, lambda _, timing=timing: timing))
    return found
