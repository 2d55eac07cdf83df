"""From data set to book tables on a few small scenes, and what bad input gets."""

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from PIL import Image

from wsl import profile as profiles
from wsl.cli.main import main
from wsl.errors import StudyError
from wsl.evaluation import views
from wsl.evaluation.evaluate import MAPPINGS, RANKINGS, evaluate_table
from wsl.evaluation.predictions import ALTERNATIVES, compact
from wsl.evaluation.runs import read_run
from wsl.network.engines import has_gpu
from wsl.network.features import Features
from wsl.profile import load_profile, profile_names
from wsl.systems import plan, study
from wsl.systems.data import make_data

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
    make_data(profile, runs)
    study.train_systems(profile, [("full_images", 0), ("weak_sup", 0)], runs)
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
    assert manifest["source"] == "generated" and load_profile("voc-sample").source == "photographs"
    before = (folders[0] / "predictions.parquet").read_bytes()
    study.predict_systems(profile, targets[:1], runs)
    assert (folders[0] / "predictions.parquet").read_bytes() == before  # the same run, the same bytes
    recorded = study.record_run(folders[0], tmp_path)
    assert {"manifest.json", "predictions.parquet"} == {p.name for p in recorded.iterdir()}
    pd.testing.assert_frame_equal(read_run(recorded)[0], weak)
    less, manifest = read_run(study.record_run(folders[2], tmp_path))  # an ablation: in less space, with the same answers
    whole = read_run(folders[2])[0]
    assert set(weak) - set(less) == set(ALTERNATIVES) and manifest["system"] == "weak_sup@test_s1"
    pd.testing.assert_frame_equal(evaluate_table(less), evaluate_table(whole))
    assert (512 * less["score"] % 1 == 0).all() and (less["score"] - whole["score"]).abs().max() < 0.01
    pd.testing.assert_frame_equal(less[whole["label"] > 0][["x", "y"]], whole[whole["label"] > 0][["x", "y"]])
    further = compact(weak, alternatives=True)  # a later seed of J: every ranking and point stays
    assert set(further) == set(weak) and not further["score_max"].equals(weak["score_max"])
    for ranking, mapping in itertools.product(RANKINGS, MAPPINGS):
        pd.testing.assert_frame_equal(*(evaluate_table(t, ranking=ranking, mapping=mapping) for t in (further, weak)))


def test_a_system_outside_the_profile_runs_to_its_end(tmp_path, capsys):
    """Features are kept for the profile's systems; another brings sides of its own."""
    (tmp_path / "mine.toml").write_text(TINY + 'systems = ["full_images"]\n')
    words = [str(tmp_path / "mine.toml"), "--runs", str(tmp_path)]
    assert main(["data", "scenes", *words]) == main(["features", *words]) == 0
    assert main(["run", *words, "weak_sup@test_s1"]) == 0
    assert len(read_run(tmp_path / "mine" / "efficientnet_lite0" / "weak_sup@test_s1" / "seed0")[0]) == 8 * 20


def test_evolution_over_training(tiny):
    profile, runs = tiny
    study.predict_systems(profile, [], runs, evolve=0)
    folder = runs / "tiny" / profile.trunk / "weak_sup" / "seed0"
    curve = pd.read_csv(folder / "evolution.csv")
    assert sorted(curve["epoch"].unique()) == [0, 1, 2]  # 0: before training
    found = pd.read_csv(folder / "discovery.csv", dtype={"image": str})
    assert set(found["appearance"].dropna()) <= {"usual", "unusual"} and found["epoch"].max() <= 2


