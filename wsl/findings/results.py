"""From run folders to what the notebooks show: numbers with their uncertainty, tables, sentences.

A run is a folder `<root>/<profile>/<trunk>/<system>/seed<k>/` with a predictions table and a manifest;
`results/` holds recorded runs, `runs/` those made here. Nothing here needs images or torch.

Numbers: a value is the mean over seeds of each seed's value. Its 95% interval is the bootstrap over test
images of that same mean (`wsl.evaluation.metrics.interval`): in each of 1,000 resamples the images drawn are the same
for every seed. The spread over seeds (lowest to highest) stands beside it. A difference of two systems uses
the same resamples for both.

Three sources are kept apart everywhere by CSS class and by words: `src-paper`, `src-real`, `src-scenes`.
"""

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd

from wsl.errors import StudyError
from wsl.evaluation import metrics, predictions
from wsl.evaluation.detection import RECORD
from wsl.evaluation.evaluate import TOLERANCE, from_table
from wsl.findings import paper
from wsl.pages.show import NOT_ATTEMPTED, Html

RESAMPLES = 1000
# Row of the paper's tables -> system of the study, per metric; None where the paper prints a dash.
TABLE2_SYSTEMS = {
    "H": ("full_images", None),
    "I": ("masked_pool", "masked_pool"),
    "I′": ("masked_pool_outside", "masked_pool_outside"),  # in the paper's words only: "consistently worse results"
    "J": ("weak_sup", "weak_sup"),
    "K": (None, "center"),
    "L": ("rcnn", "rcnn"),
}
TABLE1_SYSTEMS = {"B": "object_patches", "F": "full_images", "G": "weak_sup"}
METHODS = {
    "full_images": "full images",
    "masked_pool": "masked pooling",
    "masked_pool_outside": "masked pooling with outside penalty",
    "weak_sup": "weak supervision",
    "center": "centre prediction",
    "rcnn": "R-CNN*",
    "object_patches": "object patches",
    "weak_sup@train_s1": "weak supervision, trained at one scale",
    "weak_sup@test_s1": "weak supervision, tested at one scale",
    "weak_sup@s1": "weak supervision, one scale throughout",
    "weak_sup@test_wide": "weak supervision, wider search over test scales",
    "weak_sup@test_fine": "weak supervision, finer search over test scales",
    "weak_sup@3x3": "weak supervision, 3×3 adaptation layers",
    "weak_sup@sgd": "weak supervision, the paper's SGD",
    "weak_sup@adagrad": "weak supervision, the script's AdaGrad",
    "weak_sup@mean": "weak supervision, mean pooling",
    "weak_sup@lse": "weak supervision, log-sum-exp pooling",
    "weak_sup@topk": "weak supervision, mean of the best cells",
}


def is_scenes(profile: str) -> bool:
    return profile.startswith("scenes")


def source_class(profile: str) -> str:
    """CSS class of a profile's numbers."""
    return "src-scenes" if is_scenes(profile) else "src-real"


# ---------------------------------------------------------------- runs


@dataclass(frozen=True)
class Run:
    """One folder with a manifest."""

    folder: Path
    profile: str
    trunk: str
    system: str
    seed: int

    @property
    def manifest(self) -> dict:
        return predictions.read_manifest(self.folder)

    @property
    def recorded(self) -> bool:
        return self.folder.parents[3].name == "results"

    @property
    def anchor(self) -> str:
        """Id of the run's entry on the Runs page; `-here`: made here, on real photographs."""
        name = f"{self.profile}-{self.trunk}-{self.system}-seed{self.seed}"
        return name if self.recorded != is_scenes(self.profile) else name + ("-recorded" if self.recorded else "-here")


def run_folder(root: Path | str, profile: str, trunk: str, system: str, seed: int = 0) -> Path:
    return Path(root) / profile / trunk / system / f"seed{seed}"


def find_runs(root: Path | str, profile: str = "", trunk: str = "", system: str = "") -> list[Run]:
    """The whole runs below `root`, all or those of the names given, sorted; none where it is absent."""
    runs = [Run(row.path, row.profile, row.trunk, row.system, row.seed) for row in predictions.find_runs(root).itertuples()]
    wanted = {"profile": profile, "trunk": trunk, "system": system}
    chosen = [run for run in runs if all(value in ("", getattr(run, key)) for key, value in wanted.items())]
    return sorted(chosen, key=lambda run: (run.profile, run.trunk, run.system, run.seed))


