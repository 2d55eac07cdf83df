"""Installation by need: with the base dependencies alone a table is evaluated, and what needs more says what to install."""

import importlib.metadata
import subprocess
import sys

import pytest
from conftest import VOC_IMAGES
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_project import PROJECT, ROOT

# Hides the packages named in the first argument, then is `wsl`.
BARE = """
import sys
hidden = set(sys.argv.pop(1).split(","))

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from wsl.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def beyond_base() -> set[str]:
    """Import names of all that is installed here but the base dependencies and what they depend on."""
    todo, found = [Requirement(line) for line in PROJECT["dependencies"]], set()
    while todo:
        name = canonicalize_name(todo.pop().name)
        if name not in found:
            found.add(name)
            needs = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [r for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    modules = importlib.metadata.packages_distributions().items()
    return {module for module, names in modules if not found & set(map(canonicalize_name, names))} - {"wsl"}


def bare(folder, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BARE, ",".join(beyond_base()), *words]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_a_table_is_evaluated_and_compared_and_a_data_set_checked(voc_root, tmp_path):
    assert {"torch", "matplotlib", "safetensors"} < beyond_base()
    rows = [f"{image},{name},{k},5,5" for k, image in enumerate(VOC_IMAGES) for name in ("dog", "cat")]
    for name in ("mine.csv", "theirs.csv"):
        (tmp_path / name).write_text("\n".join(["image,class,score,x,y", *rows]))
    data = ("--voc", str(voc_root), "--year", "2007", "--split", "val")
    for words, said in (
        (("evaluate", "mine.csv", *data, "--bootstrap", "10", "--html", "page.html"), "localization AP %"),
        (("compare", "mine.csv", "theirs.csv", *data, "--bootstrap", "10", "--html", "page.html"), "2 tables on "),
        (("data", "check", *data), "4 images, 6 boxes, no problem found"),
    ):
        done = bare(tmp_path, *words)
        assert done.returncode == 0 and said in done.stdout, (words, done.stdout, done.stderr)


@pytest.mark.parametrize("command", ["plan scenes", "run scenes weak_sup", "localize cat.jpg", "record runs/x"])
def test_what_needs_more_says_what_to_install(tmp_path, command):
    done = bare(tmp_path, *command.split())
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: this command needs ") and "; in the repository: pip install '.[train]'" in done.stderr
