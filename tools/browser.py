"""What only a browser can say of a page: Chromium opens it from its file, with every host name resolving to "not found".

Playwright drives the system's Chromium (it downloads none); axe-core judges how accessible the page is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools.notebook import socket_folder
from wsl.errors import StudyError

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", "--allow-file-access-from-files")
LOCAL = ("file:", "data:", "blob:")

# Violations that are not mended: axe-core's rule, the element, and why.
KNOWN = (
    ("region", ".sidebar-primary-item", "the theme's: it puts the logo outside of any landmark"),
)

# Resolves when the formulas are set, or after 20 seconds.
READY = """Promise.race([window.MathJax?.startup?.promise, new Promise(done => setTimeout(done, 20_000))]).then(() => {})"""
WIDTHS = (1920, 1300, 390)  # of the screens on which nothing may be cut off, in pixels
LEAST = 8  # pixels: letters of a chart below this size cannot be read
# What of the page's tables, figures and code reaches beyond its box or the screen, and which texts of a chart leave it, lie
# on one another or have letters smaller than given; once tables and charts have taken the new width.
CUT = """
async least => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))));
  const found = [], excess = document.documentElement.scrollWidth - innerWidth;
  const name = part => `${part.tagName.toLowerCase()}${part.id && '#' + part.id} "${part.textContent.trim().slice(0, 30)}"`;
  if (excess > 0) found.push(`the page is ${excess} pixels too wide`);
  const whole = ':is(table, figure, pre, svg[role]:not([data-icon]))';  // icons are the theme's
  for (const part of document.querySelectorAll(`${whole}, :has(> ${whole})`)) {
    const hidden = getComputedStyle(part).overflowX !== 'visible' && part.clientWidth > 1 && part.checkVisibility();
    if (hidden && part.scrollWidth > part.clientWidth + 1) found.push(`${name(part)} is cut off`);
  }
  for (const chart of document.querySelectorAll('svg[role]:has(text)')) {
    if (!chart.checkVisibility()) continue;
    const frame = chart.getBoundingClientRect(), boxes = [], scale = matrix => Math.hypot(matrix.a, matrix.b);
    for (const text of chart.querySelectorAll('text')) {
      const box = text.getBoundingClientRect(), size = parseFloat(getComputedStyle(text).fontSize) * scale(text.getScreenCTM());
      if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(`${name(text)} leaves its chart`);
      if (size < least) found.push(`${name(text)} has ${size.toFixed(1)} pixels`);
      const shared = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
                            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > size / 2;
      if (boxes.some(other => shared(box, other))) found.push(`${name(text)} lies on another text`);
      boxes.push(box);
    }
  }
  return found;
}
"""
UNSET = "document.querySelectorAll('.math:not(:has(mjx-container)), mjx-merror').length"
# Moves every slider over its range, sorts every table by every column and changes the theme, as a reader would.
USE = """
for (const slider of document.querySelectorAll('input[type=range]'))
  for (const at of [slider.min, slider.max]) {
    slider.value = at;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
  }
