"""The files of this package that travel to a board, where they are the package ``edge_bundle`` with the same folders.

They hold themselves to Python 3.8 (JetPack 5), the standard library and numpy 1.17, import one another by relative
imports only, and import anything else inside the function that needs it. ``tests/bundle/test_portable.py`` holds this
list to that, and ``pyproject.toml`` has ruff check it for 3.8.
"""

from __future__ import annotations

from pathlib import Path

from edge.device.manifest import PACKAGE

PORTABLE = (
    "errors.py",
    "files.py",
    "accuracy/__init__.py",
    "accuracy/bootstrap.py",
    "accuracy/checked.py",
    "accuracy/compare.py",
    "accuracy/counts.py",
    "accuracy/distance.py",
    "accuracy/evaluate.py",
    "accuracy/gate.py",
    "accuracy/kept.py",
    "accuracy/scores.py",
    "accuracy/sqnr.py",
    "accuracy/volumes.py",
    "backends/__init__.py",
    "backends/arm/__init__.py",
    "backends/arm/compiler.py",
    "backends/compiler.py",
    "backends/openvino/__init__.py",
    "backends/openvino/compiler.py",
    "backends/openvino/faults.py",
    "backends/openvino/network.py",
    "backends/openvino/runner.py",
    "backends/runner.py",
    "backends/session.py",
    "backends/tensorrt/__init__.py",
    "backends/tensorrt/build.py",
    "backends/tensorrt/compiler.py",
    "backends/tensorrt/plan.py",
    "backends/tensorrt/run.py",
    "backends/tensorrt/runner.py",
    "backends/tensorrt/settings.py",
    "device/__init__.py",
    "device/__main__.py",
    "device/bench.py",
    "device/bundle_bench.py",
    "device/claim.py",
    "device/clock.py",
    "device/engines.py",
    "device/frames.py",
    "device/kit.py",
    "device/manifest.py",
    "device/pictures.py",
    "device/preflight.py",
    "device/proof.py",
    "device/report.py",
    "device/runtime.py",
    "device/seal.py",
    "device/serve.py",
    "device/verify.py",
    "latency/__init__.py",
    "latency/race.py",
    "latency/statistics.py",
    "latency/timing.py",
    "latency/trial.py",
    "latency/winner.py",
    "machine/__init__.py",
    "machine/cores.py",
    "machine/cuda.py",
    "machine/heap.py",
    "machine/jetson.py",
    "machine/machine.py",
    "machine/rails.py",
    "machine/watch.py",
    "notebook/__init__.py",
    "notebook/shown.py",
    "safety/__init__.py",
    "safety/ending.py",
    "safety/guard.py",
    "safety/limits.py",
    "safety/streams.py",
    "safety/watchdog.py",
    "storage/__init__.py",
    "storage/arrays.py",
    "storage/binding.py",
    "storage/codec.py",
    "storage/swap.py",
    "task/__init__.py",
    "task/channels.py",
    "task/checks.py",
    "task/decide.py",
    "task/fit.py",
    "task/intensity.py",
    "task/normalize.py",
    "task/plane.py",
    "task/refusal.py",
    "task/resample.py",
    "task/statistics.py",
    "task/table.py",
    "task/task.py",
    "task/tiles.py",
)
"""Paths relative to ``edge/``."""

_START = '''"""Starts :mod:`.device`."""

import sys

from .device.__main__ import main

sys.exit(main())
'''


def portable_files() -> dict[str, bytes]:
    """The package for a board: path in a bundle to contents."""
    root = Path(__file__).resolve().parent.parent
    package = {f"{PACKAGE}/{name}": (root / name).read_bytes() for name in PORTABLE}
    first = (root / "device" / "__init__.py").read_bytes()  # says so where Python is too old
    return {f"{PACKAGE}/__init__.py": first, f"{PACKAGE}/__main__.py": _START.encode(), **package}
