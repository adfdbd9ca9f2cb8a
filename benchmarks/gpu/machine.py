"""What this NVIDIA machine is: GPU, driver, Python, and which of the modules that we would use can be imported.

``python -m benchmarks.gpu.machine`` prints it as JSON. Each module is imported in a process of its own: a library that
does not fit the driver may end the process that loads it.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from edge.errors import MachineError
from edge.machine.environment import environment

MODULES = ("tensorrt", "tensorrt_rtx", "torch", "torch_tensorrt", "onnxruntime", "pycuda")
_IMPORT = "import importlib, sys; print(getattr(importlib.import_module(sys.argv[1]), '__version__', 'unknown'))"
_IMPORT_SECONDS = 60


def find_machine() -> dict[str, Any]:
    """GPU as CUDA sees it, the environment of every report, and the modules."""
    return {
        "gpu": _gpu(),
        "python": platform.python_version(),
        "modules": {name: _module(name) for name in MODULES},
        "environment": environment(),
    }


def _gpu() -> dict[str, Any]:
    from edge.machine.cuda import open_cuda

    try:
        cuda = open_cuda()
    except MachineError as error:
        return {"found": False, "reason": str(error)}
    (major, minor), (free, total) = cuda.capability(), cuda.memory()
    return {"found": True, "runner": cuda.name, "sm": f"{major}.{minor}", "free_bytes": free, "total_bytes": total}


def _module(name: str) -> dict[str, Any]:
    line = [sys.executable, "-c", _IMPORT, name]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_IMPORT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"version": None, "reason": f"not imported in {_IMPORT_SECONDS} s", "double": False}
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return {"version": None, "reason": reason, "double": False}
    return {"version": done.stdout.strip().splitlines()[-1], "reason": "", "double": _is_double(name)}


def _is_double(name: str) -> bool:
    """The tests' double says so in its package's summary, so that a rehearsal is never taken for evidence."""
    try:
        return "double" in (metadata(name)["Summary"] or "")
    except (PackageNotFoundError, KeyError):
        return False


if __name__ == "__main__":
    print(json.dumps(find_machine()))
