"""The notebook runner lets a whole run through, byte for byte the same each time, and nothing else."""

import json
import sys
import tempfile

import nbformat
import pytest

from tools.notebook import _without_absent, check_parameters, gate, main, parse_parameters, problems, run, yaml_text
from wsl.errors import StudyError

PARAMETERS = 'profile = "scenes"  # which data\ncount: int = 3  # how many'


def write(path, *cells, kernel=True):
    """A notebook of code cells; the first is the parameters cell."""
    spec = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec} if kernel else {})
    for index, source in enumerate(cells):
        cell = nbformat.v4.new_code_cell(source, id=f"cell-{index}")
        if index == 0:
            cell.metadata["tags"] = ["parameters"]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    return path


def test_run_twice_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write(
        tmp_path / "a.ipynb",
        PARAMETERS,
        "import sys\nprint('warned', file=sys.stderr)\nprint(profile, count)\nobject()",
        "from wsl.pages.show import Absent\nAbsent('No run is here.')",
        "print('never shown')",
    )
    target = tmp_path / "out" / "a.ipynb"
    run(source, target, {"profile": "voc", "count": 5})
    first = target.read_bytes()
    run(source, target, {"profile": "voc", "count": 5})
    assert target.read_bytes() == first
    gate(target)
    notebook = nbformat.read(target, as_version=4)
    _, given, shown, absent, last = notebook.cells
    assert "remove-cell" in given.metadata["tags"] and "remove-cell" in notebook.cells[0].metadata["tags"]
    assert shown.outputs[0].text == "voc 5\n", "the value given wins over the default, and stderr is left out"
    assert shown.outputs[1].data["text/plain"] == "<object>"
    assert "remove-input" in absent.metadata["tags"] and absent.outputs[0].data["text/markdown"] == "No run is here."
    assert "-p profile voc -p count 5" in last.source
    assert [path.name for path in target.parent.iterdir()] == ["a.ipynb"]


def test_what_is_absent_takes_the_rest_of_its_section_along():
    def code(source, **metadata):
        return nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("display_data", metadata=metadata)])

    text = nbformat.v4.new_markdown_cell
    cells = [text("# Page"), text("## Rule\n\n## Examples"), code("notice", absent=True), code("gone"), text("gone, too"),
             text("### gone"), text("## Counts"), code("kept")]  # fmt: skip
    cells[2].metadata["tags"] = ["remove-input"]
    left = _without_absent(cells)
    assert [cell.source.splitlines()[-1] for cell in left] == ["# Page", "## Examples", "notice", "## Counts", "kept"]
    assert left[2].metadata["tags"] == ["remove-input"]


def test_failing_cell_is_named_and_leaves_nothing_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source, target = write(tmp_path / "b.ipynb", PARAMETERS, "x = 1", "x / 0"), tmp_path / "b_out.ipynb"
    assert main(["run", str(source), str(target)]) == 2
    error = capsys.readouterr().err
    assert "b.ipynb, cell 2" in error and "ZeroDivisionError" in error and "Traceback" not in error
    assert not target.exists()
    failed = tmp_path / "b_out.failed.ipynb"
    with pytest.raises(StudyError, match="not run to its end"):
        gate(failed)


def test_kernel_that_dies(tmp_path):
    source, target = write(tmp_path / "a.ipynb", PARAMETERS, "import os\nos._exit(1)"), tmp_path / "out.ipynb"
    with pytest.raises(StudyError, match="Kernel died; most often the machine is out of memory"):
        run(source, target, {})
    assert not target.exists() and (tmp_path / "out.failed.ipynb").exists()


def test_another_kernel_of_the_same_name_is_not_used(tmp_path, monkeypatch):
    """Modules of a cluster and conda put kernels of their own, also named python3, on JUPYTER_PATH."""
    kernel = tmp_path / "share" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": [str(tmp_path / "no-such-python"), "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(kernel.parents[1]))
    target = tmp_path / "out.ipynb"
    ports = "import psutil\nprint(psutil.Process().net_connections('inet'))"  # not one, not even on the loopback
    run(write(tmp_path / "a.ipynb", PARAMETERS, "import sys\nprint(sys.executable)", ports), target, {})
    said = [cell.outputs[0].text for cell in nbformat.read(target, as_version=4).cells[1:3]]
    assert said == [f"{sys.executable}\n", "[]\n"]


def test_temporary_folder_with_a_long_name(tmp_path, monkeypatch):
    """The kernel's sockets are files, and a socket's name may have 107 bytes."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    run(write(tmp_path / "a.ipynb", PARAMETERS), tmp_path / "out.ipynb", {})
    gate(tmp_path / "out.ipynb")


def test_parameters_are_checked(tmp_path):
    source = write(tmp_path / "a.ipynb", PARAMETERS)
    check_parameters(source, {"count": 1})
    with pytest.raises(StudyError, match="unknown parameter 'cuont'; it has profile, count"):
        check_parameters(source, {"cuont": 1})
    with pytest.raises(StudyError, match="no kernel"):
        check_parameters(write(tmp_path / "b.ipynb", PARAMETERS, kernel=False), {})
    with pytest.raises(StudyError, match="no such notebook"):
        check_parameters(tmp_path / "absent.ipynb", {})
    (tmp_path / "c.ipynb").write_text('{"cells": [')
    with pytest.raises(StudyError, match="not a Jupyter notebook"):
        check_parameters(tmp_path / "c.ipynb", {})


@pytest.mark.parametrize("value", [3, 0.5, True, "scenes", "3", [0, 1], {"a": [1]}, "a b", None])
def test_values_survive_the_command_line(value):
    assert parse_parameters([["x", yaml_text(value)]]) == {"x": value}


def test_parameter_given_twice_or_not_yaml():
    with pytest.raises(StudyError, match="twice"):
        parse_parameters([["x", "1"], ["x", "2"]])
    with pytest.raises(StudyError, match="not a YAML value"):
        parse_parameters([["x", "[1,"]])


def test_problems_of_a_notebook_that_was_never_run(tmp_path):
    notebook = nbformat.read(write(tmp_path / "a.ipynb", PARAMETERS), as_version=4)
    assert problems(notebook) == ["cell 0 was not run to its end (status: none)"]


def test_values_that_all_pages_share_reach_those_that_declare_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.ipynb", PARAMETERS, "print(profile, count)")
    words = ["run", "a.ipynb", "out.ipynb", "--no-progress", "-a", "runs", "elsewhere", "-a", "profile", "voc"]
    assert main([*words, "-p", "count", "5"]) == 0
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[2].outputs[0].text == "voc 5\n"
    assert main([*words, "-p", "other", "5"]) == 2
