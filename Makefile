# Two commands: `make run` serves the station, `make test` proves it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What reads a face, draws the charts and lints scripts and styles comes by npm, unless $(1) did since
# the lock file changed; $(2) is npm's.
npm = [ $(1) -nt package-lock.json ] || \
    { command -v npm >/dev/null && npm ci --no-audit --no-fund --loglevel=error $(2) >/dev/null; } || \
    echo "No face will be read and no chart drawn, npm is missing or failed; run: sudo apt-get install npm" >&2

# Much of a test is waiting; a file's tests stay together.
PYTEST = $(BIN)/pytest --numprocesses 3 --dist loadfile
# The pages are tested in a browser, where one may be installed without asking.
chromium = command -v chromium >/dev/null || ! command -v apt-get >/dev/null || \
    { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet --no-install-recommends chromium; } || \
    { sudo -n true 2>/dev/null && sudo -n apt-get install --yes --quiet --no-install-recommends chromium; } || \
    echo "The tests of the pages are skipped; run: sudo apt-get install chromium" >&2

# `run` looks at the port first, whatever -j says.
.NOTPARALLEL:
.PHONY: run port test test-fast test-all lint format docs screenshots clean

run: port $(VENV)/.installed
	@$(call npm,moodflix/perception/weights/LICENSE,--omit=dev)
	@$(BIN)/flask db upgrade
	@exec $(BIN)/gunicorn

# Before anything is installed; a Python that is missing or too old is refused later.
port:
	@wrong=$$($(PYTHON) -B -m moodflix.address 2>/dev/null); \
	    [ -z "$$wrong" ] || { echo "$$wrong" >&2; exit 1; }

test: $(VENV)/.installed-dev
	@$(call npm,node_modules/jpeg-js)
	@$(chromium)
	$(PYTEST)

test-fast: $(VENV)/.installed-dev
	@$(call npm,node_modules/jpeg-js)
	@$(chromium)
	$(PYTEST) -m "not slow"

# The suite on each interpreter from 3.10 to 3.13 that is here.
test-all:
	@for version in 3.10 3.11 3.12 3.13; do \
	    if python$$version -c "" 2>/dev/null; then \
	        echo "== Python $$version"; \
	        $(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	    else \
	        echo "== Python $$version is not here"; \
	    fi; \
	done

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(call npm,node_modules/.bin/biome)
	node_modules/.bin/biome ci --error-on-warnings

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@$(call npm,node_modules/.bin/biome)
	node_modules/.bin/biome check --write

# docs/policy.md, docs/evenings.md and moodflix/data/space.npz, from the data files.
docs: $(VENV)/.installed
	$(BIN)/python docs/make.py

# docs/screenshots, in the fonts of: sudo apt-get install fonts-inter fonts-noto-cjk
screenshots: $(VENV)/.installed-dev
	SCREENSHOTS=docs/screenshots $(BIN)/pytest tests -k worth_a_picture

clean:
	rm -rf .venv .venv-3.* node_modules moodflix/perception/weights moodflix/web/static/vendor build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "$(PYTHON) is not installed; run: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
	    { echo "Python 3.10 or newer is needed; name one with: make run PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || \
	    { echo "Python's venv module is missing; run: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made setup.cfg pyproject.toml
	@echo "Installing into $(VENV); this happens once."
	@$(PIP) --editable ".[voice]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the tools of development into $(VENV); this happens once."
	@$(PIP) --editable ".[dev]"
	@touch $@