@dataclass(frozen=True)
class Measure:
    """One metric of one system over its seeds, 0..1."""

    value: float
    low: float  # 95% bootstrap interval over test images
    high: float
    seeds: tuple[float, ...]
    classes: pd.DataFrame  # by class: ap, low, high
    samples: np.ndarray  # (RESAMPLES,) the mean over seeds and classes in each resample
    class_samples: np.ndarray  # (RESAMPLES, K)


@dataclass(frozen=True)
class Result:
    """A system on a data set: all its seeds."""

    runs: tuple[Run, ...]
    data: str  # what the data is called before people
    n_images: int
    classification: Measure
    location: Measure | None  # None where the system predicts no location

    @property
    def kind(self) -> str:
        return source_class(self.runs[0].profile)

    @property
    def href(self) -> str:
        return f"runs.html#{self.runs[0].anchor}"

    @property
    def link(self) -> str:
        """The data's name, linked to the run."""
        return f'<a href="{self.href}">{html.escape(self.data)}</a>'


def data_name(profile: str, n_images: int | None = None) -> str:
    """ "VOC 2007 sample, 1,312 photographs"; scenes and samples never bear the name of the full data sets."""
    from wsl.profile import load_profile

    try:
        title = load_profile(profile).title.removesuffix(" (real photographs)")
    except StudyError:  # a run of a profile that is not packaged
        title = f"scenes ({profile})" if is_scenes(profile) else profile
    if n_images is None:
        return title
    return f"{title}, {n_images:,} {'generated images' if is_scenes(profile) else 'photographs'}"


def load(root, profile: str, trunk: str, system: str) -> Result | None:
    """The system's seeds with intervals, or None where no run exists (tables then say `NOT_ATTEMPTED`)."""
    runs = find_runs(root, profile, trunk, system)
    return _result(tuple(runs)) if runs else None


def load_pair(root, profile: str, trunk: str, a: str, b: str) -> tuple[Result, Result] | None:
    """Both systems on the seeds that they have in common (all seeds if none is), or None where one has no run."""
    x, y = find_runs(root, profile, trunk, a), find_runs(root, profile, trunk, b)
    if not x or not y:
        return None
    shared = {run.seed for run in x} & {run.seed for run in y}
    return tuple(_result(tuple(run for run in runs if run.seed in shared or not shared)) for runs in (x, y))


@cache
def _result(runs: tuple[Run, ...]) -> Result:
    scored = [from_table(predictions.read_run(r.folder)[0], source=str(r.folder)) for r in runs]
    classes, n_images = scored[0].classes, len(scored[0].images)
    hits = [s.hits(TOLERANCE) for s in scored]
    resamples = [metrics.bootstrap(s.scores, s.labels, h, RESAMPLES) for s, h in zip(scored, hits, strict=True)]
    values = [metrics.per_class(s.scores, s.labels) for s in scored]
    classification = _measure(values, [r.ap for r in resamples], classes)
    location = None
    if all(h is not None for h in hits):
        values = [metrics.per_class(s.scores, s.labels, h) for s, h in zip(scored, hits, strict=True)]
        location = _measure(values, [r.location_ap for r in resamples], classes)
    return Result(runs, data_name(runs[0].profile, n_images), n_images, classification, location)


def _measure(values: list[np.ndarray], samples: list[np.ndarray], classes: tuple[str, ...]) -> Measure:
    """From each seed's AP by class (K,) and its resamples (B, K) to their means over seeds."""
    ap, by_class = np.mean(values, axis=0), np.mean(samples, axis=0)
    low, high = (end.clip(0, 1) for end in metrics.interval(by_class, ap))
    table = pd.DataFrame({"ap": ap, "low": low, "high": high}, index=pd.Index(classes, name="class"))
    value, means = metrics.mean(ap), metrics.mean(by_class)
    low, high = np.clip(ends(means, value), 0, 1)
    return Measure(value, low, high, tuple(metrics.mean(v) for v in values), table, means, by_class)


def ends(samples: np.ndarray, value: float) -> tuple[float, float]:
    """The interval of one number from its resamples (B,)."""
    low, high = metrics.interval(samples[:, None], np.array([value]))
    return float(low[0]), float(high[0])


