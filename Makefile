# Two commands:   make book   the whole study on generated scenes, as a site in _build/html
#                 make test   lint and tests
# Each makes the virtual environment .venv if there is none. `make help` lists the rest.
#
# Variables (make book CORES=8 PROFILES="scenes voc2012"):
#   PROFILES  profiles whose runs the book computes               default: scenes scenes-coco
#   CORES     cores to use                                        default: all
#   SMALL     1 = the same steps on fewer, smaller scenes (for a quick check; its figures mean nothing)
#   CONFIG    settings of the workflow, e.g. CONFIG="voc_root=/data/my photographs trunk=alexnet": as they are, unquoted
#   SNAKE     more options for snakemake, e.g. SNAKE="-n" (plan only) or SNAKE="--workflow-profile cluster/slurm"
#   GROUPS    what `make bench` measures, of: maps training scoring decoding growth book       default: all
#   BENCH     options of `make bench`, e.g. BENCH="--photographs FOLDER --images 10000 --out results/bench"
#   TORTURE   options of `make torture`, e.g. TORTURE="heads kills --seed 3 --kills 10"
#   PYTHON    the interpreter that .venv is made from, 3.11 or newer   default: python3
#   VENV      where the environment lies                          default: .venv

PROFILES ?= scenes scenes-coco
CORES    ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
SMALL    ?=
CONFIG   ?=
SNAKE    ?=
GROUPS   ?=
BENCH    ?=
TORTURE  ?= --record book/torture.csv
PYTHON   ?= python3
VENV     ?= .venv

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPARED  := $(VENV)/.compared
SMALL_SET  = $(if $(filter-out 0,$(SMALL)),small=1)
# The profiles in force: SMALL=1 puts the small form of each generated profile in its place.
USED       = $(if $(SMALL_SET),$(patsubst scenes%,scenes-small%,$(PROFILES)),$(PROFILES))

# What the user gives reaches the shell in quotes. A setting's value may hold blanks: a setting begins where a word has an
# equals sign, and its blanks are written as ␣ until the shell sees them, so that each setting is one word of make.
space    := $(subst ,, )
quoted    = $(foreach word,$(1),'$(subst ␣, ,$(subst ','\'',$(word)))')
marked    = $(foreach word,$(value CONFIG),$(if $(findstring =,$(word)),␣␣)$(word))
SETTINGS  = $(subst ␣␣,,$(subst ␣␣␣, ,$(subst $(space),␣,$(marked))))
# The same settings as `wsl plan` takes them: voc_root=X becomes --voc-root=X
LIKE_CONFIG = $(foreach key,voc_root coco_root trunk weights convention runs,\
  $(patsubst $(key)=%,--$(subst _,-,$(key))=%,$(filter $(key)=%,$(SETTINGS))))
PLAN      = $(BIN)/wsl plan $(call quoted,$(USED) --cores=$(CORES) $(LIKE_CONFIG)) --books $(FIRST) book
# Where there is no book yet, the first pages are made of the recorded results alone; the small study is nearly as quick as that.
FIRST     = $(if $(SMALL_SET)$(wildcard _build/html/index.html),,landing)
SNAKEMAKE = $(BIN)/snakemake --cores $(call quoted,$(CORES)) --config
BOOK      = $(call quoted,profiles=$(subst $(space),␣,$(USED)) $(SETTINGS)) --rerun-incomplete $(SNAKE) -- book
READ      = $(call quoted,profiles= $(SETTINGS)) --rerun-incomplete $(SNAKE) -- book
LANDING   = { rm -f _build/landing.ready && $(SNAKEMAKE) $(READ:book=landing) && echo && \
  echo "The first pages can be read now: $$PWD/_build/html/index.html. The others follow."; }
SAY       = @echo; echo "The book: $$PWD/_build/html/index.html"

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help book read test torture bench check pdf plan constraints clean distclean

help:            ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@sed -n 's/^#   \([A-Z][A-Z]* \)/  \1/p' $(firstword $(MAKEFILE_LIST))

book: $(INSTALLED)   ## the study on generated scenes: forecast, first pages, data, training, notebooks, site
	@$(PLAN) --follow
	@[ -z "$(FIRST)" ] || $(LANDING)
	@$(SNAKEMAKE) $(BOOK)
	$(SAY)

read: $(INSTALLED)   ## the book from the recorded results and the runs that are there: computes nothing new, some three minutes
	@[ -e _build/html/index.html ] || $(LANDING)
	@$(SNAKEMAKE) $(READ)
	$(SAY)

# What depends on the arithmetic is tested in both, whichever the processor has (wsl/network/arithmetic.py).
BOTH_WAYS := $(addprefix tests/test_,submit.py engines.py model.py features.py)

test: $(INSTALLED)   ## lint and tests
	$(BIN)/ruff check .
	$(BIN)/pytest -q -n $(CORES)
	WSL_ARITHMETIC=float32 $(BIN)/pytest -q $(BOTH_WAYS)
	WSL_ARITHMETIC=bfloat16 $(BIN)/pytest -q $(BOTH_WAYS)

torture: $(INSTALLED)  ## hostile inputs, spoilt files, kills at random moments, traces of system calls; about ten minutes
	@PYTHONPATH=tests:. $(BIN)/python -m hostile $(TORTURE)

bench: $(COMPARED)   ## how fast: against other ways to do the same; some ten minutes, nothing else should run
	@$(BIN)/python -m benchmarks $(GROUPS) $(if $(SMALL_SET),--small) $(BENCH)

check: $(INSTALLED)  ## prove that the built site opens offline, without errors, with every link whole
	$(BIN)/python -m tools.site check _build/html

pdf: $(INSTALLED)    ## the book as one PDF, linked from the built site (needs chromium)
	$(BIN)/python -m tools.site pdf

plan: $(INSTALLED)   ## what `make book` would do, and what it would take
	@$(PLAN)
	@$(SNAKEMAKE) $(subst -- book,-n -- book,$(BOOK))

constraints: $(COMPARED)  ## write the versions installed now into constraints.txt
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | grep '==' | sed 's/+.*//'; } > constraints.tmp
	@mv constraints.tmp constraints.txt

clean:           ## remove the built site and executed notebooks (runs/ and .venv stay)
	rm -rf _build book/executed

distclean: clean ## remove also the computed runs and the environment
	rm -rf runs .snakemake $(VENV)

# An interrupted installation leaves no stamp and is taken up again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(call quoted,$(PYTHON)) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo error: $(call quoted,$(PYTHON)) "is not Python 3.11 or newer. Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(call quoted,$(PYTHON)) -m venv $(VENV) || \
	  { echo error: $(call quoted,$(PYTHON)) "has no working 'venv' module (on Debian or Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@echo "Installing the environment into $(VENV) (about 7 GB, 11 while it installs, once; some minutes)"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[train,book,test]'
	-$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps grad-cam ttach
	@touch $@

# Without these, `make bench` says of each that it is not available.
$(COMPARED): $(INSTALLED)
	-$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[train,book,test,bench]'
	@touch $@
