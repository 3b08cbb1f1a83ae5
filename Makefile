# Two commands matter: `make run` executes the notebooks, `make test` checks everything.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

CHAPTERS ?=
ASSETS ?= packaged
SCALE ?= small
BENCH ?=
JOBS ?= 1
RESUME ?=
PYTEST = $(BIN)/python -m pytest --durations=10
# Two processes with one thread each: with two threads each they would wait for one another.
PAIR = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(PYTEST) -n2
TEST_HUB = CHAPTERS="$(CHAPTERS)" $(PAIR) --dist worksteal tests/hub/test_chapters.py
RUN_OPTIONS = --assets $(ASSETS) --scale $(SCALE) --jobs $(JOBS) $(if $(filter-out 0 no false off,$(RESUME)),--resume)

ifneq ($(NLP_ASSETS_DIR),)  # relative to this folder, wherever a kernel runs
export NLP_ASSETS_DIR := $(abspath $(patsubst ~/%,$(HOME)/%,$(NLP_ASSETS_DIR)))
endif
ifneq ($(filter command environment,$(origin PYTHON)),)
ifneq ($(wildcard $(INSTALLED)),)
$(info PYTHON has no effect: $(VENV) was made before; make clean removes it.)
endif
endif

.DEFAULT_GOAL := help
.PHONY: help run pages report nightly test unit nbval test-hub lint assets lab notebooks bench clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Choose with CHAPTERS="2 3"  SCALE=small|full  ASSETS=packaged|hub  JOBS=2  RESUME=1'
	@echo '              BENCH=name  PYTHON=python3.11'

run: $(INSTALLED)  ## Run the notebooks, all or CHAPTERS="2 3"
	$(BIN)/python -m utils.runner run $(CHAPTERS) $(RUN_OPTIONS)

pages: $(INSTALLED)  ## Build HTML pages from what was run
	$(BIN)/python -m utils.runner pages --assets $(ASSETS) --scale $(SCALE)

report: $(INSTALLED)  ## Draw the history of all runs and say what drifted
	$(BIN)/python -m utils.runner report

nightly: $(INSTALLED)  ## Run notebooks, build pages and report, then test-hub
	status=0; $(BIN)/python -m utils.runner nightly $(CHAPTERS) $(RUN_OPTIONS) || status=$$?; \
	if [ $$status -ne 130 ]; then $(TEST_HUB) || status=1; fi; exit $$status  # 130: interrupted

test: lint unit nbval  ## Check everything: lint, unit tests, notebooks

unit: $(INSTALLED)
	$(PAIR) --dist loadfile --ignore tests/hub/test_chapters.py --cov --cov-fail-under=90

nbval: assets
	$(PAIR) --dist loadfile --nbval-lax --nbval-current-env notebooks

test-hub: $(INSTALLED)  ## Run notebooks against a small hub on this machine, all or CHAPTERS="2 3"
	$(TEST_HUB)

lint: $(INSTALLED)  ## Check style of code and notebooks
	$(BIN)/ruff check
	$(BIN)/ruff format --check

assets: $(INSTALLED)  ## Fetch and verify every model and data set
	$(BIN)/python -m utils.assets fetch --all

lab: $(INSTALLED)  ## Open JupyterLab with the kernel ready
	$(BIN)/jupyter lab notebooks

notebooks: $(INSTALLED)  ## Execute the notebooks in place, all or CHAPTERS="2 3"
	$(BIN)/python -m utils.runner refresh $(CHAPTERS)
	$(BIN)/python -m utils.runner table

bench: $(INSTALLED)  ## Run the benchmarks, all or BENCH=name
	$(BIN)/python -m utils.benchmarking $(BENCH) --assets $(ASSETS)

clean:  ## Remove build/ and the virtual environment; the asset cache stays
	rm -rf build $(VENV) *.egg-info

# requirements.lock was verified on Python 3.11 for Linux; anything else resolves requirements.txt.
# torch goes first: where a CPU build is at hand, the second call then takes nothing else.
$(INSTALLED): requirements.lock requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@if $(PYTHON) -c 'import sys; sys.exit((sys.version_info[:2], sys.platform) != ((3, 11), "linux"))'; then \
	  set -e; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep ^torch== requirements.lock)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