def difference(a: Result, b: Result, metric: str = "classification") -> dict:
    """a minus b in percentage points with its paired 95% interval, over all classes and by class."""
    x, y = getattr(a, metric), getattr(b, metric)
    gain = 100 * (x.classes["ap"] - y.classes["ap"])
    low, high = metrics.interval(100 * (x.class_samples - y.class_samples), gain.to_numpy())
    value = 100 * (x.value - y.value)
    total = ends(100 * (x.samples - y.samples), value)
    classes = pd.DataFrame({"gain": gain, "low": low, "high": high}, index=gain.index)
    return {"value": value, "low": total[0], "high": total[1], "classes": classes}


def simultaneous(x: Measure, y: Measure) -> tuple[pd.Series, np.ndarray]:
    """Gain in AP of each class from y to x, points, and how far its 95% interval reaches, all classes at once (Bonferroni)."""
    gain = 100 * (x.classes["ap"] - y.classes["ap"]).dropna()
    spread = 100 * np.nanstd((x.class_samples - y.class_samples)[:, ~np.isnan(x.classes["ap"])], axis=0)
    return gain, NormalDist().inv_cdf(1 - 0.025 / len(gain)) * spread


def drops(result: Result) -> pd.Series:
    """Classification AP minus location AP by class, points, the largest first; empty without locations."""
    if result.location is None:
        return pd.Series(dtype=float)
    drop = 100 * (result.classification.classes["ap"] - result.location.classes["ap"])
    return drop.dropna().sort_values(ascending=False, kind="stable")


# ---------------------------------------------------------------- sentences


def say_value(result: Result | None, metric: str = "classification") -> str:
    """ "93.5 (95% interval 92.6 to 94.3)", or that there is none."""
    measure = getattr(result, metric) if result else None
    if measure is None:
        return NOT_ATTEMPTED
    return f"{100 * measure.value:.1f} (95% interval {100 * measure.low:.1f} to {100 * measure.high:.1f})"


def say_difference(a: Result | None, b: Result | None, metric: str, a_name: str, b_name: str) -> str:
    """One Markdown sentence that compares two systems on one data set, from computed values only."""
    if a is None or b is None:
        missing = a_name if a is None else b_name
        return f"No run of {missing} is there to compare."
    d = difference(a, b, metric)
    what = "classification" if metric == "classification" else "location"
    verdict = "above" if d["low"] > 0 else "below" if d["high"] < 0 else "not distinguishable from"
    x, y = (f'<a href="{one.href}">{100 * getattr(one, metric).value:.1f}</a>' for one in (a, b))
    return (
        f"**{a.data}:** {a_name} reaches a {what} mAP of {x}, {b_name} {y}: a difference of {d['value']:+.1f} points "
        f"(paired 95% interval {d['low']:+.1f} to {d['high']:+.1f}), so {a_name} is {verdict} {b_name} here."
    )


def say_differences(columns: list["Column"], a: str, b: str, metric: str) -> list[str]:
    """`say_difference` of two systems for each column that has runs of both."""
    pairs = filter(None, (column.load_pair(a, b) for column in columns))
    return [say_difference(x, y, metric, METHODS[a], METHODS[b]) for x, y in pairs if getattr(x, metric) and getattr(y, metric)]


def say_drops(columns: list["Column"], classes: tuple[str, ...]) -> list[str]:
    """How much more `classes` lose from naming to placing than the others do, a sentence a column with runs."""
    lines = []
    for result in filter(None, (column.load("weak_sup") for column in columns)):
        drop = drops(result)
        named, others = drop[drop.index.isin(classes)], drop[~drop.index.isin(classes)]
        if len(named):
            lines.append(f"{result.link}: {named.mean():.1f} points in the named classes, {others.mean():.1f} in the others")
    return lines


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Cell:
    """A table cell: HTML, the CSS class of its source, and what the tooltip says."""

    text: str
    kind: str = ""
    title: str = ""


def cell(result: Result | None, metric: str, applies: bool = True, small: bool = True) -> Cell:
    """A mean AP with its interval below it, seed spread in the tooltip, linked to the run that made it."""
    if not applies:
        return Cell("–")
    measure = getattr(result, metric) if result else None
    if measure is None:
        return Cell(f"<small>{NOT_ATTEMPTED}</small>", result.kind if result else "")
    value, low, high = (f"{100 * x:.1f}" for x in (measure.value, measure.low, measure.high))
    spread = seed_spread(measure)
    title = f"95% interval over {result.n_images:,} images: {low} to {high}; {spread}"
    under = f"<br><small>{low} to {high}<br>{spread}</small>" if small else ""
    return Cell(f'<a href="{result.href}">{value}</a>{under}', result.kind, title)


