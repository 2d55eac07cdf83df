"""`make bench`: what can be held without timing anything. Sides do the same work, bars find them, tables read back."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import book, measure, scoring
from benchmarks.measure import NotAvailable, Options, Side, Timing
from benchmarks.side import measured
from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.findings import speed
from wsl.pages.tables import of_frame

ABOUT = {"processor": "P", "instruction_set": "AVX2", "arithmetic": "float32", "cores": 2, "memory_gib": 8}
ABOUT |= {"versions": "v", "commit": "c"}
ROOT = Path(__file__).resolve().parents[1]


def table(path, *rows):
    """A table with (measure, side, size, seconds, MiB) a row."""
    lines = [
        dict(zip(bench.FIELDS, ("maps", m, side, size, s, s, s, 3 if s else 0, mib, "<note>"), strict=True))
        | ABOUT | {"load_before": "0.10", "date": "2026"} for m, side, size, s, mib in rows
    ]  # fmt: skip
    bench.replace(path, "maps", lines)
    return speed.read(path)


def test_every_bar_finds_its_sides(tmp_path):
    groups = [importlib.import_module(f"benchmarks.{name}") for name in bench.GROUPS]
    sides = [side for group in groups for side in group.sides(Options(str(tmp_path)))]
    assert measure.OURS == speed.OURS
    for bar in speed.BARS:
        names = {side.name for side in sides if side.measure.startswith(bar.measure)}
        assert {speed.OURS, *bar.against} <= names, bar


def test_the_ways_to_average_precision_agree():
    scores, labels = scoring.draw(200, 3)
    ours = {name: metrics.per_class(scores, labels, definition=name) for name in metrics.DEFINITIONS}
    assert np.array_equal(scoring.ours_ap(scores, labels), ours["voc2010"])
    assert np.allclose(scoring.sklearn_ap(scores, labels), ours["sklearn"], rtol=1e-12)
    assert np.allclose(scoring.pycocotools_ap(scores, labels), ours["coco101"], rtol=1e-6)


def test_torchmetrics_agrees():
    pytest.importorskip("torchmetrics")
    scores, labels = scoring.draw(200, 3)
    expected = metrics.per_class(scores, labels, definition="sklearn")
    assert np.allclose(scoring.torchmetrics_ap(scores, labels), expected, atol=1e-6)


@pytest.mark.parametrize(("each", "runs"), [(1, 5), (3, 2), (8, 1), (50, 1)])
def test_repeat_keeps_its_budget_and_leaves_out_the_first_run(monkeypatch, each, runs):
    """Of 12 seconds, on a clock that each run moves on."""
    clock = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])

    def run():
        clock[0] += each + (1 if clock[0] == 0 else 0)

    assert measure.repeat(run).seconds == [each] * runs if each < 8 else [each + 1]


def test_a_side_that_is_not_available_says_why(monkeypatch):
    def missing(options):
        raise NotAvailable("no compiler")

    sides = [Side("m", "a", missing), Side("m", "b", lambda options: Timing([2.0, 4.0], "n"))]
    monkeypatch.setattr(book, "sides", lambda options: sides)
    assert measured("book", 0, Options(""))["note"] == "not available: no compiler"
    found = measured("book", 1, Options(""))
    assert found["seconds"] == [2.0, 4.0] and found["note"] == "n" and found["memory_mib"] > 1


def test_a_side_that_dies_or_does_not_end_leaves_a_note(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    side = {"measure": "m", "side": "s", "size": None, "limit": 60}
    row = bench.measure("nothing", 0, side, Options(""))
    assert row["seconds"] == "" and row["runs"] == 0 and "No module named 'benchmarks.nothing'" in row["note"]
    assert "not done after 0 s" in bench.measure("book", 0, side | {"limit": 0.01}, Options(""))["note"]


def test_the_steps_of_the_workflow_become_the_stages_of_the_book(tmp_path, monkeypatch, capsys):
    """Jobs side by side count once in time; rows of other groups stay."""
    for name, start, end in ("train/a 0", 0, 10), ("train/a 1", 5, 12), ("data/a", 20, 21):
        file = tmp_path / "runs" / "steps" / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\tmax_rss\n{end - start}\t-\n")
        os.utime(file, (end, end))
    read = speed.steps(tmp_path / "runs")
    assert read["start"].tolist() == [0, 5, 20] and read["memory_mib"].isna().all()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ask = bench.ask
    monkeypatch.setattr(bench, "ask", lambda *words, **limits: ABOUT if words == ("machine",) else ask(*words, **limits))
    path = tmp_path / "out" / "p-avx2-2-cores.csv"
    table(path, ("m", "ours", "", 1.0, ""))
    bench.main(["book", "--out", "out"])
    rows = speed.read(path)
    stages = rows[rows["group"] == "book"].set_index("side")
    assert stages["seconds"].to_dict() == {"data": 1, "train": 12, "all stages": 13}
    assert stages.loc["train", "note"] == "2 jobs" and len(rows) == 4 and stages["memory_mib"].isna().all()
    assert "all stages" in capsys.readouterr().out


def test_ratios_and_bars(tmp_path):
    m = "score maps of a photograph"
    rows = table(
        tmp_path / "a.csv",
        (m, "ours", "", 0.7, 500), (m, "torch eager", "", 2.1, ""), (m, "grad-cam", "", 70.0, ""), (m, "torchcam", "", 7.7, ""),
        (m, "window by window", "", "", ""), ("wsl evaluate", "from CSV", "", 9.0, 860),
    )  # fmt: skip
    assert np.allclose(rows["ratio"].dropna(), [1, 3, 100, 11]) and rows["ratio"].isna().sum() == 2
    judged = speed.judge(rows).set_index("against")
    assert judged.loc["torch eager", "reached"] is False and judged.loc["torchcam", "reached"] is True
    assert judged.loc["window by window", "reached"] is None and "grad-cam" not in judged.index
    html = of_frame(speed.sides_table(rows), "caption", "name")
    assert "2.1 s<br><small>2.1 s to 2.1 s, 3 runs</small>" in html and "860 MiB" in html and "&lt;note&gt;" in html
    assert "missed" in of_frame(speed.bars_table(rows), "caption", "name")
    (sentence,) = speed.machines(rows)
    assert "AVX2" in sentence and "load 0.1 before" in sentence


def test_growth_is_read_from_its_ends(tmp_path):
    m = "growth with images"
    sizes = [(5_000, 20.0, 600), (10_000, 30.0, 650), (20_000, 70.0, 750)]
    rows = table(tmp_path / "a.csv", *((m, f"{n} images", n, s, mib) for n, s, mib in sizes))
    g = speed.growth(rows).loc[m]
    assert np.allclose([g["first"], g["last"], g["mib"]], [0.002, 0.004, 0.01])
    assert g["coco_seconds"] == pytest.approx(70 + 103_000 * 0.004) and g["coco_mib"] == pytest.approx(750 + 1_030)
    assert "one more image takes 2 ms at 5,000, 4 ms at 20,000" in speed.say_growth(rows)[0]
    rows = table(tmp_path / "b.csv", *(("growth with classes", "", n, s, 700) for n, s in ((20, 3.0), (40, 4.0), (80, 3.5))))
    assert "takes 50 ms at 20, no time that could be measured at 80" in speed.say_growth(rows)[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.2e-5, "42 µs"), (0.703, "703 ms"), (3.26, "3.26 s"), (133, "133 s"), (2250, "37.5 min"), (21240, "5.9 h"), (np.nan, "–")],
)
def test_durations_in_words(seconds, words):
    assert speed.duration(seconds) == words


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(StudyError, match=r"a.csv: lacks group, .*make bench"):
        speed.read(tmp_path / "a.csv")
