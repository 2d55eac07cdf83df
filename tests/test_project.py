"""The project's own files agree with each other: requirements, environments, notebooks, the book's pages."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.site import toc_pages

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXT = (".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".txt", ".csv")
PAGES = toc_pages(ROOT / "book" / "_toc.yml")


def requirements(*extras: str) -> list[Requirement]:
    """The base dependencies and those of `extras`; of all extras where none is named."""
    optional = PROJECT["optional-dependencies"]
    lists = [PROJECT["dependencies"], *(optional[extra] for extra in extras or optional)]
    return [Requirement(line) for lines in lists for line in lines]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_environment_lists_what_pyproject_lists():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(item["pip"] for item in listed if isinstance(item, dict))
    assert {str(Requirement(line)) for line in pip if not line.startswith("-")} == {
        str(r) for r in requirements()
    }
    assert f"python{PROJECT['requires-python']}" in listed
    assert "-e ." in pip and "-c constraints.txt" in pip


def test_constraints_pin_every_requirement_within_its_bounds():
    pinned = pins()
    for requirement in requirements():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints.txt; run make constraints"
        assert version in requirement.specifier


def test_constraints_name_versions_only():
    assert all(
        re.fullmatch(r"[A-Za-z0-9_.\-]+", name) and "/" not in version for name, version in pins().items()
    )


def test_pinned_versions_install_on_every_supported_python():
    """A pin that needs 3.11.5 would keep the whole set from a system whose Python is 3.11.2."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    for name, version in pins().items():
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        needs = metadata.get("Requires-Python")
        assert metadata["Version"] != version or not needs or oldest in SpecifierSet(needs), (name, needs)


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        ("wsl wsl/cli wsl/data wsl/evaluation", ("train",)),
        ("wsl/scenes wsl/network wsl/systems", ("train",)),
        ("wsl/data wsl/evaluation wsl/findings wsl/pages", ("book",)),
        ("tools", ("book", "test")),  # building a page needs no browser, checking it does
    ],
)
def test_every_third_party_import_is_declared(folders, extras):
    """What these folders import is among the base dependencies or the extras, by the name under which it is installed."""
    names = {
        "PIL": "pillow",
        "cv2": "opencv-contrib-python-headless",
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
        "skimage": "scikit-image",
        "jupyter_client": "ipykernel",
        "bs4": "beautifulsoup4",
        "sphinx_external_toc": "jupyter-book",
        "resvg_py": "resvg-py",
        "IPython": "ipykernel",
        "packaging": "jupyter-book",
    }
    declared = {canonicalize_name(requirement.name) for requirement in requirements(*extras)}
    found = set()
    for path in (path for folder in folders.split() for path in (ROOT / folder).glob("*.py")):
        found |= set(re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.MULTILINE))
    # installed by hand where they are wanted: the first one asks for another OpenCV, the second reads one kind of file alone
    by_hand = {"pytorch_grad_cam", "zarr", "numcodecs"}
    ours = found - set(sys.stdlib_module_names) - {"wsl", "tools", "__future__"} - by_hand
    assert {canonicalize_name(names.get(name, name)) for name in ours} <= declared


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_notebook_source_is_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    spec = notebook.metadata["kernelspec"]
    assert spec["name"] == "python3" and spec["language"] == "python"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}, "metadata of a tool or of a run"
    assert len({cell["id"] for cell in notebook.cells}) == len(notebook.cells), (
        "cell ids must be there and differ"
    )
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "mystnb"}
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, "strip the outputs"
            assert len(cell.source.splitlines()) <= 15, (
                f"a long cell belongs into the library:\n{cell.source}"
            )
    parameters = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(parameters) == 1, "exactly one cell tagged 'parameters'"
    for line in parameters[0].source.splitlines():
        assert "=" not in line.split("#")[0] or "#" in line, f"say what the parameter does: {line}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_notebook_is_a_page(path):
    assert path.stem in PAGES, "name it in book/_toc.yml"


def test_every_page_has_a_source():
    sources = {path.stem for path in SOURCES} | {path.stem for path in (ROOT / "book").glob("*.md")}
    assert set(PAGES) <= sources


def test_deviations_are_numbered_and_known():
    """The ledger counts from 1 without a gap, and no file refers to an entry that is not there."""
    ids = [
        int(n) for n in re.findall(r"^## D(\d+) · ", (ROOT / "book/deviations.md").read_text(), re.MULTILINE)
    ]
    assert ids == list(range(1, len(ids) + 1))
    for path in [*(ROOT / "wsl").rglob("*.py"), *SOURCES]:
        used = {
            int(n)
            for n in re.findall(r"\(D(\d+)\)|deviations\.md#d(\d+)|deviation D(\d+)", path.read_text())
            for n in n
            if n
        }
        assert used <= set(ids), f"{path.name} refers to a deviation that the ledger does not have"


def test_makefile_refuses_an_old_python(tmp_path):
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        [make, "-C", str(ROOT), "test", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode and "is not Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_no_machine_path_is_committed():
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    files = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True
    ).stdout.split("\0")
    for name in files:
        path = ROOT / name
        if path.suffix in TEXT and path.is_file():
            assert not re.search(r"(?<![\w.])/(home|root|work|Users)/\w", path.read_text(encoding="utf8")), (
                name
            )


def test_readme_results_are_those_of_the_recorded_runs():
    """Each row of the README's results table against the runs in results/: mean over seeds, 95% interval."""
    from wsl.findings import results as report

    row = r"^\| `(\w+)` \|[^|]*" + r"\| ([^|]*) " * 4 + r"\|$"
    rows = re.findall(row, (ROOT / "README.md").read_text(), re.M)
    assert len(rows) >= 3
    for system, *cells in rows:
        for k, (profile, metric) in enumerate(
            [(p, m) for p in ("voc-sample", "coco-sample") for m in ("classification", "location")]
        ):
            result = report.load(ROOT / "results", profile, "efficientnet_lite0", system)
            measure = result and getattr(result, metric)
            text = f"{100 * measure.value:.1f} ({100 * measure.low:.1f}–{100 * measure.high:.1f})" if measure else "–"
            assert cells[k].strip() == text, (system, profile, metric)


@pytest.mark.parametrize("profile", ["voc-sample", "coco-sample"])
def test_the_shipped_head_is_that_of_the_recorded_run(profile):
    run = ROOT / "results" / profile / "efficientnet_lite0" / "weak_sup" / "seed0" / "manifest.json"
    head = (ROOT / "wsl" / "systems" / "heads" / f"{profile}.safetensors").read_bytes()
    assert json.loads(run.read_text())["head_sha256"] == hashlib.sha256(head).hexdigest()


def test_every_claim_that_photographs_leave_open_is_explained():
    from wsl.findings import claims, reasons
    from wsl.findings.results import Column

    sample = {"voc": "voc-sample", "coco": "coco-sample"}
    columns = {layout: [Column(str(ROOT / "results"), name, "efficientnet_lite0")] for layout, name in sample.items()}
    left_open = {one.claim.id for one in claims.judge_all(columns) if one.verdict in (claims.UNDECIDED, claims.NOT_REPRODUCED)}
    assert left_open <= set(reasons.EXPLANATIONS)
