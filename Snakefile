# The whole study as rules: data, features, heads, predictions, Figure 1's evolution, notebooks, book.
#
#   snakemake --cores 2 book                                   the default: generated scenes
#   snakemake --cores 2 runs --config profiles="voc-sample" voc_root=/data/VOCdevkit
#   snakemake -n runs --config profiles=voc2012 ...            the plan only
#
# Each target is written whole or not at all, so an interrupted run goes on where it stopped.
import sys
from glob import glob
from pathlib import Path

from wsl.profile import head_of, load_profile

RUNS = Path(config.get("runs", "runs"))
NAMES = str(config.get("profiles", "scenes scenes-coco")).replace(",", " ").split()
ROOTS = {layout: config.get(f"{layout}_root") for layout in ("voc", "coco")}
PROCESSES = int(config.get("processes", 1))  # training processes a job, for machines with several GPUs
PYTHON = sys.executable
WSL = f"{PYTHON} -m wsl.cli"
TORCHRUN = f"{PYTHON} -m torch.distributed.run --standalone --nproc-per-node {PROCESSES} -m wsl.cli"
TRUNK = {key: config.get(key) for key in ("trunk", "weights", "convention")}
PROFILES = {profile.name: profile for profile in (load_profile(name, **TRUNK) for name in NAMES)}
FILES = dict(zip(PROFILES, NAMES))  # a profile's name -> what the user called it: that name, or a TOML file
NAMES = list(PROFILES)


def options(wildcards):
    """The profile, and what else `wsl` is told: folders, trunk."""
    profile = PROFILES[wildcards.profile]
    root = ROOTS[profile.layout] if not profile.generate else None
    given = {f"--{profile.layout}-root": root, **{f"--{key}": value for key, value in TRUNK.items()}}
    return f"'{FILES[profile.name]}' --runs {RUNS} " + " ".join(f"{key} '{value}'" for key, value in given.items() if value)


def settings(wildcards):
    """A changed profile makes its runs anew."""
    return PROFILES[wildcards.profile].values()


def run_path(name, system, seed):
    return f"{RUNS}/{name}/{PROFILES[name].trunk}/{system}/seed{seed}"


ALL_RUNS = [f"{run_path(n, s, k)}/manifest.json" for n in NAMES for s, k in PROFILES[n].targets()]
EXPERIMENTS = [f"{run_path(n, 'weak_sup', PROFILES[n].seeds[0])}/evolution.csv" for n in NAMES]
WITH_PROPOSALS = [n for n in NAMES if "rcnn" in PROFILES[n].systems]
EXPERIMENTS += [f"{run_path(n, 'weak_sup', PROFILES[n].seeds[0])}/extent.csv" for n in WITH_PROPOSALS]


wildcard_constraints:
    profile="[^/]+",
    trunk="[^/]+",
    system="[^/]+",
    seed=r"\d+",


rule runs:
    input:
        ALL_RUNS,
        EXPERIMENTS,


rule data:
    input:
        lambda w: glob("wsl/scenes/*.*") if PROFILES[w.profile].generate else [],
    output:
        touch(f"{RUNS}/data/{{profile}}.ready"),
    params:
        options=options,
        settings=lambda w: PROFILES[w.profile].generate,
    threads: 2
    shell:
        "{WSL} data scenes {params.options}"


rule features:
    input:
        f"{RUNS}/data/{{profile}}.ready",
    output:
        touch(f"{RUNS}/{{profile}}/{{trunk}}/features.ready"),
    params:
        options=options,
    threads: workflow.cores
    shell:
        "{WSL} features {params.options}"


rule proposals:
    input:
        f"{RUNS}/data/{{profile}}.ready",
    output:
        touch(f"{RUNS}/{{profile}}/proposals.ready"),
    params:
        options=options,
    threads: workflow.cores
    shell:
        "{WSL} proposals {params.options} --workers {threads}"


