# Each goal does its own set-up: a fresh clone needs Python >= 3.11 and `make`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint pico mps2 clean
demo: $(READY)
	$(BIN)/tonne demo

test: lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

# MicroPython images of the emulated targets, cached for this user.
pico mps2: $(READY)
	$(BIN)/python -m testbench.images $@

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out build
