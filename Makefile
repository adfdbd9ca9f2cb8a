# Everything from nothing: `make demo` deploys a network on this machine, `make test` runs the tests.
# Both make their own .venv. PYTHON picks the interpreter (3.11 or newer: the pinned packages;
# the package itself takes 3.10, by pip without constraints.txt).

# The tests start some hundred processes, each of which would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: arm clean demo demo-hard dist docs faults fuzz gpu gpu-rehearsal help lint lock py38 reference runtime sbom setup test test-fast
.DELETE_ON_ERROR:

help:
	@echo "make demo     deploy models/unet on this machine, write out/demo/report.html"
	@echo "make demo-hard  the same with models/litenext, where INT8 gains little and the report says why"
	@echo "make test     lint, types, tests"
	@echo "make test-fast  the tests that are quick"
	@echo "make lint     ruff and mypy"
	@echo "make runtime  build the C++ runtime and run its tests"
	@echo "make py38     a board's tests and a whole bundle on the oldest Python of a board, where there is a Python 3.8"
	@echo "make arm      what goes to a board, run by an emulated aarch64"
	@echo "make gpu      on an NVIDIA machine: tests, five networks, what it is worth; out/gpu/gpu.json"
	@echo "make gpu-rehearsal  the same against the tests' double of TensorRT, small pictures; out/gpu-rehearsal"
	@echo "make fuzz     20 000 damaged inputs to everything that reads files"
	@echo "make faults   every write of a deployment fails, every rename and flush is its last, signals come at any moment"
	@echo "make docs     build the documentation into out/site"
	@echo "make dist     build wheel and sdist into out/dist, and check them as an index would"
	@echo "make reference  write docs/reference/cli.md and api.md again from the code"
	@echo "make clean    remove what the others made"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or newer and run make PYTHON=python3"; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11, which the pinned packages need; run make PYTHON=..."; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "error: no venv module; install python3-venv"; exit 3; }
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock \
		|| { echo "error: pip could not install the locked packages; its message is above"; exit 3; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,torch,tensorrt-rtx]' \
		|| { echo "error: pip could not install the packages; its message is above"; exit 3; }
	@touch $@

demo: $(STAMP)
	$(BIN)/edge deploy models/unet --data calibration/dsb2018 --out out/demo

demo-hard: $(STAMP)
	$(BIN)/edge deploy models/litenext --data calibration/dsb2018 --out out/demo-hard

docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[release]'
	$(BIN)/python -m build --outdir out/dist
	$(BIN)/python -m twine check --strict out/dist/*

reference: $(STAMP)
	$(BIN)/python docs/make_reference.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint runtime
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-fast: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

sbom: $(STAMP)
	$(BIN)/python -m supply.sbom --out out/sbom.json

# Needs uv (pip install uv), and a look at what changed.
TORCH := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
lock:
	{ grep '^#' requirements.lock; uv pip compile --quiet pyproject.toml --extra dev --extra torch --extra tensorrt-rtx \
		-c constraints.txt --generate-hashes --universal --python-version 3.11 --no-header --no-annotate \
		$(TORCH:%=--no-emit-package %) | grep -v '^#'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

fuzz: $(STAMP)
	@if command -v cmake >/dev/null && command -v c++ >/dev/null; then \
		cmake -S . -B build/asan -DSEGEDGE_SANITIZE=ON -DOpenVINO_DIR="$$($(BIN)/python -c 'from openvino.utils import get_cmake_path; print(get_cmake_path())')" && \
		cmake --build build/asan --target segedge-batch --parallel 2; \
	else echo "without the C++ runtime, which needs cmake and a C++17 compiler"; fi
	$(BIN)/python -m tests.fuzz --inputs 20000 --seed "$${SEED:-0}"

# Some 2 200 deployments of a second each; SAMPLE=0.1 takes a tenth of them. It goes on where it was stopped (out/faults).
faults: $(STAMP)
	$(BIN)/python -m tests.faults --sample "$${SAMPLE:-1}" --seed "$${SEED:-0}"

runtime: $(STAMP)
	@if command -v cmake >/dev/null && command -v c++ >/dev/null; then \
		cmake -S . -B build/runtime -DSEGEDGE_WERROR=ON -DOpenVINO_DIR="$$($(BIN)/python -c 'from openvino.utils import get_cmake_path; print(get_cmake_path())')" && \
		cmake --build build/runtime --parallel 2 && \
		ctest --test-dir build/runtime --output-on-failure; \
	else echo "skipped: the C++ runtime needs cmake and a C++17 compiler"; fi

gpu: $(STAMP)
	$(BIN)/python -m benchmarks.gpu --out out/gpu --budget 25m

gpu-rehearsal: $(STAMP)
	rm -rf out/gpu-rehearsal
	$(BIN)/python -m tests.benchmarks.rehearse_gpu --out out/gpu-rehearsal

# The C++ runtime, its pixels and a board's half under emulation; downloads and builds stay in out/arm.
ARM_TOOLS := qemu-aarch64-static aarch64-linux-gnu-g++ apt-get dpkg cmake
ARM_TESTS := tests/arm tests/runtime/test_runtime_pixels.py tests/runtime/test_runtime_values.py

arm: $(STAMP)
	@if $(ARM_TOOLS:%=command -v % >/dev/null &&) true; then \
		$(BIN)/python -m pytest -q $(ARM_TESTS) --arm out/arm; \
	else echo "skipped: emulated aarch64 needs $(ARM_TOOLS) (apt-get install qemu-user-static g++-aarch64-linux-gnu cmake)"; fi

# The oldest Python of a board (JetPack 5), where this machine has one; its packages go to build/py38.
PYTHON38 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.8.*/bin/python3.8) $(shell command -v python3.8))

# Nobody packs a Python 3.8 for aarch64 (no Debian had one): this is x86-64, make arm has Debian 11's 3.9 emulated.
py38: $(STAMP)
	@if test -z "$(PYTHON38)"; then echo "skipped: no Python 3.8 here; name one with make py38 PYTHON38=..."; else \
		{ test -x build/py38/bin/pytest || { $(PYTHON38) -m venv build/py38 && \
		build/py38/bin/python -m pip install --quiet --disable-pip-version-check numpy==1.17.4 openvino==2024.3.0 pillow==10.4.0 pytest==8.3.5; }; } && \
		$(BIN)/python -m pytest -q tests/device/test_python38.py; fi

clean:
	rm -rf $(VENV) build out .pytest_cache .mypy_cache .ruff_cache
