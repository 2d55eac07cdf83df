"""Hostile files, each with the command that meets it. All must end at once: in one line and status 2, or, where it is
harmless after all, in a result."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import json
import lzma
import os
import random
import signal
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from safetensors.numpy import save

from wsl.cli.main import main

SECONDS = 60  # on a busy machine, that one trial may take


@dataclass(frozen=True)
class Trial:
    """A command line, the exit statuses that are right, and what its error must say."""

    what: str
    words: list[str]
    right: tuple[int, ...] = (2,)
    says: str = ""


class Late(BaseException):
    """Of its own: the program would take an OSError, which TimeoutError is, for one of the file."""


def held(trial: Trial) -> str:
    """"" where the command ends as it should, else what is wrong."""

    def late(*_) -> None:
        raise Late

    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(trial.words)
    except SystemExit as end:  # of argparse
        status = end.code
    except Late:
        return f"{trial.what}: no end after {SECONDS} s"
    except BaseException as error:
        return f"{trial.what}: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    noise = ("warning: ", "checking")  # of a progress bar
    said = [line for line in err.getvalue().splitlines() if line and not line.startswith(noise)]
    if status not in trial.right:
        return f"{trial.what}: exit {status}; {said[-1:]}"
    if status == 2 and not (said and said[0].startswith("error: ") and all(line.startswith("  ") for line in said[1:])):
        return f"{trial.what}: said {said[:3]}"
    if trial.says not in " ".join(said):
        return f"{trial.what}: said {said[:3]}, not {trial.says!r}"
    return ""


# ---- heads


HEAD = {
    "classes": ["cat", "dog"], "trunk": "efficientnet_lite0", "weights_sha256": "w", "system": "weak_sup", "seed": 0,
    "canvas": 64, "test_scales": [1.0], "trained_on": "nothing", "identity": {},
}  # fmt: skip
DEEP = "[" * 100_000
HUGE = 10**400
NAMES = ["", "a\nb", "\x1b[2J", "x" * 10_000, 5, None, ["cat"]]
STRANGE = [None, "", "x", -1, 0, 1.5, 1e300, HUGE, True, [], {}, [[]], "\x00", "../../etc"]


def arrays(classes: int, hidden: int = 4, channels: int = 8, kernel: int = 1) -> dict[str, np.ndarray]:
    shapes = {"ca.weight": (hidden, channels, kernel, kernel), "ca.bias": (hidden,), "cb.bias": (classes,)}
    shapes |= {"cb.weight": (classes, hidden, kernel, kernel), "mean": (channels, 1, 1), "std": (channels, 1, 1)}
    return {key: np.ones(shape, np.float16) for key, shape in shapes.items()}


def heads(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """Metadata missing or wrong, arrays of other shapes, numbers that are not finite, cut and changed files."""
    Image.new("RGB", (64, 64)).save(folder / "picture.png")
    number = itertools.count()

    def trial(what: str, content: bytes) -> Trial:
        path = folder / f"{next(number)}.safetensors"
        path.write_bytes(content)
        return Trial(f"head, {what}", ["localize", str(folder / "picture.png"), "--out", str(folder), "--head", str(path)])

    def head(about: object, tensors: dict | None = None) -> bytes:
        text = about if isinstance(about, str) else json.dumps(about)
        return save(arrays(2) if tensors is None else tensors, {"about": text})

    for key in HEAD:
        if key not in ("test_scales", "identity"):
            yield trial(f"without {key}", head({k: v for k, v in HEAD.items() if k != key}))
        for value in STRANGE:
            if not (key == "weights_sha256" or value == HEAD[key] or (key == "identity" and value == {})
                    or (key == "seed" and value == 0) or (key in ("trained_on", "trunk", "system") and value == "x")
                    or (key == "trained_on" and isinstance(value, str)) or (key == "test_scales" and value == [])):
                yield trial(f"{key} = {value!r:.40}", head(HEAD | {key: value}))
    for name in NAMES:
        yield trial(f"class {name!r:.40}", head(HEAD | {"classes": ["cat", name]}))
    yield trial("a class twice", head(HEAD | {"classes": ["cat", "cat"]}))
    yield trial("a million classes", head(HEAD | {"classes": [str(n) for n in range(10**6)]}))
    yield trial("a scale of 16 on a canvas of 4096", head(HEAD | {"canvas": 4096, "test_scales": [16.0]}))
    yield trial("a trunk that would be downloaded", head(HEAD | {"trunk": "resnet50"}))
    for text in ("", DEEP, '{"a":' * 1000, "null", "[]", "3", json.dumps(HEAD)[:-5], '{"classes": [NaN]}', "\ud83d"):
        yield trial(f"about = {text!r:.30}", head(text.encode("utf8", "replace").decode()))
    yield trial("no metadata", save(arrays(2)))
    for key, bad in itertools.product(arrays(2), (np.nan, np.inf, -np.inf)):
        tensors = arrays(2)
        tensors[key].flat[0] = bad
        yield trial(f"{key} holds {bad}", head(HEAD, tensors))
    yield trial("a spread of 0", head(HEAD, arrays(2) | {"std": np.zeros((8, 1, 1), np.float16)}))
    for kernel in (0, 2, 5):
        yield trial(f"kernel {kernel}", head(HEAD, arrays(2, kernel=kernel)))
    for key in arrays(2):
        yield trial(f"without {key}", head(HEAD, {k: v for k, v in arrays(2).items() if k != key}))
        yield trial(f"{key} flat", head(HEAD, {k: v.ravel()[:1] if k == key else v for k, v in arrays(2).items()}))
    good = head(HEAD)
    for cut in (0, 1, 7, 8, 9, 50, len(good) // 2, len(good) - 1, *(draw.randrange(len(good)) for _ in range(10))):
        yield trial(f"cut after {cut} bytes", good[:cut])
    yield trial("a header of 2^63 bytes", struct.pack("<Q", 2**63) + good[8:])
    yield trial("zeros", bytes(len(good)))
    yield trial("pickle", b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")


# ---- manifests and profiles


def manifests(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """A finished run beside one whose manifest is hostile."""
    from wsl.evaluation.predictions import attach_truth
    from wsl.evaluation.runs import write_run

    dataset = _dataset(folder)
    runs = [folder / "runs" / "p" / "t" / system / "seed0" for system in ("one", "two")]
    for run in runs:
        write_run(run, attach_truth(_table(dataset), dataset), {"system": run.parent.name, "source": "generated", "seed": 0})
    path = runs[1] / "manifest.json"
    good, words = path.read_text(), ["compare", *map(str, runs), "--bootstrap", "0"]
    for key in ("title", "source", "system", "command", "data", "training", "hardware", "software", "wall_seconds", "seed"):
        for value in (["x"], 10**400, True, [[]]):
            path.write_text(json.dumps(json.loads(good) | {key: value}))
            yield Trial(f"manifest, {key} = {value!r:.20}", words)
    half = good.replace("generated", "\\ud800")
    for text in ("", "null", "[]", "3", DEEP, '{"a":' * 5000, good[:-3], "\x00" * 50, half, '{"seed": 1e999}'):
        path.write_text(text)
        yield Trial(f"manifest {text!r:.30}", words)
    path.write_text(good)
    table = runs[1] / "predictions.parquet"
    content = table.read_bytes()
    for cut in (0, 3, len(content) // 2, len(content) - 1):
        table.write_bytes(content[:cut])
        yield Trial(f"table of a run cut after {cut} bytes", words)


def profiles(folder: Path, draw: random.Random) -> Iterator[Trial]:
    for number, line in enumerate(
        ["learning_rate = inf", "learning_rate = -nan", "weight_decay = 'x'", "weight_decay = -1.0", "epochs = 1e3",
         "epochs = 0x" + "f" * 5000, "epochs = " + "9" * 5000, "generate = {train = 8}", "generate = []", "seeds = [-1]",
         "seeds = [9999999999]", "canvas = 4096", "canvas = 63", "train_scales = [1.0, inf]", "train_scales = [17.0]",
         "train_scales = " + "[" * 9999, "a." * 5000 + "b = 1", "trunk = '../../x'", "trunk = 'a;b'", "trunk = \"a'b\"",
         "kernel = 2", "batch = 0", "dropout = 1.0", "gains = [1.0]", "systems = ['weak_sup;x']", "seeds = []",
         "year = 2012", "layout = 'x'", "pool = 'max'\npool = 'max'", "name = 'x'", "\x00", "\ud800",
         "test_scales = " + str([1.0] * 40)]
    ):  # fmt: skip
        path = folder / f"{number}.toml"
        path.write_bytes(line.encode("utf8", "surrogatepass"))
        yield Trial(f"profile {line!r:.40}", ["data", "scenes", str(path), "--runs", str(folder / "runs")])
    for what in ("folder.toml", "pipe.toml"):
        path = folder / what
        path.mkdir() if what == "folder.toml" else os.mkfifo(path)
        yield Trial(f"profile that is a {what}", ["data", "scenes", str(path)])


# ---- data sets and tables


def _coco() -> dict:
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 32, "height": 24} for n in (1, 2)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 10], "iscrowd": 0, "area": 100}],
        "categories": [{"id": 1, "name": "cat"}],
    }


def _write_coco(folder: Path) -> Path:
    path = folder / "annotations" / "instances_val.json"
    for place in (path.parent, folder / "val"):
        place.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_coco()))
    for n in (1, 2):
        Image.new("RGB", (32, 24), "gray").save(folder / "val" / f"{n}.png")
    return path


def _dataset(folder: Path):
    from wsl.data import coco

    return coco.load(_write_coco(folder))


def _table(dataset):
    import pandas as pd

    columns = {"image": dataset.images, "class": "cat", "score": [1.0, 0.0], "x": 5.0, "y": 5.0}
    return pd.DataFrame(columns)


def coco_files(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """Paths that lead out of the data set, numbers that no picture has, half characters, cut and changed JSON."""
    path, table = _write_coco(folder), folder / "mine.csv"
    table.write_text("image,class,score,x,y\n1,cat,1,5,5\n2,cat,0,5,5\n")
    (folder / "secret.png").write_bytes((folder / "val" / "1.png").read_bytes())
    words = ["evaluate", str(table), "--coco", str(path)]

    def trial(what: str, section: str, change: dict, right=(2,)) -> Trial:
        content = _coco()
        content[section][0] |= change
        path.write_text(json.dumps(content))
        return Trial(f"COCO, {what}", words, right)

    absolute = str(folder / "secret.png")
    for name in ("../secret.png", "a/../../secret.png", absolute, "..", "a\x00b.png", "/dev/zero", "\ud800.png"):
        yield trial(f"file_name {name!r:.30}", "images", {"file_name": name})
    for value in (10**30, HUGE, 1e30, -5):
        yield trial(f"width {value!r:.20}", "images", {"width": value})
        yield trial(f"bbox of {value!r:.20}", "annotations", {"bbox": [1, 2, value, 3]})
    for key, section in itertools.product(("id", "image_id", "category_id", "bbox", "name", "file_name"), _coco()):
        if key in _coco()[section][0]:
            for value in STRANGE:
                yield trial(f"{section}: {key} = {value!r:.20}", section, {key: value}, (0, 2))
    yield trial("half a character in a name", "categories", {"name": "\ud800"})
    good = json.dumps(_coco())
    for text in ("", DEEP, '{"images":' * 2000, "null", "9" * 5000, good[:-10], "\x00" * 20, "[" + good + "]"):
        path.write_text(text)
        yield Trial(f"COCO, {text!r:.30}", words)
    for _ in range(40):
        content = bytearray(good.encode())
        for _ in range(draw.randrange(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        yield Trial(f"COCO, changed to {bytes(content)!r:.500}", words, (0, 2))
    path.unlink()
    path.mkdir()
    yield Trial("COCO, a folder", words)


def voc_files(folder: Path, draw: random.Random) -> Iterator[Trial]:
    from wsl.data import voc

    base = folder / "VOC2007"
    main_, xml = base / "ImageSets" / "Main", base / "Annotations"
    for place in (main_, xml, base / "JPEGImages"):
        place.mkdir(parents=True)
    table = folder / "mine.csv"
    table.write_text("image,class,score,x,y\n1,cat,1,5,5\n")
    words = ["evaluate", str(table), "--voc", str(folder), "--year", "2007", "--split", "val"]
    good = "<annotation><size><width>32</width><height>24</height></size><object><name>cat</name><bndbox><xmin>2</xmin>"
    good += "<ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    (folder / "secret.xml").write_text(good)

    def listed(image: str) -> None:
        (main_ / "val.txt").write_text(image + "\n")
        for name in voc.CLASSES:
            (main_ / f"{name}_val.txt").write_text(f"{image} {1 if name == 'cat' else -1}\n")

    for image in ("../../secret", "/etc/passwd", "a/../../../secret", "..", "x\x00y"):
        listed(image)
        yield Trial(f"VOC, id {image!r}", words)
    listed("1")
    bombs = ['<!DOCTYPE a [<!ENTITY b "c">]>' + good, "<a>" * 100_000, "", "\x00", good[:-20], good.replace("32", "1e30"),
             good.replace("32", "9" * 400), good.replace("<xmax>9", "<xmax>1e300"), good.replace("cat", "\x1b[2J")]  # fmt: skip
    for text in bombs:
        (xml / "1.xml").write_text(text)
        yield Trial(f"VOC, {text!r:.40}", words)
    for _ in range(30):
        content = bytearray(good.encode())
        content[draw.randrange(len(content))] = draw.randrange(256)
        (xml / "1.xml").write_bytes(content)
        yield Trial(f"VOC, changed to {bytes(content)!r}", words, (0, 2))
    (xml / "1.xml").unlink()
    os.mkfifo(xml / "1.xml")
    yield Trial("VOC, an annotation that is a pipe", words)


def tables(folder: Path, draw: random.Random) -> Iterator[Trial]:
    words = ["--coco", str(_write_coco(folder))]
    head = "image,class,score,x,y\n"
    for number, text in enumerate(
        ["", head, head + "1,cat,nan,1,1\n", head + "1,cat,1e999,1,1\n", head + "1,cat,1,1\n", head + "1,cat,1,1e300,1\n",
         head + "1," + "x" * 10**6 + ",1,1,1\n", ",".join(map(str, range(5000))) + "\n", head + "\x00" * 100, "\x00" * 100,
         "\x9f\xff" * 9 + "\n1,2\n",
         head + '1,"cat,1,1,1\n', head + "1,c\u0000at,1,1,1\n", "PAR1", "PAR1" + "\xff" * 50 + "PAR1", head + "1,cat,0x10,1,1\n"]
    ):  # fmt: skip
        path = folder / f"{number}.csv"
        path.write_text(text, encoding="latin1")
        yield Trial(f"table {text!r:.40}", ["evaluate", str(path), *words])
    wide = folder / "wide.parquet"
    pq.write_table(pa.table({f"c{n}": [1.0] for n in range(2000)}), wide)
    yield Trial("a table of 2,000 columns", ["evaluate", str(wide), *words])
    good = folder / "good.parquet"
    _table(_dataset(folder)).to_parquet(good)
    content = good.read_bytes()
    lying = folder / "lying.parquet"
    lying.write_bytes(content[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1")
    yield Trial("a table whose description has 2 GiB", ["evaluate", str(lying), *words])
    for number in range(30):
        changed = bytearray(content)
        changed[draw.randrange(4, len(changed))] ^= 1 << draw.randrange(8)
        path = folder / f"changed{number}.parquet"
        path.write_bytes(changed if number % 2 else changed[: draw.randrange(len(changed))])
        yield Trial(f"a changed table ({path.name})", ["evaluate", str(path), *words], (0, 2))
    for name in ("folder", "pipe"):
        path = folder / f"table_{name}"
        path.mkdir() if name == "folder" else os.mkfifo(path)
        yield Trial(f"a table that is a {name}", ["evaluate", str(path), *words])


def bombs(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """Small files that are large when unpacked, large files without content, and names that steer a terminal."""
    path, table = _write_coco(folder), folder / "mine.csv"
    table.write_text("image,class,score,x,y\n1,cat,1,5,5\n2,cat,0,5,5\n")
    for pack, name in ((gzip, "gz"), (bz2, "bz2"), (lzma, "xz")):
        for what in ("{},", "0123456789,"):  # 2 GiB, in 4,096 parts
            packed = folder / f"bomb.{name}"
            packed.write_bytes(4096 * pack.compress(what.encode() * (2**19 // len(what))))
            words = ["evaluate", str(table), "--coco", str(packed)]
            yield Trial(f"2 GiB of {what!r} as {name}", words, says="unpacks to more than")
    packed.write_bytes(gzip.compress(b"[") + 8 * gzip.compress(b"[]," * 2**22) + gzip.compress(b"[]]"))
    yield Trial("COCO, 33 million lists", ["evaluate", str(table), "--coco", str(packed)], says="20,000,000 lists")
    many = pa.array(["x" * 10**6, "cat"])
    columns = {"image": pa.DictionaryArray.from_arrays(np.zeros(10**5, np.int32), many), "class": ["cat"] * 10**5}
    pq.write_table(pa.table(columns | dict.fromkeys(("score", "x", "y"), np.zeros(10**5))), folder / "long.parquet")
    yield Trial("a table of 100 GB of text", ["evaluate", str(folder / "long.parquet"), "--coco", str(path)])
    lists = {"image": ["1"], "class": ["cat"], "score": [1.0], "x": [[5.0] * 10**5], "y": [5.0]}
    pq.write_table(pa.table(lists), folder / "lists.parquet")
    yield Trial("a table of lists", ["evaluate", str(folder / "lists.parquet"), "--coco", str(path)])
    for name in ("large.json", "large.csv", "large.toml", "large.png"):
        with open(folder / name, "wb") as file:
            file.truncate(2**36)
        words = {".json": ["evaluate", str(table), "--coco"], ".csv": ["evaluate", "--coco", str(path)]}
        words |= {".toml": ["data", "scenes"], ".png": ["localize"]}
        yield Trial(f"64 GiB of nothing as {name}", [*words[Path(name).suffix], str(folder / name)])
    for key, section in (("name", "categories"), ("id", "images"), ("file_name", "images")):
        for name in ("\x1b[2J", "a\nb", "a\u202eb", "\x9b2J", "\ud800"):
            content = _coco() | {"annotations": []}
            content[section][0][key] = name
            path.write_text(json.dumps(content))
            yield Trial(f"COCO, {key} {name!r}", ["data", "check", "--coco", str(path)])
    path.write_text(json.dumps(_coco() | {"categories": [{"id": 1, "name": "mAP"}]}))
    table.write_text("image,class,score,x,y\n1,mAP,1,5,5\n2,mAP,0,5,5\n")
    yield Trial("COCO, a class called as the mean is", ["evaluate", str(table), "--coco", str(path)])
    path.write_text(json.dumps(_coco()))
    for name in ("\x1b[2J", "a\u202eb"):
        table.write_text(f"image,class,score,x,y\n1,{name},1,5,5\n")
        yield Trial(f"a table with class {name!r}", ["evaluate", str(table), "--coco", str(path)])


def maps_and_boxes(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """What `wsl points` reads: arrays of shapes and types that no map has, packed arrays, pipes, boxes that are none."""
    number, path = itertools.count(), str(_write_coco(folder))

    def trial(what: str, place: Path, right=(2,), more: tuple = ()) -> Trial:
        words = ["points", str(place), "--coco", path, "-o", str(folder / "out.csv"), *map(str, more)]
        return Trial(f"maps, {what}", words, right)

    def kept(name: str, content: bytes) -> Path:
        place = folder / str(next(number))
        place.mkdir()
        (place / name).write_bytes(content)
        return place

    def array(values, **options) -> bytes:
        content = io.BytesIO()
        np.save(content, values, **options)
        return content.getvalue()

    def header(shape: tuple, kind: str = "<f4") -> bytes:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(content, {"descr": kind, "fortran_order": False, "shape": shape})
        return content.getvalue() + bytes(64)

    def packed(**members: bytes) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return content.getvalue()

    program = array(np.array([[[{}]]]), allow_pickle=True)
    good, archive = array(np.zeros((1, 4, 4))), packed(**{"cat.npy": array(np.zeros((40, 40)))})
    for place in (kept("1.npy", good), kept("1.npz", archive)):
        yield trial("good", place, (0,))
    for shape in ((10**30, 4, 4), (1, 10**9, 10**9), (-1, 4, 4), (1, 2**62, 2), (1, 0, 4), (), (2, 4, 4)):
        yield trial(f"of shape {shape}", kept("1.npy", header(shape)))
        yield trial(f"packed, of shape {shape}", kept("1.npz", packed(**{"cat.npy": header(shape)})))
    for kind in ("|O", "<c8", "<U10", "|V8", "<M8[s]", "x"):
        yield trial(f"of {kind}", kept("1.npy", header((1, 2, 2), kind)))
    for name, content in (("1.npy", program), ("1.npz", packed(**{"cat.npy": program})), ("1.npy", program[10:]),
                          ("1.npy", b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")):  # fmt: skip
        yield trial(f"{name} that is a pickle", kept(name, content))
    zeros = packed(**{"1.npy": header((1, 2**15, 2**15)) + bytes(2**27)})
    yield trial("packed 4 GiB, of which 128 MiB are there", kept("1.npz", zeros))
    for what in (packed(), packed(cat=b"text"), archive[: len(archive) // 2], archive[:60] + b"\xff" * 20 + archive[80:]):
        yield trial(f"{what[:20]!r}", kept("1.npz", what))
    for _ in range(30):
        name, content = draw.choice([("1.npy", bytearray(good)), ("1.npz", bytearray(archive))])
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        yield trial(f"a changed {name}", kept(name, content), (0, 2))
    place = kept("other.txt", b"")
    os.mkfifo(place / "1.npy")
    for what in (place, place / "1.npy", Path("/dev/zero"), folder / "nothing"):
        yield trial(f"from {what.name}", what)
    (folder / "twice").write_text("cat\ncat\n")
    yield trial("a class named twice", kept("1.npy", array(np.zeros((2, 4, 4)))), more=("--classes", folder / "twice"))
    yield trial("classes from a pipe", kept("1.npy", good), more=("--classes", place / "1.npy"))
    for values in (np.array(["x"]), np.array([np.nan]), np.array([1j]), np.zeros((1, 2))):
        yield trial(f"scores {values}", kept("1.npy", good), more=("--scores", kept("1.npy", array(values))))

    one = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    for key, value in itertools.product(one, [*STRANGE, [1, 2], [HUGE, 1, 2, 3], [[1]] * 4, "\ud800"]):
        yield trial(f"box, {key} = {value!r:.20}", kept("b.json", json.dumps([one | {key: value}]).encode()) / "b.json", (0, 2))
    label = {"label": "cat", "confidence": 1, "bounding_box": [0, 0, 1, 1]}
    for key, value in itertools.product(label, STRANGE):
        content = json.dumps({"labels": {"1": [label | {key: value}]}}).encode()
        yield trial(f"label, {key} = {value!r:.20}", kept("b.json", content) / "b.json", (0, 2))
    for text in ("[]", "[3]", "{}", "null", '{"labels": 3}', '{"labels": {"1": 3}}', '{"labels": {"1": "abc"}}', DEEP, ""):
        yield trial(f"boxes {text!r:.30}", kept("b.json", text.encode()) / "b.json")


def pictures(folder: Path, draw: random.Random) -> Iterator[Trial]:
    path = _write_coco(folder)
    words, place = ["data", "check", "--coco", str(path)], folder / "val" / "1.png"
    good = place.read_bytes()
    wide = good[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + good[24:]
    wide_too = b"P6 99999999 99999999 255\n"
    for content in [b"", bytes(100), good[:20], good[: len(good) // 2], wide, wide_too, b"BM" + b"\xff" * 60, b"<svg/>", b"%PDF"]:
        place.write_bytes(content)
        yield Trial(f"picture {content!r:.30}", words)
    for suffix, number in itertools.product(("jpeg", "gif", "webp", "bmp", "tiff", "png"), range(6)):
        buffer = io.BytesIO()
        Image.effect_noise((32, 24), 50).convert("RGB").save(buffer, suffix)
        changed = bytearray(buffer.getvalue())
        for _ in range(3):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        place.write_bytes(changed)
        yield Trial(f"a changed {suffix} ({number})", words, (0, 2))
    for what in ("folder", "pipe", "device", "loop"):
        place.unlink() if place.is_file() or place.is_symlink() or place.is_fifo() else place.exists() and place.rmdir()
        {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "device": lambda: place.symlink_to("/dev/zero"),
         "loop": lambda: place.symlink_to(place)}[what]()  # fmt: skip
        yield Trial(f"a picture that is a {what}", words)


# ---- targets of output


def outputs(folder: Path, draw: random.Random) -> Iterator[Trial]:
    """What must not be put out of the way, or cannot be written to."""
    path, names = _write_coco(folder), ("a.csv", "b.csv")
    for name in names:
        (folder / name).write_text("image,class,score,x,y\n1,cat,1,5,5\n2,cat,0,5,5\n")
    words = ["compare", *(str(folder / name) for name in names), "--coco", str(path), "--bootstrap", "0", "--html"]
    (folder / "folder.html").mkdir()
    os.mkfifo(folder / "pipe.html")
    (folder / "full.html").symlink_to("/dev/full")
    for name in ("folder.html", "pipe.html", "full.html", "a.csv/x.html", "x" * 300 + ".html", "/proc/nothing/x.html", "b.csv"):
        yield Trial(f"output to {name:.30}", [*words, str(folder / name)])
        assert Path("/dev/full").is_char_device() and (folder / "pipe.html").is_fifo() and (folder / "full.html").is_symlink()
    picture, mine = str(folder / "val" / "1.png"), str(folder / "a.csv")
    columns = (folder / "a.csv").read_bytes()
    for words in (["localize", picture, "--csv", picture], ["evaluate", mine, "--coco", str(path), "--html", mine],
                  ["submit", str(folder), "--out", mine]):  # fmt: skip
        yield Trial(f"{words[0]} over one of its inputs", words)
        assert (folder / "a.csv").read_bytes() == columns


AREAS: dict[str, Callable[[Path, random.Random], Iterator[Trial]]] = {
    "heads": heads, "manifests": manifests, "profiles": profiles, "COCO annotations": coco_files, "VOC annotations": voc_files,
    "tables": tables, "maps and boxes": maps_and_boxes, "bombs": bombs, "pictures": pictures, "outputs": outputs,
}  # fmt: skip
