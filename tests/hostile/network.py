"""Commands under strace: nothing is sent to the internet, not even to look a name up, and no port is opened."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROBE = re.compile(r'bind\(\d+, {sa_family=AF_INET6, sin6_port=htons\(0\), .*"::1"')


def sockets(words: list[str], folder: Path, log: Path) -> list[str]:
    """The system calls of a command and of its children by which something is sent, or a port opened.

    urllib3, which papermill imports, tries whether the loopback knows IPv6: a bind to ::1, closed at once.
    """
    calls = "trace=connect,bind,listen,sendto,sendmsg,sendmmsg"
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", calls, "-o", str(log)]
    done = subprocess.run([*strace, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in log.read_text().splitlines() if "AF_INET" in line and not PROBE.search(line)]


def small_book(folder: Path, root: Path) -> None:
    """What `tools.site build` needs in `folder`: our settings, styles and extensions, and one page."""
    for name in ("_static", "_ext", "references.bib"):
        source, target = root / "book" / name, folder / "book" / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    shutil.copy(root / "_config.yml", folder)
    (folder / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (folder / "book" / "index.md").write_text("# A page\n\n$x$\n\n```{eval-rst}\n.. autoexception:: wsl.errors.StudyError\n```\n")


def available() -> bool:
    return shutil.which("strace") is not None


def commands(folder: Path, python: str, root: Path) -> Iterator[tuple[str, str]]:
    """(command, "" if it opened none): every step from data to pages."""
    from hostile.own import PROFILE
    from wsl.data.photographs import PHOTOGRAPHS

    (folder / "own.toml").write_text(PROFILE)
    wsl, profile = [python, "-m", "wsl.cli"], ["own.toml", "--runs", "runs"]
    steps = {
        "plan": [*wsl, "plan", *profile], "data scenes": [*wsl, "data", "scenes", *profile],
        "features": [*wsl, "features", *profile], "proposals": [*wsl, "proposals", *profile],
        "train": [*wsl, "train", *profile, "--", "weak_sup"], "predict": [*wsl, "predict", *profile, "--", "weak_sup"],
        "localize": [*wsl, "localize", str(PHOTOGRAPHS["chelsea"].path)],
        "a notebook": [python, "-m", "tools.notebook", "run", str(root / "notebooks" / "table2.ipynb"), str(folder / "a.ipynb")],
        "the site": [python, "-m", "tools.site", "build"],
    }  # fmt: skip
    for name in ("tools", "wsl", "results", "notebooks"):
        (folder / name).symlink_to(root / name)
    small_book(folder, root)
    for what, words in steps.items():
        found = sockets(words, folder, folder / "strace.log")
        yield what, f"{what}: {found[:3]}" if found else ""
