# Everything a checkout needs: Python 3.11 or newer with pip, and make. Start with `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
TOOLS := .tools
INSTALLED := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1
# The tests start hundreds of workers: without bytecode, each would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED) ## Run two days of bookings on real servers, in a temporary folder
	@$(VENV)/bin/booking-tasks demo

.PHONY: test
test: $(INSTALLED) ## Run the tests; ARGS="tests/jobs -q" narrows them
	@$(VENV)/bin/python -m pytest -m "not long" $(SIDE_BY_SIDE) $(ARGS)

# Two processes, each with servers of its own; a module's tests stay together. `SIDE_BY_SIDE=` for one.
# The order is that of tests/conftest.py: xdist's own puts the files with the fewest tests last, and they take longest.
SIDE_BY_SIDE ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: unit
unit: $(INSTALLED) ## Run the quick test modules: no server, no process, in seconds
	@$(VENV)/bin/python -m pytest -q --unit -m "not long" $(ARGS)

# Both runs are made, and either one that fails makes the target fail.
.PHONY: faults
faults: $(INSTALLED) ## Run every fault test, and the long tests of all other folders
	@failed=0; \
	$(VENV)/bin/python -m pytest $(FAULTS) $(ARGS) $(NARROWED) || failed=1; \
	$(VENV)/bin/python -m pytest -m long $(FAULTS:%=--ignore=%) $(ARGS) $(NARROWED) || failed=1; \
	exit $$failed

FAULTS := tests/faults tests/crashpoints tests/properties tests/installed
# With ARGS one of the runs may select no test (pytest then exits with 5).
NARROWED = $(if $(ARGS),|| [[ $$? == 5 ]])

.PHONY: crashpoints
crashpoints: $(INSTALLED) ## Kill a worker at every single point of a booking's life; more than an hour
	@$(VENV)/bin/python -m tests.crashpoints $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## Make thousands of bookings while every process is killed, three seeds; about an hour
	@$(VENV)/bin/python -m tests.faults $(ARGS)

.PHONY: check
check: $(INSTALLED) ## Check format, lint, types and import rules, and run the architecture tests
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/sqlfluff lint -q booking_tasks/*/queries
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/python -m pytest -q tests/test_architecture.py tests/test_code_style.py tests/test_schema.py

.PHONY: wheels
wheels: $(INSTALLED) ## Build both distributions into dist/: booking-tasks and booking-tasks-client
	@$(VENV)/bin/python -m hatchling build -d dist
	@cd client && ../$(VENV)/bin/python -m hatchling build -d ../dist

.PHONY: states
states: $(INSTALLED) ## Write docs/states.md from the tables of allowed steps
	@$(VENV)/bin/python -m booking_tasks.ops.states > docs/states.md

.PHONY: install
install: $(INSTALLED) ## Make .venv with everything at its locked version (other targets do this when needed)

.PHONY: lock
lock: $(TOOLS)/uv ## Write the lock files again; UPGRADE=--upgrade takes the newest versions allowed
	@PYTHONPATH=$(TOOLS)/uv $(PYTHON) -m uv pip compile pyproject.toml --all-extras \
		$(UV_LOCK) -o requirements.lock
	@echo hatchling | PYTHONPATH=$(TOOLS)/uv $(PYTHON) -m uv pip compile pyproject.toml - \
		--extra solver --extra web --extra metrics $(UV_LOCK) --constraints requirements.lock -o requirements-runtime.lock

# No header, index or link in the files: they work with any mirror, and the hashes identify each file.
UV_LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links $(UPGRADE)

.PHONY: secrets
secrets: ## Make the accounts and passwords that docker-compose.yml mounts; existing files stay
	@PYTHONPATH=$(CHECKOUT) $(PYTHON) -m booking_tasks.ops.secret_files secrets

CHECKOUT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))

.PHONY: clean
clean: ## Remove everything that make and the tests have made, except the secrets
	@rm -rf $(VENV) $(TOOLS) dist booking-demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing $$(grep -c '==' requirements.lock) locked packages into $(VENV), once; about a minute ..."
	@$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	@echo "Installing booking_tasks from this checkout ..."
	@$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Debian's python3 has no ensurepip unless python3-venv is installed; virtualenv brings its own pip.
$(VENV)/bin/python:
	@command -v $(PYTHON) > /dev/null \
		|| { echo "$(PYTHON) is not installed; name another interpreter, like: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "booking_tasks needs Python 3.11 or newer, and $(PYTHON) is" \
			"$$($(PYTHON) -c 'import platform; print(platform.python_version())');" \
			"name another interpreter, like: make PYTHON=python3.12" >&2; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2> /dev/null; then \
		echo "Making $(VENV) with $$($(PYTHON) --version) ..."; \
		$(PYTHON) -m venv --clear $(VENV); \
	else \
		echo "Making $(VENV) with $$($(PYTHON) --version) and virtualenv ..."; \
		$(PYTHON) -m pip install --quiet --upgrade --target $(TOOLS)/virtualenv virtualenv; \
		PYTHONPATH=$(TOOLS)/virtualenv $(PYTHON) -m virtualenv --quiet --clear $(VENV); \
	fi

$(TOOLS)/uv:
	@$(PYTHON) -m pip install --quiet --upgrade --target $@ uv
