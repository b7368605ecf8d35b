# `make demo` and `make test` do everything on a fresh machine; each target sets up what it needs, once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo build-demo test endurance lint parity bench clean

demo: $(READY)
	$(BIN)/trifacet run recipes/demo.yaml

build-demo: $(READY)
	$(BIN)/python -m trifacet.world.build_demo

test: $(READY)
	$(BIN)/pytest -n 2 --dist loadfile

endurance: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "endurance or hypothesis" --hypothesis-profile search

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

parity: $(READY)
	$(BIN)/python benchmarks/parity

bench: $(READY)
	$(BIN)/python benchmarks/step_time.py

# torch comes first and alone: any other package that asks for it then takes what is there.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs
