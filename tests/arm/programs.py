"""The C++ runtime, cross-compiled for aarch64, as programs that this machine can start."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tests.arm.space import Space

ROOT = Path(__file__).resolve().parents[2]
_PARTS = Path("export") / "runtime"


def cross_build(space: Space, folder: Path) -> Path:
    """Configure and build the runtime and its tests; ``ctest --test-dir`` of the folder runs them under emulation."""
    options = (
        f"-DCMAKE_TOOLCHAIN_FILE={Path(__file__).with_name('aarch64.cmake')}",
        f"-DARM_ROOT={space.root}",
        f"-DOpenVINO_DIR={space.packages / 'openvino' / 'cmake'}",
        "-DSEGEDGE_WERROR=ON",
    )
    for command in (["cmake", "-S", ROOT, "-B", folder, *options], ["cmake", "--build", folder, "--parallel", "2"]):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


def emulated(space: Space, build: Path, folder: Path) -> Path:
    """A folder laid out as a build's programs, each a script that emulates the one in ``build``."""
    for name in ("segedge-run", "tests/segedge-contract", "tests/segedge-heap", "tests/segedge-pixels"):
        script = folder / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec {shlex.join(space.command(build / _PARTS / name))} "$@"\n')
        script.chmod(0o755)
    return folder