def test_views_hold_boxes_and_maps_of_what_is_present_or_detected(tiny, tmp_path):
    profile, runs = tiny
    (folder,) = study.predict_systems(profile, [("weak_sup", 0)], runs, views=0)
    recorded = study.record_run(folder, tmp_path)
    found, table, dataset = views.read(recorded), read_run(recorded)[0], profile.dataset("val", runs)
    wanted = table[(table["label"] >= 0) | (table["score"] > 0)]
    assert set(found.views.index) == set(wanted[["image", "class"]].itertuples(index=False, name=None))
    assert found.pictures[["width", "height"]].to_numpy().tolist() == dataset.sizes.tolist()
    image, name = wanted[wanted["label"] > 0][["image", "class"]].iloc[0]
    own = (dataset.boxes.image == dataset.images.index(image)) & (dataset.boxes.cls == dataset.classes.index(name))
    assert np.allclose(found.boxes(image, [name]), dataset.boxes.xyxy[own], atol=1e-3)
    cells = found.probabilities(image, name)
    assert cells.shape[0] == cells.shape[1] and cells.max() > cells.min()
    (folder / "manifest.json").write_text(json.dumps({"head_sha256": "another"}))
    with pytest.raises(StudyError, match="pictures.parquet: is of another head than manifest.json"):
        views.read(folder)


def test_box_supervised_systems_and_extent(tiny, tmp_path):
    from wsl.evaluation.detection import REPORTED, SCORINGS
    from wsl.systems.extent import IOUS

    profile, runs = tiny
    profile = replace(profile, proposals=50)
    study.train_systems(profile, [("rcnn", 0), ("object_patches", 0)], runs)
    folders = study.predict_systems(profile, [("rcnn", 0), ("object_patches", 0)], runs)
    folders += study.predict_systems(profile, [("weak_sup", 0)], runs, extent=0)
    (regions, manifest), (patches, _), _ = (read_run(folder) for folder in folders)
    assert len(regions) == len(patches) == 8 * 20 and regions["distance"].notna().all()
    first, *later = manifest["training"]["regions"]
    assert 32 < first <= 32 * 50 + len(profile.dataset("train", runs).boxes) and later == sorted(later) and first <= later[0]
    written = folders[-1] / "extent.csv"
    ap = pd.read_csv(written)
    assert len(ap) == len(SCORINGS) * 20 * len(IOUS) and ap["ap"].dropna().between(0, 1).all()
    record = ap[ap["how"] == REPORTED]
    assert (record["ap"].isna() == record["ap_coco"].isna()).all()
    assert record.pivot(index="iou", columns="class", values="ap").notna().any().sum() == record["ap"].notna().sum() / len(IOUS)
    assert len(pd.read_csv(written.with_name("extent_samples.csv"))) == len(SCORINGS) * 1000
    mean = record.groupby("iou")["ap"].mean()
    assert mean.is_monotonic_decreasing and mean.iloc[0] > mean.iloc[-1]
    assert (study.record_run(written.parent, tmp_path) / "extent.csv").read_bytes() == written.read_bytes()


def test_only_heads_that_are_missing_or_of_another_training_are_trained(tiny, tmp_path, monkeypatch, capsys):
    profile, runs = tiny
    data, seen = runs / "data", tmp_path / "tiny" / profile.trunk
    (tmp_path / "data").symlink_to(data)
    targets = [("full_images", 0), ("weak_sup", 0)]

    def trained(profile=profile) -> set[str]:
        before = {path: path.stat().st_mtime_ns for path in seen.rglob("head.safetensors")}
        files = study.train_systems(profile, targets, tmp_path, missing=True)
        return {path.parent.parent.name for path in files if path.stat().st_mtime_ns != before.get(path)}

    assert trained() == {"full_images", "weak_sup"} and trained() == set()
    (seen / "weak_sup" / "seed0" / "head.safetensors").unlink()
    assert trained() == {"weak_sup"} and capsys.readouterr().err.count("another training") == 0
    assert trained(replace(profile, learning_rate=0.1)) == {"full_images", "weak_sup"}
    assert "head.safetensors: is of another training (learning_rate = 0.001, now 0.1); the training" in capsys.readouterr().err
    with pytest.raises(StudyError, match=r"other settings \(learning_rate = 0.1, now 0.001\); train it anew"):
        study.predict_systems(profile, [("center", 0)], tmp_path)
    assert trained(replace(profile, learning_rate=0.1, test_scales=(1.0,))) == set()  # testing has its own settings
    monkeypatch.setattr(study, "training_code", lambda: "other code")
    assert trained(replace(profile, learning_rate=0.1)) == {"full_images", "weak_sup"}


