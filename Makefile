# Everything that is done with this repository. `make help` lists it.
# ARGS="…" is handed to the command behind the target, PYTHON=… picks the interpreter of .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
ARGS ?=

# One order of sets in every run; `make test PYTHONHASHSEED=random` looks for code that needs it.
export PYTHONHASHSEED ?= 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-zA-Z0-9_%<>-]*:.*## / \
		{ sub("%", "<name>", $$1); printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: env
env: $(READY) ## make the environment (.venv); the other targets do it when needed

$(READY): pyproject.toml tools/env.sh
	@sh tools/env.sh $(VENV)
	@touch $@

.PHONY: check
check: $(READY) ## lint, format, types, layers; never rewrites
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

.PHONY: fix
fix: $(READY) ## let ruff repair and format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

.PHONY: docs
docs: $(READY) ## write the pages that come from the code
	$(PY) -m bridge config reference > docs/configuration.md

.PHONY: test
test: check unit wheel ## check, unit and flow tests, and the wheel in an empty environment

.PHONY: unit
unit: $(READY) ## only the unit and flow tests; ARGS="-k name"
	$(PY) -m pytest $(ARGS)

.PHONY: wheel
wheel: $(READY) ## build the wheel, install it in an empty environment, run its command
	@sh tools/wheel.sh $(abspath $(PY))

.PHONY: e2e
e2e: $(READY) ## the stories on the real stack (made with stack-up when it isn't up); ARGS="-k name"
	@if compgen -G "tests/e2e/test_*.py" >/dev/null; then \
		$(PY) -m pytest tests/e2e $(ARGS); \
	else \
		echo "no story for the real stack in tests/e2e yet"; \
	fi
