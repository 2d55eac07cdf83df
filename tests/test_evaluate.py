"""`wsl evaluate` on tiny and on real annotations, against a computation that shares no code with it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from test_metrics import devkit_ap
from test_report import make_run

from wsl import api
from wsl.cli import main as cli
from wsl.data import coco, voc
from wsl.errors import StudyError
from wsl.evaluation import evaluate, predictions, runs
from wsl.evaluation.runs import read_run
from wsl.findings import paper
from wsl.pages import evaluation


def random_table(dataset, seed: int = 0, extra: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n, k = dataset.labels.shape
    xy = rng.random((n * k, 2)) * np.repeat(dataset.sizes, k, axis=0)
    score = np.round(rng.normal(size=n * k) + extra * (dataset.labels.ravel() > 0), 2)  # ties
    columns = {"image": np.repeat(dataset.images, k), "class": np.tile(dataset.classes, n), "score": score}
    return pd.DataFrame({**columns, "x": xy[:, 0], "y": xy[:, 1]})


def run_json(capsys, *arguments) -> tuple[dict, str]:
    status = cli.main(["evaluate", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    return json.loads(out), err


@pytest.fixture
def tiny(voc_root, tmp_path):
    """(data set, table of random predictions, path of the CSV, arguments that name the data)."""
    dataset = voc.load(voc_root, "2007", "val")
    df = random_table(dataset)
    path = tmp_path / "mine.csv"
    df.to_csv(path, index=False)
    return dataset, df, path, ["--voc", voc_root, "--year", "2007", "--split", "val"]


@pytest.mark.parametrize("located", [True, False])
def test_a_page_to_send(tiny, tmp_path, capsys, located):
    """The means as printed, every class with positives, misses in words; whole without a network; no name is taken for HTML."""
    dataset, df, path, data = tiny
    path = path.rename(tmp_path / "<b>mine.csv")
    without = dataset.images[int((dataset.labels[:, dataset.classes.index("dog")] < 0).argmax())]
    df.loc[(df["image"] == without) & (df["class"] == "dog"), "score"] = 9.0
    (df if located else df.assign(x=None, y=None)).to_csv(path, index=False)
    assert cli.main(["evaluate", *map(str, [path, *data]), "--html", str(tmp_path / "page.html")]) == 0
    printed, page = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    mean = printed.splitlines()[-1].split()[2]  # mAP, positives, classification, ...
    assert f"<b>{mean}</b></td>" in page and "&lt;b&gt;mine.csv" in page and "<b>mine" not in page
    assert page.count("<polyline") == 2 * (1 + located) and "the class is not there" in page  # cat and dog
    assert ("pixels from the object" in page) == ("What localization loses" in page) == located
    links = re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", page)
    assert "http" not in links and "<script" not in page and hashlib.sha256(path.read_bytes()).hexdigest() in page


def test_a_page_has_pictures_and_the_systems_on_the_same_images(tiny, tmp_path, monkeypatch):
    """Misses where their files are; the paper's rows on its data set and at its tolerance; runs of the same digest."""
    dataset, df, path, data = tiny
    own = dataset.digest()
    for system, digest in (("weak_sup", own), ("center", own), ("weak_sup@s1", own), ("rcnn", "0" * 64)):
        make_run(tmp_path / "results", "tiny", system, data={"name": "tiny", "digest": digest, "n_images": 40})
    monkeypatch.setitem(paper.VALIDATION, "voc", (dataset.name, len(dataset)))
    scored, html = evaluate.from_predictions(df, dataset), tmp_path / "page.html"

    def page(tolerance: float) -> str:
        frame = evaluate.evaluate(scored, tolerance)
        settings = evaluation.Settings(tolerance, "voc2010", 0, 0)
        evaluation.write_page(html, "mine", frame, df, scored, dataset, settings, {}, tmp_path / "results")
        return html.read_text()

    text = page(18)
    run = evaluate.evaluate_table(read_run(tmp_path / "results/tiny/trunk/weak_sup/seed0")[0])["ap"].iloc[-1]
    row = text[text.index("weak supervision <small>(trunk, 1 seed)") :]
    assert row[: row.index("</tr>")].count(f">{100 * run:.1f}<") == 1 and "R-CNN*" not in text and "one scale" not in text
    assert "J. WEAK SUP <small>(the paper)</small>" in text and ">74.5<" in text and "WEAK SUP" not in page(30)
    pictures = text.count('href="data:image/jpeg;base64,')
    dataset.files[0].unlink()
    dataset.files[1].write_bytes(b"no picture")
    assert pictures > page(18).count('href="data:image/jpeg;base64,') > 0


