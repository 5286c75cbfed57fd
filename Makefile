# make train, make test: nothing else is needed on a machine with Python 3.11-3.13.
PYTHON ?= python3
VENV ?= .venv
TASK ?= translation
RUN ?= runs/$(TASK)/$(shell date +%Y%m%d-%H%M%S)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH := "torch==2.11.*"

.PHONY: help train test check docs clean

help:
	@echo "make train [TASK=name]  install, train on real data, evaluate, show a few answers"
	@echo "make test               install, run the tests"
	@echo "make check              what CI runs: format, lint, types, layers, tests"
	@echo "make docs               write the generated pages again"
	@echo "make clean              remove $(VENV) and caches (runs/ stays)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else f"{sys.executable} is Python {sys.version.split()[0]}; Transduce needs 3.11, 3.12 or 3.13: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

# torch and torchaudio are installed as the matching pair that they were released as
$(VENV)/.tasks: $(BIN)/python pyproject.toml
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(PIP) $(TORCH)
	@$(PIP) --editable ".[tasks]"
	@touch $@

$(VENV)/.dev: $(VENV)/.tasks
	@echo "installing what the tests need"
	@$(PIP) --editable ".[dev]"
	@touch $@

train: $(VENV)/.tasks
	@$(BIN)/python -m tasks train $(TASK) --run "$(RUN)"
	@$(BIN)/python -m tasks evaluate $(TASK) "$(RUN)" --split test
	@echo "run folder: $(RUN)"

test: $(VENV)/.dev
	@$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

docs: $(VENV)/.dev
	$(BIN)/python -m core.config_docs

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
