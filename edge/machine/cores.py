"""The CPUs that this process may use, and how many threads an engine gets by default: one per physical core."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .machine import ROOT, text


def affinity() -> list[int]:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def physical_cores(root: Path = ROOT) -> int:
    """Physical cores within the process's affinity mask and CPU quota; at least 1.

    Two hyper-threads of one core share its vector units, so a second thread on it only adds noise to a latency.

    Args:
        root: where ``sys`` lies.
    """
    cores = {_siblings(root, cpu) for cpu in affinity()}
    return max(1, min(len(cores), _quota(root)))


def _siblings(root: Path, cpu: int) -> str:
    siblings = text(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").strip()
    return siblings or f"only {cpu}"


def _quota(root: Path) -> int:
    """CPUs that a container's quota (cgroup v2) comes to."""
    limit, _, period = text(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    return math.ceil(int(limit) / int(period)) if limit.isdigit() and period.isdigit() else os.cpu_count() or 1
