"""What the pages on ablations, extent, sensitivity and context show, and the per-image browser."""

import base64
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_report import make_run, write_extent

from tools.browser import find_chromium, open_browser
from wsl.data import voc
from wsl.data.voc import CLASSES
from wsl.errors import StudyError
from wsl.evaluation import predictions, views
from wsl.evaluation.evaluate import METRICS, RESAMPLES
from wsl.evaluation.runs import find_runs, read_manifest, read_run, write_run
from wsl.findings import reasons
from wsl.findings import results as report
from wsl.findings.results import Column
from wsl.pages import ablations, amounts, browse, figures, forest, gallery, intervals, pictures, scoreboard, sensitivity, tables
from wsl.pages import extent as extent_page
from wsl.pages.show import NOT_ATTEMPTED, number


def columns(root, *profiles):
    return [Column(str(root / "results"), name, "trunk") for name in profiles]


@pytest.fixture
def root(tmp_path):
    for seed in range(2):
        make_run(tmp_path / "results", "voc-sample", "weak_sup", seed)
    make_run(tmp_path / "results", "voc-sample", "center")
    return tmp_path


def test_ablations_compare_the_seeds_in_common(root):
    make_run(root / "results", "voc-sample", "weak_sup@mean", quality=0.5)
    make_run(root / "results", "voc-sample", "weak_sup@n5", quality=0.5)
    make_run(root / "results", "voc-sample", "weak_sup@something_new", quality=0.5)
    make_run(root / "results", "voc-sample", "weak_sup@train_s1@n5", quality=0.5)
    (column,) = columns(root, "voc-sample")
    pair = column.load_pair("weak_sup@mean", "weak_sup")
    assert [[run.seed for run in result.runs] for result in pair] == [[0], [0]]
    html = ablations.table([column], "classification")
    gain = report.difference(*pair)
    assert f"<small>{number(gain.value, sign=True)} (" in html and "something_new" in html and NOT_ATTEMPTED not in html
    assert html.count("¹</span><br>") == 3 and ">–</td>" in html  # rows of one seed beside two of J; a row without a run
    first = 100 * column.load("weak_sup").classification.seeds[0]
    assert f"<small>seed 0: {first:.1f}</small>" in html
    assert "train_s1@n5" not in html  # two changes: not an ablation of one
    curve = ablations.image_curve(column)
    assert curve["percent"].to_list() == [5, 100] and (curve["location"] <= curve["classification"]).all()
    make_run(root / "results", "whole-only", "weak_sup")
    assert ablations.image_curve(columns(root, "whole-only")[0]).empty
    svg = figures.as_html(figures.image_curve({"sample": curve}), "alt")
    assert "training images used" in svg
    shown = ablations.trunk_table([(root / "results", "voc-sample")])
    assert all(f">{100 * getattr(column.load('weak_sup'), metric).value:.1f}</a>" in shown for metric in METRICS)
    assert ablations.trunk_table([(root, "nothing")]) is None


def test_extent(root):
    both = columns(root, "voc-sample", "coco-sample")
    assert NOT_ATTEMPTED in extent_page.table(both) and extent_page.locations(both) == []
    write_extent(both[0].folder("weak_sup"), (0.4, 0.2, 0.1))
    html = extent_page.table(both)
    assert ">10.00</a>" in html and "38.0 to 42.0" in html and "COCOeval 11.00" in html
    assert "11.74" in html and 'href="runs.html#voc-sample-trunk-weak_sup"' in html
    html = extent_page.scorings_table(both)
    assert "10.0 / 20.0 / 40.0</a><br><small>25% (24 to 26) is left" in html and "11.7 / 27.5 / 43.5" in html
    curves = extent_page.curves(both)
    assert list(curves) == ["paper, VOC 2012", "VOC 2007 sample"]
    assert curves["VOC 2007 sample"]["value"][0.1] == pytest.approx(0.4)
    assert "IoU threshold" in figures.as_html(figures.extent_curve(curves), "alt")
    assert ">VOC 2007 sample, 40 photographs</a>: " in extent_page.locations(both)[0]
    assert "tvmonitor" in extent_page.class_table(both)
    path = both[0].folder("weak_sup") / "extent.csv"
    path.write_text("iou,class,ap\n0.5,cat,0.1\n")
    with pytest.raises(StudyError, match="extent.csv: lacks the column 'ap_coco'"):
        extent_page.table(both)


