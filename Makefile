# The commands of the README: `make demo`, `make test`, and `make serve` for the page. Everything goes into .venv, out and
# the user's cache; but `make test-all` installs Chromium with apt-get where there is none.
PYTHON ?= python3
SIZE ?= 384
BIN := .venv/bin
RUN := $(BIN)/python -m photostyle
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo -n)

.PHONY: demo test test-all check serve browser install install-dev install-web clean

demo: install ## set up, then the sample runs, pictures in out/
	$(RUN) models fetch
	$(BIN)/python scripts/demo.py --output out --size $(SIZE)

serve: install-web ## set up, then the page at http://127.0.0.1:7860
	$(RUN) models fetch
	$(RUN) serve

test: check ## set up, then lint, types and all tests but the slow ones
	$(BIN)/python -m pytest -n 2 -m "not slow" --durations=15

test-all: check browser ## the slow ones too (a browser, a cluster, scripts, guides), with coverage: what CI runs
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90 --durations=15

check: install-dev
	$(RUN) models fetch
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: .venv/installed
install-dev: .venv/installed-dev
install-web: .venv/installed-web

browser: ## what the tests of the page need
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null \
	|| { echo "installing Chromium for the tests of the page"; \
	     $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core > /dev/null; } \
	|| { echo "The tests of the page need Chromium. Install it, on Debian with: apt-get install chromium"; exit 1; }

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "photostyle needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip --quiet
	$(BIN)/python -m pip install -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

.venv/installed-web: .venv/installed
	$(BIN)/python -m pip install -c constraints.txt -e '.[web]'
	touch $@

clean:
	rm -rf .venv out dist build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
