# The whole study as rules: data, features, proposals, heads, predictions, notebooks, book.
#
#   snakemake --cores 2 book                                   the default: generated scenes
#   snakemake --cores 2 runs --config profiles="voc-sample" voc_root=/data/VOCdevkit
#   snakemake -n runs --config profiles=voc2012 ...            the plan only
#
# Each target is written whole or not at all, so an interrupted run goes on where it stopped. Settings and code of the library
# that a rule depends on are among its params and inputs, so a change makes anew what hangs on it; after an edit that changes
# no number, `snakemake --touch ...` keeps what is there.
import json
import re
import shlex
import sys
from glob import glob
from pathlib import Path

from snakemake.exceptions import WorkflowError

from wsl.errors import StudyError
from wsl.profile import head_of, load_profile, method_of
from wsl.systems.progress import only_one

# One `make book` at a time. Whoever has its lock may clear the one of Snakemake, which outlives a process that was killed. Jobs
# and dry runs need none.
if workflow.is_main_process and not workflow.output_settings.dryrun:
    try:
        ONLY_ONE = only_one()
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    for left in glob(".snakemake/locks/*.lock"):
        Path(left).unlink()

GIVEN = [entry.partition("=") for entry in getattr(workflow.config_settings, "config_args", None) or []]
GIVEN = {key: text for key, _, text in GIVEN}  # as typed: Snakemake makes the number 202401 of a folder called 2024_01


def given(key, default=None):
    """A setting as text, or `default`; a folder may begin with ~."""
    text = GIVEN.get(key) or config.get(key)
    return default if text is None else str(Path(str(text)).expanduser())


RUNS = Path(given("runs", "runs"))
NAMES = GIVEN.get("profiles", config.get("profiles", "scenes scenes-coco")).replace(",", " ").split()  # none: recorded runs only
ROOTS = {layout: given(f"{layout}_root") for layout in ("voc", "coco")}
PROCESSES = int(given("processes", 1))  # training processes a job, for machines with several GPUs
PYTHON = shlex.quote(sys.executable)
WSL = f"{PYTHON} -m wsl.cli"
GPU = given("gpu", "1") != "0"  # whether jobs that run the network ask a cluster for a GPU
TORCHRUN = f"{PYTHON} -m torch.distributed.run --standalone --nproc-per-node {PROCESSES} -m wsl.cli"
TRUNK = {key: given(key) for key in ("trunk", "weights", "convention")}
PROFILES = {profile.name: profile for profile in (load_profile(name, **TRUNK) for name in NAMES)}
FILES = dict(zip(PROFILES, NAMES))  # a profile's name -> what the user called it: that name, or a TOML file
NAMES = list(PROFILES)


def options(name, with_trunk=True):
    """The profile, and what else `wsl` is told (folders, trunk), quoted for the shell."""
    profile = PROFILES[name]
    root = ROOTS[profile.layout] if not profile.generate else None
    told = {"runs": RUNS, f"{profile.layout}-root": root, **(TRUNK if with_trunk else {})}
    return shlex.join([FILES[name], *(f"--{key}={value}" for key, value in told.items() if value)])


def on_data(wildcards):
    return options(wildcards.profile, with_trunk=False)


def on_trunk(wildcards):
    return options(wildcards.profile)


def settings(*keys):
    """A function that picks these settings: what a rule depends on is among its params, so a change makes it anew."""
    return lambda wildcards: {key: PROFILES[wildcards.profile].values()[key] for key in keys}


def system_settings(name, system):
    return PROFILES[name].system_settings(system).values()


def code(*folders):
    """The files of these folders of the library."""
    files = (path for folder in folders for path in glob(f"wsl/{folder}/**/*.*", recursive=True))
    return [path for path in files if path.endswith((".py", ".toml", ".csv", ".safetensors"))]


def run_path(name, system, seed):
    return f"{RUNS}/{name}/{PROFILES[name].trunk}/{system}/seed{seed}"


def cost(head):
    """Time of a training over that of weak_sup."""
    return {"rcnn": 3.0, "full_images": 0.3, "object_patches": 0.7}.get(method_of(head[0]), 1.0)


def shared_out(profile):
    """The (system, seed) of a profile's heads, as a list for each training job.

    One job a head; on scenes, where starting takes about as long as training, two jobs that take about the same time.
    """
    heads = sorted({(head_of(s), k) for s, k in profile.targets()}, key=lambda head: (-cost(head), head))
    shares = [[] for _ in range(2 if profile.generate else len(heads))]
    for head in heads:
        min(shares, key=lambda share: sum(map(cost, share))).append(head)
    return [share for share in shares if share]


def needs_proposals(profile):
    return "rcnn" in profile.systems


