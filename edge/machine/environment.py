"""The machine a latency was measured on, as a plain table for reports."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from edge.machine.cores import affinity
from edge.machine.machine import isa, text

PACKAGES = (
    "segedge",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pillow",
    "scipy",
    "torch",
    "tensorrt",
    "tensorrt-rtx",
    "torch-tensorrt",
    "pycuda",
)
"""Packages whose version can change a mask or a latency; those installed are recorded."""

_CHECKOUT = Path(__file__).resolve().parents[2]
_GPU_QUERY = "name,driver_version,power.limit,clocks.sm,clocks.mem,temperature.gpu,persistence_mode"


def environment(root: Path = Path("/")) -> dict[str, Any]:
    """Everything about this machine that a number depends on. What it does not say is None.

    Args:
        root: where ``proc``, ``sys``, ``etc`` and ``var`` lie.
    """
    cpuinfo, chip = text(root / "proc/cpuinfo"), processor(root)
    return {
        "cpu": chip["cpu"],
        "isa": chip["isa"],
        "cores": psutil.cpu_count(logical=False),
        "logical_cpus": psutil.cpu_count(),
        "threads": chip["threads"],
        "affinity": affinity(),
        "governor": _governor(root),
        "clock_mhz": _clock(root),
        "virtual": "hypervisor" in cpuinfo,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 2),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": gpu(),
        "device": text(root / "proc/device-tree/model").rstrip("\x00\n") or None,
        "power_mode": power_mode(root),
        "versions": versions(),
        "commit": commit(),
        "python": platform.python_version(),
        "os": _os_name(),
    }


def processor(root: Path = Path("/")) -> dict[str, Any]:
    """Name and instructions of the processor, and the threads this process may use: what decides kernels."""
    cpuinfo = text(root / "proc/cpuinfo")
    return {"cpu": _cpu_name(cpuinfo, root), "isa": list(isa(cpuinfo)), "threads": len(affinity())}


def commit(checkout: Path = _CHECKOUT) -> str | None:
    """Of SegEdge itself, ``…+changes`` where files differ from it; None where it runs from no Git checkout."""
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    try:
        head, changes = (
            subprocess.run([git, "-C", str(checkout), *words], capture_output=True, text=True, check=True, timeout=10)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed distributions and their versions."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def power_mode(root: Path = Path("/")) -> str | None:
    """NVIDIA Jetson's power mode (nvpmodel), else the firmware's platform profile, else None."""
    status = text(root / "var/lib/nvpmodel/status")
    if status:
        mode = status.strip().rpartition(":")[2]
        return f"nvpmodel {int(mode)}" if mode.isdigit() else f"nvpmodel {mode}"
    return text(root / "sys/firmware/acpi/platform_profile").strip() or None


def gpu() -> dict[str, str] | None:
    """The first NVIDIA GPU as ``nvidia-smi`` describes it, or None."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, f"--query-gpu={_GPU_QUERY}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    values = [value.strip() for value in done.stdout.strip().splitlines()[0].split(",")] if done.stdout.strip() else []
    names = _GPU_QUERY.split(",")
    return dict(zip(names, values, strict=True)) if done.returncode == 0 and len(values) == len(names) else None


def _cpu_name(cpuinfo: str, root: Path) -> str:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "model name":
            return value.strip()
    return text(root / "proc/device-tree/model").rstrip("\x00\n") or platform.processor() or platform.machine()


def _governor(root: Path) -> str | None:
    paths = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    names = sorted({text(path).strip() for path in paths} - {""})
    return ", ".join(names) or None


def _clock(root: Path) -> float | None:
    paths = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    clocks = [int(clock) for path in paths if (clock := text(path).strip())]
    return max(clocks) / 1000.0 if clocks else None


def _os_name() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}, {platform.machine()}"
