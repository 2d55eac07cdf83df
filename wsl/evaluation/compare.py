"""Any tables of predictions side by side: values of each, and differences to the first, on the same resamples.

A table is a run folder (`.../weak_sup/seed0`), or a Parquet or CSV file. Our own carry their truth (label, distance);
any other needs the data set that it was made for, and then all tables are judged by that. Runs must be of the same seed;
a table from elsewhere has none, and stands beside any.

    >>> entries = read(["results/.../weak_sup/seed0", "results/.../full_images/seed0"])  # doctest: +SKIP
    >>> print(to_text(compare(entries)))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from wsl.data.dataset import Dataset
from wsl.errors import StudyError
from wsl.evaluation import evaluate, predictions
from wsl.evaluation.evaluate import METRICS, RESAMPLES, TOLERANCE, ByMetric, Scored, paired_difference
from wsl.evaluation.runs import Run, run_at, table_of


@dataclass(frozen=True)
class Entry:
    """One table."""

    name: str
    source: str
    scored: Scored

    @property
    def run(self) -> Run | None:
        """The run that the table is of, however its path is written, or None for a table from elsewhere."""
        path = Path(self.source).resolve()
        return run_at(path.parent if path.name == "predictions.parquet" else path)


@dataclass(frozen=True)
class Comparison:
    """values: of each entry. differences: to the first, of each of the others (0..1)."""

    entries: tuple[Entry, ...]
    values: tuple[ByMetric, ...]
    differences: tuple[ByMetric, ...]
    tolerance: float

    @property
    def metrics(self) -> list[str]:
        """Those of `METRICS` for which any entry has a value: without locations classification alone."""
        return [name for name in METRICS if any(getattr(value, name) for value in self.values)]


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
            scored = evaluate.from_table(table, source=str(path), **_order(table, entries))
        entries.append(Entry(name, str(source), scored))
    return tuple(entries)


def _order(table: pd.DataFrame, entries: list[Entry]) -> dict:
    """Rows may come in any order: a table of the first one's images and classes is laid out as that is."""
    if not entries:
        return {}
    truth = entries[0].scored.truth
    same = set(table["image"]) == set(truth.images) and set(table["class"]) == set(truth.classes)
    return {"images": truth.images, "classes": truth.classes} if same else {}


def _table_of(path: Path) -> Path:
    """The file of a run folder, or the file itself."""
    if path.name == "predictions.parquet" and run_at(path.resolve().parent):
        return table_of(path.parent)
    if not path.is_dir():
        return path
    if (path / "predictions.parquet").is_file():
        return table_of(path)
    seeds = sorted(folder.name for folder in path.glob("seed*"))
    remedy = f"give one of its seeds, e.g. {path / seeds[0]}" if seeds else "give a run's folder or a table"
    raise StudyError(f"{path}: holds no predictions.parquet; {remedy}")


def remarks(entries: Sequence[Entry]) -> list[str]:
    """Of all tables, each once."""
    return list(dict.fromkeys(remark for entry in entries for remark in entry.scored.remarks))


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


def compare(
    entries: tuple[Entry, ...], tolerance: float = TOLERANCE, n_bootstrap: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Values and differences to the first; 95% intervals where n_bootstrap > 0, all on the same resamples.

    StudyError where a table's images, classes, labels or (of runs) seed are not those of the first.
    """
    if len(entries) < 2:
        raise StudyError("one table only: nothing to compare; name two or more")
    evaluate.check_same_truth(entry.scored for entry in entries)
    any_seed = next((entry.run.seed for entry in entries if entry.run), 0)
    tables = [{entry.run.seed if entry.run else any_seed: entry.scored} for entry in entries]
    first, *others = values = [evaluate.measures(table, tolerance, n_bootstrap=n_bootstrap, seed=seed) for table in tables]
    differences = [
        ByMetric(*(paired_difference(x, y) if x and y else None for x, y in zip(other, first, strict=True))) for other in others
    ]
    return Comparison(tuple(entries), tuple(values), tuple(differences), tolerance)


# ---------------------------------------------------------------- what `wsl compare` prints


def table_rows(several: Sequence[ByMetric], metric: str) -> list[pd.DataFrame]:
    """`evaluate.rows` of each, NaN where it has no locations."""
    classification = [evaluate.rows(one.classification) for one in several]
    return [
        table if metric == "classification" else evaluate.rows(one.location) if one.location else table * np.nan
        for one, table in zip(several, classification, strict=True)
    ]


def to_text(comparison: Comparison, form: Callable[[list[tuple[str, ...]]], str] = evaluate.text_table) -> str:
    """One table a metric: AP of each in percent, differences to the first in points with intervals; form: of `evaluate.FORMS`."""
    names = [entry.name for entry in comparison.entries]
    parts = []
    for metric in comparison.metrics:
        lines = [("class", *names, *(f"{name} - {names[0]}" for name in names[1:]))]
        values, differences = (table_rows(several, metric) for several in (comparison.values, comparison.differences))
        for label in values[0].index:
            cells = [evaluate.percent(table.loc[label], interval=False) for table in values]
            cells += [evaluate.percent(table.loc[label], "+") for table in differences]
            lines.append((label, *cells))
        parts.append(f"{METRICS[metric]} AP, %\n\n{form(lines)}")
    return "\n\n".join(parts)


def to_json(comparison: Comparison) -> dict:
    """The object of `wsl compare --json`: 0..1, full precision, None for NaN."""

    def sections(one: ByMetric) -> dict:
        return {name: measure and evaluate.json_section(evaluate.rows(measure)) for name, measure in one._asdict().items()}

    first, *others = comparison.entries
    tables = [
        {"name": entry.name, "source": entry.source, "missing": entry.scored.missing} | sections(one)
        for entry, one in zip(comparison.entries, comparison.values, strict=True)
    ]
    differences = [
        {"name": entry.name, "minus": first.name} | sections(one)
        for entry, one in zip(others, comparison.differences, strict=True)
    ]
    tolerance = "inf" if np.isinf(comparison.tolerance) else comparison.tolerance
    return {"tables": tables, "differences": differences, "n_images": len(first.scored.images), "tolerance": tolerance}
