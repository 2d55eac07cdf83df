"""From data set to book tables on a few small scenes, and what bad input gets."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from wsl import profile as profiles
from wsl.cli.main import main
from wsl.errors import StudyError
from wsl.evaluation.evaluate import evaluate_table
from wsl.evaluation.predictions import ALTERNATIVES
from wsl.evaluation.runs import read_run
from wsl.profile import load_profile, profile_names
from wsl.systems import plan, study, train

TINY = """
title = "tiny scenes"
layout = "voc"
year = "scenes"
generate = { train = 32, val = 8, seed = 0, size = 128 }
canvas = 128
train_scales = [1.0, 1.5]
test_scales = [1.0, 1.5]
hidden = 16
epochs = 2
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(profile, runs folder) with full_images and weak_sup trained."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.toml").write_text(TINY)
    profile, runs = load_profile(str(folder / "tiny.toml")), folder / "runs"
    study.make_data(profile, runs)
    study.train_system(profile, "full_images", 0, runs)
    study.train_system(profile, "weak_sup", 0, runs, record=True)
    return profile, runs


def test_predictions_manifest_and_recording(tiny, tmp_path):
    profile, runs = tiny
    targets = [(s, 0) for s in ("weak_sup", "center", "weak_sup@test_s1", "full_images", "center@test_s1")]
    folders = study.predict_systems(profile, targets, runs)
    tables = {folder.parent.name: read_run(folder)[0] for folder in folders}
    weak, center = tables["weak_sup"], tables["center"]
    assert len(weak) == 8 * 20 and (weak["distance"] >= 0).all()
    pd.testing.assert_series_equal(weak["score"], center["score"])  # K: the scores of J
    assert not weak["score"].equals(tables["weak_sup@test_s1"]["score"])
    assert tables["center@test_s1"]["score"].equals(tables["weak_sup@test_s1"]["score"])
    assert tables["full_images"]["x"].isna().all()
    everywhere = evaluate_table(weak, tolerance=float("inf"))
    assert everywhere["location_ap"].equals(everywhere["ap"])
    manifest = json.loads((folders[0] / "manifest.json").read_text())
    assert manifest["command"] == "wsl run tiny weak_sup --seed 0"
    assert len(manifest["training"]["losses"]) == 2 and manifest["data"]["n_images"] == 8
    recorded = study.record_run(folders[0], tmp_path)
    assert sorted(p.name for p in recorded.iterdir()) == ["manifest.json", "predictions.parquet"]
    pd.testing.assert_frame_equal(read_run(recorded)[0], weak)
    less, manifest = read_run(study.record_run(folders[2], tmp_path))  # an ablation: without the alternatives
    assert set(weak) - set(less) == set(ALTERNATIVES) and manifest["system"] == "weak_sup@test_s1"


def test_evolution_over_training(tiny):
    from wsl.systems.evolve import evolve

    profile, runs = tiny
    folder = evolve(profile, 0, runs)
    curve = pd.read_csv(folder / "evolution.csv")
    assert sorted(curve["epoch"].unique()) == [0, 1, 2]  # 0: before training
    found = pd.read_csv(folder / "discovery.csv", dtype={"image": str})
    assert set(found["appearance"].dropna()) <= {"usual", "unusual"} and found["epoch"].max() <= 2


def test_box_supervised_systems_and_extent(tiny, tmp_path):
    from wsl.evaluation.detection import REPORTED, SCORINGS
    from wsl.systems.extent import IOUS, extent

    profile, runs = tiny
    profile = replace(profile, proposals=50)
    for system in ("rcnn", "object_patches"):
        study.train_system(profile, system, 0, runs)
    folders = study.predict_systems(profile, [("rcnn", 0), ("object_patches", 0)], runs)
    (regions, manifest), (patches, _) = (read_run(folder) for folder in folders)
    assert len(regions) == len(patches) == 8 * 20 and regions["distance"].notna().all()
    first, *later = manifest["training"]["regions"]
    assert 32 < first <= 32 * 50 + len(profile.dataset("train", runs).boxes) and later == sorted(later) and first <= later[0]
    written = extent(profile, 0, runs)
    ap = pd.read_csv(written)
    assert len(ap) == len(SCORINGS) * 20 * len(IOUS) and ap["ap"].dropna().between(0, 1).all()
    record = ap[ap["how"] == REPORTED]
    assert (record["ap"].isna() == record["ap_coco"].isna()).all()
    assert record.pivot(index="iou", columns="class", values="ap").notna().any().sum() == record["ap"].notna().sum() / len(IOUS)
    assert len(pd.read_csv(written.with_name("extent_samples.csv"))) == len(SCORINGS) * 1000
    mean = record.groupby("iou")["ap"].mean()
    assert mean.is_monotonic_decreasing and mean.iloc[0] > mean.iloc[-1]
    study.predict_systems(profile, [("weak_sup", 0)], runs)
    assert (study.record_run(written.parent, tmp_path) / "extent.csv").read_bytes() == written.read_bytes()