def besides(profile):
    """What the first weak_sup serves besides its table: option of `wsl predict` -> the file that it writes."""
    if "weak_sup" not in profile.systems:
        return {}
    return {"evolve": "evolution.csv", "views": "views.parquet"} | ({"extent": "extent.csv"} if needs_proposals(profile) else {})


def predicted(name):
    """What `wsl predict` writes for a profile."""
    profile = PROFILES[name]
    first = run_path(name, "weak_sup", profile.seeds[0])
    tables = [f"{run_path(name, s, k)}/manifest.json" for s, k in profile.targets()]
    return tables + [f"{first}/{file}" for file in besides(profile).values()]


def words(targets):
    return shlex.join(f"{s}/{k}" for s, k in targets)


SHARES = {name: shared_out(profile) for name, profile in PROFILES.items()}
ALL_RUNS = [path for name in NAMES for path in predicted(name)]
COMPUTING = code("data", "network", "systems")


def steps(name):
    """Where Snakemake keeps time and memory of a job, for the page *Runs* and `make bench`."""
    return f"{RUNS}/steps/{name}.tsv"


DONE = f"{PYTHON} -m wsl.systems.progress {shlex.quote(str(RUNS))}"  # says what is done and what comes next


def needs(gib, hours, gpus=0):
    """What a job asks of a cluster (book/cluster.md), each retry for as much again; on one machine it changes nothing.

    Set for COCO 2014, on the safe side. It is not the forecast of `wsl plan`: that measures the machine which asks, on a
    cluster the login node, and loads the network for it, while this file is read again by every job.
    """
    asked = {
        "mem_mb": lambda wildcards, attempt: 1024 * gib * max(gpus, 1) * attempt,
        "runtime": lambda wildcards, attempt: 60 * hours * attempt,  # minutes
    }
    return asked | ({"gpu": gpus, "nodes": 1} if gpus and GPU else {})


wildcard_constraints:
    profile="[^/]+",
    trunk="[^/]+",
    part=r"\d+",


# Where jobs compete for cores, the earlier step goes first, so that all trainings are ready to run side by side at its end.
# Snakemake takes the jobs with the highest sum of priorities, hence the distances.
rule runs:
    input:
        ALL_RUNS,


rule data:
    input:
        lambda w: code("scenes") if PROFILES[w.profile].generate else [],
    output:
        touch(f"{RUNS}/data/{{profile}}.ready"),
    benchmark:
        steps("data/{profile}")
    params:
        options=on_data,
        settings=settings("generate", "layout", "year", "train", "val"),
    threads: 2
    priority: 10000
    resources:
        **needs(4, 2),
    shell:
        "{WSL} data scenes {params.options} && {DONE} {wildcards.profile} data"


rule features:
    input:
        f"{RUNS}/data/{{profile}}.ready",
        code("data", "network"),
    output:
        touch(f"{RUNS}/{{profile}}/{{trunk}}/features.ready"),
    benchmark:
        steps("features/{profile} {trunk}")
    params:
        options=on_trunk,
        settings=settings("canvas", "cache_features"),
        sides=lambda w: PROFILES[w.profile].feature_sides(dict(PROFILES[w.profile].targets())),
    threads: workflow.cores
    priority: 100
    resources:
        **needs(16, 4, 1),
    shell:
        "{WSL} features {params.options} && {DONE} {wildcards.profile} features"


rule proposals:
    input:
        f"{RUNS}/data/{{profile}}.ready",
        code("data"),
        "wsl/systems/proposals.py",
    output:
        touch(f"{RUNS}/{{profile}}/proposals.ready"),
    benchmark:
        steps("proposals/{profile}")
    params:
        options=on_data,
        settings=settings("proposal_side", "proposals"),
    threads: workflow.cores
    priority: 100
    resources:
        **needs(16, 6),
    shell:
        "{WSL} proposals {params.options} --workers {threads} && {DONE} {wildcards.profile} proposals"


def share(wildcards):
    return SHARES[wildcards.profile][int(wildcards.part)]


rule train:
    input:
        f"{RUNS}/{{profile}}/{{trunk}}/features.ready",
        lambda w: f"{RUNS}/{w.profile}/proposals.ready" if "rcnn" in dict(share(w)) else [],
        COMPUTING,
    output:
        touch(f"{RUNS}/{{profile}}/{{trunk}}/heads{{part}}.ready"),
    benchmark:
        steps("train/{profile} {trunk} {part}")
    params:
        options=on_trunk,
        heads=lambda w: words(share(w)),
        launch=TORCHRUN if PROCESSES > 1 else WSL,
        settings=lambda w: [system_settings(w.profile, system) for system, _ in share(w)],
        of=lambda w: len(SHARES[w.profile]),
    threads: 1
    priority: 1
    resources:
        **needs(16, 12, PROCESSES),
        cpus_per_task=8 * PROCESSES if GPU else 1,  # decode pictures, while the head itself takes one thread
    shell:
        "OMP_NUM_THREADS={threads} {params.launch} train {params.options} --missing -- {params.heads}"
        " && {DONE} {wildcards.profile} train {params.of}"