def test_json_and_text(tiny, capsys):
    dataset, df, path, data = tiny
    found, err = run_json(capsys, path, *data, "--bootstrap", 50, "--seed", 1)
    assert found["n_images"] == 4 and found["missing"] == 0
    assert list(found["classification"]["AP"]) == list(voc.CLASSES)
    assert found["classification"]["AP"]["bus"] is None and "no positives for aeroplane, bicycle" in err
    values = [found["classification"]["AP"][name] for name in ("cat", "dog")]
    assert found["classification"]["mAP"] == pytest.approx(np.mean(values), abs=1e-15)
    for section in (found["classification"], found["location"]):
        low, high = section["mAP_interval"]
        assert low <= section["mAP"] <= high and section["AP_interval"]["bus"] is None
    everywhere, _ = run_json(capsys, path, *data, "--tolerance", "inf")
    assert everywhere["location"]["AP"] == everywhere["classification"]["AP"] == found["classification"]["AP"]
    command = [sys.executable, "-m", "wsl.cli", "evaluate", *map(str, [path, *data])]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{100 * found['location']['mAP']:.1f}" in text.splitlines()[-1]


def test_order_of_rows_and_format_do_not_matter(tiny, capsys, tmp_path):
    dataset, df, path, data = tiny
    expected, _ = run_json(capsys, path, *data)
    df.assign(note="ignored", label="ignored").sample(frac=1, random_state=0).to_parquet(
        tmp_path / "mine.parquet"
    )
    assert run_json(capsys, tmp_path / "mine.parquet", *data)[0] == expected


def test_missing_rows_rank_last_and_locations_may_be_absent(tiny, capsys):
    dataset, df, path, data = tiny
    gone = (df["class"] == "dog") & (df["image"] == "000012")
    df[~gone].to_csv(path, index=False)
    found, err = run_json(capsys, path, *data)
    assert found["missing"] == 1 and "1 of 80 (image, class) rows are missing and ranked last" in err
    df[df["image"] == "000012"].to_csv(path, index=False)
    _, err = run_json(capsys, path, *data)
    assert "all of 3 images, the first '000007'; to evaluate the others alone, give their list as the split" in err
    df.assign(score=df["score"].mask(gone, -1e9)).to_csv(path, index=False)
    assert run_json(capsys, path, *data)[0]["classification"] == found["classification"]
    df.assign(x=np.nan, y=np.nan).to_csv(path, index=False)
    found, err = run_json(capsys, path, *data)
    assert found["location"] is None and "no row has a location" in err


def test_what_may_be_wrong_with_a_table_is_remarked(tiny):
    """Points and scores that no careful table has; the center of the image is a careful prediction."""
    dataset, df, *_ = tiny
    width, height = (df["image"].map(dict(zip(dataset.images, side, strict=True))) for side in dataset.sizes.T)

    def remarks(**columns) -> list[str]:
        found = evaluate.from_predictions(df.assign(**columns), dataset, "mine").remarks
        return [remark for remark in found if remark.startswith("mine: ")]

    assert remarks() == [] == remarks(x=width / 2, y=height / 2)
    (corner,) = remarks(x=df["x"].where(df.index > 9, 0.6), y=df["y"].where(df.index > 9, 0.3))
    assert "mine: 10 of 80 points lie in the first pixel" in corner
    assert "mine: no point lies beyond (" in remarks(x=df["x"] / 2, y=df["y"] / 2)[0]
    assert "of 80 scores are 1, and" in remarks(score=df["score"].where(df.index > 40, 1.0))[0]
    with pytest.warns(UserWarning) as caught:
        api.evaluate(df.iloc[1:], dataset)
    assert any("1 of 80 (image, class) rows are missing" in str(warning.message) for warning in caught)


