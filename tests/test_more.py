"""Pointing, hits by size and number, calibration: against plain loops over pixels and pairs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from conftest import coco_content
from test_evaluate import random_table, run_json

from wsl.cli import main as cli
from wsl.data import coco, voc
from wsl.errors import StudyError
from wsl.evaluation import evaluate, metrics, more


def torchray(mask: np.ndarray, point, tolerance: float) -> bool:
    """A pixel of the class's mask lies nearer to the point than the tolerance: the definition that TorchRay publishes."""
    rows, columns = np.nonzero(mask)
    return bool(((columns - point[0]) ** 2 + (rows - point[1]) ** 2 < tolerance**2).any())


@pytest.mark.parametrize("tolerance", [0, 1, 5, 15])
def test_the_pointing_game_agrees_with_torchrays_definition(voc_root, tolerance):
    path = voc_root / "VOC2007/Annotations/000007.xml"
    path.write_text(path.read_text().replace("41.5", "41"))  # whole pixels: the mask then is the box
    dataset = voc.load(voc_root, "2007", "val")
    for seed in range(20):
        df = random_table(dataset, seed)
        df[["x", "y"]] = np.floor(df[["x", "y"]])
        hits, pairs = np.zeros(20), np.zeros(20)
        for n, k in np.argwhere(dataset.labels > 0):
            mask = np.zeros(dataset.sizes[n][::-1], bool)
            for m in np.flatnonzero((dataset.boxes.image == n) & (dataset.boxes.cls == k)):
                x0, y0, x1, y1 = dataset.boxes.xyxy[m].astype(int)
                mask[y0 : y1 + 1, x0 : x1 + 1] = True
            row = df[(df["image"] == dataset.images[n]) & (df["class"] == voc.CLASSES[k])].iloc[0]
            hits[k] += torchray(mask, (row["x"], row["y"]), tolerance)
            pairs[k] += 1
        found = more.answer("pointing", df, dataset, pointing_tolerance=tolerance)
        asked = pairs > 0
        np.testing.assert_allclose(found["value"].to_numpy()[:20][asked], hits[asked] / pairs[asked])
        assert found["value"]["mean"] == pytest.approx((hits[asked] / pairs[asked]).mean())
        assert found["value"][more.ALL] == hits.sum() / pairs.sum() and np.isnan(found["value"]["bus"])


@pytest.fixture
def many(coco_json):
    """40 images of two classes, with one to six boxes of any size."""
    rng, content = np.random.default_rng(1), coco_content()
    content["images"] = [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(40)]
    content["annotations"] = []
    for n in range(40):
        for _ in range(rng.integers(0, 7)):
            x, y, w, h = rng.random(4) * (100, 50, 100, 50)
            kind = {"category_id": int(rng.choice([1, 3])), "iscrowd": int(rng.random() < 0.1)}
            one = {"id": len(content["annotations"]), "image_id": n, "bbox": [x, y, w, h]}
            content["annotations"].append(one | kind)
    coco_json.write_text(json.dumps(content))
    return coco.load(coco_json)


def test_hits_by_size_and_number_of_objects(many):
    df = random_table(many)
    hits = evaluate.from_predictions(df, many).hits(18)
    groups = {"size": {}, "instances": {}}
    for n, k in np.argwhere(many.labels > 0):
        boxes = many.boxes.xyxy[(many.boxes.image == n) & (many.boxes.cls == k)]
        share = max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes) / 20_000
        groups["size"].setdefault(sum(share >= start for start in more.SIZES) - 1, []).append(hits[n, k])
        groups["instances"].setdefault(sum(len(boxes) >= start for start in more.INSTANCES) - 1, []).append(hits[n, k])
    for question, expected in groups.items():
        found = more.answer(question, df, many)
        assert found["n"].tolist() == [len(expected.get(g, [])) for g in range(4)]
        np.testing.assert_allclose(found["value"], [np.mean(expected[g]) if g in expected else np.nan for g in range(4)])
    assert more.answer("instances", df, many).index.tolist() == ["1", "2", "3 to 4", "5 and more"]


def test_calibration_is_that_of_a_loop_and_a_perfect_forecast_has_none(many):
    df = random_table(many)
    p = 1 / (1 + np.exp(-df["score"].to_numpy()))
    label = many.labels.ravel()
    keep = label != 0
    error = 0
    for g in range(15):
        inside = keep & (np.minimum((p * 15).astype(int), 14) == g)
        error += abs((p[inside] - (label[inside] > 0)).sum()) / keep.sum()
    found = more.answer("calibration", df, many)
    assert found["value"]["expected error"] == pytest.approx(error) and found["n"].iloc[:-1].sum() == keep.sum()
    as_given = more.answer("calibration", df.assign(score=p), many)  # all in 0..1: probabilities already
    pd.testing.assert_frame_equal(as_given, found)
    sure = more.answer("calibration", df.assign(score=(label > 0).astype(float)), many)
    assert sure["value"]["expected error"] == 0


def test_intervals_are_those_of_drawn_images(many):
    df, counts = random_table(many), next(metrics.resample_counts(40, 100, 3))
    found = more.answer("pointing", df, many, n_bootstrap=100, seed=3)
    plain = []
    for column in counts.T:
        drawn = np.repeat(np.arange(40), column.astype(int))
        hit = more.box_distance(evaluate.predictions.align(df, many).points, many, euclidean=True) < 15
        asked = many.labels > 0
        plain.append((hit & asked)[drawn].sum() / asked[drawn].sum())
    low, high = metrics.ends(np.array(plain), found["value"][more.ALL])
    assert found.loc[more.ALL, ["low", "high"]].tolist() == pytest.approx([low, high])
    for question in more.QUESTIONS:
        table = more.answer(question, df, many, n_bootstrap=50).dropna()
        assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()


def test_the_command_answers_besides_and_takes_another_rule(many, coco_json, tmp_path, capsys):
    random_table(many).to_csv(tmp_path / "mine.csv", index=False)
    arguments = [tmp_path / "mine.csv", "--coco", coco_json]
    plain, _ = run_json(capsys, *arguments)
    found, _ = run_json(capsys, *arguments, "--also", *more.QUESTIONS, "--bootstrap", 20, "--rule", "voc2007")
    expected = evaluate.evaluate(evaluate.from_predictions(random_table(many), many), definition="voc2007")
    assert found["rule"] == "voc2007" and found["location"]["mAP"] == pytest.approx(expected["location_ap"].iloc[-1], abs=1e-6)
    assert set(found["also"]) == set(more.QUESTIONS) and len(found["also"]["pointing"]["mean"]["interval"]) == 2
    assert "rule" not in plain and "also" not in plain
    random_table(many).assign(x=np.nan, y=np.nan).to_csv(tmp_path / "mine.csv", index=False)
    assert cli.main(["evaluate", *map(str, arguments), "--also", "calibration"]) == 0
    assert "expected error" in capsys.readouterr().out
    assert cli.main(["evaluate", *map(str, arguments), "--also", "size"]) == 2
    with pytest.raises(StudyError, match="'luck': expected one of pointing"):
        more.answer("luck", random_table(many), many)