def record(wildcards):
    """Each profile's first weakly supervised training keeps its epochs, for Figure 1."""
    first = PROFILES[wildcards.profile].seeds[0]
    return "--record" if wildcards.system == "weak_sup" and int(wildcards.seed) == first else ""


rule train:
    input:
        f"{RUNS}/{{profile}}/{{trunk}}/features.ready",
        lambda w: f"{RUNS}/{w.profile}/proposals.ready" if w.system == "rcnn" else [],
    output:
        f"{RUNS}/{{profile}}/{{trunk}}/{{system}}/seed{{seed}}/head.safetensors",
    params:
        options=options,
        record=record,
        launch=TORCHRUN if PROCESSES > 1 else WSL,
        settings=settings,
    threads: 1
    shell:
        "OMP_NUM_THREADS={threads} {params.launch} train {params.options} --seed {wildcards.seed} {params.record}"
        " -- '{wildcards.system}'"


rule evolve:
    input:
        lambda w: f"{run_path(w.profile, 'weak_sup', w.seed)}/head.safetensors",
    output:
        f"{RUNS}/{{profile}}/{{trunk}}/weak_sup/seed{{seed}}/evolution.csv",
    params:
        options=options,
    threads: workflow.cores
    shell:
        "{WSL} evolve {params.options} --seed {wildcards.seed}"


rule extent:
    input:
        lambda w: f"{run_path(w.profile, 'weak_sup', w.seed)}/head.safetensors",
        f"{RUNS}/{{profile}}/proposals.ready",
    output:
        f"{RUNS}/{{profile}}/{{trunk}}/weak_sup/seed{{seed}}/extent.csv",
    params:
        options=options,
    threads: workflow.cores
    shell:
        "{WSL} extent {params.options} --seed {wildcards.seed}"


for name in NAMES:  # one pass of the trunk over a profile's evaluation images serves all its heads

    rule:
        name:
            f"predict_{name.replace('-', '_')}"
        input:
            sorted({f"{run_path(name, head_of(s), k)}/head.safetensors" for s, k in PROFILES[name].targets()}),
        output:
            [f"{run_path(name, s, k)}/manifest.json" for s, k in PROFILES[name].targets()],
        params:
            options=lambda w, name=name: options(type("W", (), {"profile": name})),
            targets=" ".join(f"'{s}/{k}'" for s, k in PROFILES[name].targets()),
        threads: workflow.cores
        shell:
            "{WSL} predict {params.options} -- {params.targets}"


# ---- notebooks and book

PAGES = [path.stem for path in sorted(Path("notebooks").glob("*.ipynb"))]
FRESH = {"voc": "scenes", "coco": "scenes-coco"}  # which runs made here the book shows, by layout
FRESH |= {profile.layout: name for name, profile in reversed(PROFILES.items())}
VIEW = [path for part in ("data", "evaluation", "findings", "pages") for path in glob(f"wsl/{part}/**/*.*", recursive=True)]


rule notebook:
    input:
        "notebooks/{page}.ipynb",
        ALL_RUNS,
        EXPERIMENTS,
        VIEW,
        glob("results/**/*.*", recursive=True),
    output:
        "book/executed/{page}.ipynb",
    params:
        given=f"-p runs {RUNS} -p profile {FRESH['voc']} -p coco_profile {FRESH['coco']}"
        + "".join(f" -p {name} '{ROOTS[k]}'" for k, name in (("voc", "data_root"), ("coco", "coco_data_root")) if ROOTS[k]),
    threads: 1
    shell:
        "{PYTHON} -m tools.notebook run notebooks/{wildcards.page}.ipynb {output} {params.given}"


rule book:
    input:
        expand("book/executed/{page}.ipynb", page=PAGES),
        "_config.yml",
        [p for p in glob("book/**/*", recursive=True) if "executed" not in p and Path(p).is_file()],
    output:
        "_build/html/index.html",
    shell:
        "{PYTHON} -m tools.site build"
