.DEFAULT_GOAL := help
.PHONY: help demo test coverage chaos fuzz bench check format docs pictures messages clean chromium

PYTHON ?= python3
BIN := .venv/bin
# Without the warnings of build tools, which are for those who make packages.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check
DURATION ?= 600
HELPDESK ?= sandbox
# A helpdesk of your own has an address; its TOKEN and SECRET reach the demo by the environment.
DEMO = $(if $(findstring ://,$(HELPDESK)),$(OWN_HELPDESK),sandbox.demo --helpdesk $(HELPDESK))
OWN_HELPDESK = sandbox.vendor '$(HELPDESK)' $(if $(DESK),--desk '$(DESK)') $(if $(CATEGORY),--category '$(CATEGORY)')
CATALOGUES := $(wildcard clients/locale/*/LC_MESSAGES/*.po)
ON_TWO_CORES := --numprocesses 2 --dist loadfile
# Those that start the whole product wait for its processes half of the time.
WAITING := --numprocesses 3 --dist loadfile

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.sandbox $(if $(filter django-helpdesk,$(HELPDESK)),.venv/.django-helpdesk)  ## Try it: a real conversation, beside sandboxes (ARGS=--once, HELPDESK=django-helpdesk or your API's address)
	@$(BIN)/python -m $(DEMO) $(ARGS)

test: .venv/.test .venv/.django-helpdesk tests/renderers/node_modules chromium  ## Run all tests (ARGS= for pytest)
	$(BIN)/python -m pytest $(or $(ARGS),$(ON_TWO_CORES) --ignore tests/e2e)
	$(if $(ARGS),,$(BIN)/python -m pytest $(WAITING) tests/e2e)

coverage: .venv/.test .venv/.django-helpdesk tests/renderers/node_modules chromium  ## Tell which lines the tests beside the code run: 95 % at least
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(ON_TWO_CORES) --ignore tests/e2e
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/.bench  ## Measure speed (ARGS= names suites: acknowledgement, through, latency, growth, backlog, shortcuts, board)
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: .venv/.test  ## Let everything go wrong at once, under load (DURATION= seconds, SEED= a number)
	@$(BIN)/python -m tests.chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED))

fuzz: .venv/.test  ## Look for hostile inputs that are not stood (DURATION= seconds, SEED= a number)
	@$(BIN)/python -m tests.fuzz --duration $(DURATION) $(if $(SEED),--seed $(SEED))

check: .venv/.check  ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy docs/examples

format: .venv/.check  ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.test  ## Write the pages of docs/ that are made from the code's tables
	@$(BIN)/python -m tests.docs.generated

pictures: .venv/.test chromium  ## Take the pictures of docs/, in a real browser
	@$(BIN)/python -m tests.docs.camera

messages: .venv/.check  ## Bring the catalogues of sentences up to date with the code; then translate what is new in them
	@mkdir -p build
	@$(BIN)/pybabel --quiet extract --keyword Plural:1,2 --no-location --sort-output --project messenger-connector -o build/connector.pot clients tasks connector
	@$(BIN)/pybabel --quiet update --domain connector --input-file build/connector.pot --output-dir clients/locale --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 100

clean:  ## Remove what was built and what the demo left
	rm -rf .venv var build *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name yours with: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Building .venv (once; about a minute) …"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# A real helpdesk to run against, in build/django-helpdesk.
.venv/.django-helpdesk: .venv/bin/python pyproject.toml $(wildcard sandbox/django_helpdesk/*.txt sandbox/django_helpdesk/host/*.py)
	@echo "Installing django-helpdesk (once; about 15 seconds) …"
	@$(PIP) --editable '.[django-helpdesk]'
	@$(BIN)/python -m sandbox.django_helpdesk.install
	@touch $@

# What agents see helpdesks in.
chromium:
	@command -v $${CHROMIUM:-chromium} >/dev/null || { echo "The tests and the pictures need Chromium; on Debian and Ubuntu: apt install chromium fonts-noto-color-emoji" >&2; exit 1; }

# What helpdesks render markdown with.
tests/renderers/node_modules: tests/renderers/package-lock.json
	@command -v npm >/dev/null || { echo "The tests need Node.js and npm; on Debian and Ubuntu: apt install nodejs npm" >&2; exit 1; }
	@cd tests/renderers && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.venv/.%: .venv/bin/python pyproject.toml $(CATALOGUES)
	@$(PIP) --editable '.[$*]'
	@touch $@
