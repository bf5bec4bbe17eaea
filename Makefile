# One front door. `make` lists what there is.
SHELL := /bin/bash
UV_VERSION := 0.13.8
UV := .tools/bin/uv
RUN := $(UV) run --frozen
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit chaos check fmt agent bench schemas clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=…"; exit 1; }
	@echo "Installing uv $(UV_VERSION) in .tools"
	@$(PYTHON) -m venv .tools && .tools/bin/python -m pip --quiet --disable-pip-version-check install uv==$(UV_VERSION)

.venv/.synced: $(UV) pyproject.toml uv.lock
	@echo "Installing the locked packages in .venv"
	@$(UV) sync --frozen --quiet --compile-bytecode --python $(PYTHON)
	@touch $@

setup: .venv/.synced ## Install everything needed, start nothing; leaves .venv/bin/territoriale
	@.venv/bin/territoriale local fetch

demo: setup ## The whole stack with a simulated territory; Ctrl-C stops it, a second run goes on
	@.venv/bin/territoriale local demo

test: setup ## Everything: unit, connected and end-to-end tests on real Kafka, PostgreSQL and Valkey
	@.venv/bin/pytest -n 2 --dist loadgroup

unit: .venv/.synced ## The fast tests only
	@.venv/bin/pytest -n 2 --dist loadgroup -m "not connected and not e2e"

chaos: setup ## Every fault of docs/faults.md on twenty seeds; SEED=, SEEDS= and FAULT=<row> choose
	@.venv/bin/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FAULT),--fault $(FAULT))

check: .venv/.synced ## Lint, format, types, architecture
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

fmt: .venv/.synced ## Format and mend what can be mended
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

schemas: .venv/.synced ## Export the messages' JSON Schemas again
	@.venv/bin/python -m contracts.schemas

agent: .venv/.synced ## The agent alone as one wheel in dist/, for whoever installs it beside a server
	@.venv/bin/python -m deploy.agent.build $(UV) dist

.tools/peers/.synced: $(UV) pyproject.toml uv.lock
	@echo "Installing what is compared with in .tools/peers"
	@UV_PROJECT_ENVIRONMENT=.tools/peers $(UV) sync --frozen --quiet --compile-bytecode --only-group bench --python $(PYTHON)
	@touch $@

bench: setup ## Measure (ONLY=name for one); prints a table and writes bench/results.json
	@$(MAKE) --no-print-directory .tools/peers/.synced || echo "Peers could not be installed: their lines will say so"
	@.venv/bin/python -m bench $(addprefix --only ,$(ONLY))

clean: ## Remove what was installed and every local stack's state
	@.venv/bin/territoriale local down --json > /dev/null 2>&1 || true
	rm -rf .venv .tools .local
