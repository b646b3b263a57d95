# poolkit: `make` lists the targets. Needs Python 3.11 or later and make; the rest goes into .venv.

PYTHON ?= python3
ARGS ?=

VENV := .venv
RUN := $(VENV)/bin/python -m
# Twice quiet: errors only.
PIP := $(RUN) pip install --quiet --quiet --disable-pip-version-check
# Four test files at a time, then one test after the other: those that measure.
SIDE_BY_SIDE := --group=side-by-side --numprocesses=4 --dist=loadfile --no-loadscope-reorder
ALONE := --group=alone
# Two notebooks at a time: their outputs are not compared.
LIVE := --group=live --numprocesses=2 --maxschedchunk=1
# A stalled machine can fail a test on real servers: a failure is run once more, and the summary
# names it. One that comes up again has a fault to be mended. nbval, which compares the outputs of
# notebooks, takes a second of every process.
TWICE := --reruns=1 -r fER -p no:nbval
RECORDING := data/recordings/lab-review

BENCHES = $(filter-out sizing,$(basename $(notdir $(shell grep -l __main__ tests/bench/*.py))))
# The kernels of notebooks/ run there: what the variable names is named from here.
ifneq ($(wildcard $(filter-out lab recorded,$(POOLKIT_SOURCE))),)
export POOLKIT_SOURCE := $(abspath $(POOLKIT_SOURCE))
endif
# Else each of the hundreds of processes that tests start would compile poolkit anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check notebooks notebooks-live bench bench-sizing house lab service workbook app recordings clean

help: ## List these targets
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.13]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.with-demo ## Review the embedded lab and write its report (ARGS="--out DIR")
	@$(RUN) poolkit demo $(ARGS)

test: $(VENV)/.with-all ## Run every test (ARGS="-k targets" for some)
	@$(RUN) pytest -q $(TWICE) $(SIDE_BY_SIDE) $(ARGS); many=$$?; \
	case $$many in 0|1|5) ;; *) exit $$many ;; esac; \
	$(RUN) pytest -q $(TWICE) $(ALONE) $(ARGS); alone=$$?; \
	case $$many,$$alone in 0,0|0,5|5,0) ;; 0,*|5,*) exit $$alone ;; *) exit $$many ;; esac

check: $(VENV)/.with-all ## Lint, format and types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

notebooks: $(VENV)/.with-all ## Run the notebooks on recordings and compare every stored output
	@POOLKIT_SOURCE=recorded $(RUN) pytest -q --nbval --nbval-current-env --nbval-cell-timeout=120 \
		$(addprefix --nbval-sanitize-with=,$(wildcard notebooks/sanitize.cfg)) notebooks $(ARGS)

notebooks-live: $(VENV)/.with-all ## Run every notebook on what it measures now (3 minutes)
	@$(RUN) pytest -q $(TWICE) $(LIVE) $(ARGS)

bench: $(VENV)/.with-all ## Print the figures that the project is held to (an hour; ARGS="overhead memory" for some)
	@missed=; for name in $(or $(ARGS),$(BENCHES)); do echo "== $$name"; \
		$(RUN) tests.bench.$$name || missed="$$missed $$name"; done; \
	test -z "$$missed" || { echo "== missed:$$missed"; exit 1; }

bench-sizing: $(VENV)/.with-all ## Recommended against needed on twelve upstreams (40 minutes; ARGS="--quick")
	@$(RUN) tests.bench.sizing $(ARGS)

house: $(VENV)/.with-all ## Print the structure: folders, lines, importers, circles, drivers
	@$(RUN) tests.house

lab: $(VENV)/.with-demo ## Run the embedded lab until Ctrl-C (ARGS="--targets-out FILE")
	@$(RUN) poolkit lab $(ARGS)

service: $(VENV)/.with-all ## Run the demo service with its gauges until Ctrl-C (ARGS="--sizes undersized")
	@$(RUN) poolkit.lab.service $(ARGS)

workbook: $(VENV)/.with-demo ## Open JupyterLab on the notebooks
	@# What is not trusted is shown without its drawings and styles.
	@$(RUN) jupyter trust notebooks/*.ipynb >/dev/null
	@$(RUN) jupyter lab notebooks --FileContentsManager.pre_save_hook=poolkit.workbook.saving.as_stored $(ARGS)

app: $(VENV)/.with-demo ## Serve the pool sweep as a page without code
	@$(RUN) voila notebooks/02_pool_sweep.ipynb $(ARGS)

recordings: $(VENV)/.with-demo ## Measure the lab anew and replace the committed recordings
	@rm -rf build/recording
	@$(RUN) poolkit demo --out build/recording
	@mkdir -p $(RECORDING) data/recordings/lab-earlier
	@rm -f data/recordings/lab-earlier/*
	@cp $(RECORDING)/*.sizing.json $(RECORDING)/recommended.json $(RECORDING)/manifest.json \
		data/recordings/lab-earlier/
	@cp build/recording/*.trials.jsonl build/recording/*.sizing.json \
		build/recording/recommended.json build/recording/manifest.json $(RECORDING)/
	@$(RUN) tests.recordings.lessons
	@$(RUN) tests.recordings.lifecycle
	@$(RUN) tests.recordings.production
	@$(RUN) tests.recordings.history
	@$(RUN) tests.notebooks.normal_form

clean: ## Remove the environment, caches and the demo's output; never data/
	@rm -rf $(VENV) build dist poolkit-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find poolkit tests notebooks -name __pycache__ -prune -exec rm -rf {} +

# The stamps follow pyproject.toml, so a changed dependency is installed by the next target that
# needs it; the larger set of extras makes the stamp of the smaller one too.
$(VENV)/.with-demo: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing poolkit and its libraries into $(VENV) (once, a minute or two) ...'
	@$(PIP) --editable '.[drivers,workbook,lab,fleet]'
	@touch $@

$(VENV)/.with-all: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing poolkit, its libraries and the test tools into $(VENV) (once, a minute or two) ...'
	@$(PIP) --editable '.[all]'
	@touch $(VENV)/.with-demo $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'poolkit needs Python 3.11 or later; name one: make demo PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
