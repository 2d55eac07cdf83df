"""The site check finds each kind of fault on a tiny hand-made site; the builder stages pages as it says."""

import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from tools.browser import CUT, find_chromium, open_browser
from tools.site import BEING_MADE, STAGE, check, is_external, main, prepare, stage, toc_pages
from wsl.errors import StudyError

browser_only = pytest.mark.skipif(find_chromium() is None, reason="no Chromium (apt install chromium, or CHROMIUM=/path)")
HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf8"><title>Page</title>'
    '<meta name="viewport" content="width=device-width">{head}</head><body><main><h1>Page</h1>{body}</main></body></html>'
)


def site(folder, **pages):
    """A site of one page or more; a page's text goes into its body."""
    folder.mkdir(exist_ok=True)
    for name, body in pages.items():
        head, _, body = body.rpartition("|||")
        (folder / f"{name}.html").write_text(HEAD.format(head=head, body=body), encoding="utf8")
    return folder


@pytest.fixture
def without_browser(monkeypatch):
    monkeypatch.setattr("tools.browser.NAMES", ())
    monkeypatch.delenv("CHROMIUM", raising=False)


GOOD = '<h1 id="top">Hi</h1><a href="other.html#there">x</a> <a href="#top">y</a> <a href="https://a.b">z</a>'


def failures(capsys, *args, **kwargs):
    report = check(*args, **kwargs)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(lines) == report.failed
    return lines


def test_good_site_passes(tmp_path, capsys, without_browser):
    folder = site(tmp_path / "s", index=GOOD, other='<p id="there">there</p>')
    report = check(folder, ["index", "other"])
    assert report.failed == 0 and report.passed > 5
    assert "NOT checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        ('<a href="absent.html">x</a>', "every internal link leads somewhere (absent.html)"),
        ('<a href="#nowhere">x</a>', "every internal link leads somewhere (#nowhere)"),
        ('<a href="index.html#nowhere">x</a>', "every internal link leads somewhere (index.html#nowhere)"),
        ('<img src="absent.png">', "every internal link leads somewhere (absent.png)"),
        (
            '<img src="https://a.test/x.png">',
            "the page loads nothing from the network (https://a.test/x.png)",
        ),
        (
            '<script src="//a.test/x.js"></script>|||',
            "the page loads nothing from the network (//a.test/x.js)",
        ),
        ('<link rel="stylesheet" href="http://a.test/x.css">|||', "the page loads nothing from the network"),
        ('<style>@import "https://a.test/x.css";</style>|||', "no style loads from the network"),
        ('<p style="background: url(https://a.test/x.png)">', "no style loads from the network"),
        ("<pre>Traceback (most recent call last):\n  boom</pre>", "the page shows no traceback"),
        ("<table><tr><td>0.4 (-1.2 to 2)</td><td>−3</td></tr></table>", "have true minus signs (0.4 (-1.2 to 2))"),
        ("<div>scores -18 to 2</div><code>sort -1</code>", "have true minus signs (scores -18 to 2)"),
        ('<div class="output traceback">NameError</div>', "the page shows no traceback"),
    ],
)
def test_each_fault_is_found(tmp_path, capsys, without_browser, body, claim):
    lines = failures(capsys, site(tmp_path / "s", index=body))
    assert len(lines) == 1 and claim in lines[0], lines


def test_pages_are_light(tmp_path, capsys, without_browser):
    """The landing page at most 1 MB, any other 2."""
    folder = site(tmp_path / "s", index="x" * 1_100_000, heavy="x" * 2_100_000, other="x" * 1_900_000)
    lines = failures(capsys, folder)
    assert [line.split(": not so")[0] for line in lines] == ["FAIL heavy.html", "FAIL index.html"]


def test_missing_page_of_the_contents(tmp_path, capsys, without_browser):
    assert "gone.html" in failures(capsys, site(tmp_path / "s", index="x"), ["index", "gone"])[0]