def test_verdicts_by_trunk(root):
    make_run(root / "results", "voc-sample", "full_images", quality=0.3, points=False)
    profiles = {"voc": "voc-sample", "coco": "coco-sample"}
    assert scoreboard.verdicts_by_trunk(root / "results", profiles) is None
    shutil.copytree(root / "results" / "voc-sample" / "trunk", root / "results" / "voc-sample" / "other")
    html = scoreboard.verdicts_by_trunk(root / "results", profiles)
    assert html.index(">other<") < html.index(">trunk<") and html.count(">✓</span>") >= 2
    assert "J − H in classification mAP" in html and "#c1" in html and "#c4" not in html  # nobody was trained at one scale


def test_reasons_follow_the_runs(tmp_path):
    """Search helps the more, the more images train: the difference grows; its resolution follows from its own interval."""
    results = tmp_path / "results"
    for part, gain in (("@n5", 0.0), ("@n25", 0.4), ("", 1.5)):
        for system, quality in (("full_images", 0.5), ("weak_sup", 0.5 + gain)):
            make_run(results, "voc-sample", system + part, quality=quality, images=400, points=system == "weak_sup")
    make_run(results, "voc-sample", "weak_sup", 1, images=400)  # a seed that full_images lacks
    (column,) = columns(tmp_path, "voc-sample")
    for run in find_runs(results):
        manifest = read_manifest(run.folder) | {"training": {"n_train": 1000}}
        (run.folder / "manifest.json").write_text(json.dumps(manifest))
    (curve,) = reasons.curves(column)
    assert curve.images.tolist() == [50, 250, 1000] and curve.samples.shape == (RESAMPLES, 3) and curve.seeds.shape == (1, 3)
    pair = column.load_pair("weak_sup@n25", "full_images@n25")
    assert curve.points()[1].value == pytest.approx(report.difference(*pair).value)
    rise = np.diff(curve.seeds[0])[-1] / 2  # 250 to 1,000: two doublings
    assert curve.last_doubling().value == pytest.approx(rise) and curve.last_doubling().low > 0
    columns_ = {"voc": column, "coco": columns(tmp_path, "coco-sample")[0]}
    html = amounts.table(columns_)
    assert f">{number(rise, sign=True)}</a>" in html and ">+5.8</td>" in html  # the paper's own gain on VOC
    assert "the paper" in amounts.chart(columns_) and amounts.say_meetings(columns_) == []
    times = reasons.resolution(column, "weak_sup", "full_images").times_the_images
    assert times <= 1  # a gain that 400 images do tell from zero
    (line,) = tables.say_resolution([column], "weak_sup", "full_images")
    assert "in the median class" in line and f"about {times:.1f} times as many" in line
    assert tables.say_resolution([column], "weak_sup", "rcnn") == []
    assert "of 3 classes lie above 95" in tables.say_near_the_top(column, "weak_sup", "rcnn")[0]


def test_the_error_of_a_curve_is_of_test_images_and_of_draws():
    """By hand: test images of variance 4, three seeds of variance 3 (their mean: 1); and a straight line with one bend."""
    samples, seeds = np.array([-2.0, 2.0] * 50), np.array([7.0, 8.5, 10.0]) * np.sqrt(4 / 3)
    found = reasons.estimate(samples, seeds)
    assert found.error**2 == pytest.approx(4 + 1) and found.freedom == pytest.approx(2 * 5**2)
    reach = stats.t.ppf(0.975, 50) * np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((seeds.mean() - reach, seeds.mean() + reach))
    assert reasons.estimate(samples, seeds[:1]).freedom == np.inf
    images, rng = np.array([50.0, 100, 200, 400]), np.random.default_rng(0)
    bent = [reasons.Curve("", None, images, 0.1, rng.normal(size=(1000, 4)), np.array([y])) for y in ([1, 2, 3, 4], [0, 9, 0, 9])]
    lines = [one.line(1600) for one in bent]
    assert lines[0].at.value == pytest.approx(6) and lines[0].positives == pytest.approx(160)
    assert lines[0].fit == pytest.approx(1) and lines[1].fit < 1e-6
    met = reasons.meetings(bent[0], replace(bent[0], images=images * 2.2))
    assert [(i, j) for i, j, _ in met] == [(1, 0), (2, 1), (3, 2)] and met[0][2].value == pytest.approx(1)
    assert met[0][2].error == pytest.approx(np.sqrt(2), rel=0.1)
    assert reasons.meetings(bent[0], replace(bent[0], images=images * 100)) == []


