# `make demo` and `make test` do everything on a fresh machine; each target sets up what it needs, once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# what the demo needs; what building needs too; everything
DEMO := $(VENV)/.demo
BUILD := $(VENV)/.build
READY := $(VENV)/.ready
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable
# on all cores, once: each process that finds no bytecode spends 20 seconds on torch's (some packages hold a file for
# another Python, which does not compile)
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true

.PHONY: demo alt-demo build-demo test endurance cases lint parity bench clean

demo: $(DEMO)
	$(BIN)/trifacet run recipes/demo.yaml

# after `make demo`; decides in Chromium
alt-demo: $(READY)
	$(BIN)/python bench/alt_demo.py runs/demo/models/mcm-dpo/model

build-demo: $(BUILD)
	$(BIN)/python -m trifacet.cli.build_demo

# the tests start many processes, which would compile all anew where Python is told to keep no bytecode
test endurance: export PYTHONDONTWRITEBYTECODE :=

test: $(READY)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

endurance: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "endurance or hypothesis" --hypothesis-profile search

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# situations in other people's files: rows, adapters, templates, pages, builds, answers; each with the right outcome
cases: $(READY)
	$(BIN)/python bench/parity --only act
	$(BIN)/pytest -q tests/data/formats/test_what_rows_say.py tests/models/test_adapters.py tests/models/test_templates.py \
		tests/lint/test_read_pages.py tests/building/test_near_duplicates.py tests/building/test_names.py \
		tests/building/test_losses.py tests/benchmarks/test_pope.py tests/benchmarks/test_chair.py

parity: $(READY)
	$(BIN)/python bench/parity

bench: $(READY)
	$(BIN)/python bench/step_time.py

# torch comes first, by pip, whose settings may name a build at hand: uv, which does not read them, takes what is there.
$(DEMO): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt torch uv
	$(INSTALL) '.[train]'
	$(COMPILE)
	touch $@

$(BUILD): $(DEMO)
	$(INSTALL) '.[train,build,ner]'
	$(COMPILE)
	touch $@

$(READY): $(DEMO)
	$(INSTALL) '.[dev]'
	$(COMPILE)
	touch $(BUILD) $@

clean:
	rm -rf $(VENV) runs