def seed_spread(measure: Measure) -> str:
    """ "3 seeds: 93.2 to 93.7"."""
    if len(measure.seeds) == 1:
        return "1 seed"
    low, high = 100 * min(measure.seeds), 100 * max(measure.seeds)
    return f"{len(measure.seeds)} seeds: {low:.1f} to {high:.1f}"


def paper_cell(value: float) -> Cell:
    return Cell("–" if pd.isna(value) else f"{value:.1f}", "src-paper", paper.CITATION)


def table(heads, rows, caption: str, name: str) -> Html:
    """An HTML table in the book's style, the same bytes for the same numbers.

    `heads`: one list a header row of (text, span, css class); the first column of every row is its header.
    `rows`: list of (row header, [Cell, ...]).
    """
    out = [f'<div style="overflow-x:auto" tabindex="0"><table class="dataframe wsl-table" id="{name}">']
    out.append(f"<caption>{caption}</caption><thead>")
    for head in heads:
        cells = "".join(
            f'<th scope="{"colgroup" if span > 1 else "col"}" colspan="{span}"{_class(kind)}>{text}</th>'
            for text, span, kind in head
        )
        out.append(f"<tr>{cells}</tr>")
    out.append("</thead><tbody>")
    for header, cells in rows:
        tds = "".join(f"<td{_class(c.kind)}{_title(c.title)}>{c.text}</td>" for c in cells)
        out.append(f'<tr><th scope="row">{header}</th>{tds}</tr>')
    return Html("\n".join([*out, "</tbody></table></div>"]))


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _title(text: str) -> str:
    return f' title="{html.escape(text)}"' if text else ""


@dataclass(frozen=True)
class Column:
    """One of our own columns: where its runs lie."""

    root: str
    profile: str
    trunk: str

    @property
    def kind(self) -> str:
        return source_class(self.profile)

    def load(self, system: str) -> Result | None:
        return load(self.root, self.profile, self.trunk, system)

    def load_pair(self, a: str, b: str) -> tuple[Result, Result] | None:
        return load_pair(self.root, self.profile, self.trunk, a, b)

    def head_text(self) -> str:
        """ "VOC 2007 sample", plain."""
        return data_name(self.profile)

    def link(self) -> str:
        """The same, linked to the run of weak supervision where there is one."""
        result = self.load("weak_sup")
        return f'<a href="{result.href}">{self.head_text()}</a>' if result else self.head_text()

    def head(self) -> str:
        """ "real photographs: VOC 2007 sample, 1,312 photographs (recorded run)"."""
        result = next(filter(None, (self.load(s) for s in ("weak_sup", "full_images"))), None)
        name = data_name(self.profile, result.n_images if result else None)
        made = "recorded run" if Path(self.root).name == "results" else "run just now"
        what = "" if is_scenes(self.profile) else "real photographs: "
        return f"{what}{name} <small>({made if result else 'no run here'})</small>"


def links(columns: list[Column]) -> str:
    """The caption of a chart: which runs it shows."""
    return "Runs: " + ", ".join(dict.fromkeys(column.link() for column in columns if column.load("weak_sup"))) + "."


def table2(voc: list[Column], coco: list[Column], metric: str) -> Html:
    """One half of Table 2 (`metric`: "classification" or "location"): paper | real photographs | scenes."""
    printed, k = paper.table2(), 0 if metric == "classification" else 1
    groups = [("voc", "Pascal VOC", voc), ("coco", "Microsoft COCO", coco)]
    heads = [[("", 1, "")], [("setup", 1, "")]]
    for short, name, columns in groups:
        heads[0].append((name, 1 + len(columns), ""))
        heads[1].append((f"paper: {'VOC 2012' if short == 'voc' else 'COCO 2014'} validation", 1, "src-paper"))
        heads[1] += [(column.head(), 1, column.kind) for column in columns]
    rows = []
    for letter, systems in TABLE2_SYSTEMS.items():
        system, cells = systems[k], []
        for short, _, columns in groups:
            in_words = Cell("<small>worse than I (no number)</small>" if k == 0 else "–", "src-paper", paper.CITATION)
            cells.append(paper_cell(printed.loc[letter, f"{metric}_{short}"]) if letter in printed.index else in_words)
            for column in columns:
                found = cell(column.load(system) if system else None, metric, system is not None)
                cells.append(Cell(found.text, column.kind, found.title))
        name = printed.loc[letter, "method"] if letter in printed.index else METHODS[systems[0]]
        rows.append((f"{letter}. {name}", cells))
    what = "classification" if k == 0 else "location prediction"
    caption = (
        f"Table 2, {what}: mean average precision, %. Below each own number: 95% interval over test images, "
        "then the spread over seeds. A number links to its run."
    )
    return table(heads, rows, caption, f"table2-{metric}")


