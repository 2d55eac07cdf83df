"""`wsl compare`: tables side by side, from runs and from files."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from test_evaluate import random_table
from test_report import make_run

from wsl.cli import main as cli
from wsl.data import voc
from wsl.errors import StudyError
from wsl.evaluation import compare, evaluate, predictions
from wsl.evaluation.runs import GENERATED, read_run
from wsl.pages.compare import page
from wsl.pages.show import interval, number


@pytest.fixture
def runs(tmp_path):
    return [
        make_run(tmp_path / "runs", "scenes", system, quality=q, source=GENERATED)
        for system, q in (("weak_sup", 2), ("full_images", 1))
    ]


def run_json(capsys, *arguments) -> dict:
    assert cli.main(["compare", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_values_are_those_of_evaluate_and_differences_those_of_the_paired_bootstrap(runs, capsys):
    found = run_json(capsys, *runs, "--bootstrap", 200)
    assert [one["name"] for one in found["tables"]] == ["weak_sup/seed0", "full_images/seed0"]
    first, second = (read_run(folder)[0] for folder in runs)
    expected = evaluate.evaluate_table(first, n_bootstrap=200).iloc[-1]
    assert found["tables"][0]["location"]["mAP"] == expected["location_ap"]
    assert found["tables"][0]["classification"]["mAP_interval"] == [expected["ap_low"], expected["ap_high"]]
    x, y = (evaluate.measures({0: evaluate.from_table(table)}, n_bootstrap=200) for table in (first, second))
    moved = found["differences"][0]
    assert (moved["name"], moved["minus"]) == ("full_images/seed0", "weak_sup/seed0")
    paired = evaluate.paired_difference(y.location, x.location)
    assert moved["location"]["mAP"] == paired.value
    assert moved["location"]["mAP_interval"] == [paired.low, paired.high]


def test_a_table_from_elsewhere_is_judged_by_its_data(voc_root, tmp_path, capsys):
    dataset, data = voc.load(voc_root, "2007", "val"), ["--voc", voc_root, "--year", "2007", "--split", "val"]
    mine, theirs = tmp_path / "mine.csv", tmp_path / "theirs.parquet"
    random_table(dataset, 1).to_csv(mine, index=False)
    predictions.write(random_table(dataset, 2).assign(x=np.nan, y=np.nan), theirs)
    found = run_json(capsys, mine, theirs, *data, "--bootstrap", 0)
    assert found["tables"][1]["location"] is None and found["differences"][0]["location"] is None
    assert "mAP_interval" not in found["tables"][0]["classification"] and found["n_images"] == 4
    assert cli.main(["compare", *map(str, [mine, theirs, *data]), "--html", str(tmp_path / "page.html")]) == 0
    out, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    assert "mine" in out.splitlines()[4] and out.count("mAP") == 2
    assert "Classification AP" in page and "Localization AP" in page and "<script" not in page
    assert "http" not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")  # no address that a browser would ask
    found = compare.compare(compare.read([mine, theirs], dataset))
    gain = found.differences[0].classification
    said = f"{number(100 * gain.value, sign=True)}<br><small>{interval(100 * gain.low, 100 * gain.high)}</small>"
    assert said in page and "theirs minus mine: the classes that change most, points." in page
    assert page.count(hashlib.sha256(mine.read_bytes()).hexdigest()) == 1 and dataset.digest() in page
    assert cli.main(["compare", str(mine), str(theirs)]) == 2
    assert "carries no truth" in capsys.readouterr().err


def test_errors_name_what_is_wrong(runs, tmp_path, capsys):
    other = make_run(tmp_path / "runs", "voc-sample", "rcnn", images=30)
    later = make_run(tmp_path / "runs", "scenes", "full_images", 1, source=GENERATED)
    for arguments, words in (
        ([runs[0]], "nothing to compare"),
        ([runs[0], runs[0]], "given twice"),
        ([runs[0], runs[0].parent], "give one of its seeds"),
        ([runs[0], tmp_path / "no.csv"], "no such file"),
        ([runs[0], tmp_path], "give a run's folder or a table"),
        ([runs[0], other], "seed0/predictions.parquet: 40 images against 30"),
        ([runs[0], later], "seed 1 against seed 0"),
        ([runs[0] / "predictions.parquet", later / "predictions.parquet"], "seed 1 against seed 0"),
        ([*runs, "--year", "2007"], "go with --voc"),
        ([*runs, "--tolerance", "-1"], "--tolerance"),
    ):
        assert cli.main(["compare", *map(str, arguments)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and words in err


def test_names_tell_tables_apart():
    assert compare.short_names(["a/mine.csv", "b/weak_sup/seed0"]) == ["mine", "weak_sup/seed0"]
    assert compare.short_names(["a/weak_sup/seed0", "b/weak_sup/seed0"]) == ["a/weak_sup/seed0", "b/weak_sup/seed0"]
    assert compare.short_names(["a/x/predictions.parquet", "a/y/predictions.parquet"]) == ["x", "y"]
    assert compare.short_names(["x.csv", "x.parquet"]) == ["x (1)", "x (2)"]


def test_page_of_the_book(runs, tmp_path, voc_root):
    parts = page([], runs, None, "scenes")
    assert [part.count("<table") for part in parts] == [1, 1] and ">weak_<wbr>sup/<wbr>seed0</a>" in parts[0]
    assert 'href="runs.html#scenes-trunk-weak_sup"' in parts[0]
    assert "nothing to compare" in page([], runs[:1], None, "scenes")[0]
    assert "not on this machine" in page(["mine.csv"], runs, None, "scenes")[0]
    dataset = voc.load(voc_root, "2007", "val")
    paths = []
    for k in range(2):
        paths.append(str(tmp_path / f"table{k}.csv"))
        random_table(dataset, k).to_csv(paths[-1], index=False)
    assert "table1" in page(paths, [], dataset, "VOC")[0]
    with pytest.raises(StudyError, match="one table only"):
        compare.compare(compare.read(paths[:1], dataset))
