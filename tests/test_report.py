"""Report functions on tiny made-up run folders, with runs missing."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from safetensors.numpy import save_file

from wsl.data.photographs import PHOTOGRAPHS
from wsl.data.voc import CLASSES
from wsl.errors import StudyError
from wsl.evaluation import metrics
from wsl.evaluation.detection import SCORINGS
from wsl.evaluation.runs import GENERATED, REAL, find_runs, write_run
from wsl.findings import results as report
from wsl.findings.results import Column
from wsl.pages import figures, forest, gallery, pictures, provenance, tables
from wsl.pages.show import NOT_ATTEMPTED

TITLES = {"voc-sample": "VOC 2007 sample (real photographs)", "scenes": "scenes, VOC layout"}


def make_run(root, profile, system, seed=0, quality=2.0, images=40, classes=CLASSES[:3], points=True, source=REAL, **more):
    """Write a run whose scores tell positives from negatives the better, the larger `quality`."""
    draw = np.random.default_rng([seed, len(system)])
    labels = np.random.default_rng(7).choice([-1, -1, 1], (images, len(classes)))
    labels[0] = 1
    table = pd.DataFrame(
        {
            "image": np.repeat([f"{i:06d}" for i in range(images)], len(classes)),
            "class": np.tile(classes, images),
            "score": (quality * labels + draw.normal(size=labels.shape)).ravel(),
            "x": 10.0 if points else np.nan,
            "y": 10.0 if points else np.nan,
            "label": labels.ravel().astype(np.int8),
            "distance": np.where(labels.ravel() > 0, draw.choice([0.0, 18.0, 18.5], labels.size), np.inf),
        }
    )
    if not points:
        table["distance"] = np.nan
    manifest = {
        "study": "0.1.0", "commit": "c" * 40, "command": f"wsl run {profile}", "profile": profile,
        "title": TITLES.get(profile, ""), "source": source,
        "data": {"name": profile, "digest": "d" * 64, "n_images": images},
        "predict_seconds": 60.0, "training": {"train_seconds": 540.0},
        "weights_sha256": "e" * 64, "head_sha256": "f" * 64, "hardware": {"processor": "<some> cpu"},
    } | more  # fmt: skip
    folder = root / profile / "trunk" / system / f"seed{seed}"
    write_run(folder, table, manifest)
    return folder


def write_extent(folder, means):
    """Detection results as `wsl.systems.extent` leaves them: the same AP for every class at IoU 0.1, 0.3, 0.5."""
    ious = (0.1, 0.3, 0.5)
    values = [f"{t:.2f},{name},{ap},{ap + 0.01}" for name in CLASSES for t, ap in zip(ious, means, strict=True)]
    rows = [f"{scoring},{value}" for scoring in SCORINGS for value in values]
    (folder / "extent.csv").write_text("\n".join(["how,iou,class,ap,ap_coco", *rows]) + "\n")
    moved = [(means[0] + d, *means[1:]) for d in (0.02, -0.02)] * 20
    samples = pd.concat([pd.DataFrame(moved, columns=ious).assign(how=scoring) for scoring in SCORINGS])
    samples.to_csv(folder / "extent_samples.csv", index=False)


@pytest.fixture
def roots(tmp_path):
    for seed in range(2):
        make_run(tmp_path / "results", "voc-sample", "weak_sup", seed, images=50)
    make_run(tmp_path / "results", "voc-sample", "full_images", quality=0.3, images=50, points=False)
    make_run(tmp_path / "runs", "scenes", "weak_sup", source=GENERATED)
    return tmp_path


def columns(roots):
    return [
        Column(str(roots / "results"), "voc-sample", "trunk"),
        Column(str(roots / "runs"), "scenes", "trunk"),
    ]


def test_a_missing_run_is_none_and_a_missing_root_too(roots):
    assert report.load(roots / "runs", "scenes", "trunk", "rcnn") is None
    assert report.load(roots / "nowhere", "scenes", "trunk", "weak_sup") is None
    assert find_runs(roots / "nowhere") == []


def test_value_is_the_mean_over_seeds_and_lies_in_its_interval(roots):
    result = report.load(roots / "results", "voc-sample", "trunk", "weak_sup")
    for measure in (result.classification, result.location):
        assert measure.value == pytest.approx(np.mean(list(measure.seeds.values())))
        assert 0 < measure.low < measure.value < measure.high <= 1
        assert len(measure.seeds) == 2 and list(measure.classes.index) == list(CLASSES[:3])
    assert result.location.value < result.classification.value
    assert (result.data, result.source) == ("VOC 2007 sample, 50 photographs", REAL)


def test_a_system_without_points_has_no_location(roots):
    result = report.load(roots / "results", "voc-sample", "trunk", "full_images")
    assert result.location is None


def test_difference_is_paired_and_said_in_words(roots):
    weak, full = columns(roots)[0].load_pair("weak_sup", "full_images")
    d = report.difference(weak, full)
    assert d.low < d.value < d.high
    assert d.value == pytest.approx(100 * (weak.classification.value - full.classification.value))
    same = report.difference(weak, weak)
    assert same.low == same.high == 0
    text = tables.say_difference(weak, full, "classification", "G", "F")
    assert "above F" in text and f"{d.value:+.1f} points" in text
    rows = forest.differences({"voc": columns(roots)}, [("weak_sup", "full_images", "classification")])
    assert "J − H, classification, VOC</text>" in rows and f">{d.value:+.1f} (" in rows and "the paper: +5.8" in rows
    assert NOT_ATTEMPTED.capitalize() in forest.differences({"voc": columns(roots)}, [("weak_sup", "rcnn", "location")])
    assert "No run of F" in tables.say_difference(weak, None, "classification", "G", "F")


def test_tables_tell_sources_apart_and_link_to_runs(roots):
    for layout in ("voc", "coco"):
        html = tables.table2(columns(roots), layout)
        assert all(f'class="{kind}"' in html for kind in ("src-paper", "src-real", "src-scenes"))
        assert 'href="runs.html#voc-sample-trunk-weak_sup"' in html
        assert NOT_ATTEMPTED in html and "VOC 2007 sample, 50 photographs" in html
        heads = re.findall(r'<th [^>]*><span class="head src-(real|scenes)">(.*?)</span></th>', html)
        assert heads and not any("VOC 2012" in text or "COCO 2014" in text for _, text in heads)
    html = tables.table1(columns(roots))
    assert "not comparable with the paper's columns" in html and "pottedplant" in html and "81.7" not in html[:300]
    rows = re.findall(r"<tr>(.*?)</tr>", html.split("<tbody>")[1], re.S)
    assert len(rows) == 21 and {row.count("<td") for row in rows} == {7 + 6}


def test_tables_with_no_run_at_all_say_so(tmp_path):
    empty = [Column(str(tmp_path / "results"), "voc-sample", "trunk")]
    for html in (tables.table1(empty), tables.table2(empty, "voc"), tables.table2(empty, "coco")):
        assert NOT_ATTEMPTED in html and "no run here" in html and "href" not in html


def test_source_and_title_are_what_the_manifest_says(tmp_path):
    """Whatever the profile is called: nothing is told from a name."""
    for profile, source, title in (("voc2012", REAL, "my sample"), ("scenes-mine", REAL, ""), ("toy", GENERATED, "drawn")):
        make_run(tmp_path, profile, "weak_sup", source=source, title=title)
    mine, untitled, toy, absent = (Column(str(tmp_path), name, "trunk") for name in ("voc2012", "scenes-mine", "toy", "scenes"))
    assert [tables.heading(column) for column in (mine, untitled, toy)] == ["my sample", "profile scenes-mine", "drawn"]
    said = "my sample, 40 photographs (made here); drawn, 40 generated images (made here); profile scenes (no run here)."
    assert tables.tested_on([mine, toy, absent]) == f" Tested on: {said}" and absent.source == ""
    html = tables.table2([mine, toy, absent], "voc")
    assert [html.count(f'{css}"') for css in ("src-real", "src-scenes")] == [14, 14]  # six rows and a head, twice
    assert [tables.anchor(column.runs()[0])[-5:] for column in (mine, untitled, toy)] == ["-here", "-here", "seed0"]


@pytest.mark.parametrize("source", [None, "scenes"])
def test_a_manifest_without_its_source_is_refused(tmp_path, source):
    folder = make_run(tmp_path, "scenes", "weak_sup", source=source)
    with pytest.raises(StudyError, match=f'{folder.name}/manifest.json: "source" is {source!r}, .*make the run again'):
        report.load(tmp_path, "scenes", "trunk", "weak_sup")


def test_output_is_the_same_every_time(roots):
    first = tables.table2(columns(roots), "voc")
    report._result.cache_clear()
    assert tables.table2(columns(roots), "voc") == first


def test_runs_are_cards_in_sections_of_their_system(roots):
    make_run(roots / "runs", "voc-sample", "weak_sup")  # made here, although a recorded run exists
    runs = find_runs(roots / "results") + find_runs(roots / "runs")
    html = provenance.cards(runs)
    anchors = re.findall(r' id="([^"]+)"', html)
    assert len(anchors) == len(set(anchors)) and html.count("<article") == len(runs) == 5
    assert {"voc-sample-trunk-weak_sup-seed0-here", "voc-sample-trunk-weak_sup-here", "scenes-trunk-weak_sup"} <= set(anchors)
    assert "<some>" not in html and "c" * 40 in html
    links = set(re.findall(r'href="([^"]+)" download', html))
    recorded = [run for run in runs if run.recorded]
    assert {f"results/{'/'.join(run.folder.parts[-4:])}/{name}" for run in recorded for name in provenance.SHIPPED} == links


def test_every_snippet_of_the_runs_page_gives_the_numbers_beside_it(capsys):
    """All recorded runs: what the page tells a reader to run, run."""
    for _, own in itertools.groupby(find_runs(REPOSITORY / "results"), tables.group_anchor):
        runs = list(own)
        exec(provenance.snippet(runs), {})
        assert capsys.readouterr().out.split() == [f"{value:.1f}" for value in np.mean(provenance.means(runs), axis=0)], runs


def test_evolution_and_discovery(roots):
    folder = roots / "runs" / "scenes" / "trunk" / "weak_sup" / "seed0"
    column = columns(roots)[1]
    assert report.evolution(column) is None and report.discovery(column) is None
    (folder / "evolution.csv").write_text("epoch,class,ap,location_ap\n0,cat,0.1,0.0\n0,dog,0.3,0.2\n1,cat,0.5,0.4\n1,dog,,\n")
    (folder / "discovery.csv").write_text(
        "image,class,appearance,epoch\n1,cat,usual,0\n2,cat,usual,1\n3,cat,unusual,\n4,cat,unusual,1\n"
    )
    curves = report.evolution(column)
    assert curves["classification"].to_list() == pytest.approx([0.2, 0.5])
    shares = report.discovery(column)
    assert shares["usual (2)"]["share"].to_list() == [0.5, 1.0] and shares["unusual (2)"]["share"].to_list() == [0.0, 0.5]
    reach = 1.96 * 0.5 / np.sqrt(2)  # Greenwood: without censoring before the end, that of a share
    assert shares["unusual (2)"]["low"].to_list() == pytest.approx([0, max(0, 0.5 - reach)], abs=1e-4)
    epochs = report.discovery_epochs(column)
    assert epochs.loc["unusual"].to_list() == [2, 0.5, 1.0]


def test_charts_take_the_colour_of_the_page_and_do_not_change():
    series = pd.Series([0.9, 0.5], index=["cat", "dog"])
    draw = lambda: figures.as_html(figures.scatter(series, series / 2), "an <alt>")  # noqa: E731
    assert draw() == draw()
    assert "currentColor" in draw() and "#010203" not in draw() and "an &lt;alt&gt;" in draw()
    assert "<metadata>" not in draw() and 'id="figure_1"' not in draw()


def test_score_map_lies_over_the_image_as_on_the_canvas():
    wide = np.full((50, 100, 3), 128, np.uint8)
    score_map = np.zeros((10, 10))
    score_map[2, 7] = 1.0  # cell centre at canvas (75, 25) of 100
    over = pictures.stretch(score_map, wide.shape)
    assert over.shape == (50, 100)
    row, column = np.unravel_index(over.argmax(), over.shape)
    assert abs(row - 25) <= 5 and abs(column - 75) <= 5
    assert pictures.overlay(wide, score_map, 0, 1).shape == wide.shape


def test_slider_shows_one_frame_and_names_all():
    frames = [np.full((8, 8, 3), k, np.uint8) for k in range(3)]
    html = pictures.slider(frames, ["epoch 0", "epoch 1", "epoch 2"], "a motorbike")
    assert html.count("<img") == 3 and html.count(" hidden>") == 2
    assert 'max="2"' in html and "<noscript>" in html and 'alt="a motorbike, epoch 1"' in html


def test_outcomes_of_weak_supervision(roots):
    table = gallery.weak_sup_table(columns(roots)[0])
    counts = gallery.outcome_shares(table)
    detected = int(((table["score"] > 0) & (table["label"] != 0)).sum())
    assert sum(counts.values()) - counts["not detected"] == detected
    assert counts["found"] == ((table["score"] > 0) & (table["label"] > 0) & (table["distance"] <= 18)).sum()
    chosen = gallery.choose(table, "found", 5)
    assert len(chosen) == len(set(chosen)) == 5
    assert all(gallery.names_with(table, image, "found") for image in chosen)
    first = table[(table["image"] == chosen[0]) & (table["outcome"] == "found")]
    assert first["score"].max() == table.loc[table["outcome"] == "found", "score"].groupby(table["class"]).max().max()
    missing = Column(str(roots / "runs"), "scenes-coco", "trunk")
    assert gallery.weak_sup_table(missing) is None
    assert NOT_ATTEMPTED in gallery.outcome_table([missing])


def test_pictures_that_are_not_here_are_none(tmp_path):
    assert gallery.dataset_of("scenes", tmp_path) is None
    assert gallery.dataset_of("voc-sample", tmp_path) is None
    column = Column(str(tmp_path), "scenes", "trunk")
    assert gallery.evolution_maps(column) == {}
    assert gallery.evolution_columns(column, None) == ([], [])
    assert gallery.picture("000001") is None
    assert gallery.cards(None, None, "found", 3) == []


def test_recorded_maps_are_laid_over_the_packaged_photograph(tmp_path):
    column = Column(str(tmp_path), "voc-sample", "trunk")
    folder = column.folder("weak_sup")
    folder.mkdir(parents=True)
    maps = np.linspace(-2, 2, 3 * 15 * 15).reshape(3, 15, 15).astype(np.float16)
    save_file({"motorcycle_left/motorbike": maps}, folder / "evolution.safetensors")
    columns, labels = gallery.evolution_columns(column, None)
    assert labels == ["image", "epoch 0", "epoch 1", "epoch 2"]
    assert columns[0][0] == "motorbike" and len(columns[0][1]) == 4
    assert pictures.grid(columns, labels).count("<img") == 4


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_packaged_photographs_are_there_and_say_their_terms(name):
    photograph = PHOTOGRAPHS[name]
    assert photograph.read().ndim == 3 and len(photograph.terms) > 40


def test_labels_of_crosses_do_not_overlap_and_stay_inside():
    image = np.zeros((100, 200, 3), np.uint8)
    svg = pictures.with_points(image, [(190, 50, "motorbike 1.00"), (188, 50, "person 0.90")], "alt")
    places = [(float(x), float(y), a) for x, y, a in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)"', svg)]
    assert abs(places[0][1] - places[1][1]) >= 8 and {a for *_, a in places} == {"end"}
    assert all(0 < x <= 200 for x, _, _ in places)


def test_kept_resamples_are_those_that_are_drawn(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    scores, labels, hits = draw.normal(size=(30, 3)), draw.integers(-1, 2, (30, 3)), draw.random((30, 3)) < 0.5
    monkeypatch.setenv("WSL_CACHE", str(tmp_path))
    for given in (hits, None, ~hits):
        expected = metrics.bootstrap(scores, labels, given, 20, 0, "voc2010")
        for _ in range(2):  # drawn, then read
            found = report.kept_bootstrap(scores, labels, given, 20, 0, "voc2010")
            np.testing.assert_array_equal(found.ap, expected.ap)
            np.testing.assert_array_equal(found.location_ap, expected.location_ap)
    kept = list(tmp_path.iterdir())
    assert len(kept) == 3
    monkeypatch.setattr(metrics, "bootstrap", None)  # nothing is drawn any more
    report.kept_bootstrap(scores, labels, hits, 20, 0, "voc2010")
    with pytest.raises(TypeError):
        report.kept_bootstrap(scores, labels, hits, 20, 1, "voc2010")
