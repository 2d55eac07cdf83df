"""Nothing lost, nothing let in, nothing sent out: hostile inputs, targets of output, pipes, two at once, and the network."""

import io
import os
import random
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY
from filelock import FileLock
from hostile import network
from hostile.inputs import AREAS, held

from wsl import files
from wsl.cli.arguments import shown
from wsl.cli.main import main
from wsl.data.images import read_image
from wsl.data.photographs import PHOTOGRAPHS
from wsl.errors import StudyError
from wsl.evaluation import views
from wsl.evaluation.evaluate import markdown_table
from wsl.files import inside, open_to_read, seal, unseal, whole_file
from wsl.scenes import generate as scenes
from wsl.systems import study
from wsl.systems.localize import names_of_drawings
from wsl.systems.train import Process

EVERY = 7  # of the hostile inputs: `make torture` tries all


@pytest.mark.parametrize("area", AREAS)
def test_hostile_inputs_end_in_one_line(area, tmp_path, monkeypatch):
    monkeypatch.setattr("wsl.data.packed.LIMIT", 2**24)  # sooner reached
    faults = [held(trial) for n, trial in enumerate(AREAS[area](tmp_path, random.Random(0))) if n % EVERY == 0]
    assert len(faults) > 0 and not any(faults), [fault for fault in faults if fault]


# ---- what is written


def test_only_a_regular_file_is_written_over(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for path, what in ((tmp_path / "pipe", "a pipe"), (tmp_path / "null", "a device"), (tmp_path, "a folder")):
        with pytest.raises(StudyError, match=f"{path}: is {what}, not a regular file"), whole_file(path):
            pass
    assert (tmp_path / "pipe").is_fifo() and stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with whole_file(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"


def test_what_dead_writers_left_goes_after_a_day(tmp_path):
    for name, age in ((".a[1].0000.tmp", 2 * files.STALE), (".a[1].1111.tmp", 0), (".b.2222.tmp", 2 * files.STALE)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with whole_file(tmp_path / "a[1]") as temporary:
        temporary.touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a[1].1111.tmp", ".b.2222.tmp", "a[1]"]


def test_a_killed_drawing_leaves_nothing_for_ever(tmp_path):
    (tmp_path / ".set.part-dead").mkdir()
    (tmp_path / ".other.part-alive").mkdir()
    for _ in range(2):
        scenes.generate(tmp_path / "set", "voc", 1, 1, size=64, workers=1, progress=False)
        assert (tmp_path / "set" / "scenes.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} - {".set.lock"} == {"set", ".other.part-alive"}


def test_a_full_disk_under_the_output_is_one_line(coco_json, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.csv").write_text("image,class,score,x,y\n7,car,1,5,5\n")
    words = ["evaluate", str(tmp_path / "mine.csv"), "--coco", str(coco_json)]
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 2
    assert "error: No space left on device; free some disk" in capsys.readouterr().err


def test_a_name_steers_neither_terminal_nor_markdown():
    assert shown("a\x1b[2J\n\u202eß") == r"a\x1b[2J\n\u202eß"
    lines = [("class", "a|b"), (r"<img src=x>\|`*", "1"), ("mAP", "1")]
    assert markdown_table(lines).splitlines()[2] == r"| \<img src=x>\\\|\`\* | 1 |"


def test_a_photograph_of_a_long_name_is_drawn_under_a_shorter_one(tmp_path):
    one, other = names_of_drawings([Path("x" * 250 + "a.jpg"), Path("x" * 250 + "b.jpg")], tmp_path)
    for path in (one, other):
        with whole_file(path) as temporary:
            temporary.touch()
    assert one != other


def test_names_that_a_terminal_cannot_show_are_shown_in_ascii(coco_json, tmp_path, monkeypatch):
    path = tmp_path / os.fsdecode(b"gr\xc3\xb6\xdf\xff.csv")  # not UTF-8 all through
    path.write_text("image,class,score,x,y\n7,car,1,5,5\n")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["evaluate", str(path), "--coco", str(coco_json)]) == 0
    out.seek(0)
    assert r"gr\xf6\udcdf\udcff.csv on COCO" in out.read()


def test_a_byte_that_changed_is_seen():
    sealed = seal(b"content")
    assert unseal(sealed) == b"content" and unseal(b"") is None
    assert all(unseal(sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :]) is None for n in range(len(sealed)))


# ---- what is read


def test_a_link_that_leads_to_itself_is_one_bad_picture(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(StudyError, match="loop.jpg: cannot be read .Too many levels"):
        read_image(tmp_path / "loop.jpg")


def test_tables_of_views_that_are_spoilt_are_refused_by_name(tmp_path):
    for content in (b"", b"PAR1" + bytes(20) + b"PAR1"):
        for name in views.FILES:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(StudyError, match="pictures.parquet: cannot be read .* `wsl views`"):
            views.read(tmp_path)


def test_a_pipe_is_read_if_somebody_writes_to_it(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(b"x" * 200_000))
    writer.start()
    with open_to_read(tmp_path / "pipe") as file:
        assert file.read() == b"x" * 200_000
    writer.join()
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    with pytest.raises(StudyError, match="pipe: is a pipe to which nothing was written for 0.1 seconds"):
        open_to_read(tmp_path / "pipe")
    with pytest.raises(StudyError, match="is a device"):
        open_to_read("/dev/zero")


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "..", ".", "", "a\0"])
def test_a_name_that_leads_out_of_the_data_is_refused(tmp_path, name):
    with pytest.raises(StudyError, match="list.txt: names the file .* with --images"):
        inside(tmp_path / "data", name, tmp_path / "list.txt")


@pytest.mark.parametrize("name", ["a.jpg", "b/a.jpg", "b/../a.jpg", "..a.jpg"])
def test_a_name_below_the_data_is_taken(tmp_path, name):
    assert inside(tmp_path, name, tmp_path) == tmp_path / name and inside(tmp_path / "..", name, tmp_path)
    assert inside(tmp_path, str(tmp_path / "a"), tmp_path) == tmp_path / "a"  # absolute, and asked for


# ---- two at once


def test_a_second_training_of_a_head_waits(tmp_path, capsys):
    order, out = [], tmp_path / "weak_sup" / "seed0"
    out.parent.mkdir()

    def train() -> None:
        with study._only_writer(out, Process()):
            order.append("second")

    with FileLock(f"{out}.lock"):
        second = threading.Thread(target=train)
        with pytest.raises(StudyError, match="another process trains this head"), study._only_writer(out, Process(0, 2)):
            pass
        second.start()
        second.join(0.3)
        order.append("first")
    second.join()
    assert order == ["first", "second"] and "waiting until it is done" in capsys.readouterr().err


# ---- what is sent out


@pytest.mark.skipif(not network.available(), reason="strace is not installed")
def test_nothing_is_sent_to_the_internet(tmp_path):
    words = [sys.executable, "-m", "wsl.cli", "localize", str(PHOTOGRAPHS["chelsea"].path), "--out", str(tmp_path)]
    assert network.sockets(words, REPOSITORY, tmp_path / "log") == []
    network.small_book(tmp_path, REPOSITORY)
    (tmp_path / "tools").symlink_to(REPOSITORY / "tools")
    assert network.sockets([sys.executable, "-m", "tools.site", "build"], tmp_path, tmp_path / "log") == []
    probe = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"  # the trace sees one
    assert network.sockets([sys.executable, "-c", probe], tmp_path, tmp_path / "log")
