# Two commands do all the set-up: `make demo` shows the whole path on the sample cohort,
# `make test` passes the tests. Both make the environment they need in .venv.

VENV := .venv
LOWEST := .venv-lowest
ifeq ($(OS),Windows_NT)
PYTHON ?= python
SCRIPTS := Scripts
else
PYTHON ?= python3
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
READY := $(VENV)/.ready
DEMO ?= demo

# What Qt and OpenGL need on a machine without a desktop.
PACKAGES := xvfb xauth libgl1 libgl1-mesa-dri libegl1 libglib2.0-0 libdbus-1-3 \
	libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 \
	libxcb-shape0
# Other systems draw on a display of their own.
ifeq ($(shell uname -s),Linux)
XVFB := xvfb-run -a -s "-screen 0 1600x1000x24"
endif

.PHONY: demo test test-lowest soak screenshots check lock clean system

demo: $(READY)
	$(BIN)/scanlearn demo --out $(DEMO)

test: $(READY) check
	OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		--cov --cov-report=term:skip-covered

# Every command with the lowest versions that pyproject.toml allows, on Python 3.11. On Linux
# torch comes with CUDA libraries (5 GB); UV_TORCH_BACKEND=cpu takes a build without them.
test-lowest: $(READY)
	$(BIN)/uv venv --clear --python 3.11 $(LOWEST)
	$(BIN)/uv pip install --python $(LOWEST) --resolution lowest-direct --editable . --group dev
	OMP_NUM_THREADS=1 $(XVFB) $(LOWEST)/$(SCRIPTS)/python -m pytest tests/package/test_every_command.py \
		tests/compatibility

# Starts, stops, kills and resumes 200 trainings through the docks' own code: an hour.
SOAK ?= soak
soak: $(READY)
	OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python benchmarks/soak.py $(SOAK)

# Walks the tutorial in a real napari, with real trainings, and takes the pictures of the docs:
# a quarter of an hour. THEME=light SIZE=1920x1200 PICTURES=elsewhere takes others.
THEME ?= dark
SIZE ?= 1280x800
PICTURES ?= docs/images
screenshots: $(READY)
	OMP_NUM_THREADS=1 $(subst 1600x1000,1920x1200,$(XVFB)) $(BIN)/python scripts/screenshots.py \
		$(PICTURES) --theme $(THEME) --size $(SIZE)

check: $(READY)
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports

# What development is done with, down to the last package, with hashes.
lock: $(READY)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --constraint constraints.txt --group dev \
		--output-file requirements-dev.lock --upgrade pyproject.toml

system:
	@scripts/system-packages.sh $(PACKAGES)

$(READY): pyproject.toml constraints.txt scripts/system-packages.sh
	@scripts/system-packages.sh $(PACKAGES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build dist demo soak