def test_an_interrupted_training_resumes_to_the_same_head(tiny, monkeypatch):
    profile, runs = tiny
    trunk, data = study.trunk_of(profile), profile.dataset("train", runs)
    features = study.training_features(profile, runs, trunk, data)
    whole, losses = train.train(profile, "weak_sup", 1, features, progress=False)
    out = runs / "interrupted"
    save = train._checkpoint

    def stop_after_first_epoch(*args):
        save(*args)
        if args[2] == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "_checkpoint", stop_after_first_epoch)
    with pytest.raises(KeyboardInterrupt):
        train.train(profile, "weak_sup", 1, features, out, progress=False)
    assert not (out / "head.safetensors").exists()
    monkeypatch.undo()
    resumed, again = train.train(profile, "weak_sup", 1, features, out, progress=False)
    assert again == losses and (resumed.cb.weight == whole.cb.weight).all()
    assert not (out / "checkpoint.pt").exists()


def test_plan_forecasts_each_step_and_refuses_a_full_disk(tiny, tmp_path, monkeypatch):
    profile = replace(tiny[0], systems=("full_images", "weak_sup", "center", "rcnn"))
    text = plan.plan([profile], tmp_path)
    for step in ("draw scenes", "features", "proposals x 2", "train weak_sup", "train rcnn", "predict with 4 runs", "extent"):
        assert step in text
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    (tmp_path / "data" / "tiny" / "scenes.json").write_text("{}")
    assert "draw scenes" not in plan.plan([profile], tmp_path)
    monkeypatch.setattr(plan, "missing_runs", lambda *_: [])
    assert plan.plan([profile], tmp_path) == "tiny: tiny scenes, every run is there"
    monkeypatch.undo()
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(StudyError, match="not enough disk"):
        plan.plan([profile], tmp_path)


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load(name):
    assert load_profile(name).systems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key 'epoch'"),
        ("epochs = 0", "epochs = 0 is not possible"),
        ("test_scales = []", r"test_scales = \(\) is not possible"),
        ("systems = ['best']", "system 'best' is unknown"),
        ("ablations = [3]", "system '3' is unknown"),
        ("systems = 'weak_sup'", "systems = 'weak_sup' is not possible"),
        ("epochs = ", "not valid TOML"),
    ],
)
def test_bad_profiles(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(StudyError, match=f"mine.toml: .*{message}"):
        load_profile(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("plan nowhere", "profile 'nowhere' is unknown"),
        ("train voc2012 weak_sup", "no data root; give --voc-root"),
        ("train scenes-small best", "system 'best' is unknown"),
        ("train scenes-small center", "has no head of its own; train 'weak_sup'"),
        ("train scenes-small weak_sup --trunk none", "trunk 'none' is unknown"),
        ("train scenes-small weak_sup --weights none.npz", "none.npz: no such weights file"),
        ("predict scenes-small weak_sup/one", "the seed is not a number"),
        ("predict voc-sample weak_sup --voc-root nowhere", "nowhere"),
        ("localize none.jpg --head none.safetensors", "none.safetensors: no such head"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err and "Traceback" not in err


def test_systems_and_their_heads():
    assert {profiles.head_of(s) for s in ("center", "weak_sup@test_s1", "weak_sup")} == {"weak_sup"}
    assert profiles.head_of("weak_sup@train_s1") == "weak_sup@train_s1"
    assert profiles.head_of("center@test_s1@n10") == "weak_sup@n10" and profiles.scores_of("center@n10") == "weak_sup@n10"
    settings = load_profile("voc-sample").system_settings("masked_pool@train_s1@n10")
    assert settings.train_scales == (1.0,) and settings.fraction == 0.1


@pytest.mark.parametrize("name", ["weak_sup@", "weak_sup@best", "best@n10", "rcnn@n10", "@n10", ""])
def test_unknown_systems(name):
    with pytest.raises(StudyError, match="is unknown; choose one of"):
        profiles.check_system(name)


def test_localize_finds_the_motorbike_and_draws_it(tmp_path, capsys):
    """The shipped head on a photograph that it never saw: scikit-image's motorbike fills x 60..700, y 80..480."""
    from wsl.data.photographs import PHOTOGRAPHS

    path = PHOTOGRAPHS["motorcycle_left"].path
    assert main(["localize", str(path), "--out", str(tmp_path), "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    best = image["found"][0]
    assert best["class"] == "motorbike" and 60 < best["x"] < 700 and 80 < best["y"] < 480
    assert (tmp_path / "motorcycle_left_localized.png").stat().st_size > 10_000
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:5000])
    assert main(["localize", str(tmp_path / "cut.png")]) == 2
    assert "cut.png: not a readable image" in capsys.readouterr().err
