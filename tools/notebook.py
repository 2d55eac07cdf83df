"""Run one notebook with papermill, and let through only what ran to its end.

papermill does the running; this module adds what a book needs on top of it:

- a parameter that the notebook does not declare is an error (papermill only warns);
- the output appears under its name only when the run was whole, as :func:`problems` says, and then as
  :func:`clean` leaves it. Until then, and after a run that fails, it is ``NAME.failed.ipynb``;
- the kernel is that of the Python that runs this module, and no network port is opened;
- :func:`clean` removes what differs between two runs of the same notebook (times, random cell ids, addresses
  in memory), so an unchanged re-run gives the same bytes.

Command line (``-p`` values are YAML: ``-p seeds "[0, 1, 2]"``)::

    python -m tools.notebook run notebooks/table1.ipynb book/executed/table1.ipynb -p profile scenes
    python -m tools.notebook check book/executed/*.ipynb
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import sys
import tempfile
import time
from html import escape
from pathlib import Path

import nbformat
import yaml

from wsl.errors import StudyError
from wsl.files import whole_file

BANNER = "papermill-error-cell-tag"  # papermill puts such a cell on top of a notebook that failed
HEADING, FENCED = re.compile(r"^(#+) ", re.M), re.compile(r"^```.*?^```", re.M | re.S)  # of Markdown; code in it
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}")


def run(source: Path, target: Path, parameters: dict, progress: bool = True) -> None:
    """Execute ``source`` with ``parameters`` from the current folder and put the result at ``target``.

    Raises StudyError for an unknown parameter, a notebook without a kernel's name, and a cell that fails.
    """
    source, target = Path(source), Path(target)
    check_parameters(source, parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.stem}.failed.ipynb")
    started = time.monotonic()
    try:
        notebook = _execute(source, unfinished, parameters, progress)
        if found := problems(notebook):
            raise StudyError(f"{source}: {found[0]}. The notebook as far as it got: {unfinished}")
    except KeyboardInterrupt:
        unfinished.unlink(missing_ok=True)
        raise
    for line in clean(notebook, source, target, parameters):
        print(f"{source.stem}: {line}", file=sys.stderr)
    with whole_file(target) as partial:
        nbformat.write(notebook, partial)
    unfinished.unlink()
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{source.stem}: {cells} cells in {time.monotonic() - started:.0f} s -> {target}", file=sys.stderr)


def _execute(source: Path, target: Path, parameters: dict, progress: bool) -> nbformat.NotebookNode:
    """The notebook that papermill made of ``source``; cell by cell it is written to ``target`` too."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    bar = {"desc": f"{source.stem:>12}", "ncols": 80, "leave": False, "unit": "cell"}
    so_far = f"The notebook as far as it got: {target}"
    try:
        with tempfile.TemporaryDirectory(prefix="wsl-", dir=socket_folder()) as folder:
            return papermill.execute_notebook(
                source,
                target,
                parameters=parameters,
                kernel_name="python3",
                language="python",
                progress_bar=bar if progress and sys.stderr.isatty() else False,
                cwd=os.getcwd(),
                kernel_manager_class=_kernel_manager(Path(folder)),
            )
    except papermill.PapermillExecutionError as error:
        raise StudyError(
            f"{source}, cell {error.cell_index}, line `{_first_line(error.source)}`: "
            f"{error.ename}: {_first_line(str(error.evalue), 300)}. {so_far}"
        ) from None
    except RuntimeError as error:  # a kernel that died, or did not answer in a minute
        raise StudyError(
            f"{source}: {_first_line(str(error))}; most often the machine is out of memory, "
            f"so run fewer jobs at a time (CORES=1). {so_far}"
        ) from None


def socket_folder() -> str:
    """Where socket files can lie: their names may have 107 bytes (103 on a Mac), and TMPDIR may name a longer folder."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) < 60 else "/tmp"


# Starts a kernel that has no network port for the output of processes that a cell forks: no cell of ours does.
KERNEL = """
from ipykernel import kernelapp
Thread = kernelapp.IOPubThread
kernelapp.IOPubThread = lambda socket, pipe, **options: Thread(socket, pipe=False, **options)
kernelapp.launch_new_instance()
"""


def _kernel_manager(folder: Path):
    """What starts our kernels: this Python's own, on private socket files in ``folder`` in place of network ports."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager

    class OwnKernelManager(AsyncKernelManager):
        def __init__(self, **options):
            # Searched in no folder, "python3" is the running Python, whatever lies on JUPYTER_PATH.
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)
            # Before it is shut down it is interrupted, which it would log as an error; a cell's errors come by themselves.
            self.kernel_spec.argv = [sys.executable, "-c", KERNEL, "--log-level=50", "-f", "{connection_file}"]
            if os.name == "posix":
                self.transport = "ipc"
                self.connection_file = str(folder / "kernel.json")

    return OwnKernelManager


def check_parameters(source: Path, parameters: dict) -> None:
    """Raise StudyError unless ``source`` is a notebook that declares each of ``parameters``."""
    notebook = read(source)
    spec = notebook.metadata.get("kernelspec", {})
    if not spec.get("name") or not spec.get("language"):
        raise StudyError(
            f"{source}: its metadata name no kernel and language; add "
            '"kernelspec": {"name": "python3", "language": "python", ...}'
        )
    known = declared(source) if parameters else []
    for name in parameters:
        if name not in known:
            has = ", ".join(known) or "no cell tagged 'parameters'"
            raise StudyError(f"{source}: unknown parameter {name!r}; it has {has}")


