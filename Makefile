# Parley's few verbs. A fresh machine needs python3 (3.11 or newer) with venv, and make.

PORT ?= 8000
JOBS ?= 2
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check install -qq --require-hashes
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
# What the markers mean: pyproject.toml.
FAST := not (process or server or page or slow or browser or whole or node or nginx)
# As in production, so that `check --deploy` looks at what production would have.
MADE_KEY := $$($(RUN) -c "import secrets; print(secrets.token_urlsafe(48))")
DEPLOYED := PUBLIC_BASE_URL=https://parley.example.com FIELD_ENCRYPTION_KEYS=$(MADE_KEY) SECRET_KEY=$(MADE_KEY)

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast map check clocks audit chaos lock bench lint

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## Install and run everything with a simulated outside world: make demo PORT=8000
	@exec $(RUN) manage.py sandbox --port "$(PORT)"

test: $(VENV)/installed-for-tests ## Install what the tests need and run them: make test ARGS="-k outbox"
	@.ci/tools
	@PARLEY_VAR="$$PWD/var/tests" $(RUN) -m pytest -n $(JOBS) $(ARGS)

test-fast: $(VENV)/installed-for-tests ## The unit tests, under two minutes on two cores: no processes, servers or browser
	@PARLEY_VAR="$$PWD/var/tests" $(RUN) -m pytest -n $(JOBS) -q -m "$(FAST)" $(ARGS)

lint: $(VENV)/installed-for-tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy .
	$(RUN) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(RUN) manage.py makemigrations --check --dry-run
	$(DEPLOYED) $(RUN) manage.py check --deploy --fail-level WARNING

check: lint test ## What CI runs first: style, types, layers, migrations, settings, tests

clocks: $(VENV)/installed-for-tests ## Run tests as if it were another time: make clocks ARGS="midnight --zone Europe/Madrid"
	@.ci/tools
	@$(RUN) -m tests.at $(ARGS) -- -n $(JOBS) $(TESTS)

audit: $(VENV)/installed-for-tests ## List what Parley is made of in var/bom.json, and ask whether any of it is known to be weak
	@$(RUN) .ci/audit.py

chaos: $(VENV)/installed-for-tests ## Break everything on purpose and check the promises: make chaos ARGS=--help
	@$(RUN) -m tests.chaos $(ARGS)

bench: $(VENV)/installed-for-tests ## Measure: make bench ARGS=--help
	@$(RUN) -m bench $(ARGS)

map: $(VENV)/installed-for-tests ## Draw the rooms of each app into docs/explanation/architecture.md, from the imports
	@$(RUN) -m tests.rooms

lock: $(VENV)/installed ## Pin the newest fitting versions in requirements*.txt
	@command -v uv > /dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	$(UV_COMPILE) requirements.in -o requirements.txt
	$(UV_COMPILE) requirements-dev.in -o requirements-dev.txt

# Programs of the environment are started through its python: the scripts that pip makes name it on a line that a shell
# reads, and in some folders that line means something else.

# The stamps lie in the environment that they speak of: delete it, and both are gone.
$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing what Parley runs on (half a minute the first time) …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/installed-for-tests: requirements-dev.txt | $(VENV)/bin/python
	@echo "Installing what Parley and its tests run on (a minute the first time) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Parley needs Python 3.11 or newer; PYTHON=python3.12 make … names another one."; exit 1; }
	@case "$$PWD" in *:*) echo "Python makes no environment in a folder with a colon in its name: move $$PWD"; exit 1;; esac
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Python has no venv. On Debian: apt-get install python3-venv"; exit 1; }