def table1(columns: list[Column]) -> Html:
    """Table 1 with classes as rows: the paper's A to G, then our B, F and G on each data set."""
    printed = paper.table1()
    heads = [[("", 1, ""), ("paper: VOC 2012 test", len(printed), "src-paper")], [("class", 1, "")]]
    heads[1] += [(f"{row}<br><small>{html.escape(printed.loc[row, 'method'])}</small>", 1, "src-paper") for row in printed.index]
    results = []
    for column in columns:
        heads[0].append((f"{column.head()}<br><small>not comparable with the test column</small>", 3, column.kind))
        for row, system in TABLE1_SYSTEMS.items():
            heads[1].append((f"{row}<br><small>{METHODS[system]}</small>", 1, column.kind))
            results.append((column.kind, column.load(system)))
    rows = [
        (
            "mAP",
            [paper_cell(printed.loc[r, "mAP"]) for r in printed.index] + [_mean_cell(k, r) for k, r in results],
        )
    ]
    for short, name in paper.VOC_NAMES.items():
        cells = [paper_cell(printed.loc[row, short]) for row in printed.index]
        rows.append((name, cells + [class_cell(kind, result, name) for kind, result in results]))
    caption = (
        "Table 1: average precision by class, %, image classification. The labels of the VOC 2012 test set "
        "are not public, so our columns are computed on validation images and are not comparable with it."
    )
    return table(heads, rows, caption, "table1")


def _mean_cell(kind: str, result: Result | None) -> Cell:
    found = cell(result, "classification", small=False)
    return Cell(found.text, kind, found.title)


def class_cell(kind: str, result: Result | None, name: str, metric: str = "classification") -> Cell:
    """AP of one class, interval in the tooltip."""
    if result is None:  # the row of the mean says so in full
        return Cell("·", kind, NOT_ATTEMPTED)
    classes = getattr(result, metric).classes
    if name not in classes.index or np.isnan(classes.loc[name, "ap"]):
        return Cell("<small>no such object</small>", kind)
    ap, low, high = (100 * classes.loc[name, c] for c in ("ap", "low", "high"))
    return Cell(f'<a href="{result.href}">{ap:.1f}</a>', kind, f"95% interval {low:.1f} to {high:.1f}")


def drop_table(columns: list[Column], count: int) -> Html:
    """The classes that lose most from naming to placing, for each source."""
    heads = [[("", 1, ""), *((column.head(), 1, column.kind) for column in columns)]]
    results = [(column.kind, column.load("weak_sup")) for column in columns]
    rows = []
    for rank in range(count):
        cells = []
        for kind, result in results:
            drop = drops(result) if result else []
            if rank >= len(drop):
                cells.append(Cell("·", kind, NOT_ATTEMPTED))
                continue
            name = drop.index[rank]
            ap, place = (100 * m.classes.loc[name, "ap"] for m in (result.classification, result.location))
            low, high = (100 * result.location.classes.loc[name, end] for end in ("low", "high"))
            title = f"classification AP {ap:.1f}, location AP {place:.1f} (95% interval {low:.1f} to {high:.1f})"
            cells.append(Cell(f'{html.escape(name)} <a href="{result.href}">−{drop.iloc[rank]:.1f}</a>', kind, title))
        rows.append((f"{rank + 1}.", cells))
    return table(heads, rows, "Classification AP minus location AP, points: the largest drops.", "drops")