def test_sensitivity(root):
    runs = tuple(find_runs(root / "results", "voc-sample", "trunk", "weak_sup"))
    several = sensitivity.scored(runs)
    result = report.load(root / "results", "voc-sample", "trunk", "weak_sup")
    assert sensitivity.mean_ap(several, False) == pytest.approx(result.classification.value)
    assert sensitivity.mean_ap(several, True) == pytest.approx(result.location.value)
    assert sensitivity.mean_ap(several, True, tolerance=np.inf) == sensitivity.mean_ap(several, False)
    (column,) = columns(root, "voc-sample")
    curves = sensitivity.tolerance_curves(column)
    assert list(curves) == ["J. weak supervision", "K. center"]
    assert all(curve.is_monotonic_increasing for curve in curves.values())
    assert "∞" in figures.as_html(figures.tolerance_curves({"sample": curves}), "alt")
    assert ">VOC 2007 sample</a>: J" in sensitivity.order_sentences([column])[0]
    for table in (sensitivity.definitions_table, sensitivity.points_table, sensitivity.labels_table):
        assert "voc-sample-trunk-weak_sup" in table([column])
        assert NOT_ATTEMPTED in table(columns(root, "coco-sample"))
    assert sensitivity.points_table([column]).count("–") >= 3  # the made-up runs have one mapping and one score


def test_label_zero_counts_as_asked(tmp_path):
    folder = make_run(tmp_path / "results", "voc-sample", "weak_sup", classes=("cat",))
    table = read_run(folder)[0]
    lowest = table["score"].idxmin()
    table.loc[lowest, ["label", "distance"]] = [0, 0.0]
    write_run(folder, table, {})
    several = sensitivity.scored(tuple(find_runs(tmp_path / "results")))
    dropped, positive, negative = (sensitivity.mean_ap(several, False, zero=zero) for zero in (0, 1, -1))
    assert positive < dropped == negative  # a positive at the bottom costs, a negative there does not


def test_drops(root):
    result = report.load(root / "results", "voc-sample", "trunk", "weak_sup")
    drop = report.drops(result)
    assert drop.is_monotonic_decreasing and (drop >= 0).all() and len(drop) == 3
    html = tables.drop_table(columns(root, "voc-sample", "coco-sample"), 4)
    assert f"{drop.iloc[0]:.1f}</a>" in html and html.count("<tr>") == 5
    named = tables.say_drops(columns(root, "voc-sample"), CLASSES[:1])
    assert f"{drop[CLASSES[0]]:.1f} points in the named classes" in named[0]
    chart = figures.scatter(result.classification.classes["ap"], result.location.classes["ap"], CLASSES[:1])
    assert CLASSES[0] in figures.as_html(chart, "alt")


def test_figure_5_shows_every_class_and_its_values(tmp_path):
    for system in ("weak_sup", "full_images"):
        make_run(tmp_path / "results", "coco-sample", system, classes=CLASSES, points=system == "weak_sup")
    full, weak = columns(tmp_path, "coco-sample")[0].load_pair("full_images", "weak_sup")
    html = forest.class_chart(full, weak)
    ap = 100 * weak.classification.classes["ap"]
    assert html.count("<svg role") == 2 and html.count("<title>") == len(CLASSES)
    assert all(f"<title>{name}: " in html and f"weak supervision {ap[name]:.1f} (" in html for name in CLASSES)
    gains = forest.gains(weak, full, CLASSES[:1])
    assert gains.count("<title>") == len(CLASSES) and "−" in gains and "-0.0" not in gains


def test_marks_stand_where_their_values_are():
    rows = [intervals.Row("<a>", (intervals.Mark(5, 0, 10),), "5"), intervals.Row("b", (intervals.Mark(float("nan")),))]
    assert intervals.ticks(rows) == [0, 2, 4, 6, 8, 10]
    svg = intervals.chart(rows, "alt")
    assert 'x1="3.00%" x2="97.00%" y1="28"' in svg and '<svg x="50.00%" y="28"' in svg and "&lt;a&gt;" in svg
    assert svg.count("<circle") == 1  # no value, no mark


def test_effort_and_verdicts_are_computed_from_the_runs(root):
    runs = find_runs(root / "results")  # three, with one head: its training counts once
    html = scoreboard.effort_table(runs, [])
    assert "recorded" in html and "&lt;some&gt; cpu" in html and ">3</td>" in html and ">12</td>" in html
    assert "No run" in scoreboard.effort_table([], [])


# ---------------------------------------------------------------- the per-image browser


