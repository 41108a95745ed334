# Everything a person needs to run, test and measure the portal. `make` alone prints what there is.

SHELL := bash
.SHELLFLAGS := -o pipefail -c

PYTHON := $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help install run test soak lint audit format bench bench-record bench-partners bench-data bench-plans load messages lock clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

.venv/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: $(ROOT) apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; \
		echo "Installing python3-venv, which Debian keeps apart from Python…"; \
		$(ROOT) apt-get update -qq && $(ROOT) apt-get install -qq -y python3-venv >/dev/null && $(PYTHON) -m venv .venv; }

# uv is ten times faster; where it cannot be had, pip installs the same hashes.
.venv/.runtime: .venv/bin/python requirements/uv.txt requirements/runtime.txt pyproject.toml
	@echo "Installing what the portal needs…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt \
		&& $(BIN)/uv pip install -q --compile-bytecode -p $(BIN)/python --require-hashes -r requirements/runtime.txt \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q portal opendata partners record reporting search
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	@echo "Installing what the tests need…"
	@$(BIN)/uv pip install -q --compile-bytecode -p $(BIN)/python --require-hashes -r requirements/dev.txt \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.system: tests/system-packages
	@tests/system-packages
	@touch $@

install: .venv/.runtime ## install the portal into .venv

run: install ## fill an empty portal with made-up data and serve it at http://127.0.0.1:8000
	@$(BIN)/portal demo
	@exec $(BIN)/portal serve

test: .venv/.dev .venv/.system lint ## install what the tests need and run them all (TESTS=tests/search for some)
	@$(BIN)/pytest -n 3 --dist loadgroup $(TESTS)

soak: .venv/.dev .venv/.system ## write from many processes for a minute, kill some, and see that nothing is lost
	@SOAK_SECONDS=$${SOAK_SECONDS:-60} $(BIN)/pytest -q -s tests/record/test_soak.py

lint: .venv/.dev ## check style, types, imports, templates, translations
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/djlint --check --lint templates 2>/dev/null | tail -n 40

audit: .venv/.dev ## ask the package index for known vulnerabilities of what is locked
	@$(BIN)/python requirements/audit.py

format: .venv/.dev ## put the code into the house's form
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .
	@$(BIN)/djlint --quiet --reformat templates

bench: .venv/.dev ## measure: make bench REGISTRY=FILE CASES=FILE [SCALE=3000000]
	@$(BIN)/python -m bench.search $(REGISTRY) $(CASES) $(if $(SCALE),--scale $(SCALE))

bench-record: .venv/.dev .venv/.system ## measure the supervision record on both databases: make bench-record [ENTRIES=1000000]
	@$(BIN)/python -m bench.record $(if $(ENTRIES),--entries $(ENTRIES))

bench-partners: .venv/.dev ## measure the check of partners' batches beside frictionless: make bench-partners [ROWS=1000000]
	@$(BIN)/python -m bench.partners $(if $(ROWS),--rows $(ROWS))

.venv-datasette/.done: .venv/.runtime requirements/datasette.txt
	@$(PYTHON) -m venv .venv-datasette
	@$(BIN)/uv pip install -q -p .venv-datasette/bin/python --require-hashes -r requirements/datasette.txt
	@touch $@

bench-data: .venv/.dev .venv-datasette/.done ## measure open data beside Datasette: make bench-data [SCALE=3000000]
	@$(BIN)/python -m bench.opendata $(if $(SCALE),--scale $(SCALE))

load: .venv/.dev .venv/.system ## fifteen minutes of a city's traffic while parts are killed: make load REGISTRY=FILE CASES=FILE [SCALE=3000000]
	@$(BIN)/python -m bench.production $(REGISTRY) $(CASES) $(if $(SCALE),--scale $(SCALE)) $(if $(MINUTES),--minutes $(MINUTES))

bench-plans: .venv/.dev .venv/.system ## what PostgreSQL does for each page at a city's size: make bench-plans [ENTITIES=3000000] [ENTRIES=10000000]
	@PORTAL_LOG_JSON=true $(BIN)/python -m bench.plans $(if $(ENTITIES),--entities $(ENTITIES)) $(if $(ENTRIES),--entries $(ENTRIES))

lock: .venv/.dev ## choose new versions of everything and lock them
	@cd requirements && for part in uv runtime dev datasette; do ../$(BIN)/uv pip compile -q --upgrade --universal --generate-hashes \
		--no-emit-index-url --no-header --python-version 3.11 $$part.in -o $$part.txt; done

clean: ## remove everything that was installed, and the demonstration data
	rm -rf .venv var