@pytest.mark.parametrize("name", ["head.safetensors", "training.json", "epochs/001.safetensors"])
@pytest.mark.parametrize(
    "spoil", [None, lambda b: b"", lambda b: b[:-9], lambda b: b"[" * 9999, lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:]]
)
def test_spoilt_files_of_a_training_are_named_and_not_used(tiny, tmp_path, capsys, name, spoil):
    profile, runs = tiny
    folder, features = tmp_path / "seed0", Features(study.trunk_of(profile), profile.dataset("train", runs), profile.canvas)
    shutil.copytree(runs / "tiny" / profile.trunk / "weak_sup" / "seed0", folder)
    assert study._is_made(profile, "weak_sup", 0, folder, features)
    (folder / name).write_bytes(spoil((folder / name).read_bytes())) if spoil else (folder / name).unlink()
    assert not study._is_made(profile, "weak_sup", 0, folder, features)
    assert spoil is None or str(folder / name) in capsys.readouterr().err
    with pytest.raises(StudyError, match=f"{folder / name}: .*with `wsl train`"):
        study.read_log(folder)


def test_a_head_that_is_trained_anew_during_prediction_is_not_named_in_the_manifest(tiny, tmp_path, monkeypatch):
    profile, runs = tiny
    (tmp_path / "data").symlink_to(runs / "data")
    shutil.copytree(runs / "tiny" / profile.trunk / "full_images", tmp_path / "tiny" / profile.trunk / "full_images")
    log = tmp_path / "tiny" / profile.trunk / "full_images" / "seed0" / "training.json"
    other = {key: value for key, value in json.loads(log.read_text()).items() if key not in study.CHECKED} | {"losses": []}
    monkeypatch.setattr(study, "one_pass", lambda *_: log.write_text(json.dumps(other)))
    with pytest.raises(StudyError, match="was trained anew meanwhile; predict again"):
        study.predict_systems(profile, [("full_images", 0)], tmp_path)


def test_processes_side_by_side_train_the_same_heads(tiny, tmp_path):
    profile, runs = tiny
    (tmp_path / "data").symlink_to(runs / "data")
    targets = [("full_images", 0), ("weak_sup", 0)]
    for path in study.train_side_by_side(profile, targets, tmp_path, missing=False, workers=2):
        assert path.read_bytes() == (runs / path.relative_to(tmp_path)).read_bytes()


