"""The Snakefile and the Makefile: what is planned, what a change plans anew, and names as they reach the shell."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from wsl.cli.main import main as wsl
from wsl.profile import head_of, load_profile
from wsl.systems import progress

ROOT = Path(__file__).resolve().parents[1]
PAGES = len(list((ROOT / "notebooks").glob("*.ipynb")))
WITHOUT_RUNS = ("adapters", "method", "photographs", "since", "table3")  # pages that show no runs
TINY = """
generate = { train = 8, val = 4, seed = 0, size = 128 }
year = "scenes"
canvas = 128
systems = ["full_images", "weak_sup", "center", "rcnn"]
ablations = ["weak_sup@test_s1"]
"""


def project(folder: Path) -> Path:
    """The project's files in a folder of their own, so that no run of the repository is touched."""
    for name in ("wsl", "notebooks", "results", "_config.yml", "Snakefile", "cluster"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("book", "tools"):
        (folder / name).mkdir()
        for path in (path for path in (ROOT / name).iterdir() if path.name != "executed"):
            (folder / name / path.name).symlink_to(path)
    return folder


def snakemake(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def dry_run(tmp_path, monkeypatch, capfd):
    """A function that calls Snakemake in this process, which takes half a second, and returns what it said."""
    from snakemake.cli import main

    monkeypatch.chdir(project(tmp_path))

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(["--cores", "2", *arguments])
        out, err = capfd.readouterr()
        assert end.value.code == 0, out + err
        return out + err

    return call


def jobs(plan: str) -> dict[str, int]:
    """Rule -> how many jobs of it a dry run planned."""
    if "Nothing to be done" in plan:
        return {}
    table = plan.rpartition("Job stats:")[2].partition("\n\n")[0]
    counts = Counter()
    for name, count in re.findall(r"^(?!total)(?:long_)?(\w+) +(\d+)$", table, re.MULTILINE):
        counts[name] += int(count)
    return dict(counts)


def test_the_plan_of_the_default_profiles_holds_each_unit_once(dry_run):
    once = {"data": 2, "features": 2, "proposals": 1, "train": 4, "predict_scenes": 1, "predict_scenes_coco": 1}
    plan = dry_run("-n", "--", "book")
    assert jobs(plan) == once | {"notebook": PAGES, "book": 1}
    trained = re.findall(r"train scenes --runs=runs --missing -- (.*?) &&", dry_run("-np", "--", "runs"))
    heads = {head_of(system) for system, _ in load_profile("scenes").targets()}
    assert len(trained) == 2 and sorted(" ".join(trained).split()) == sorted(f"{head}/0" for head in heads)
    folders = {"notebook": "data network evaluation systems findings pages", "train": "data network systems"}
    for rule, names in folders.items():
        inputs = re.search(rf"^rule {rule}:\n    input: (.*)$", plan, re.MULTILINE)[1].split(", ")
        assert {str(p.relative_to(ROOT)) for name in names.split() for p in (ROOT / "wsl" / name).rglob("*.py")} <= set(inputs)


def test_a_change_plans_anew_what_depends_on_it_and_nothing_else(dry_run, tmp_path):
    given = ("--config", "profiles=mine.toml", "--", "book")
    (tmp_path / "mine.toml").write_text(TINY)
    for line in re.findall(r"^    (?:output|benchmark): (.*)$", dry_run("-n", *given), re.MULTILINE):
        for name in line.split(", "):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    dry_run("--touch", "--forceall", *given)  # writes down what each file was made from, and runs nothing
    assert jobs(dry_run("-n", *given)) == {}

    after = {"predict_mine": 1, "notebook": PAGES - len(WITHOUT_RUNS), "book": 1}
    for line, first in ("canvas = 160", "features"), ("proposals = 9\ncanvas = 128", "proposals"):
        (tmp_path / "mine.toml").write_text(TINY.replace("canvas = 128", line))
        assert jobs(dry_run("-n", *given)) == {first: 1, "train": 2, **after}, line
    (tmp_path / "mine.toml").write_text('title = "mine"' + TINY)  # no number depends on it
    (tmp_path / "tools" / "more.py").touch()
    assert jobs(dry_run("-n", *given)) == {"book": 1}


def cluster_profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "cluster" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_on_a_cluster_every_step_says_what_it_needs(name, dry_run, tmp_path):
    """The profile in place, but for the settings of its executor, which is a plugin that need not be installed."""
    settings = {key: value for key, value in cluster_profile(name).items() if not key.startswith("cluster-generic")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "mine.toml").write_text(TINY)

    def asked(*given: str) -> dict[str, dict[str, int]]:
        options = ("-n", "--workflow-profile", "mine", "--executor", "local", "--cores", "1000")
        plan = dry_run(*options, "--config", "profiles=mine.toml", *given, "--", "book")
        steps = re.findall(r"^rule (\w+):\n(?:    .*\n)*?(?:    threads: (\d+)\n)?    resources: (.*)$", plan, re.MULTILINE)
        keys = ("threads", "mem_mb", "runtime", "gpu", "cpus_per_task")
        found = {rule: {"threads": threads or 1, **dict(re.findall(r"(\w+)=(\d+)\b", needs))} for rule, threads, needs in steps}
        return {rule: {key: int(needs[key]) for key in keys if key in needs} for rule, needs in found.items()}

    steps = asked("processes=4")
    assert set(steps) == {"data", "features", "proposals", "train", "predict_mine", "notebook", "long_notebook", "book"}
    assert steps["train"] == {"mem_mb": 4 * 16384, "runtime": 720, "gpu": 4, "cpus_per_task": 32, "threads": 1}
    assert steps["predict_mine"] == {"mem_mb": 16384, "runtime": 720, "gpu": 1, "threads": 16}  # of 1000 cores
    assert steps["notebook"] == steps["long_notebook"] == {"mem_mb": 8192, "runtime": 120, "threads": 1}
    assert all(step.keys() >= {"mem_mb", "runtime"} and step["threads"] <= 16 for step in steps.values())
    assert not any("gpu" in step for step in asked("gpu=0").values())


def test_on_kubernetes_a_step_becomes_a_job(tmp_path, monkeypatch):
    settings = cluster_profile("kubernetes")
    submit, *given = settings["cluster-generic-submit-cmd"].split()
    status, cancel = settings["cluster-generic-status-cmd"], settings["cluster-generic-cancel-cmd"]
    asked = {"mem_mb": 32768, "runtime": 720, "gpu": 2, "cpus_per_task": 16}
    about = {"rule": "train", "threads": 1, "output": ["runs/head.safetensors"], "resources": asked}
    (tmp_path / "script.sh").write_text(f"#!/bin/sh\n# properties = {json.dumps(about)}\ntrue\n")
    fake = '#!/bin/sh\ncd "$(dirname "$0")"\necho "$*" > said\n[ $1 = create ] && cat > job\ncat answer\n'
    (tmp_path / "kubectl").write_text(fake)
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def call(answer: str, *command: str) -> str:
        (tmp_path / "answer").write_text(answer)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    assert call("study-x", submit, *given, str(tmp_path / "script.sh")) == "study-x"
    spec = json.loads((tmp_path / "job").read_text())["spec"]
    assert spec["activeDeadlineSeconds"] == 720 * 60 and spec["backoffLimit"] == 0
    step = spec["template"]["spec"]["containers"][0]
    assert step["resources"] == {"requests": {"cpu": 16}, "limits": {"memory": "32768Mi", "nvidia.com/gpu": 2}}
    assert step["command"] == ["/bin/sh", str(tmp_path / "script.sh")] and step["workingDir"] == str(ROOT)
    words = {"a Complete": "success", "a Failed": "failed", "a FailureTarget": "running", "a ": "running", "": "failed"}
    assert {answer: call(answer, status, "a") for answer in words} == words
    call("", cancel, "a", "b")
    assert (tmp_path / "said").read_text() == "delete job --ignore-not-found --wait=false a b\n"

    # the pod that everything starts from has the same image, and the same volume at the same place
    claim, *_, pod = yaml.safe_load_all((ROOT / "cluster/kubernetes/study.yaml").read_text())
    start = pod["spec"]["containers"][0]
    assert [start["image"], claim["metadata"]["name"], start["volumeMounts"][0]["mountPath"]] == given


def test_the_recorded_results_alone_make_a_book(dry_run):
    assert jobs(dry_run("-n", "--config", "profiles=", "--", "book")) == {"notebook": PAGES, "book": 1}


def test_each_finished_stage_says_what_comes_next_and_until_when(tmp_path):
    assert progress.done(tmp_path, "scenes", "data") == ""  # without a forecast
    progress.follow(tmp_path, {"scenes data": 30.0, "scenes train": 50.0, "book pages": 20.0})
    started = json.loads((tmp_path / "forecast.json").read_text())["started"]
    line = progress.done(tmp_path, "scenes", "data", now=started + 50)  # 10 s of trust: (50 + 10) / (30 + 10) of the forecast
    assert line == "[0:50] scenes: scenes done. Next: scenes: heads, until about 2:05; everything done at about 2:35."
    assert progress.done(tmp_path, "scenes", "train", 2) == ""  # one job of two
    assert progress.done(tmp_path, "scenes", "train", 2, started + 90).startswith("[1:30] scenes: heads done. Next: book: pages,")
    assert progress.done(tmp_path, "book", "pages", now=started + 3700) == "[1:01:40] book: pages done."
    progress.follow(tmp_path, {"scenes train": 60.0})  # a new start
    assert "Next" not in progress.done(tmp_path, "scenes", "train")


def test_names_reach_the_shell_as_they_are(tmp_path):
    """Spaces, apostrophes, semicolons, ~ and digits in the folders of the project, of the data and of the runs."""
    folder = tmp_path / "user's files; touch pwned"
    folder.mkdir()
    project(folder)
    (tmp_path / "my; data's").mkdir()
    (folder / "mine.toml").write_text("")
    given = ("profiles=mine.toml", "voc_root=~/my; data's", "runs=2024_01; touch pwned")
    (folder / ".snakemake" / "locks").mkdir(parents=True)  # of a workflow that was killed: its process has gone
    (folder / ".snakemake" / "locks" / "0.output.lock").write_text("2024_01; touch pwned/data/mine.ready\n")
    snakemake(folder, "--config", *given, "--", "2024_01; touch pwned/data/mine.ready", HOME=str(tmp_path))
    assert (folder / "2024_01; touch pwned" / "data" / "mine.ready").is_file() and not list(tmp_path.rglob("pwned"))


def test_a_second_workflow_in_the_folder_is_refused_in_words(dry_run, tmp_path, capfd):
    from snakemake.cli import main

    (tmp_path / ".snakemake").mkdir()
    with FileLock(tmp_path / ".snakemake" / "study.lock"):
        dry_run("-n", "--config", "profiles=", "--", "book")  # changes nothing
        with pytest.raises(SystemExit) as end:
            main(["--cores", "1", "--config", "profiles=", "--", "book"])
        assert end.value.code == 1 and "another `make book` works here; wait until it is done" in capfd.readouterr().err
        progress.follow(tmp_path / "runs", {"scenes data": 30.0})  # the first one's forecast stays
        kept = (tmp_path / "runs" / "forecast.json").read_text()
        assert wsl(["plan", "scenes", "--follow"]) == 2 and "another `make book` works here" in capfd.readouterr().err
    assert not (tmp_path / "book" / "executed").exists() and (tmp_path / "runs" / "forecast.json").read_text() == kept


def test_make_passes_settings_on_as_they_are(tmp_path):
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    (tmp_path / "bin").mkdir()
    for name in ("wsl", "snakemake"):  # each only says what it was given, one argument a line
        (tmp_path / "bin" / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / ".installed").touch()
    root, runs = "~/my user's data/VOC", "2024;touch pwned $(x)"
    settings = f"CONFIG=voc_root={root} runs={runs} processes=2"
    done = subprocess.run(
        [make, "-C", str(ROOT), "--no-print-directory", "plan", f"VENV={tmp_path}",
         "CORES=2", "PROFILES=scenes voc2012", settings],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    plan = ["plan", "scenes", "voc2012", "--cores=2", f"--voc-root={root}", f"--runs={runs}", "--books"]
    plan += ["book"] if (ROOT / "_build/html/index.html").exists() else ["landing", "book"]
    config = ["--config", "profiles=scenes voc2012", f"voc_root={root}", f"runs={runs}", "processes=2"]
    assert done.stdout.splitlines() == [*plan, "--cores", "2", *config, "--rerun-incomplete", "-n", "--", "book"]
