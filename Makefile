# `make train` and `make test` need nothing but Python 3.11-3.13: they make $(VENV) and install into it what they use.
TASK ?= translation
CONFIG ?=
VENV ?= .venv
MINUTES ?= 60
ifndef RUN
RUN := runs/$(TASK)/$(shell date +%Y%m%d-%H%M%S)
endif
# the first Python that will do
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
# released as a pair: another torchaudio would refuse this torch
TORCH := "torch==2.11.*" "torchaudio==2.11.*"

.DEFAULT_GOAL := help
.PHONY: help train test test-slow check torture bench docs clean

help:
	@echo "make train [TASK=name] [RUN=folder]   install, train on real data, evaluate on held-out data, show some answers"
	@echo "make test                             install, run the tests"
	@echo "make test-slow                        the tests that take minutes"
	@echo "make check                            what CI runs: format, lint, types, layers, tests"
	@echo "make torture [MINUTES=60]             kills, full disks, damage and hostile input by the hundred; goes on where it was ended"
	@echo "make bench                            install the peers that benchmarks compare with"
	@echo "make docs                             write the generated pages again"
	@echo "make clean                            remove $(VENV) and caches; runs/ stays"

train: $(VENV)/.tasks
	@$(BIN)/python -m tasks train $(TASK) $(CONFIG) --run "$(RUN)"
	@$(BIN)/python -m tasks evaluate $(TASK) "$(RUN)" --split test
	@echo "run folder: $(RUN)"

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist loadgroup

test-slow: $(VENV)/.dev
	@$(BIN)/python -m pytest -m slow --timeout 3600

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadgroup

torture: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.torture --minutes $(MINUTES)
	@$(MAKE) --no-print-directory docs

bench: $(VENV)/.dev
	@$(PIP) --editable ".[bench]"

docs: $(VENV)/.tasks
	$(BIN)/python -m core.config_docs tasks:TASKS > docs/configs.md.new
	mv docs/configs.md.new docs/configs.md
	$(BIN)/python -m benchmarks.torture --page > docs/reliability.md.new
	mv docs/reliability.md.new docs/reliability.md

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Transduce needs Python 3.11, 3.12 or 3.13, and neither python3 nor python3.11 to python3.13 is one: make PYTHON=/path/to/python ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] < (3, 14) else f"{sys.executable} is Python {v[0]}.{v[1]}; Transduce needs 3.11, 3.12 or 3.13: make PYTHON=/path/to/python ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.tasks: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV): some minutes, once" >&2
	@$(PIP) $(TORCH)
	@$(PIP) --editable ".[tasks]"
	@touch $@

$(VENV)/.dev: $(VENV)/.tasks
	@echo "installing what the tests need" >&2
	@$(PIP) --editable ".[dev]"
	@touch $@