def test_plan_forecasts_each_step_and_refuses_a_full_disk(tiny, tmp_path, monkeypatch):
    profile = replace(tiny[0], systems=("full_images", "weak_sup", "center", "rcnn"))
    text, seconds = plan.plan([profile], tmp_path, 2)
    for step in ("draw scenes", "features", "proposals", "train weak_sup", "train rcnn", "predict with 4 runs"):
        assert step in text
    assert list(seconds) == [f"tiny {stage}" for stage in ("data", "features", "proposals", "train", "predict")]
    assert all(0 < value < 1000 for value in seconds.values())
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    (tmp_path / "data" / "tiny" / "scenes.json").write_text("{}")
    text, seconds = plan.plan([profile], tmp_path, 2, ["book"])
    assert "draw scenes" not in text and "tiny data" not in seconds and list(seconds)[-2:] == ["book pages", "book site"]
    for system in ("full_images", "weak_sup", "rcnn"):
        (tmp_path / "tiny" / profile.trunk / system / "seed0").mkdir(parents=True)
        (tmp_path / "tiny" / profile.trunk / system / "seed0" / "head.safetensors").touch()
    assert "train" not in plan.plan([profile], tmp_path, 2)[0]
    monkeypatch.setattr(plan, "missing_runs", lambda *_: [])
    assert plan.plan([profile], tmp_path, 2) == ("tiny: tiny scenes, every run is there", {})
    monkeypatch.undo()
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(StudyError, match="not enough disk"):
        plan.plan([profile], tmp_path, 2)


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load(name):
    profile = load_profile(name)
    assert profile.targets() and all(profile.system_settings(system) for system, _ in profile.targets())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key 'epoch'"),
        ("epochs = 0", "epochs = 0 is not possible"),
        ("test_scales = []", r"test_scales = \(\) is not possible"),
        ("systems = ['best']", "system 'best' is unknown"),
        ("ablations = [3]", "ablations.0 = 3 is not possible"),
        ("systems = 'weak_sup'", "systems = 'weak_sup' is not possible"),
        ("systems = []", r"systems = \(\) is not possible"),
        ("seeds = [0, 1, 0]", "name full_images/0 twice"),
        ("name = 'other'", "unknown key 'name'"),
        ("epochs = ", "not valid TOML"),
        ("epochs = 1" + "0" * 5000, "not valid TOML"),
        ("epochs = 0x" + "f" * 5000, "epochs = a huge number is not possible"),
        ("epochs = true", "epochs = True is not possible"),
        ("kernel = true", "kernel = True is not possible"),
        ("kernel = 2", "kernel = 2 is not possible; choose 1 or 3"),
        ("train_scales = [1.0, 0.0]", "train_scales.1 = 0.0 is not possible"),
        ("train_scales = " + "[" * 5000 + "]" * 5000, "not valid TOML"),
        ("train_scales = [[[1.0]]]", r"train_scales.0 = \[\[1.0\]\] is not possible"),
        ("learning_rate = inf", "learning_rate = inf is not possible"),
        ("learning_rate = nan", "learning_rate = nan is not possible"),
        ("weight_decay = 'x'", "weight_decay = 'x' is not possible"),
        ("year = 2012", "year = 2012 is not possible"),
        ("trunk = '../x'", "trunk = '../x' is not possible"),
        ("generate = 8", "generate = 8 is not possible .expected { train = N"),
        ("generate = { train = 8 }", "generate.val is missing"),
        ("generate = { train = 8, val = 8, seed = 0, size = 99, x = 1 }", "unknown key 'generate.x'; the keys are train, val"),
        ("generate = { train = 8, val = 8, seed = 0, size = 1 }", "generate.size = 1 is not possible"),
        ("pool = 'mean'\nsystems = ['weak_sup', 'masked_pool']", "pool = 'mean' is not honoured by masked_pool"),
        ("kernel = 3\nsystems = ['object_patches']", "kernel = 3 is not honoured by object_patches"),
    ],
)
def test_bad_profiles(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(StudyError, match=f"mine.toml: .*{message}") as error:
        load_profile(str(tmp_path / "mine.toml"))
    assert len(str(error.value).splitlines()) == 1


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
        ("run scenes-small weak_sup --seed -1", "seed '-1': expected a whole number"),
        ("train scenes-small weak_sup --trunk a/b", "trunk = 'a/b' is not possible"),
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
    assert profiles.head_of("cam") == "weak_sup@mean" and profiles.head_of("full_images_map@test_s1@n10") == "full_images@n10"
    profile = load_profile("voc-sample")
    settings = profile.system_settings("masked_pool@train_s1@n10")
    assert settings.train_scales == (1.0,) and settings.fraction == 0.1
    assert profile.system_settings("cam") == profile.system_settings("weak_sup@mean@test_s1")
    assert None in profile.feature_sides(["grad_cam"])


@pytest.mark.parametrize("name", ["weak_sup@", "weak_sup@best", "best@n10", "@n10", ""])
def test_unknown_systems(name):
    with pytest.raises(StudyError, match="is unknown; choose one of"):
        profiles.check_system(name)


@pytest.mark.parametrize(
    ("method", "refused"),
    [
        ("weak_sup", ""),
        ("center", ""),
        ("masked_pool", "mean lse topk"),
        ("masked_pool_outside", "mean lse topk"),
        ("object_patches", "3x3 mean lse topk"),
        ("full_images", "train_s1 test_s1 s1 test_wide test_fine 3x3 mean lse topk"),
        ("rcnn", " ".join(profiles.CHANGES)),
    ],
)
def test_a_system_refuses_each_change_that_it_does_not_honour(method, refused):
    assert len(profiles.HONOURED) == 12
    for change in profiles.CHANGES:
        if change in refused.split():
            with pytest.raises(StudyError, match=f"'{method}@{change}': {method} does not honour @{change}; it honours "):
                profiles.check_system(f"{method}@{change}")
        else:
            assert profiles.check_system(f"{method}@{change}")


def test_a_change_that_makes_the_input_too_large_is_refused():
    with pytest.raises(StudyError, match="'weak_sup@test_wide': canvas = 1200 at scale 4 is more than 4096 pixels"):
        replace(load_profile("voc-sample"), canvas=1200).system_settings("weak_sup@test_wide")


@pytest.mark.parametrize("changes", ["mean@lse", "train_s1@s1", "n5@n5", "sgd@adagrad", "n5@test_s1@test_wide"])
def test_two_changes_of_one_setting_are_refused(changes):
    with pytest.raises(StudyError, match=f"@{changes.split('@')[-1]} sets [a-z_]+ a second time"):
        profiles.check_system(f"weak_sup@{changes}")


@pytest.mark.parametrize(("head", "name"), [("voc", "motorbike"), ("coco", "motorcycle")])
def test_localize_finds_the_motorbike_and_draws_it(tmp_path, capsys, head, name):
    """The shipped heads on a photograph that they never saw: scikit-image's motorbike fills x 60..700, y 80..480."""
    from wsl.data.photographs import PHOTOGRAPHS

    path = PHOTOGRAPHS["motorcycle_left"].path
    assert main(["localize", str(path), "--out", str(tmp_path), "--json", "--head", head]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    best = image["found"][0]
    assert best["class"] == name and 60 < best["x"] < 700 and 80 < best["y"] < 480
    drawn = np.asarray(Image.open(tmp_path / "motorcycle_left_localized.png"))
    assert drawn.shape == (30 + 283, 420 + len(image["found"]) * (12 + 420), 3)  # a title above panels of 420 pixels
    cross = np.argwhere((drawn[:, 432:852] == (255, 221, 51)).all(2)).mean(0) - (30, 0)
    np.testing.assert_allclose(cross, np.array([best["y"], best["x"]]) * 420 / 741, atol=1.5)
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:5000])
    assert main(["localize", str(tmp_path / "cut.png")]) == 2
    assert "cut.png: not a readable image" in capsys.readouterr().err