def difference_cell(pair: tuple[Result, Result] | None, metric: str, kind: str) -> Cell:
    """a minus b in points with its paired interval below."""
    if pair is None or None in (getattr(pair[0], metric), getattr(pair[1], metric)):
        return Cell("·", kind, NOT_ATTEMPTED)
    d = difference(*pair, metric)
    seeds = sorted({run.seed for run in pair[0].runs})
    title = f"paired 95% interval, seeds {', '.join(map(str, seeds))}"
    text = f'<a href="{pair[0].href}">{d["value"]:+.1f}</a><br><small>{d["low"]:+.1f} to {d["high"]:+.1f}</small>'
    return Cell(text, kind, title)


def answer_table(columns: list[Column]) -> Html:
    """The landing page's summary: the paper's two findings, each as a pair of rows of Table 2."""
    printed = paper.table2()
    pairs = [
        ("Names what is there: whole image", "full_images", "classification", "H"),
        ("Names what is there: search, labels only", "weak_sup", "classification", "J"),
        ("Points at it: centre of the image", "center", "location", "K"),
        ("Points at it: search, labels only", "weak_sup", "location", "J"),
    ]
    heads = [[("mean average precision, %", 1, ""), ("paper: VOC 2012 validation", 1, "src-paper")]]
    heads[0] += [(column.head(), 1, column.kind) for column in columns]
    rows = []
    for label, system, metric, letter in pairs:
        cells = [paper_cell(printed.loc[letter, f"{metric}_voc"])]
        for column in columns:
            found = cell(column.load(system), metric)
            cells.append(Cell(found.text, column.kind, found.title))
        rows.append((f"{label} <small>({letter})</small>", cells))
    return table(heads, rows, "The answer so far. Each number links to the run that made it.", "answer")


def runs_table(runs: list[Run], caption: str, name: str) -> Html:
    """Every run with what made it: data, command, commit, hashes, time, hardware. One anchor a run."""
    texts = ["run", "data", "command", "commit", "sha256", "time", "machine"]
    rows = []
    for run in runs:
        m = run.manifest
        data, hardware, software = (m.get(key) or {} for key in ("data", "hardware", "software"))
        training = m.get("training") or {}
        made = {_commit(state) for state in (training, m) if "commit" in state}
        cells = [
            _lines(data.get("name"), f"{data.get('n_images', '?')} images"),
            f"<code>{html.escape(str(m.get('command', 'not recorded')))}</code>",
            _lines(*sorted(made), f"study {m.get('study', '?')}", m.get("created")),
            _lines(*(f"{what} {_short(digest)}" for what, digest in _digests(m).items())),
            _duration(m.get("wall_seconds")),
            _lines(
                ", ".join(f"{v}" for v in hardware.values()),
                ", ".join(f"{k} {v}" for k, v in software.items()),
            ),
        ]
        run_name = f"{run.profile}<br>{run.trunk}<br><b>{run.system}</b><br>seed {run.seed}"
        label = f'<span id="{run.anchor}">{run_name}</span>'
        rows.append((label, [Cell(f"<small>{text}</small>", source_class(run.profile)) for text in cells]))
    return table([[(text, 1, "") for text in texts]], rows, caption, name)


def _commit(state: dict) -> str:
    return _short(state["commit"]) + (" with local changes" if state.get("changed_files") else "")


def _lines(*texts) -> str:
    return "<br>".join(html.escape(str(text)) for text in texts if text)


def _digests(manifest: dict) -> dict[str, str | None]:
    """What can be hashed of a run: its data, its trunk's weights, its head, its table."""
    return {
        "data": (manifest.get("data") or {}).get("digest"),
        "trunk": manifest.get("weights_sha256"),
        "head": manifest.get("head_sha256"),
        "table": manifest.get("predictions_sha256"),
    }


def _short(digest) -> str:
    return str(digest)[:12] if digest else "none"


def _duration(seconds) -> str:
    if not isinstance(seconds, int | float):
        return "not recorded"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


# ---------------------------------------------------------------- Figure 1's curves


def evolution(root, profile: str, trunk: str, seed: int = 0) -> pd.DataFrame | None:
    """mAP and location mAP after each epoch (columns epoch, classification, location), or None."""
    path = run_folder(root, profile, trunk, "weak_sup", seed) / "evolution.csv"
    if not path.is_file():
        return None
    means = pd.read_csv(path).groupby("epoch")[["ap", "location_ap"]].mean().reset_index()
    return means.rename(columns={"ap": "classification", "location_ap": "location"})