for name in NAMES:  # one pass of the trunk over a profile's evaluation images serves all its heads

    rule:
        name:
            "predict_" + re.sub(r"\W", "_", name)
        input:
            [f"{RUNS}/{name}/{PROFILES[name].trunk}/heads{part}.ready" for part, _ in enumerate(SHARES[name])],
            f"{RUNS}/{name}/proposals.ready" if needs_proposals(PROFILES[name]) else [],
            COMPUTING,
            code("evaluation"),
        output:
            predicted(name),
        benchmark:
            steps(f"predict/{name} {PROFILES[name].trunk}")
        params:
            options=options(name),
            besides=shlex.join(f"--{option}={PROFILES[name].seeds[0]}" for option in besides(PROFILES[name])),
            targets=words(PROFILES[name].targets()),
            settings=[system_settings(name, s) for s, _ in PROFILES[name].targets()],
            profile=shlex.quote(name),
        threads: workflow.cores
        resources:
            **needs(16, 12, 1),
        shell:
            "{WSL} predict {params.options} {params.besides} -- {params.targets} && {DONE} {params.profile} predict"


# ---- notebooks and book

PAGES = [path.stem for path in sorted(Path("notebooks").glob("*.ipynb"))]
FRESH = {"voc": "scenes", "coco": "scenes-coco"}  # which runs made here the book shows, by layout
FRESH |= {profile.layout: name for name, profile in reversed(PROFILES.items())}
SHOWN = {"runs": RUNS, "profile": FRESH["voc"], "coco_profile": FRESH["coco"]}
SHOWN |= {"data_root": ROOTS["voc"], "coco_data_root": ROOTS["coco"]}
SHOWN = [word for key, value in SHOWN.items() if value for word in ("-a", key, json.dumps(str(value), ensure_ascii=False))]


# Pages that declare the folder of the runs made here; the others need not wait for them.
OF_RUNS = [page for page in PAGES if '"runs: ' in Path(f"notebooks/{page}.ipynb").read_text(encoding="utf8")]
FIRST = ["index", "table2", "figure5"]  # of the recorded results alone, where there is no book yet
PARTS = len(PAGES if NAMES else FIRST)
BUILT = "book" if NAMES else "landing"  # for the forecast: the whole book, or its first pages


rule notebook:
    input:
        "notebooks/{page}.ipynb",
        lambda w: ALL_RUNS if w.page in OF_RUNS else [],
        COMPUTING,
        code("evaluation", "findings", "pages"),
        glob("tools/notebook.py"),  # where it is: a folder of notebooks and profiles alone can be planned as well
        glob("results/**/*.*", recursive=True),
    output:
        "book/executed/{page}.ipynb",
    benchmark:
        steps("pages/{page}")
    params:
        shown=lambda w: shlex.join(SHOWN) if w.page in OF_RUNS else "",
    threads: 1
    resources:
        **needs(8, 2),
    shell:
        "{PYTHON} -m tools.notebook run notebooks/{wildcards.page}.ipynb {output} {params.shown}"
        " && {DONE} {BUILT} pages {PARTS}"


use rule notebook as long_notebook with:  # first, or the last of them runs alone in the end
    output:
        "book/executed/{page,reasons|ablations|sensitivity|adapters|method|photographs}.ipynb",
    priority: 1


ruleorder: long_notebook > notebook


SITE = ["_config.yml", *glob("tools/*.py"), "wsl/api.py"]  # the page of the Python interface is made of the last
SITE += [p for p in glob("book/**/*.*", recursive=True) if not re.search(r"executed|__pycache__", p) and Path(p).is_file()]


rule landing:  # the first pages, while the notebooks of the others are still to be executed
    input:
        expand("book/executed/{page}.ipynb", page=FIRST),
        SITE,
    output:
        touch("_build/landing.ready"),
    benchmark:
        steps("site/landing")
    resources:
        **needs(4, 1),
    shell:
        "{PYTHON} -m tools.site build --so-far && {DONE} landing site"


rule book:
    input:
        expand("book/executed/{page}.ipynb", page=PAGES),
        SITE,
    output:
        "_build/html/index.html",
    benchmark:
        steps("site/book")
    resources:
        **needs(4, 1),
    shell:
        "{PYTHON} -m tools.site build && {DONE} {BUILT} site"
