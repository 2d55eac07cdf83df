"""A headless Chromium, driven over its DevTools pipe: no driver, no package, no network port.

Used to prove what the site does in a real browser, to print it, and to look at it. Every host name resolves
to "not found", so a page that needs the network shows it.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wsl.errors import StudyError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--allow-file-access-from-files",
)

# Chromium reads commands from descriptor 3 and answers on 4: move the pipe ends there, then become it.
LAUNCH = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# A page is ready when its formulas are set.
READY = """Promise.resolve(window.MathJax?.startup?.promise)
           .then(() => new Promise(done => setTimeout(done, 150)))"""


def find_chromium() -> str | None:
    """The browser's path: environment variable CHROMIUM first, then the usual names; None if absent."""
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise StudyError(f"CHROMIUM={named}: no such program; give a Chromium's path or unset the variable")
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of one browser. ``events`` collects what the page did since the last :meth:`open`."""

    def __init__(self, program: str, timeout: float = 30):
        self.timeout, self.events, self._buffer, self._last = timeout, [], b"", 0
        self._profile = tempfile.TemporaryDirectory(prefix="wsl-browser-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCH,
                str(to_browser),
                str(from_browser),
                program,
                *FLAGS,
                f"--user-data-dir={self._profile.name}",
                "about:blank",
            ],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._profile.cleanup()

    def call(self, method: str, **parameters) -> dict:
        """Send one DevTools command and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._write, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise StudyError("the browser ended by itself; run it by hand to see why") from None
        return self._wait(lambda m: m.get("id") == self._last)["result"]

    def open(self, page: Path) -> None:
        """Load a page from its file and wait until it is loaded and its formulas are set."""
        self.events = []
        self.call("Page.navigate", url=Path(page).resolve().as_uri())
        if not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self._wait(lambda m: m.get("method") == "Page.loadEventFired")
        self.evaluate(READY)

    def evaluate(self, expression: str):
        """Value of a JavaScript expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise StudyError(f"in the browser: {_exception(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path: Path, full: bool = True) -> None:
        data = self.call("Page.captureScreenshot", captureBeyondViewport=full)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        data = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        partial = Path(path).with_suffix(".tmp")
        partial.write_bytes(base64.b64decode(data))
        os.replace(partial, path)

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was opened."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def errors(self) -> list[str]:
        """Uncaught exceptions, console errors and failed loads since the page was opened."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(_exception(params["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                found.append(" ".join(str(a.get("value", a.get("description", ""))) for a in params["args"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        return found

    def _wait(self, wanted) -> dict:
        """The next message that is ``wanted``; events met on the way are kept."""
        end = time.monotonic() + self.timeout
        while True:
            while b"\0" in self._buffer:
                raw, self._buffer = self._buffer.split(b"\0", 1)
                message = json.loads(raw)
                if "method" in message:
                    self.events.append(message)
                if wanted(message):
                    if "error" in message:
                        raise StudyError(f"the browser refused a command: {message['error'].get('message')}")
                    return message
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise StudyError("the browser ended by itself" if ready else "the browser does not answer")
            self._buffer += data


def _exception(details: dict) -> str:
    text = details.get("exception", {}).get("description") or details.get("text", "")
    return text.splitlines()[0] if text else "unknown exception"