@pytest.fixture
def browsed(voc_root, tmp_path):
    """(table with outcomes, data set) on the four images of the tiny VOC layout."""
    dataset = voc.load(voc_root, "2007", "val")
    n, k = dataset.labels.shape
    table = pd.DataFrame({
        "image": np.repeat(dataset.images, k), "class": np.tile(dataset.classes, n), "score": -3.0, "x": 15.0, "y": 20.0,
    })  # fmt: skip
    table.loc[(table["image"] == "000012") & (table["class"] == "dog"), "score"] = 2.0  # found
    table.loc[(table["image"] == "000007") & (table["class"] == "bus"), "score"] = 1.0  # false positive; dog not detected
    folder, column = tmp_path / "runs/x/trunk/weak_sup/seed0", Column(str(tmp_path / "runs"), "x", "trunk")
    write_run(folder, predictions.attach_truth(table, dataset), {"head_sha256": "abc"})
    width, height = dataset.sizes.T
    addresses = [f"http://pictures.test/{image}.jpg" for image in dataset.images]
    sizes = pd.DataFrame({"image": dataset.images, "width": width, "height": height, "address": addresses})
    steps = np.arange(16, dtype=np.uint8) * 17
    rows = [("000012", "dog", [10.0, 10, 29, 39], steps.tobytes()), ("000007", "bus", [], steps[::-1].tobytes())]
    views.write(folder, sizes, pd.DataFrame(rows, columns=views.VIEWS.names), "abc")
    return gallery.weak_sup_table(column), gallery.Album(views.read(folder))


def test_failures_come_first_and_every_picture_is_there(browsed, monkeypatch):
    table, album = browsed
    found = browse.cases(table)
    assert found["000012"] == [("dog", "found", 88, 15, 20)] and found["000100"] == []
    assert [case[:2] for case in found["000007"]] == [("bus", "false positive"), ("dog", "not detected")]
    assert browse.choose(found) == ["000007", "2008_000003", "000012", "000100"]
    html = browse.browser(table, album)
    entries = json.loads(re.search(r"json\">(.*)</script>", html)[1])["pictures"]
    assert [entry[0] for entry in entries] == browse.choose(found) and "all 4 pictures" in html
    # 100 x 50 pixels: the upper two of four rows of cells, in 16 steps, two a byte
    upper = base64.b64encode(bytes.fromhex("01234567")).decode()
    assert entries[2][:5] == ["000012", 100, 50, "http://pictures.test/000012.jpg", 4]
    assert entries[2][5] == [["dog", 3, 88, 15, 20, [[10, 10, 29, 39]], upper]]
    monkeypatch.setattr(browse, "MOST", len(json.dumps(entries[:2], separators=(",", ":"))))
    assert "2 of 4 pictures" in browse.browser(table, album)
    assert "nothing to browse" in browse.browser(None, album) and "nothing to browse" in browse.browser(table, None)


def test_photographs_that_are_not_here_are_an_empty_ground(browsed):
    table, album = browsed
    ((body, caption),) = gallery.cards(table, album, "found", 3)
    assert 'data-address="http://pictures.test/000012.jpg"' in body and "href" not in body and caption == "found: dog"
    assert album.host == "pictures.test" and "from pictures.test" in pictures.photographs_button(album.host)


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium (apt install chromium, or CHROMIUM=/path)")
def test_filters_keys_and_permalink_in_a_real_browser(browsed, tmp_path):
    from test_project import ROOT

    script = (ROOT / "book/_static/wsl-browse.js").read_text()
    path = tmp_path / "page.html"
    path.write_text(f"<meta charset=utf-8><script>{script}</script>{browse.browser(*browsed)}")
    with open_browser() as browser:
        browser.open(path)
        page, cards = browser.page, browser.page.locator(".wsl-browse-card")

        def shown():
            return [card.get_attribute("data-image") for card in cards.all() if card.is_visible()]

        assert shown() == ["000007", "2008_000003", "000012", "000100"]
        cards.first.focus()
        page.keyboard.press("ArrowRight")
        assert page.url.endswith("#image=2008_000003")
        page.keyboard.press("4")  # without what was found
        assert shown() == ["000007", "2008_000003"]
        page.keyboard.press("Enter")
        assert page.locator("dialog").is_visible() and page.locator("dialog svg").count() == 1
        assert all(url.startswith("file:") for url in browser.requests)
        link = page.url
        page.keyboard.press("Escape")
        page.locator("select").select_option("bus")
        assert shown() == ["000007"] and "class=bus" in page.url
        page.goto(link)
        page.wait_for_function("document.activeElement.dataset.image === '2008_000003'")
        assert shown() == ["000007", "2008_000003"]
        assert not browser.errors
        assert page.locator(".wsl-browse-card image[data-address]").count() > 0 and page.locator("image[href^=http]").count() == 0
        page.get_by_role("button", name="Load the photographs").click()
        page.get_by_text("could not be loaded").wait_for()  # there is no network here
        assert {url for url in browser.requests if not url.startswith(("file:", "data:"))} >= {"http://pictures.test/000007.jpg"}
