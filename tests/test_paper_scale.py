"""The profiles of the paper's scale from the command line to predictions, on a handful of small pictures in their layouts."""

import json
from dataclasses import replace
from functools import cache, partial

import pytest
from conftest import VOC_IMAGES, write_coco, write_voc

from wsl import profile as profiles
from wsl.cli.main import main
from wsl.evaluation.runs import read_run
from wsl.network.trunk import load_trunk
from wsl.systems import study


@cache
def trunk(*about):
    """Loaded and measured once; in torch, which has nothing to compile."""
    return load_trunk(*about[:3], "torch")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`wsl run ...` with a smaller canvas and fewer epochs than the profile's; returns what it says on stderr."""
    load = profiles.load_profile

    def call(*arguments, **changes):
        small = {"canvas": 96, "epochs": 2} | changes
        monkeypatch.setattr(profiles, "load_profile", lambda *names, **options: replace(load(*names, **options), **small))
        monkeypatch.setattr(study, "load_trunk", trunk)
        status = main(["run", *map(str, arguments), "--runs", str(tmp_path / "runs")])
        said = capsys.readouterr().err
        assert status == 0, said
        return said

    return call


def test_voc2012_from_data_to_predictions(tmp_path, run):
    images = list(VOC_IMAGES.items())
    write_voc(tmp_path / "VOCdevkit", "2012", {"train": dict(images[:3]), "val": dict(images[2:])})
    voc2012 = partial(run, "voc2012", *("--voc-root", tmp_path))
    assert "afresh" not in voc2012("weak_sup")
    runs = tmp_path / "runs" / "voc2012" / "efficientnet_lite0"
    df, manifest = read_run(runs / "weak_sup" / "seed0")
    assert set(df["image"]) == {"2008_000003", "000100"} and len(df) == 2 * 20 and df["score"].notna().all()
    assert manifest["title"] == "VOC 2012 val" and manifest["parameters"]["train_scales"] == [0.7, 1.4]
    assert not (runs / "features").exists()  # computed as the scales are drawn
    head = runs / "weak_sup" / "seed0" / "head.safetensors"
    trained = head.stat().st_mtime_ns
    assert "afresh" not in voc2012("center") and head.stat().st_mtime_ns == trained  # the head of weak_sup serves
    assert "epochs = 2, now 1" in voc2012("weak_sup", epochs=1) and head.stat().st_mtime_ns > trained
    assert len(json.loads((head.parent / "training.json").read_text())["losses"]) == 1


def test_coco2014_from_data_to_predictions(tmp_path, run):
    for split in ("train2014", "val2014"):
        write_coco(tmp_path, split)
    run("coco2014", "masked_pool@3x3", "--coco-root", tmp_path, "--seed", 2)
    df, manifest = read_run(tmp_path / "runs" / "coco2014" / "efficientnet_lite0" / "masked_pool@3x3" / "seed2")
    assert len(df) == 3 * 2 and df["score"].notna().all() and manifest["data"]["n_images"] == 3
    assert manifest["command"] == "wsl run coco2014 masked_pool@3x3 --seed 2 --coco-root FOLDER"