def discovery_rows(root, profile: str, trunk: str, seed: int = 0) -> pd.DataFrame | None:
    """discovery.csv as it is: image, class, appearance ("" unknown), epoch (NaN: never found); None if absent."""
    path = run_folder(root, profile, trunk, "weak_sup", seed) / "discovery.csv"
    if not path.is_file():
        return None
    return pd.read_csv(path, dtype={"image": str, "class": str}).fillna({"appearance": ""})


def discovery(root, profile: str, trunk: str, seed: int = 0) -> dict[str, pd.Series] | None:
    """Share of objects found for good by each epoch, by appearance ("all objects" where none is told)."""
    found = discovery_rows(root, profile, trunk, seed)
    if found is None:
        return None
    curves = evolution(root, profile, trunk, seed)
    last = int(curves["epoch"].max() if curves is not None else found["epoch"].max())
    epochs = pd.RangeIndex(last + 1)
    groups = found.groupby("appearance")
    known = {name: group for name, group in groups if name in ("usual", "unusual")} or {"all objects": found}
    return {
        f"{name} ({len(group):,})": pd.Series([(group["epoch"] <= e).mean() for e in epochs], index=epochs)
        for name, group in sorted(known.items(), reverse=True)
    }


def discovery_epochs(root, profile: str, trunk: str, seed: int = 0) -> pd.DataFrame | None:
    """By appearance: number of objects, share ever found, median epoch of discovery among those found."""
    found = discovery_rows(root, profile, trunk, seed)
    if found is None:
        return None
    other = "both kinds in one picture" if (found["appearance"] != "").any() else "all objects"
    found = found.replace({"appearance": {"": other}})
    by = found.groupby("appearance")["epoch"]
    return pd.DataFrame({"objects": by.size(), "found": by.count() / by.size(), "median_epoch": by.median()})


def epoch_of_half(curve: pd.DataFrame, metric: str) -> int:
    """First epoch that reaches half of the final value."""
    return int(curve["epoch"][curve[metric] >= curve[metric].iloc[-1] / 2].iloc[0])


# ---------------------------------------------------------------- extent


def extent(root, profile: str, trunk: str, how: str = RECORD, rule: str = "ap", seed: int = 0) -> pd.DataFrame | None:
    """Detection AP (0..1) by class (rows) and IoU threshold (columns, float), from extent.csv; None if absent.

    how: the way of scoring a proposal. rule: "ap" (VOC devkit) or "ap_coco" (COCOeval).
    """
    path = run_folder(root, profile, trunk, "weak_sup", seed) / "extent.csv"
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"class": str})
    if missing := {"how", "iou", "class", "ap", "ap_coco"} - set(table):
        raise StudyError(f"{path}: lacks the column {min(missing)!r}; make it again with `wsl extent`")
    table = table[table["how"] == how].assign(iou=table["iou"].round(4))
    return table.pivot(index="class", columns="iou", values=rule)


def extent_mean(
    root, profile: str, trunk: str, how: str = RECORD, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Detection mAP (0..1) by threshold, columns value, low, high, and resamples of it by threshold; None if absent.

    Intervals are there where resamples are: at the paper's thresholds.
    """
    table = extent(root, profile, trunk, how, seed=seed)
    if table is None:
        return None
    samples = pd.read_csv(run_folder(root, profile, trunk, "weak_sup", seed) / "extent_samples.csv")
    samples = samples[samples["how"] == how].drop(columns="how").rename(columns=lambda name: round(float(name), 4))
    means = pd.DataFrame({"value": table.mean(), "low": np.nan, "high": np.nan})
    ends = metrics.interval(samples.to_numpy(), means.loc[samples.columns, "value"].to_numpy())
    means.loc[samples.columns, ["low", "high"]] = np.clip(ends, 0, 1).T
    return means, samples


def share_left(means: pd.DataFrame, samples: pd.DataFrame) -> tuple[float, np.ndarray]:
    """mAP at IoU 0.5 as a percentage of that at 0.1 (NaN where that is 0), and its resamples."""
    loose, strict = (means.loc[t, "value"] for t in (0.1, 0.5))
    share = 100 * strict / loose if loose else np.nan
    return share, (100 * samples[0.5] / samples[0.1].clip(1e-9)).to_numpy()
