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
env: $(READY) ## create the environment (.venv); the other targets do it when needed

# Made anew too when its interpreter is gone (a Python upgraded or removed).
$(READY): pyproject.toml tools/env.sh $(shell test -x $(PY) || echo again)
	@sh tools/env.sh $(VENV)
	@touch $@

.PHONY: again
again:

.PHONY: check
check: $(READY) ## check lint, format, types and layers; never rewrites, lists all that is wrong
	@failed=; \
	for command in "python -m ruff check" "python -m ruff format --check" "python -m mypy" \
			"lint-imports"; do \
		echo "$(VENV)/bin/$$command"; \
		$(VENV)/bin/$$command || failed="$$failed [$$command]"; \
	done; \
	sh tools/proto.sh $(abspath $(PY)) --check || failed="$$failed [make proto]"; \
	if [ -n "$$failed" ]; then echo "make check found faults:$$failed" >&2; exit 1; fi

.PHONY: fix
fix: $(READY) ## let ruff repair and format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

.PHONY: proto
proto: $(READY) ## write the code that is generated from proto/
	@sh tools/proto.sh $(abspath $(PY))

.PHONY: docs
docs: $(READY) ## write the pages that are generated from the code
	$(PY) -m bridge config reference > docs/configuration.md

.PHONY: test
test: check unit wheel ## run check, unit (tests) and wheel

.PHONY: unit
unit: $(READY) ## run the unit, contract and flow tests alone; ARGS="-k name"
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

.PHONY: wheel
wheel: $(READY) ## build the wheel, install it in an empty environment, run its command
	@sh tools/wheel.sh $(abspath $(PY))

.PHONY: demo
demo: $(READY) ## show the embedded stack at work, as a live view; ARGS=--json for one JSON line
	@$(PY) -m bridge demo $(ARGS)

.PHONY: stack-up
stack-up: $(READY) ## start the real stack (Kubernetes, kwok, Slurm) and print how to reach it
	@$(PY) -m tests.e2e.stack up $(ARGS)

.PHONY: stack-down
stack-down: $(READY) ## end the real stack; leaves no process, mount or file
	@$(PY) -m tests.e2e.stack down $(ARGS)

.PHONY: e2e
e2e: $(READY) ## start the real stack, run the stories on it, end it; ARGS="-k name"
	@bash tools/e2e.sh $(abspath $(PY)) $(ARGS)

bench-%: $(READY) ## run bench/<name>.py: a table, bench/out/<name>.json, non-zero when a floor is missed
	@$(PY) -m bench.$(subst -,_,$*) $(ARGS)

.PHONY: soak
soak: $(READY) ## run hours of changes in minutes; fails if anything is lost or leaked
	@$(PY) -m bench.soak $(ARGS)

.PHONY: image
image: ## build the container image with docker or podman; IMAGE=name:tag
	$(or $(shell command -v docker),podman) build \
		--build-arg COMMIT=$(shell git describe --always --dirty --exclude='*') -t $(IMAGE) .

.PHONY: clean
clean: ## remove everything that make created, with the environment
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
