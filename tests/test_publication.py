"""What makes the book a publication: numbers of tables and figures, files to save, workflows that can be trusted."""

import importlib.util
import re
from types import SimpleNamespace

import pytest
import yaml
from conftest import REPOSITORY
from test_site import browser_only, site

from tools.browser import open_browser
from tools.site import link_pdf, ship_results

spec = importlib.util.spec_from_file_location("wsl_book", REPOSITORY / "book/_ext/wsl_book.py")
wsl_book = importlib.util.module_from_spec(spec)
spec.loader.exec_module(wsl_book)

TABLE = '<div id="one"><table class="dataframe"><caption>Values</caption></table></div>'
FIGURE = '<figure class="wsl-figure"><svg aria-label="A curve, rising"><g id="m1"/></svg><figcaption>Up</figcaption></figure>'


def test_tables_and_figures_are_numbered_through_and_links_say_which(tmp_path):
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: a\n")
    see = '<a class="ref" href="{}"></a>'
    (tmp_path / "index.html").write_text(TABLE + see.format("a.html#a-curve-rising"))
    (tmp_path / "a.html").write_text(FIGURE + TABLE.replace("one", "two") + see.format("#two"))
    app = SimpleNamespace(builder=SimpleNamespace(name="html"), srcdir=tmp_path, outdir=tmp_path)
    wsl_book.number_pages(app, None)
    index, page = (tmp_path / "index.html").read_text(), (tmp_path / "a.html").read_text()
    assert '<caption><b class="number">Table S1.</b> Values' in index and '#a-curve-rising">Figure S1</a>' in index
    assert '<figure id="a-curve-rising" class="wsl-figure">' in page and '<a class="ref" href="#two">Table S2</a>' in page
    wsl_book.number_pages(app, None)  # pages that were not written anew keep their numbers
    assert (index, page) == ((tmp_path / "index.html").read_text(), (tmp_path / "a.html").read_text())
    (tmp_path / "index.html").write_text(see.format("a.html#gone"))
    with pytest.raises(RuntimeError, match="index: a.html#gone leads to no numbered table or figure"):
        wsl_book.number_pages(app, None)


def test_launch_buttons_need_the_address_of_the_repository(monkeypatch):
    config = SimpleNamespace(html_theme_options={"repository_url": ""})
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)
    wsl_book.know_repository(None, config)
    assert config.html_theme_options == {"repository_url": ""}
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/someone/wsl")
    wsl_book.know_repository(None, config)
    assert config.html_theme_options["use_repository_button"] and "binderhub_url" in config.html_theme_options["launch_buttons"]


def test_the_printed_book_is_linked_from_every_page_or_from_none(tmp_path):
    folder = site(tmp_path, index='<span class="wsl-pdf"></span>')
    link_pdf(folder, "book.pdf")
    link_pdf(folder, "book.pdf")
    assert (folder / "index.html").read_text().count('<a href="book.pdf">') == 1
    link_pdf(folder)
    assert "book.pdf" not in (folder / "index.html").read_text()


def test_files_of_runs_that_a_page_links_to_lie_beside_it(tmp_path):
    folder = tmp_path / "results/voc/weak_sup@n5"
    folder.mkdir(parents=True)
    for name in ("manifest.json", "extent.csv"):
        (folder / name).write_text(name)
    pages = site(tmp_path / "site", runs='<a href="results/voc/weak_sup@n5/manifest.json" download>x</a>')
    (pages / "results").mkdir()
    (pages / "results/of an earlier build").write_text("")
    ship_results(tmp_path, pages)
    found = [path.relative_to(pages).as_posix() for path in pages.rglob("*") if path.is_file() and path.suffix != ".html"]
    assert found == ["results/voc/weak_sup@n5/manifest.json"]


@browser_only
def test_tables_are_saved_as_csv_and_charts_as_svg(tmp_path):
    script = (REPOSITORY / "book/_static/wsl-save.js").read_text()
    table = (
        '<table class="dataframe"><caption><b class="number">Table S1.</b> x</caption><thead><tr><th>data</th><th colspan="2">'
        "ours</th></tr><tr><th>class</th><th>AP</th><th>gain</th></tr></thead><tbody><tr><th>cat, dog</th>"
        "<td>93.3<br><small>92.4 to 94.3</small></td><td>−1.5</td></tr>"
        "<tr><th>cow</th><td>–</td><td>+2.0</td></tr></tbody></table>"
    )
    key = '<svg width="14" height="14" aria-hidden="true"></svg>'
    panels = '<svg role="img" viewBox="0 0 4 2"></svg><svg role="img" width="40" height="20"></svg>'
    chart = f'<figure class="wsl-figure">{key}{panels}</figure>'
    path = site(tmp_path, index=f'<script>{script}</script>|||<div class="bd-article">{table}{chart}</div>') / "index.html"
    with open_browser() as browser:
        browser.open(path)
        saved = []
        for name in ("Save table-s1 as CSV", "Save index-figure-1-1 as SVG", "Save index-figure-1-2 as SVG"):
            with browser.page.expect_download() as download:
                browser.page.get_by_role("button", name=name).click()
            saved.append(download.value.path().read_text(encoding="utf8"))
    assert saved[0].splitlines() == [
        "data | class,ours | AP,ours | AP (detail),ours | gain", '"cat, dog",93.3,92.4 to 94.3,-1.5', "cow,,,+2.0",
    ]  # fmt: skip
    assert all(text.startswith("<svg") and "xmlns" in text for text in saved[1:])
    assert 'width="4"' in saved[1] and 'width="40"' in saved[2]


def test_workflows_run_our_commands_with_actions_pinned_to_a_commit():
    files = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
    jobs = {path.stem: yaml.safe_load(path.read_text())["jobs"] for path in files}
    steps = [step for of_file in jobs.values() for job in of_file.values() for step in job["steps"]]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    run = {word for step in steps for word in re.findall(r"^make (\w+)$", step.get("run", ""))}
    assert {"test", "read", "pdf", "check"} == run <= targets
    assert [step["uses"].partition("@")[0] for step in jobs["book"]["deploy"]["steps"]] == ["actions/deploy-pages"]


def test_every_entry_of_the_bibliography_is_whole_and_every_citation_has_one():
    text = (REPOSITORY / "book/references.bib").read_text()
    entries = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.M | re.S))
    assert all({"author", "title", "year"} <= set(re.findall(r"^  (\w+) =", body, re.M)) for body in entries.values())
    pages = [path.read_text() for kind in ("book/*.md", "notebooks/*.ipynb") for path in REPOSITORY.glob(kind)]
    cited = {key for page in pages for keys in re.findall(r"\{cite:[pt]\}`([^`]+)`", page) for key in keys.split(",")}
    assert cited and cited <= set(entries)