def imported(code: str, *names: str) -> list[str]:
    """Which of these packages a fresh process has imported after `code`."""
    code += f"\nimport sys; print(*[name for name in {names} if name in sys.modules])"
    return subprocess.check_output([sys.executable, "-c", code], cwd=REPOSITORY, text=True).splitlines()[-1].split()


def test_commands_import_what_they_need():
    assert imported("import wsl.cli.main", "numpy", "pandas", "torch") == []
    assert imported("import wsl.systems.plan", "torch", "torchvision", "timm", "openvino", "scipy", "matplotlib") == ["torch"]


@pytest.mark.skipif(has_gpu(), reason="PyTorch runs the trunk on a GPU")
@pytest.mark.parametrize("keeps", ["off", "folder"])
def test_localize_imports_neither_torch_nor_timm(tmp_path, monkeypatch, keeps):
    """Where it has to make the trunk, and, at the second run, where that is kept."""
    monkeypatch.setenv("WSL_CACHE", keeps if keeps == "off" else str(tmp_path / keeps))
    code = "from wsl.cli.main import main\nfrom wsl.data.photographs import PHOTOGRAPHS\n"
    code += f"assert main(['localize', str(PHOTOGRAPHS['chelsea'].path), '--out', {str(tmp_path)!r}]) == 0"
    for _ in range(1 if keeps == "off" else 2):
        assert imported(code, "torch", "timm", "torchvision", "matplotlib", "pandas") == []
