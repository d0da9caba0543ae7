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
IMAGE ?= slurm-bridge:dev

# One order of sets in every run; `make test PYTHONHASHSEED=random` looks for code that needs it.
export PYTHONHASHSEED ?= 0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9%-]*:.*## / \
		{ sub("%", "<name>", $$1); printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: env
env: $(READY) ## make the environment (.venv); the other targets do it when needed

# Made anew too when its interpreter is gone (a Python upgraded or removed).
$(READY): pyproject.toml tools/env.sh $(shell test -x $(PY) || echo again)
	@sh tools/env.sh $(VENV)
	@touch $@

.PHONY: again
again:

.PHONY: check
check: $(READY) ## lint, format, types, layers; never rewrites, tells all that is wrong
	@failed=; \
	for command in "python -m ruff check" "python -m ruff format --check" "python -m mypy" \
			"lint-imports"; do \
		echo "$(VENV)/bin/$$command"; \
		$(VENV)/bin/$$command || failed="$$failed [$$command]"; \
	done; \
	if [ -n "$$failed" ]; then echo "make check found faults:$$failed" >&2; exit 1; fi

.PHONY: fix
fix: $(READY) ## let ruff repair and format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

.PHONY: docs
docs: $(READY) ## write the pages that come from the code
	$(PY) -m bridge config reference > docs/configuration.md

.PHONY: test
test: check unit wheel ## check, unit, contract and flow tests, and the wheel in empty environments

.PHONY: unit
unit: $(READY) ## only the unit, contract and flow tests; ARGS="-k name"
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

.PHONY: wheel
wheel: $(READY) ## build the wheel, install it in an empty environment, run its command
	@sh tools/wheel.sh $(abspath $(PY))

.PHONY: demo
demo: $(READY) ## the main job on the embedded stack, as a live view; ARGS=--json for one JSON line
	@$(PY) -m bridge demo $(ARGS)

.PHONY: stack-up
stack-up: $(READY) ## start the real stack (Kubernetes, kwok, Slurm) and print how to reach it
	@$(PY) -m tests.e2e.stack up $(ARGS)

.PHONY: stack-down
stack-down: $(READY) ## end the real stack; leaves no process, mount or file
	@$(PY) -m tests.e2e.stack down $(ARGS)

.PHONY: e2e
e2e: $(READY) ## the stories on the real stack, started for them and ended; ARGS="-k name"
	@bash tools/e2e.sh $(abspath $(PY)) $(ARGS)

bench-%: $(READY) ## run bench/<name>.py: a table, bench/out/<name>.json, non-zero when a floor is missed
	@$(PY) -m bench.$(subst -,_,$*) $(ARGS)

.PHONY: soak
soak: $(READY) ## hours of churn in minutes: nothing lost, nothing leaked
	@$(PY) -m bench.soak $(ARGS)

.PHONY: image
image: ## build the container image with docker or podman; IMAGE=name:tag
	$(or $(shell command -v docker),podman) build \
		--build-arg COMMIT=$(shell git describe --always --dirty --exclude='*') -t $(IMAGE) .

.PHONY: clean
clean: ## remove what make made, the environment too
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
