"""The house keeps its plan: which folder may import which, and what never needs torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BOTTOM = {"errors", "files", "cache", "schema"}
# Folder or module of wsl, or tools -> what of wsl it may import besides itself. data -> network -> systems;
# data -> evaluation -> findings -> pages; cli on top
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "schema": {"errors"},
    "cache": {"errors", "files"},
    "profile": BOTTOM | {"data"},
    "data": BOTTOM,
    "scenes": BOTTOM | {"data"},
    "network": BOTTOM | {"data"},
    "evaluation": BOTTOM | {"data"},
    "systems": BOTTOM | {"data", "scenes", "network", "evaluation", "profile"},
    "findings": BOTTOM | {"data", "evaluation"},
    "pages": BOTTOM | {"data", "evaluation", "findings", "profile"},
    "api": {"data", "evaluation"},
    "cli": BOTTOM | {"data", "scenes", "network", "evaluation", "systems", "findings", "pages", "profile"},
    "tools": BOTTOM,
}
WITHOUT_TORCH = ("data", "evaluation", "findings", "pages")
HOLD_NO_CODE = {"profiles"}


def imported(source: str) -> set[str]:
    """The folders and modules of wsl that a module imports, at its top or within its functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "write imports in full: from wsl.data import ..."
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("wsl.")}
    return found - {"__version__"}


def test_imports_within_functions_are_seen():
    source = "import wsl.data.voc\nfrom wsl import __version__\ndef f():\n    from wsl.systems import train\n"
    assert imported(source) == {"data", "systems"}


MODULES = sorted([*(ROOT / "wsl").rglob("*.py"), *(ROOT / "tools").rglob("*.py")])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    name = path.relative_to(ROOT)
    room = "tools" if name.parts[0] == "tools" else name.parts[1].removesuffix(".py")
    if room == "__init__":
        assert imported(path.read_text()) == {"api"}  # when one of its functions is asked for
        return
    reached = imported(path.read_text())
    assert reached <= MAY_IMPORT[room] | {room}, f"{room} may not import {reached - MAY_IMPORT[room]}"


def test_every_folder_is_on_the_plan():
    folders = {path.name for path in (ROOT / "wsl").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= MAY_IMPORT.keys() | HOLD_NO_CODE, "say in MAY_IMPORT what the new folder may import"
    assert not [path for name in HOLD_NO_CODE for path in (ROOT / "wsl" / name).rglob("*.py")]


def test_what_lies_right_of_the_predictions_table_needs_no_torch():
    names = [path.relative_to(ROOT).with_suffix("") for name in WITHOUT_TORCH for path in (ROOT / "wsl" / name).rglob("*.py")]
    modules = [".".join(name.parts).removesuffix(".__init__") for name in names]
    heavy = ("torch", "torchvision", "openvino", "timm")
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
    code += f"print(*[name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(modules) > 25 and found.split() == []
