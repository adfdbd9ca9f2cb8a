"""How many threads an engine gets by default: one for each physical core that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_ROOT = Path("/")


def physical_cores(root: Path = _ROOT) -> int:
    """Physical cores within the process's affinity mask and CPU quota; at least 1.

    Two hyper-threads of one core share its vector units, so a second thread on it only adds noise to a latency.

    Args:
        root: where ``sys`` lies.
    """
    available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = {_siblings(root, cpu) for cpu in available}
    return max(1, min(len(cores), _quota(root)))


def _siblings(root: Path, cpu: int) -> str:
    text = _text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return text or f"only {cpu}"


def _quota(root: Path) -> int:
    """CPUs that a container's quota (cgroup v2) comes to."""
    limit, _, period = _text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    return math.ceil(int(limit) / int(period)) if limit.isdigit() and period.isdigit() else os.cpu_count() or 1


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