def test_style_sheet_and_notebook_are_read(tmp_path, capsys, without_browser):
    folder = site(tmp_path / "s", index="x")
    (folder / "a.css").write_text("@font-face { src: url('https://a.test/f.woff') }")
    (folder / "_sources").mkdir()
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "",
        "execution_count": None,
        "outputs": [{"output_type": "error", "ename": "KeyError", "evalue": "k", "traceback": []}],
    }
    (folder / "_sources" / "index.ipynb").write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    lines = failures(capsys, folder)
    assert len(lines) == 2 and "a.css" in lines[0] and "KeyError" in lines[1]


def test_no_site_is_a_clear_error(tmp_path, capsys):
    assert main(["check", str(tmp_path / "absent")]) == 2
    assert "build the site first" in capsys.readouterr().err


def test_browser_can_be_required(tmp_path, capsys, without_browser):
    folder = site(tmp_path / "s", index="x")
    assert main(["check", str(folder), "--require-browser", "--toc", "none"]) == 2
    assert "apt install chromium" in capsys.readouterr().err
    assert main(["check", str(folder), "--toc", "none"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "6 passed, 0 failed"


@browser_only
def test_browser_starts_where_the_temporary_folder_has_a_long_name(tmp_path, monkeypatch):
    """Chromium keeps a socket there, too."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with open_browser() as browser:
        browser.open(site(tmp_path / "s", index="x") / "index.html")
        assert browser.page.title() == "Page"


def test_named_chromium_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "absent"))
    with pytest.raises(StudyError, match="absent: no such program"):
        find_chromium()


def test_missing_driver_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tools.browser.find_chromium", lambda: "chromium")
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(StudyError, match=r"pip install -e '.\[test\]'"), open_browser():
        pass


FAULTS = {
    "network": ("<script>fetch('https://a.test/x')</script>", "asks nothing of the network (https://a.test/x)"),
    "exception": ("<script>nosuch()</script>", "the console shows no error (nosuch is not defined"),
    "console": ("<script>console.error('oh')</script>", "the console shows no error (oh"),
    "slider": ('<input aria-label="x" type="range" max="3" oninput="nosuch()">', "the console shows no error (nosuch"),
    "formula": ('<span class="math">\\(x\\)</span>', "every formula is set (1 not)"),
    "wide": ('<div style="width: 900px">wide</div>', "screen 390 pixels wide (the page is 518 pixels too wide)"),
    "cut": ('<div style="overflow-x: auto" tabindex="0"><table style="width: 1500px"><tr><td>x</td></tr></table></div>',
            'screen 1300 pixels wide (div "x" is cut off'),
    "letters": ('<svg role="img" aria-label="x" viewBox="0 0 900 20" style="width: 100%"><text y="12">small</text></svg>',
                'screen 390 pixels wide (text "small" has '),
    "overlap": ('<svg role="img" aria-label="x" width="90" height="20"><text y="12">ab</text><text x="5" y="12">cd</text></svg>',
                'screen 1300 pixels wide (text "cd" lies on another text'),
    "outside": ('<svg role="img" aria-label="x" width="50" height="20"><text y="12">too long</text></svg>',
                'screen 1920 pixels wide (text "too long" leaves its chart'),
    "alt": ('<img src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==">', "(image-alt: img"),
    "landmark": ("<p>text</p></main><div>logo</div>", "(region: div"),
    "contrast": ('<p style="color: #aaa">pale</p>', "(color-contrast in light: p"),
    "dark": ("<style>[data-theme=dark] p {color: #333; background: #000}</style>|||<p>night</p>", "(color-contrast in dark: p"),
}


@browser_only
def test_each_fault_is_found_in_the_browser(tmp_path, capsys):
    """One page a fault, and one page whose only fault is the theme's, which is let through by rule and element."""
    good = '<p>text</p></main><div class="sidebar-primary-item">logo</div>'
    lines = failures(capsys, site(tmp_path / "s", good=good, **{name: body for name, (body, _) in FAULTS.items()}))
    assert {line.split()[1] for line in lines} == {f"{name}.html:" for name in FAULTS}
    for name, (_, claim) in FAULTS.items():
        assert any(line.startswith(f"FAIL {name}.html") and claim in line for line in lines), (name, lines)


@browser_only
def test_wide_tables_are_stacked_and_marks_say_their_values(tmp_path):
    """The book's script and styles: on a narrow screen a wide table is whole, each cell beside its head; a tip shows at once."""
    for name in ("wsl.js", "wsl.css"):
        shutil.copy(Path(__file__).parent.parent / "book/_static" / name, tmp_path)
    head = '<script src="../wsl.js"></script><link rel="stylesheet" href="../wsl.css">|||'
    row = "<tr><th>row</th>" + '<td title="from 1 to 3">12345678</td>' * 6 + "</tr>"
    heads = '<thead><tr><td></td><th colspan="3">paper</th><th colspan="3">ours</th></tr></thead>'
    body = f'<div class="bd-article"><table class="table">{heads}<tbody>{row}</tbody></table></div>'
    folder = site(tmp_path / "s", index=head + body)
    with open_browser() as browser:
        page = browser.page
        browser.open(folder / "index.html")
        page.set_viewport_size({"width": 1300, "height": 900})
        assert page.locator(".stacked").count() == 0
        page.set_viewport_size({"width": 390, "height": 900})
        page.wait_for_selector(".stacked")
        cells = page.locator("tbody td")
        assert [cell.get_attribute("data-head") for cell in cells.all()] == ["paper"] * 3 + ["ours"] * 3
        assert page.evaluate(CUT, 8) == []
        cells.first.hover()
        assert page.locator(".wsl-tip").inner_text() == "from 1 to 3"
        assert not browser.errors


@pytest.mark.parametrize(
    ("address", "external"),
    [
        ("https://a.b/c", True),
        ("//a.b/c", True),
        ("http:x", True),
        ("a/b.html#c", False),
        ("data:image/png;base64,xx", False),
        ("#x", False),
        ("mailto:a@b.c", False),
    ],
)
def test_is_external(address, external):
    assert is_external(address) == external


def test_toc_pages(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: A\n  chapters:\n  - file: a\n    sections:\n"
        "    - file: b\n- caption: B\n  chapters:\n  - file: c\n"
    )
    assert toc_pages(toc) == ["index", "a", "b", "c"]


def test_stage_lays_pages_flat_and_drops_leftovers(tmp_path):
    book, folder = tmp_path / "book", tmp_path / "src"
    for name in (
        "a.md",
        "_static/x.css",
        "executed/t.ipynb",
        "executed/t2.failed.ipynb",
        "executed/.t3.partial.ipynb",
    ):
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).write_text(name)
    (folder / "old").mkdir(parents=True)
    (folder / "old/gone.md").write_text("x")
    stage(book, folder)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "_static/x.css",
        "a.md",
        "t.ipynb",
    ]
    before = (folder / "a.md").stat().st_mtime_ns
    stage(book, folder)
    assert (folder / "a.md").stat().st_mtime_ns == before, "an unchanged page keeps its time"


def test_page_that_was_not_made_is_named(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book/_toc.yml").write_text("format: jb-book\nroot: index\n")
    with pytest.raises(StudyError, match="'index' was not made yet"):
        prepare(tmp_path)
    assert not (tmp_path / STAGE).exists()


def test_a_page_that_is_still_to_be_made_says_so(tmp_path):
    for folder in ("book/executed", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: t\n")
    (tmp_path / "book/index.md").write_text("# Index\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# The table\n\nMore.")])
    nbformat.write(notebook, tmp_path / "notebooks/t.ipynb")
    assert prepare(tmp_path, so_far=True) == ["index", "t"]
    assert nbformat.read(tmp_path / STAGE / "t.ipynb", 4).cells[0].source == f"# The table\n\n{BEING_MADE}"
    nbformat.write(notebook, tmp_path / "book/executed/t.ipynb")
    prepare(tmp_path)
    assert nbformat.read(tmp_path / STAGE / "t.ipynb", 4).cells[0].source == "# The table\n\nMore."
