"""Any tables of predictions side by side: values of each, and differences to the first, on the same resamples.

A table is a run folder (`.../weak_sup/seed0`), or a Parquet or CSV file. Our own carry their truth (label, distance);
any other needs the data set that it was made for, and then all tables are judged by that.

    >>> entries = read(["results/.../weak_sup/seed0", "results/.../full_images/seed0"])  # doctest: +SKIP
    >>> print(to_text(compare(entries)))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.errors import StudyError
from wsl.evaluation import evaluate, metrics, predictions
from wsl.evaluation.evaluate import TOLERANCE, Scored
from wsl.evaluation.runs import Run, read_manifest, run_at

METRICS = {"ap": "classification", "location_ap": "location"}  # column of `evaluate` -> name before people


@dataclass(frozen=True)
class Entry:
    """One table, laid out on the images and classes that all share."""

    name: str
    source: str
    scored: Scored

    @property
    def run(self) -> Run | None:
        """The run that the table is of, or None for a table from elsewhere."""
        return run_at(self.source)


@dataclass(frozen=True)
class Comparison:
    """values: `evaluate.evaluate` of each entry. differences: to the first, for each of the others (0..1)."""

    entries: tuple[Entry, ...]
    values: tuple[pd.DataFrame, ...]
    differences: tuple[pd.DataFrame, ...]  # class, ap, location_ap, with _low and _high where bootstrapped
    tolerance: float


def read(sources: Sequence[str | Path], dataset: Dataset | None = None) -> tuple[Entry, ...]:
    """The tables, in order. dataset: the truth for tables that do not carry it; none: all must carry it."""
    entries, names = [], short_names(sources)
    for source, name in zip(sources, names, strict=True):
        path = _table_of(Path(source))
        table = predictions.read(path, only_needed=dataset is not None)
        if dataset is not None:
            scored = evaluate.from_predictions(table, dataset, str(path))
        elif not {"label", "distance"} <= set(table.columns):
            raise StudyError(f"{path}: carries no truth (label, distance); name its data set with --voc or --coco")
        else:
            first = entries[0].scored if entries else None
            order = {"images": first.images, "classes": first.classes} if first else {}
            scored = evaluate.from_table(table, source=str(path), **order)
            if first and not np.array_equal(first.labels, scored.labels):
                raise StudyError(f"{path}: its labels differ from those of {sources[0]}; compare runs on the same data")
        entries.append(Entry(name, str(source), scored))
    return tuple(entries)


def _table_of(path: Path) -> Path:
    """The file of a run folder, or the file itself."""
    if not path.is_dir():
        return path
    if (path / "predictions.parquet").is_file():
        read_manifest(path)  # a run without one was not finished
        return path / "predictions.parquet"
    seeds = sorted(folder.name for folder in path.glob("seed*"))
    remedy = f"give one of its seeds, e.g. {path / seeds[0]}" if seeds else "give a run's folder or a table"
    raise StudyError(f"{path}: holds no predictions.parquet; {remedy}")


def short_names(sources: Sequence[str | Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart: "weak_sup/seed0" and "mine"."""
    paths = [Path(source) for source in sources]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise StudyError(f"{twice}: given twice; name each table once")
    parts = [p.with_suffix("").parts if p.suffix.lower() in (".csv", ".parquet") else p.parts for p in paths]
    parts = [part[:-1] if part[-1] == "predictions" and len(part) > 1 else part for part in parts]
    out = []
    for part in parts:
        take = 2 if part[-1].startswith("seed") and len(part) > 1 else 1
        while take < len(part) and sum(other[-take:] == part[-take:] for other in parts) > 1:
            take += 1
        out.append("/".join(part[-take:]))
    return [f"{name} ({k})" if out.count(name) > 1 else name for k, name in enumerate(out, 1)]  # x.csv beside x.parquet


