"""What this machine is: its CPU, its NVIDIA GPU, the Jetson it may be, and which compilers are installed."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from edge.errors import MachineError
from edge.machine.machine import read_machine

COMPILERS = ("openvino", "tensorrt", "tensorrt_rtx", "torch_tensorrt")
_QUERY = ("name", "compute_cap", "memory.total")
_SECONDS = 20


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: as the driver gives it.
        sm: compute capability, such as ``8.6``.
        memory_mb: None where nobody says.
    """

    name: str
    sm: str
    memory_mb: int | None = None


@dataclass(frozen=True)
class Here:
    """This machine.

    Attributes:
        architecture: x86_64, aarch64, ...
        gpu: the first NVIDIA GPU, None where there is none that answers.
        jetson: name of the Jetson's target, None for anything else.
        compilers: importable packages among :data:`COMPILERS`.
    """

    architecture: str
    gpu: Gpu | None
    jetson: str | None
    compilers: frozenset[str]


@cache
def this_machine() -> Here:
    """Ask once for each process."""
    module = read_machine().module
    return Here(
        architecture=platform.machine(),
        gpu=find_gpu(),
        jetson=module.target if module else None,
        compilers=frozenset(name for name in COMPILERS if installed(name)),
    )


def installed(package: str) -> bool:
    """Whether a Python package can be found; it is not imported."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def find_gpu() -> Gpu | None:
    """The NVIDIA GPU that CUDA takes, as ``nvidia-smi`` describes it, or else the CUDA runtime.

    Where there are several, the two count them in different orders: the tool by bus, CUDA the fastest first.
    """
    listed = _from_smi()
    if len(listed) == 1:
        return listed[0]
    taken = _from_cuda()
    return next((gpu for gpu in listed if taken is not None and gpu.sm == taken.sm), taken)


def _from_smi() -> list[Gpu]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [[value.strip() for value in line.split(",")] for line in done.stdout.splitlines()]
    return [
        Gpu(row[0], row[1], int(row[2]) if row[2].isdigit() else None)
        for row in (rows if done.returncode == 0 else [])
        if len(row) == len(_QUERY) and row[1].replace(".", "").isdigit()
    ]


def _from_cuda() -> Gpu | None:
    """A Jetson has no ``nvidia-smi`` of use, but it has the runtime."""
    from edge.machine.cuda import open_cuda

    try:
        major, minor = open_cuda().capability()
    except (MachineError, OSError):
        return None
    return Gpu("NVIDIA GPU", f"{major}.{minor}")