def declared(source: Path) -> list[str]:
    """Names of the parameters that ``source`` declares."""
    import papermill

    read(source)  # an error of ours where it is absent or no notebook
    return list(papermill.inspect_notebook(str(source)))


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook at ``path``; StudyError when it is absent or not a notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such notebook") from None
    except Exception as error:  # nbformat raises several unrelated types for a file that is no notebook
        raise StudyError(f"{path}: not a Jupyter notebook ({_first_line(str(error))})") from None


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Reasons why an executed notebook must not be published; empty for a whole one.

    A site builder takes a page that holds a traceback without complaint, so this gate is what keeps it out.
    """
    found = []
    if notebook.metadata.get("papermill", {}).get("exception"):
        found.append("papermill recorded an exception")
    for index, cell in enumerate(notebook.cells):
        if BANNER in cell.metadata.get("tags", []):
            found.append(f"cell {index} is papermill's error banner")
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {index} ends in {output.ename}: {_first_line(output.evalue)}")
        status = cell.metadata.get("papermill", {}).get("status")
        if status != "completed":
            found.append(f"cell {index} was not run to its end (status: {status or 'none'})")
    return found


def gate(path: Path) -> None:
    """Raise StudyError unless the executed notebook at ``path`` is whole."""
    if found := problems(read(path)):
        raise StudyError(f"{path}: {'; '.join(found)}. Run it again: tools.notebook run SOURCE {path}")


def clean(notebook: nbformat.NotebookNode, source: Path, target: Path, parameters: dict) -> list[str]:
    """Make an executed notebook a function of its source and its results; returns what it left out.

    In place: papermill's and the kernel's times, random ids, memory addresses and stderr go. Where parameters
    were given, the cells with defaults and values leave the page; a line at its end tells the command.
    """
    left_out = []
    notebook.metadata["papermill"] = {"parameters": parameters}
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
        if parameters and {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = [*tags, "remove-cell"]
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.metadata["papermill"] = {"status": cell.metadata["papermill"]["status"]}
            for output in cell.outputs:
                if output.output_type == "stream" and output.name == "stderr":
                    left_out.append(f"cell {index} wrote to stderr: {_first_line(output.text, 200)}")
            cell.outputs = [_steady(o) for o in cell.outputs if o.get("name") != "stderr"]
        else:
            cell.metadata.pop("papermill", None)
    notebook.cells = [*_without_absent(notebook.cells), _rerun_line(source, target, parameters)]
    return left_out


def _without_absent(cells: list) -> list:
    """The cells; where one says that nothing is there (`wsl.pages.show.Absent`), without its code and the rest of its section."""
    kept, level, over = [], 1, 0  # levels of the last heading, and of the section that is over (0: none)
    for cell in cells:
        if cell.cell_type == "markdown" and (heading := re.match(r"(#+) ", cell.source)):
            if len(heading[1]) <= over:
                over = 0
            level = len(HEADING.findall(FENCED.sub("", cell.source))[-1])
        if over:
            continue
        if any(output.get("metadata", {}).get("absent") for output in cell.get("outputs", [])):
            cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "remove-input"})
            over = level
        kept.append(cell)
    return kept


def _steady(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output without addresses in memory, which differ from run to run in a plain ``repr``."""
    if "text" in output:
        output.text = ADDRESS.sub("", output.text)
    if isinstance(plain := output.get("data", {}).get("text/plain"), str):
        output.data["text/plain"] = ADDRESS.sub("", plain)
    return output


def _rerun_line(source: Path, target: Path, parameters: dict) -> nbformat.NotebookNode:
    """The last cell of a page: which notebook made it, and the command to make it again."""
    options = [w for name, value in parameters.items() for w in ("-p", name, yaml_text(value))]
    words = ["python", "-m", "tools.notebook", "run", source.as_posix(), target.as_posix(), *options]
    text = (
        f'<p class="rerun"><b>Rerun this page:</b> <code>{escape(shlex.join(words))}</code>, then '
        "<code>python -m tools.site build</code>.</p>"
    )
    cell = nbformat.v4.new_markdown_cell(text)
    cell["id"] = "rerun-this-page"
    return cell


def yaml_text(value) -> str:
    """``value`` as one line of YAML, the form that ``-p`` reads."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).rstrip().removesuffix("\n...")


def _first_line(text: str, width: int = 90) -> str:
    line = next((line for line in text.strip().splitlines() if line.strip()), "")
    return line if len(line) <= width else line[:width] + "..."


def parse_parameters(pairs: list[list[str]]) -> dict:
    """``-p NAME VALUE`` pairs as a dictionary; values are YAML: ``3`` is a number, ``[0, 1]`` a list."""
    parameters = {}
    for name, value in pairs:
        if name in parameters:
            raise StudyError(f"-p {name}: given twice")
        try:
            parameters[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise StudyError(f"-p {name}: {value!r} is not a YAML value; quote it") from None
    return parameters


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.notebook", description="Run or check one notebook of the book."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="execute SOURCE and put the result at TARGET, whole or not at all")
    one.add_argument("source", type=Path)
    one.add_argument("target", type=Path)
    one.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    one.add_argument("-a", dest="shared", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                     help="as -p, but left out where the notebook does not declare it: for values that all pages share")
    one.add_argument("--no-progress", action="store_true", help="no progress bar, even on a terminal")
    check = commands.add_parser("check", help="exit 2 unless each executed notebook is whole")
    check.add_argument("notebooks", type=Path, nargs="+")
    args = parser.parse_args(argv)
    try:
        if args.command == "run":
            shared, own = parse_parameters(args.shared), parse_parameters(args.parameters)
            parameters = {name: value for name, value in shared.items() if name in declared(args.source)} | own
            run(args.source, args.target, parameters, not args.no_progress)
        else:
            for path in args.notebooks:
                gate(path)
    except (StudyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing half-made was left behind", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
