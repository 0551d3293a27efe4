# make demo    set everything up, run the built-in study, end with the path of a report
# make test    set everything up and run the tests
# make check   format, lint, types, tests, build
# make calibration   simulate matrices with a known truth; writes reports/calibration.md
# make bench-gpu   a 7B model's shapes, many adapters, on CUDA; says so and ends where there is none
# make test-long   the tests that take minutes too: whole studies, clusters, every recipe
# make soak    50 kills of a study at moments drawn by a seed (KILLS=n for another number)
# make bench   print ratios against the peers run beside us, and write them to reports/

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH := "torch>=2.11,<2.14"
# Without a GPU, the CPU build of torch saves gigabytes; where its index cannot be reached, the usual one serves.
CPU_WHEELS := https://download.pytorch.org/whl/cpu
PYTEST_FLAGS ?=

.PHONY: setup trainer demo test lint check build bench bench-gpu calibration soak clean test-long

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@command -v nvidia-smi >/dev/null || \
		$(BIN)/python -m pip install --quiet --retries 0 --timeout 10 --index-url $(CPU_WHEELS) $(TORCH) 2>/dev/null || true
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

trainer: setup
	$(BIN)/identity-em setup trainer

demo: trainer
	$(BIN)/identity-em demo

test: trainer
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

test-long: trainer
	$(BIN)/python -m pytest --long $(PYTEST_FLAGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

build: setup
	$(BIN)/python -m build --outdir dist

check: lint test build

bench: trainer
	$(BIN)/python -m pip install --quiet --group bench
	OMP_NUM_THREADS=1 $(BIN)/python -m bench

bench-gpu: setup
	$(BIN)/python -m bench.gpu

soak: trainer
	IDENTITY_EM_KILLS=$(or $(KILLS),50) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -s --long tests/faults/test_soak.py

calibration: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m identity_em.analysis.calibrate reports

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache
