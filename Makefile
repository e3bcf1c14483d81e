# Two commands do all the set-up: `make demo` shows the whole path on the sample cohort,
# `make test` passes the tests. Both make the environment they need in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= demo

# What Qt and OpenGL need on a machine without a desktop.
PACKAGES := xvfb xauth libgl1 libgl1-mesa-dri libegl1 libglib2.0-0 libdbus-1-3 \
	libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 \
	libxcb-shape0
XVFB := xvfb-run -a -s "-screen 0 1600x1000x24"

.PHONY: demo test check clean system

demo: $(READY)
	$(BIN)/scanlearn demo --out $(DEMO)

test: $(READY) check
	OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(READY)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

system:
	@scripts/system-packages.sh $(PACKAGES)

$(READY): pyproject.toml constraints.txt scripts/system-packages.sh
	@scripts/system-packages.sh $(PACKAGES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist demo