ROW = "000012,dog,0.5,1,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("", "is empty"),
        ("image,class,score,x,y\n", "holds no prediction"),
        ("image,class,score\n000012,dog,1\n", "lacks the column(s) x, y"),
        (ROW + ROW, "image 000012, class dog has two rows"),
        ("000012,dog,nan,1,1", "image 000012, class dog has no score (NaN)"),
        ("000012,dog,-inf,1,1", "infinite score"),
        ("000012,dog,high,1,1", "column score reads 'high' in row 1"),
        ("000012,unicorn,1,1,1", "class 'unicorn' is not in VOC2007 val"),
        ("000013,dog,1,1,1", "image '000013' is not in VOC2007 val"),
        ("12,dog,1,1,1", "leading zeros were lost"),
        ("000012,dog,1,100.5,1", "point (100.5, 1) outside its image of 100 x 50 pixels"),
        ("000012,dog,1,-0.1,1", "outside its image"),
        ("000012,dog,1,inf,1", "infinite x or y"),
        (ROW + "000012,cat,1,,", "image 000012, class cat has no location"),
        (ROW + "000012,cat,1", "Expected 5 columns, got 3"),
        ("PAR1", "is a Parquet file that was cut off"),
    ],
)
def test_bad_predictions(tiny, capsys, tmp_path, text, message):
    *_, data = tiny
    path = tmp_path / "bad.csv"
    if text is not None:
        path.write_text(text if text[:5] in ("", "image", "PAR1") else "image,class,score,x,y\n" + text)
    assert cli.main(["evaluate", str(path), *map(str, data)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {path}") and message in err


def test_bad_options(tiny, capsys, coco_json):
    _, _, path, data = tiny
    for extra in (["--tolerance", "-1"], ["--tolerance", "nan"], ["--bootstrap", "-5"], ["--images", "x"]):
        assert cli.main(["evaluate", str(path), *map(str, data), *extra]) == 2
    assert cli.main(["evaluate", str(path), "--voc", str(data[1])]) == 2
    assert cli.main(["evaluate", str(path), "--coco", str(coco_json), "--year", "2007"]) == 2
    assert capsys.readouterr().err.count("error: ") == 6


def test_own_run_is_judged_without_the_data(tiny, capsys, tmp_path):
    dataset, df, path, data = tiny
    df = df.assign(x_centre=1.0, y_centre=2.0, score_max=-df["score"])
    run = tmp_path / "scenes" / "trunk" / "weak_sup" / "seed2"
    runs.write_run(run, predictions.attach_truth(df, dataset), {"system": "weak_sup"})
    (found,) = runs.find_runs(tmp_path)
    assert (found.profile, found.trunk, found.system, found.seed) == ("scenes", "trunk", "weak_sup", 2)
    table, manifest = runs.read_run(found.folder)
    assert manifest["system"] == "weak_sup" and list(table.columns[:5]) == list(predictions.NEEDED)
    frame = evaluate.evaluate_table(table)
    from_data, _ = run_json(capsys, run / "predictions.parquet", *data)
    assert frame["location_ap"].iloc[-1] == from_data["location"]["mAP"]
    assert frame["ap"].iloc[-1] == from_data["classification"]["mAP"]
    centre = evaluate.evaluate_table(table, mapping="centre", ranking="score_max", n_bootstrap=20)
    assert {"ap_low", "location_ap_high"} <= set(centre) and centre["ap"].iloc[-1] != frame["ap"].iloc[-1]
    with pytest.raises(StudyError, match="once each"):
        evaluate.evaluate_table(table.iloc[1:])
    content = (run / "predictions.parquet").read_bytes()
    for spoilt in (b"", content[:-9], content[:999] + bytes([content[999] ^ 1]) + content[1000:]):
        (run / "predictions.parquet").write_bytes(spoilt)
        with pytest.raises(StudyError, match="predictions.parquet: is not the table that manifest.json was written for"):
            runs.read_run(run)
    with pytest.raises(StudyError, match="two rows"):
        predictions.write(pd.concat([df, df]), tmp_path / "never.parquet")
    assert not list(tmp_path.glob("*never*"))


# ---- the real annotations, read and judged by code that shares nothing with wsl


def independent(rows: dict, truth: dict, classes: list, kind: str) -> dict:
    """AP a class; rows {(image, class): (score, x, y)}; truth {image: [(class, ignored, x0, y0, x1, y1)]}."""
    out = {}
    for name in classes:
        scores, labels, hits = [], [], []
        for image, objects in truth.items():
            boxes = [o for o in objects if o[0] == name]
            score, x, y = rows[image, name]
            scores.append(score)
            labels.append(-1 if not boxes else 1 if any(not o[1] for o in boxes) else 0)
            near = [o[2] - 18 <= x <= o[4] + 18 and o[3] - 18 <= y <= o[5] + 18 for o in boxes]
            hits.append(kind == "classification" or any(near))
        out[name] = devkit_ap(scores, labels, hits, "voc2010")
    return out


def voc_truth(folder) -> dict:
    truth = {}
    for image in (folder / "ImageSets/Main/val.txt").read_text().split():
        objects = ET.parse(folder / "Annotations" / f"{image}.xml").findall("object")
        truth[image] = [
            (
                o.find("name").text,
                o.find("difficult").text == "1",
                *(float(v.text) - 1 for v in o.find("bndbox")),
            )
            for o in objects
        ]
    return truth


def coco_truth(path) -> dict:
    content = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    truth = {str(image["id"]): [] for image in content["images"]}
    for a in content["annotations"]:
        x, y, w, h = a["bbox"]
        truth[str(a["image_id"])].append((names[a["category_id"]], a["iscrowd"] == 1, x, y, x + w, y + h))
    return truth


@pytest.mark.parametrize("source", ["voc", "coco"])
def test_real_data_agrees_with_an_independent_computation(realdata, source, capsys, tmp_path):
    if source == "voc":
        dataset = voc.load(realdata / "voc", "2007", "val")
        truth = voc_truth(realdata / "voc/VOCdevkit/VOC2007")
        data = ["--voc", realdata / "voc", "--year", "2007", "--split", "val"]
    else:
        path = realdata / "coco/annotations/instances_val2014.json"
        dataset, truth, data = coco.load(path), coco_truth(path), ["--coco", path]
    df = random_table(dataset)
    df.to_csv(tmp_path / "random.csv", index=False)
    found, _ = run_json(capsys, tmp_path / "random.csv", *data)
    rows = {(r[0], r[1]): r[2:] for r in df.itertuples(index=False, name=None)}
    for kind in ("classification", "location"):
        expected = independent(rows, truth, list(dataset.classes), kind)
        assert found[kind]["AP"] == pytest.approx(expected, abs=1e-12)
        assert found[kind]["mAP"] == pytest.approx(np.mean(list(expected.values())), abs=1e-12)
