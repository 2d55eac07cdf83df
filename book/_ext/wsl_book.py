"""What the book needs of Sphinx: it reads without a network, numbers its tables and figures, and knows its repository.

The whole MathJax package is 24 MB; pages use one script and its fonts (1.6 MB), so only those are copied.
Thebe (live code from a public server) is configured into every page even when it is off; its scripts go.

Tables and figures that notebooks make are HTML, which Sphinx does not number. Once the pages are written, each caption gets
the study's own number, S1, S2, ..., in the order of the contents (plain numbers are the paper's), and an empty link of the
class `ref` gets the number of what it leads to as its text: <a class="ref" href="table2.html#table2-voc"></a>.
"""

import html
import importlib.util
import os
import re
import shutil
from pathlib import Path

from sphinx_external_toc.parsing import parse_toc_yaml

# A caption with the number of an earlier build, an id on the way to it, or a figure's opening
MARKS = re.compile(r'<(caption|figcaption)>(?:<b class="number".*?</b> )?|<(figure)\b[^>]*>|\sid="([^"]+)"')
SAID = re.compile(r'(?:aria-label|alt)="([^"]+)"')
REF = re.compile(r'<a class="ref" href="([^"]*)">[^<]*</a>')


def mathjax_folder() -> Path:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("package sphinx-mathjax-offline is missing; install it: pip install -e '.[book]'")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app, exception):
    if exception is None and app.builder.format == "html":
        source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
        fonts = "output/chtml/fonts/woff-v2"
        shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)
        shutil.copy2(source / "tex-chtml.js", target)


def heading_slug(title: str) -> str:
    """Anchor of a heading in a Markdown link: `deviations.md#d3` for "D3 · Padding", else as usual."""
    entry = re.match(r"([CD]\d+) · ", title)
    return entry[1].lower() if entry else re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def drop_thebe(app, pagename, templatename, context, doctree):
    def is_thebe(script):
        return "thebe" in f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', '')}".lower()

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]


def numbered(text: str, count: dict[str, int]) -> tuple[str, dict[str, str]]:
    """A page whose captions are numbered on from `count`, and {id: "Table S3"} of its tables and figures.

    A table goes by the id of the box around it; a figure gets an id from its description.
    """
    names: dict[str, str] = {}
    box = image = ""  # ids of the last box and of the last figure on the way

    def mark(found: re.Match) -> str:
        nonlocal box, image
        caption, figure, given = found.groups()
        if given:
            box = given
            return found[0]
        if figure:
            if own := re.search(r' id="([^"]+)"', found[0]):
                image = own[1]
                return found[0]
            said = SAID.search(text, found.end())
            image = re.sub(r"[^a-z0-9]+", "-", html.unescape(said[1]).lower())[:60].strip("-") if said else "figure"
            image += "-2" * (image in names)
            return f'<figure id="{image}"{found[0][len("<figure") :]}'
        kind, key = ("Table", box) if caption == "caption" else ("Figure", image)
        count[kind] += 1
        names[key] = f"{kind} S{count[kind]}"
        return f'<{caption}><b class="number">{names[key]}.</b> '

    return MARKS.sub(mark, text), names


def number_pages(app, exception):
    if exception is not None or app.builder.name not in ("html", "singlehtml"):
        return
    pages, count, names = list(parse_toc_yaml(Path(app.srcdir) / "_toc.yml")), {"Table": 0, "Figure": 0}, {}
    single = app.builder.name == "singlehtml"
    files = {page: Path(app.outdir) / f"{page}.html" for page in (pages[:1] if single else pages)}
    texts = {}
    for page, path in files.items():
        texts[page], found = numbered(path.read_text(encoding="utf8"), count)
        names |= {("" if single else page, anchor): name for anchor, name in found.items()}
    for page, text in texts.items():

        def refer(link: re.Match, page=page) -> str:
            target, _, anchor = link[1].partition("#")
            key = "" if single else target.removesuffix(".html") or page
            if (key, anchor) not in names:
                raise RuntimeError(f"{page}: {link[1]} leads to no numbered table or figure")
            return f'<a class="ref" href="{link[1]}">{names[key, anchor]}</a>'

        text = REF.sub(refer, text)
        # the bibliography's: ARIA has given these roles up, and what they say is not so of the elements that have them
        text = re.sub(r' role="(?:doc-biblioentry|doc-backlink)"|(?<=<div) role="list"(?= class="citation-list")', "", text)
        if single:  # links between pages are links within the one page
            text = re.sub(r'href="([\w-]+)\.html(#[^"]*)?"', lambda m: f'href="{m[2] or "#document-" + m[1]}"', text)
        files[page].write_text(text, encoding="utf8")


def know_repository(app, config):
    """Launch and source buttons where the book's address is known (BOOK_REPOSITORY=https://github.com/owner/name)."""
    if address := os.environ.get("BOOK_REPOSITORY"):
        config.html_theme_options |= {
            "repository_url": address,
            "repository_branch": os.environ.get("BOOK_BRANCH", "main"),
            "path_to_docs": "notebooks",
            "use_repository_button": True,
            "launch_buttons": {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"},
        }


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", number_pages)
    app.connect("config-inited", know_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
