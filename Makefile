# Dawnlist's commands. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.PHONY: help system browser env demo airflow test test-long lint format types imports sql docs bench lock check-python pre-commit clean

export PATH := $(CURDIR)/.venv/bin:$(PATH)
SQL := dbt_project
PYTHONS := 3.11 3.12 3.13
COMPILE := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
           --custom-compile-command "make lock" $(UPGRADE)
PROJECT := pyproject.toml --group install

# The documentation needs no data: the variables only have to be there.
docs: export NIGHT_RUN_DATE := 2026-01-01
docs: export NIGHT_FEATURE_DATES := 2026-01-01
DOCS_VARS := {warehouse_path: ":memory:", duckdb_memory_limit: 1GB, duckdb_temp_directory: var/dbt_docs, duckdb_threads: 1, \
              granted_by_default: []}

help: ## list the commands
	@sed -nE 's/^([a-z%-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$${name/\%/NAME}" "$$text"; done

system: ## install the system packages that are missing (Java, libgomp1, python3-venv), or say what to type
	@scripts/setup.sh system

browser: ## install Chromium, which the tests look at the report with, or say what to type
	@scripts/setup.sh browser

env: ## make the Python environment in .venv from the lock, and nothing else
	@scripts/setup.sh environment

demo: system env ## a store, three weeks of events and one night, end to end in Airflow
	@dawnlist demo

airflow: system env ## Airflow with its UI, until Ctrl-C
	@dawnlist airflow

test: system browser env lint ## lint, and all tests but the long ones
	@pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-long: system env ## the tests that take minutes
	@pytest -m long

lint: env ## ruff, mypy, import-linter and sqlfluff
	@ruff check . && ruff format --check .
	@$(MAKE) --jobs 2 types imports sql

format: env ## bring Python and SQL into form
	@ruff check --fix . && ruff format .
	@sqlfluff fix --processes 2 $(SQL)

types: env ## mypy alone
	@mypy

imports: env ## import-linter alone
	@lint-imports

sql: env ## sqlfluff alone
	@sqlfluff lint --processes 2 $(SQL)

docs: env ## the documentation of all tables as one page: var/dbt_docs/static_index.html
	@dbt --quiet docs generate --static --empty-catalog --project-dir dbt_project --profiles-dir dbt_project \
	  --target-path "$(CURDIR)/var/dbt_docs" --log-path "$(CURDIR)/var/dbt_docs" --vars '$(DOCS_VARS)'
	@echo "var/dbt_docs/static_index.html"

bench: system env ## all benchmarks; each writes var/bench/NAME.json
	@python -m benchmarks

bench-%: system env ## one benchmark
	@python -m benchmarks $*

lock: env ## remake the lock files; UPGRADE=--upgrade takes newer versions
	@$(COMPILE) $(PROJECT) --output-file requirements.lock
	@$(COMPILE) $(PROJECT) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) docker/requirements-image.in --constraints requirements.lock --output-file docker/requirements-image.lock

check-python: env ## see that the locks resolve for every Python that is supported
	@for version in $(PYTHONS); do \
	  uv pip compile --quiet --no-header --python-version $$version requirements-dev.lock >/dev/null && echo "Python $$version resolves"; \
	done

pre-commit: env ## run the checks before each commit
	@pre-commit install

clean: ## remove what tools left behind; the environment and var/ stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dbt_project/target dbt_project/logs logs spark-warehouse metastore_db derby.log
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
