"""What makes the book read without a network: MathJax from a Python package, and no Thebe.

The whole MathJax package is 24 MB; pages use one script and its fonts (1.6 MB), so only those are copied.
Thebe (live code from a public server) is configured into every page even when it is off; its scripts go.
"""

import importlib.util
import re
import shutil
from pathlib import Path


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


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
