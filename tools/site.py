"""Build the site from the book's pages and the executed notebooks, and prove that it stands.

Command line::

    python -m tools.site build                      _build/html from book/ and book/executed/
    python -m tools.site build --so-far             the same while notebooks are still to be executed
    python -m tools.site check [_build/html]        every page, by reading it and in a headless Chromium
    python -m tools.site pdf [_build/html/book.pdf] the whole book as one PDF, linked from its pages
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup
from sphinx_external_toc.parsing import parse_toc_yaml

from tools.browser import A4, find_chromium, open_browser
from tools.notebook import gate, read
from wsl.errors import StudyError
from wsl.files import whole_file

STAGE, SITE, PDF = Path("_build/src"), Path("_build/html"), "book.pdf"
BEING_MADE = "This page is being made. It takes this place as soon as the command that builds the book has come so far."


# -------------------------------------------------------------------------------- building


def toc_pages(toc: Path) -> list[str]:
    """Page names of a Jupyter Book table of contents, the root first."""
    return list(parse_toc_yaml(toc))


def stage(book: Path, folder: Path, missing: Sequence[str] = ()) -> None:
    """Lay the pages of ``book`` and the executed notebooks side by side in ``folder``.

    So a link is the page's bare name wherever it is written, and the landing page is a notebook. Files that
    are already there and equal keep their time (an incremental build re-reads only what changed); others go.
    In place of each page that is ``missing`` stands its title and that it is being made.
    """
    sources = {}
    for path in book.rglob("*"):
        name = path.relative_to(book)
        hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
        if path.is_file() and not hidden and not name.name.endswith(".failed.ipynb"):
            sources[Path(*name.parts[1:]) if name.parts[0] == "executed" else name] = path
    for name, path in sources.items():
        target = folder / name
        if not target.exists() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder) not in sources:
            path.unlink()
    for page in missing:
        title = next(line for line in read(book.parent / "notebooks" / f"{page}.ipynb").cells[0].source.splitlines() if line)
        said = nbformat.v4.new_markdown_cell(f"{title}\n\n{BEING_MADE}", id="being-made")
        nbformat.write(nbformat.v4.new_notebook(cells=[said]), folder / f"{page}.ipynb")  # under the name that links have


def prepare(root: Path, so_far: bool = False) -> list[str]:
    """Check that each page of the table of contents exists and is whole, then stage; returns the names.

    so_far: a notebook that was not executed yet is no error.
    """
    book = root / "book"
    pages, missing = toc_pages(book / "_toc.yml"), []
    for page in pages:
        notebook = book / "executed" / f"{page}.ipynb"
        if notebook.exists():
            gate(notebook)
        elif not (book / f"{page}.md").exists():
            missing.append(page)
            if not so_far:
                raise StudyError(
                    f"{notebook}: the page {page!r} was not made yet; run `make book`, or "
                    f"`python -m tools.notebook run notebooks/{page}.ipynb {notebook}`"
                )
    stage(book, root / STAGE, missing)
    return pages


def build(root: Path = Path("."), so_far: bool = False) -> Path:
    """Build ``_build/html`` with Jupyter Book, any warning being an error; returns the landing page.

    so_far: some notebooks may still have to be executed; links into their pages are no error then.
    """
    site = root / SITE
    landing, listed = site / "index.html", site.parent / "pages.txt"
    pages = prepare(root, so_far)
    if not listed.exists() or listed.read_text() != "\n".join(pages):  # pages came or went: no leftovers
        shutil.rmtree(site, ignore_errors=True)
        shutil.rmtree(site.parent / ".doctrees", ignore_errors=True)
    # Sphinx sees changed pages by itself, but copies changed styles and scripts only when some page changed.
    look = [root / "_config.yml", *(root / "book/_static").rglob("*"), *(root / "book/_ext").glob("*.py")]
    built = landing.stat().st_mtime if landing.exists() else 0
    fresh = any(path.stat().st_mtime > built for path in look)
    _jupyter_book(root, "--builder", "html", *(["--all"] if fresh else []), strict=not so_far)
    if not landing.exists():
        raise StudyError(f"{landing}: Jupyter Book made no page; is its version 1.x installed?")
    listed.write_text("\n".join(pages))
    ship_results(root, site)
    if (site / PDF).exists():  # of the pages before
        (site / PDF).unlink()
        link_pdf(site)
    return landing


def ship_results(root: Path, site: Path) -> None:
    """Copy the files of recorded runs that a page links to (tables and manifests, from the Runs page) beside the pages."""
    links = (re.findall(r'href="(results/[^"#]+)"', path.read_text(encoding="utf8")) for path in site.glob("*.html"))
    named = {Path(unquote(unescape(link))) for of_page in links for link in of_page}
    wanted = {name for name in named if (root / name).is_file()}  # the check finds links to what is not there
    for path in (site / "results").rglob("*"):
        if path.is_file() and path.relative_to(site) not in wanted:
            path.unlink()
    for name in wanted:
        target = site / name
        if not target.exists() or target.stat().st_mtime < (root / name).stat().st_mtime:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)


def _jupyter_book(root: Path, *options: str, strict: bool = True) -> None:
    """Run Jupyter Book on the staged pages; what it says goes to a log, its warnings to the error."""
    words = ["build", str(STAGE), "--config", "_config.yml", "--path-output", ".", *(["-W", "-n", "--keep-going"] * strict)]
    log = root / SITE.parent / "build.log"
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words, *options]
    done = subprocess.run(
        command,
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log.write_text(done.stdout)
    if done.returncode:
        (root / SITE / "index.html").unlink(missing_ok=True)  # a half-right site must not look whole
        plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        said = [line for line in plain.splitlines() if re.search("WARNING|ERROR|Error", line)]
        said = (said or plain.splitlines()[-5:])[:20]
        raise StudyError("\n  ".join(["Jupyter Book failed:", *said, f"all of it: {log}"]))


def pdf(target: Path, root: Path = Path(".")) -> None:
    """Print the whole book into one PDF: a single page by Sphinx, printed by Chromium."""
    with open_browser() as browser:
        prepare(root)
        _jupyter_book(root, "--builder", "custom", "--custom-builder", "singlehtml")
        browser.page.emulate_media(media="print", color_scheme="light")
        browser.page.set_viewport_size({"width": A4, "height": 900})  # tables take this width before they are printed
        browser.open(root / SITE.parent / "singlehtml" / "index.html", timeout=180)
        with whole_file(target) as partial:
            browser.page.pdf(path=partial, print_background=True, prefer_css_page_size=True, outline=True, tagged=True)
    if target.resolve().parent == (root / SITE).resolve():
        link_pdf(root / SITE, target.name)


PDF_PLACE = re.compile(r'<span class="wsl-pdf">.*?</span>')


def link_pdf(site: Path, name: str = "") -> None:
    """Make every page of the site link to the printed book, or to none where ``name`` is empty."""
    link = f' · <a href="{name}">The book as a PDF</a>' if name else ""
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf8")
        path.write_text(PDF_PLACE.sub(f'<span class="wsl-pdf">{link}</span>', text), encoding="utf8")


# -------------------------------------------------------------------------------- checking


@dataclass
class Page:
    """What one HTML file refers to and shows."""

    links: list[str]  # href of <a>
    resources: list[str]  # what the browser loads by itself
    anchors: set[str]  # every id and name
    styles: list[str]  # style sheets written in the page
    traceback: bool
    hyphens: list[str]  # texts with a number that has a hyphen for a minus sign


LOADED_LINKS = ("stylesheet", "icon", "preload", "modulepreload", "manifest", "preconnect", "dns-prefetch")
LOADED = ", ".join(["[src]", "object[data]", "image[href]", *(f"link[rel~={kind}][href]" for kind in LOADED_LINKS)])
HYPHEN = re.compile(r"(?<!\S)\(?-\d")
VERBATIM = re.compile("code|pre|script|style")  # elements whose text is not prose
CSS_ADDRESS = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")


def read_page(path: Path) -> Page:
    """The page in one HTML file, as it is before any script runs."""
    soup = BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")
    return Page(
        links=[link["href"] for link in soup.select("a[href]")],
        resources=[tag.get("src") or tag.get("href") or tag["data"] for tag in soup.select(LOADED)],
        anchors={tag[key] for key in ("id", "name") for tag in soup.select(f"[{key}]")},
        styles=[tag.string or "" for tag in soup.select("style")] + [tag["style"] for tag in soup.select("[style]")],
        hyphens=[text for text in soup.find_all(string=HYPHEN) if not text.find_parent(VERBATIM)],
        traceback=bool(soup.select(".traceback")) or "Traceback (most recent call last)" in soup.get_text(),
    )


def is_external(address: str) -> bool:
    """Whether a browser would go to the network for ``address``."""
    return urlsplit(address).scheme in ("http", "https", "ws", "wss", "ftp") or address.startswith("//")


class Report:
    """Counts checks; a failed one is printed at once."""

    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, ok: bool, where: Path | str, claim: str, found: object = "") -> None:
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok:
            print(f"FAIL {where}: not so: {claim}" + (f" ({found})" if found else ""))


def check(site: Path, pages: list[str] | None = None, require_browser: bool = False) -> Report:
    """Check every page of a built site; ``pages`` names those that must be there."""
    site = Path(site)
    if not site.is_dir():
        raise StudyError(f"{site}: no such folder; build the site first: python -m tools.site build")
    report = Report()
    files = sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)
    if not files:
        raise StudyError(f"{site}: holds no page")
    read = {path.resolve(): read_page(path) for path in files}
    for name in pages or []:
        report((site / f"{name}.html").exists(), f"{name}.html", "a page of the table of contents is there")
    for path in files:
        _check_file(report, site, path, read)
    for path in sorted(site.rglob("*.css")):
        _check_styles(report, path.relative_to(site), [path.read_text(encoding="utf8")])
    for path in sorted((site / "_sources").rglob("*.ipynb")):
        _check_notebook(report, site, path)
    if require_browser or find_chromium():
        with open_browser() as browser:
            for path in files:
                for claim, fault in browser.faults(path).items():
                    report(not fault, path.relative_to(site), claim, fault)
            if (site / "search.html").exists():
                fault = browser.finds(site / "search.html", "localization")
                report(not fault, "search.html", "the search finds a word of the book", fault)
    else:
        print(
            "no Chromium found: opening, console, requests, narrow screen and accessibility were NOT checked "
            "(apt install chromium, or CHROMIUM=/path)"
        )
    return report


def _check_file(report: Report, site: Path, path: Path, read: dict[Path, Page]) -> None:
    page, name = read[path.resolve()], path.relative_to(site)
    report(not page.traceback, name, "the page shows no traceback")
    outside = [address for address in page.resources if is_external(address)]
    report(not outside, name, "the page loads nothing from the network", ", ".join(outside))
    _check_styles(report, name, page.styles)
    report(not page.hyphens, name, "numbers have true minus signs", "; ".join(page.hyphens))
    size, most = path.stat().st_size / 1e6, 1 if name == Path("index.html") else 2
    report(size <= most, name, f"the page has at most {most} MB", f"{size:.1f} MB")
    broken = [link for link in page.links + page.resources if not _resolves(link, path, read)]
    report(not broken, name, "every internal link leads somewhere", ", ".join(dict.fromkeys(broken)))


def _check_styles(report: Report, name: Path, styles: list[str]) -> None:
    found = [address for style in styles for address in CSS_ADDRESS.findall(style)]
    outside = [address for address in found if is_external(address)]
    report(not outside, name, "no style loads from the network", ", ".join(outside))


def _check_notebook(report: Report, site: Path, path: Path) -> None:
    try:
        gate(path)
        report(True, path.relative_to(site), "")
    except StudyError as error:
        report(False, path.relative_to(site), "the notebook behind the page ran to its end", error)


def _resolves(address: str, page: Path, read: dict[Path, Page]) -> bool:
    """Whether a relative address leads to a file, and its fragment to an anchor there."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    if not parts.fragment or target not in read:
        return True
    return unquote(parts.fragment) in read[target].anchors | {"top"}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.site", description="Build, check or print the site.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help="build _build/html")
    one.add_argument("--so-far", action="store_true", help="a page not executed yet says that it is being made")
    one = commands.add_parser("check", help="prove that the built site opens offline and is whole")
    one.add_argument("site", type=Path, nargs="?", default=SITE)
    one.add_argument("--toc", type=Path, default=Path("book/_toc.yml"), help="the pages that must be there")
    one.add_argument("--require-browser", action="store_true", help="fail where there is no Chromium")
    one = commands.add_parser("pdf", help="print the book")
    one.add_argument("target", type=Path, nargs="?", default=SITE / PDF)
    args = parser.parse_args(argv)
    try:
        if args.command == "build":
            print(build(so_far=args.so_far))
        elif args.command == "pdf":
            pdf(args.target)
            print(args.target)
        else:
            pages = toc_pages(args.toc) if args.toc.exists() else None
            report = check(args.site, pages, args.require_browser)
            print(f"{report.passed} passed, {report.failed} failed")
            return int(report.failed > 0)
    except (StudyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
