# The two commands of the README: `make demo` and `make test`. Everything goes into .venv, out and the user's cache.
PYTHON ?= python3
SIZE ?= 384
BIN := .venv/bin
RUN := $(BIN)/python -m photostyle

.PHONY: demo test install install-dev weights clean

demo: install ## set up, then the sample runs, pictures in out/
	$(RUN) models fetch vgg16
	$(BIN)/python scripts/demo.py --output out --size $(SIZE)

test: install-dev ## set up, then lint, types and tests with coverage
	$(RUN) models fetch vgg16
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "photostyle needs Python 3.10 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip --quiet
	$(BIN)/python -m pip install -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv out dist build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