for (const button of document.querySelectorAll('th button, button.theme-switch-button')) button.click();
"""

# What of the page's own parts does not do as it should: the slider with its play button, the browser's enlarged picture.
PARTS = """
async () => {
  const found = [], wait = ms => new Promise(done => setTimeout(done, ms));
  for (const figure of document.querySelectorAll('figure.wsl-slider')) {
    const range = figure.querySelector('input'), shown = () => [...figure.querySelectorAll('img')].filter(img => !img.hidden);
    for (const at of [range.max, range.min]) {
      range.value = at;
      range.dispatchEvent(new Event('input', {bubbles: true}));
      const [img, ...more] = shown();
      if (more.length || img.dataset.label !== figure.querySelector('output').textContent) found.push(`the slider at ${at}`);
    }
    figure.querySelector('button').click();
    await wait(500);
    figure.querySelector('button').click();
    if (range.value === range.min) found.push('the play button does not move the slider');
  }
  const card = document.querySelector('.wsl-browse-card'), large = document.querySelector('dialog.wsl-browse-large');
  if (card) {
    card.click();
    if (!large.open || !large.querySelector('svg image')) found.push('a picture is not enlarged');
    const tooLarge = large.scrollWidth > large.clientWidth + 1 || large.clientHeight > innerHeight;
    if (tooLarge) found.push('the enlarged picture is cut off');
    large.close();
  }
  return found;
}
"""
A4 = 688  # pixels between the margins of a printed page (book/_static/wsl.css)

# Every rule of axe-core, then contrast in both themes. Contrast takes most of the time, so of all text of the same colour,
# backgrounds and font, here or on a page before, one is measured. Takes the known violations and the looks so far;
# returns the other violations, in words, and the new looks.
AXE = """
async ([known, before]) => {
  const found = [], looks = new Set(before);
  async function run(context, rules, where = '') {
    const {violations} = await axe.run(context, {...rules, resultTypes: ['violations'], elementRef: true, preload: false});
    for (const {id, nodes} of violations)
      for (const {element, target, html} of nodes)
        if (!known.some(([rule, selector]) => rule === id && element.matches(selector)))
          found.push(`${id}${where}: ${target.join(' ')} ${html.slice(0, 80)}`);
  }
  await run(document, {rules: {'color-contrast': {enabled: false}}});
  for (const theme of ['light', 'dark']) {
    document.documentElement.dataset.theme = theme;
    const include = [], exclude = [], behind = new Map([[null, '']]);   // element -> all that is painted from the root up to it
    for (const part of document.querySelectorAll('*')) {
      const {color, backgroundColor, backgroundImage, opacity, fontSize, fontWeight} = getComputedStyle(part);
      const own = backgroundColor + backgroundImage + opacity, bare = own === 'rgba(0, 0, 0, 0)none1';
      behind.set(part, behind.get(part.parentElement) + (bare ? '' : own));
      const written = [...part.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!written || !part.checkVisibility()) continue;
      const look = [color, fontSize, fontWeight, behind.get(part)].join();
      (looks.has(look) ? exclude : include).push(part);
      looks.add(look);
    }
    if (include.length) await run({include, exclude}, {runOnly: ['color-contrast']}, ` in ${theme}`);
  }
  return [found, [...looks].slice(before.length)];
}
"""


def find_chromium() -> str | None:
    """The browser's path: environment variable CHROMIUM first, then the usual names; None if absent."""
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise StudyError(f"CHROMIUM={named}: no such program; give a Chromium's path or unset the variable")
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Browser:
    """One page of one browser, with what it asked for and what went wrong since it was opened."""

    page: Page
    looks: list[str] = field(default_factory=list)  # those of all text measured so far
    requests: list[str] = field(default_factory=list)  # every address
    errors: list[str] = field(default_factory=list)  # uncaught exceptions, console errors, failed loads

    def __post_init__(self):
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(error.message.split("\n")[0]))
        self.page.on("console", self._hear)

    def _hear(self, said) -> None:
        if said.type in ("error", "assert"):
            self.errors.append(f"{said.text} {said.location['url']}")

    def open(self, path: Path, timeout: float = 30) -> None:
        """Load a page from its file; at most `timeout` seconds until it is there, and 20 until its formulas are set."""
        self.requests.clear()
        self.errors.clear()
        self.page.goto(Path(path).resolve().as_uri(), timeout=1000 * timeout)
        self.page.evaluate(READY)

    def faults(self, path: Path) -> dict[str, str]:
        """What is claimed of every page -> what speaks against it on this one; empty where nothing does."""
        from axe_playwright_python.base import AXE_SCRIPT
        from playwright.sync_api import Error

        page, opens = self.page, "the page opens from its file"
        try:
            page.set_viewport_size({"width": 1300, "height": 900})
            self.open(path)
            page.evaluate(AXE_SCRIPT)
            barriers, looks = page.evaluate(AXE, [KNOWN, self.looks])
            self.looks += looks
            page.evaluate(USE)
            unset, parts = page.evaluate(UNSET), page.evaluate(PARTS)
            asked, errors = self._asked(), list(self.errors)
            silent = self._photographs()
            cut = {}
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                cut[width] = page.evaluate(CUT, LEAST)
            page.set_viewport_size({"width": A4, "height": 900})
            page.emulate_media(media="print")
            printed = page.evaluate(CUT, 0)
            page.emulate_media(media="screen")
        except Error as error:
            return {opens: error.message}
        return {
            opens: "",
            "the open page asks nothing of the network": ", ".join(asked),
            "the console shows no error": "; ".join(errors),
            "its slider and its enlarged picture work": "; ".join(parts),
            "its button, and nothing before, asks for photographs": silent,
            "nothing is cut off in print": "; ".join(printed),
            "every formula is set": f"{unset} not" if unset else "",
            "axe-core finds nothing that bars a reader": "; ".join(barriers),
        } | {f"nothing is cut off on a screen {width} pixels wide": "; ".join(found) for width, found in cut.items()}


    def _asked(self) -> list[str]:
        """The addresses outside of this machine that were asked for since the page was opened."""
        return [url for url in self.requests if not url.startswith(LOCAL)]

    def _photographs(self) -> str:
        """Press the button that loads photographs, if the page has one; what is wrong with what it then asks for."""
        button = self.page.locator(".wsl-photographs button:visible").first
        if not button.count():
            return ""
        before, host = len(self._asked()), button.inner_text().split()[-1]
        button.click()
        self.page.locator("svg.wsl-ground").first.scroll_into_view_if_needed()
        self.page.wait_for_timeout(500)
        asked = self._asked()[before:]
        others = [url for url in asked if urlsplit(url).netloc != host]
        return ", ".join(others) or ("" if asked else f"nothing was asked of {host}")

    def finds(self, path: Path, word: str) -> str:
        """What speaks against the site's search, on the page `path`, finding a word."""
        from playwright.sync_api import Error

        try:
            self.page.goto(f"{Path(path).resolve().as_uri()}?q={word}")
            self.page.locator("#search-results li").first.wait_for(timeout=10_000)
        except Error as error:
            return error.message.splitlines()[0]
        return ""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless Chromium with one page; StudyError where there is none, or no Playwright."""
    program = find_chromium()
    if program is None:
        raise StudyError("no Chromium found; install it (Debian: apt install chromium) or set CHROMIUM=/path")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        raise StudyError("Playwright, which drives the browser, is missing: pip install -e '.[test]'") from None
    with sync_playwright() as playwright:
        environment = os.environ | {"TMPDIR": socket_folder()}
        try:
            chromium = playwright.chromium.launch(executable_path=program, args=FLAGS, env=environment)
        except Error as error:
            raise StudyError(f"{program} does not start; run it by hand to see why ({error.message.splitlines()[0]})") from None
        with chromium:
            # Without motion, or colours would be measured half-way to the other theme.
            yield Browser(chromium.new_page(reduced_motion="reduce"))