def compare(entries: tuple[Entry, ...], tolerance: float = TOLERANCE, n_bootstrap: int = 1000, seed: int = 0) -> Comparison:
    """Values and differences to the first; 95% intervals where n_bootstrap > 0, all on the same resamples."""
    if len(entries) < 2:
        raise StudyError("one table only: nothing to compare; name two or more")
    values, samples = [], []
    for entry in entries:
        s, hits = entry.scored, entry.scored.hits(tolerance)
        values.append(evaluate.evaluate(s, tolerance))
        samples.append(metrics.bootstrap(s.scores, s.labels, hits, n_bootstrap, seed) if n_bootstrap else None)
    values = [_with_intervals(frame, several, None) for frame, several in zip(values, samples, strict=True)]
    differences = []
    for frame, several in zip(values[1:], samples[1:], strict=True):
        moved = frame[["class", *METRICS]].copy()
        moved[[*METRICS]] -= values[0][[*METRICS]]
        differences.append(_with_intervals(moved, several, samples[0]))
    return Comparison(tuple(entries), tuple(values), tuple(differences), tolerance)


def _with_intervals(frame: pd.DataFrame, samples, minus) -> pd.DataFrame:
    """`frame` with _low and _high of each metric, from its resamples, or from their differences to `minus`."""
    if samples is None:
        return frame
    frame = frame.copy()
    for which, name in enumerate(METRICS):
        drawn = [s[which] for s in (samples, minus) if s is not None]
        frame[[f"{name}_low", f"{name}_high"]] = np.nan
        if all(d is not None for d in drawn):
            drawn = [metrics.with_mean(d) for d in drawn]
            low, high = metrics.interval(drawn[0] - drawn[1] if minus is not None else drawn[0], frame[name].to_numpy())
            if minus is None:
                low, high = low.clip(0, 1), high.clip(0, 1)
            frame[f"{name}_low"], frame[f"{name}_high"] = low, high
    return frame


def has_locations(comparison: Comparison) -> bool:
    return any(entry.scored.distance is not None for entry in comparison.entries)


# ---------------------------------------------------------------- what `wsl compare` prints


def to_text(comparison: Comparison) -> str:
    """One table a metric: AP of each in percent, differences to the first in points with intervals."""
    names = [entry.name for entry in comparison.entries]
    parts = []
    for metric, what in METRICS.items():
        if metric == "location_ap" and not has_locations(comparison):
            continue
        lines = [("class", *names, *(f"{name} - {names[0]}" for name in names[1:]))]
        for k, label in enumerate(comparison.values[0]["class"]):
            cells = [_number(frame.iloc[k], metric) for frame in comparison.values]
            cells += [_number(frame.iloc[k], metric, "+") for frame in comparison.differences]
            lines.append((label, *cells))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join([w[0].ljust(widths[0]), *map(str.rjust, w[1:], widths[1:])]) for w in lines]
        rule = "-" * len(text[0])
        parts.append("\n".join([f"{what} AP, %", "", text[0], rule, *text[1:-1], rule, text[-1]]))
    return "\n\n".join(parts)


def _number(row: pd.Series, metric: str, sign: str = "") -> str:
    if np.isnan(row[metric]):
        return "-"
    text = f"{100 * row[metric]:{sign}.1f}"
    if sign and f"{metric}_low" in row.index:
        text += f" [{100 * row[f'{metric}_low']:+.1f}, {100 * row[f'{metric}_high']:+.1f}]"
    return text


def to_json(comparison: Comparison) -> dict:
    """The object of `wsl compare --json`: 0..1, full precision, None for NaN."""
    first = comparison.entries[0]
    tables, differences = [], []
    for entry, frame in zip(comparison.entries, comparison.values, strict=True):
        one = evaluate.to_json(frame, entry.scored, comparison.tolerance)
        tables.append({"name": entry.name, "source": entry.source, "missing": one["missing"]} | _sections(one))
    for entry, frame in zip(comparison.entries[1:], comparison.differences, strict=True):
        one = evaluate.to_json(frame, entry.scored if first.scored.distance is not None else first.scored, comparison.tolerance)
        differences.append({"name": entry.name, "minus": first.name} | _sections(one))
    tolerance = "inf" if np.isinf(comparison.tolerance) else comparison.tolerance
    return {"tables": tables, "differences": differences, "n_images": len(first.scored.images), "tolerance": tolerance}


def _sections(one: dict) -> dict:
    return {what: one[what] for what in METRICS.values()}
