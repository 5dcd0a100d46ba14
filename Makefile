# Two entries for a fresh machine: `make demo` and `make test`. Both may be run in either order, any number of times.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGE := debian-12
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: demo test lint setup image clean

demo: image
	$(BIN)/pytest examples -rs

test: image
	$(BIN)/tox run $(TOXARGS)

lint: $(VENV)/ready
	$(BIN)/tox run -e lint

image: setup
	$(BIN)/pytest-hyperv images build $(IMAGE)

setup: $(VENV)/ready
	$(BIN)/pytest-hyperv setup

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(AS_ROOT) apt-get update -q; $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .pytest_cache build dist
