"""`wsl submit`: the PASCAL VOC server's archive, read back as the devkit reads it, and with the scores of every other path."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from wsl.cli.main import main
from wsl.data import voc
from wsl.data.photographs import PHOTOGRAPHS
from wsl.errors import StudyError
from wsl.network.arithmetic import arithmetic_on
from wsl.network.features import Features
from wsl.network.model import load_head
from wsl.systems import submit
from wsl.systems.evolve import score_maps
from wsl.systems.localize import SHIPPED_HEAD, load_localizer
from wsl.systems.predict import predict
from wsl.systems.submit import check_submission, file_names

IMAGES, NAMES = ("000012", "2008_000003"), file_names("2012", "test")


@pytest.fixture
def test_set(voc_root):
    """The tiny VOC2007 as VOC2012 test is: pictures and their list, no labels, no annotations."""
    folder = (voc_root / "VOC2007").rename(voc_root / "VOC2012")
    shutil.rmtree(folder / "Annotations")
    listed = (folder / "ImageSets" / "Main" / "val.txt").read_text()
    shutil.rmtree(folder / "ImageSets" / "Main")
    (folder / "ImageSets" / "Main").mkdir()
    (folder / "ImageSets" / "Main" / "test.txt").write_text(listed)
    return folder


@pytest.fixture(scope="module")
def localizer():
    """The shipped head on small inputs, for speed."""
    shipped = load_localizer()
    return replace(shipped, tester=replace(shipped.tester, scales=(0.8, 1.0, 1.6)), about=shipped.about | {"canvas": 160})


def close(localizer) -> float:
    """How far two scores of the same picture may lie apart: sums over mini-batches of another size round otherwise."""
    return {"float32": 1e-4, "bfloat16": 2e-2}[arithmetic_on(localizer.trunk.device)]


def test_every_path_from_a_picture_gives_the_same_scores_points_and_maps(test_set, localizer):
    """`wsl localize` against what testing reads in a mini-batch, and against Figure 1's maps; the picture is a large JPEG."""
    path, canvas = test_set / "JPEGImages" / "000012.jpg", localizer.about["canvas"]
    Image.open(PHOTOGRAPHS["motorcycle_left"].path).convert("RGB").resize((1200, 800)).save(path)
    seen = localizer(path)
    found = seen.found.set_index("class").loc[list(voc.CLASSES)]
    dataset = voc.load_unlabelled(test_set.parent, "2012", "test")
    table = predict(Features(localizer.trunk, dataset, canvas), {"": localizer.tester}, progress=False)[""]
    table = table[table["image"] == "000012"].set_index("class").loc[found.index]
    np.testing.assert_allclose(found["score"], table["score"], rtol=0, atol=close(localizer))
    clear = table["score"] > 0  # of a class that is not there, cells may tie but for a rounding
    assert clear["motorbike"]
    np.testing.assert_allclose(found.loc[clear, ["x", "y"]], table.loc[clear, ["x", "y"]])
    head = load_head(SHIPPED_HEAD)[0]  # with PyTorch, where localize has its head on arrays
    one = score_maps([head], localizer.trunk, canvas, {"a": (path, ("motorbike",))}, voc.CLASSES)["a/motorbike"][0]
    np.testing.assert_allclose(one, seen.maps["motorbike"], rtol=2**-11, atol=close(localizer))  # kept as float16


def test_a_head_of_full_images_points_nowhere(test_set, localizer):
    whole = replace(localizer, tester=replace(localizer.tester, scales=()))
    with pytest.raises(StudyError, match="finds classes, not places"):
        whole(test_set / "JPEGImages" / "000012.jpg")


def test_archive_holds_each_class_and_image_with_the_heads_scores(test_set, tmp_path, capsys, monkeypatch, localizer):
    monkeypatch.setattr(submit, "load_localizer", lambda *_: localizer)
    out = tmp_path / "results.tgz"
    assert main(["submit", str(test_set.parent), "--out", str(out)]) == 0
    with tarfile.open(out) as archive:
        files = {m.name: archive.extractfile(m).read().decode().splitlines() for m in archive}
    assert sorted(files) == sorted(f"results/VOC2012/Main/comp2_cls_test_{name}.txt" for name in voc.CLASSES)
    found = localizer(test_set / "JPEGImages" / "000012.jpg").found.set_index("class").score
    for name in voc.CLASSES:
        rows = [line.split() for line in files[NAMES[name]]]
        assert [row[0] for row in rows] == ["000012", "000007", "2008_000003", "000100"]
        assert float(rows[0][1]) == pytest.approx(found[name], abs=close(localizer))
    assert main(["submit", str(test_set.parent), "--split", "val"]) == 2
    assert "splits found here: test" in capsys.readouterr().err


def archive(path, change=lambda texts: None):
    texts = {file: "000012 1.5\n2008_000003 -2e-3\n" for file in NAMES.values()}
    change(texts)
    with tarfile.open(path, "w:gz") as tar:
        for file, text in texts.items():
            member = tarfile.TarInfo(file)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_check_submission_refuses_what_the_server_would(tmp_path):
    check_submission(archive(tmp_path / "good.tgz"), IMAGES, NAMES)
    dog, extra = NAMES["dog"], NAMES["dog"].replace("dog", "unicorn")
    damages = {
        f"lacks {dog}": lambda t: t.pop(dog),
        f"holds besides {extra}": lambda t: t.update({extra: ""}),
        "line 1 reads '12 1.5'": lambda t: t.update({dog: "12 1.5\n2008_000003 1\n"}),
        "line 2 reads '000012 1.5'": lambda t: t.update({dog: "000012 1.5\n" * 2}),
        "line 2 reads '2008_000003 nan'": lambda t: t.update({dog: "000012 1\n2008_000003 nan\n"}),
        "line 1 reads '000012'": lambda t: t.update({dog: "000012\n2008_000003 1\n"}),
        f"{dog} does not score 1 of 2 images, the first 2008_000003": lambda t: t.update({dog: "000012 1\n"}),
    }
    for message, damage in damages.items():
        with pytest.raises(StudyError) as error:
            check_submission(archive(tmp_path / "bad.tgz", damage), IMAGES, NAMES)
        assert message in str(error.value)
    (tmp_path / "cut.tgz").write_bytes((tmp_path / "good.tgz").read_bytes()[:200])
    with pytest.raises(StudyError, match="not a readable archive"):
        check_submission(tmp_path / "cut.tgz", IMAGES, NAMES)
