"""The Runs page: every run as a card that says what made it, and how to compute its numbers again from its table."""

from __future__ import annotations

import html
from itertools import groupby
from pathlib import Path

import numpy as np

from wsl.evaluation.evaluate import METRICS, evaluate_table
from wsl.evaluation.runs import Run, read_run
from wsl.findings.results import METHODS
from wsl.pages import tables
from wsl.pages.show import Html, machine

SHIPPED = ("manifest.json", "predictions.parquet")  # of recorded runs; what a page links to lies beside it (tools/site.py)


def cards(runs: list[Run]) -> Html:
    """The runs of `find_runs`: a section for each system with the means over its seeds, and in it a card for each seed."""
    sections = [_section(list(own)) for _, own in groupby(runs, tables.group_anchor)]
    return Html(f'<div class="wsl-runs">{"".join(sections)}</div>')


def snippet(runs: list[Run]) -> str:
    """A few lines of pandas that print the mean APs of these seeds of one system, in %, from the tables of their folders."""
    seeds, folder = [run.seed for run in runs], runs[0].folder.parent.as_posix()
    hits = ', (t["label"] > 0) & (t["distance"] <= 18)' if _locates(runs[0]) else ""
    names = "classification, localization" if hits else "classification"
    return f"""\
import pandas as pd
folder = "{folder}"
t = pd.concat(pd.read_parquet(f"{{folder}}/seed{{k}}/predictions.parquet").assign(seed=k) for k in {seeds})
t = t[t["label"] != 0].sort_values("score", ascending=False, kind="stable", ignore_index=True)
by = t.groupby(["seed", "class"]).ngroup()
for tp in [t["label"] > 0{hits}]:  # {names}
    precision = tp.groupby(by).cumsum() / (tp.groupby(by).cumcount() + 1)
    envelope = precision[::-1].groupby(by).cummax()  # the highest precision from here on
    ap = (envelope * tp).groupby(by).sum() / (t["label"] > 0).groupby(by).sum()
    print(f"{{100 * ap.mean():.1f}}")"""


def means(runs: list[Run]) -> list[tuple[float, ...]]:
    """(classification mAP, localization mAP) of each run, in %; the first alone where the system predicts no location."""
    columns = ["ap", "location_ap"] if _locates(runs[0]) else ["ap"]
    return [tuple(100 * evaluate_table(read_run(run.folder)[0])[columns].mean()) for run in runs]


def _locates(run: Run) -> bool:
    return run.manifest.get("locates", True)


def _say(numbers) -> str:
    return ", ".join(f"{what} mAP {value:.1f}" for what, value in zip(METRICS.values(), numbers, strict=False))


def _section(runs: list[Run]) -> str:
    run, found = runs[0], means(runs)
    base = run.system.split("@")[0]
    method = ". ".join(filter(None, (tables.LETTERS.get(base), METHODS.get(run.system, METHODS.get(base, "")))))
    said = ", ".join(filter(None, (method, run.title, run.trunk)))
    name = f"{html.escape(run.system)} <small>{html.escape(said)}</small>"
    several = f"mean of {len(runs)} seeds" if len(runs) > 1 else "1 seed"
    body = "".join(_card(run, numbers) for run, numbers in zip(runs, found, strict=True))
    return (
        f'<section class="wsl-runs-of" id="{tables.group_anchor(run)}"><h3>{name}</h3>'
        f"<p><b>{several}: {_say(np.mean(found, axis=0))}</b></p><details><summary>Verify these numbers</summary>"
        f"<p>From the root of the repository, in Python with pandas:</p><pre>{html.escape(snippet(runs))}</pre></details>"
        f"{body}</section>"
    )


def _card(run: Run, numbers) -> str:
    m = run.manifest
    data, software = (m.get(key) or {} for key in ("data", "software"))
    made = {_commit(state) for state in (m.get("training") or {}, m) if "commit" in state}
    images = "?" if data.get("n_images") is None else f"{data['n_images']:,}"
    digests = {
        "data": data.get("digest"), "trunk": m.get("weights_sha256"), "head": m.get("head_sha256"),
        "table": m.get("predictions_sha256"),
    }  # fmt: skip
    about = {
        "data": f"{run.title}, {images} test images (on disk in the layout of {data.get('name')})",
        "command": m.get("command", "not recorded"),
        "commit": ", ".join(sorted(made)) or "not recorded",
        "made": f"{m.get('created', 'not recorded')}, study {m.get('study', '?')}, in {_duration(m.get('wall_seconds'))}",
        "machine": machine(m.get("hardware")) or "not recorded",
        "software": ", ".join(f"{k} {v}" for k, v in software.items()) or "not recorded",
        "sha256": "; ".join(f"{what} {digest or 'none'}" for what, digest in digests.items()),
    }
    lines = "".join(f"<dt>{what}</dt><dd><code>{html.escape(str(text))}</code></dd>" for what, text in about.items())
    return (
        f'<article class="wsl-run" id="{tables.anchor(run)}"><p class="wsl-run-head"><b>seed {run.seed}</b> {_say(numbers)} '
        f"{_files(run)}</p><details><summary>how it was made</summary><dl>{lines}</dl></details></article>"
    )


def _files(run: Run) -> str:
    """Links to the files of a recorded run, which the site brings along; of a run made here, its folder."""
    if not run.recorded:
        return f"<code>{html.escape(run.folder.as_posix())}</code>"
    folder = Path("results", *run.folder.parts[-4:]).as_posix()
    return " ".join(f'<a href="{html.escape(folder)}/{name}" download>{name}</a>' for name in SHIPPED)


def _commit(state: dict) -> str:
    return str(state["commit"] or "none") + (" with local changes" if state.get("changed_files") else "")


def _duration(seconds) -> str:
    if not isinstance(seconds, int | float):
        return "an unrecorded time"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
