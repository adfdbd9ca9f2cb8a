"""What disturbs the machine while something is timed: other processes, the hypervisor, clocks, throttling."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Iterable, Iterator

from .machine import ROOT, number, text

FOREIGN_CORES = 0.10
"""Cores' worth of work by other processes above which a latency is doubtful."""

STOLEN_SHARE = 0.01
CLOCK_CHANGE = 0.05
_SHORTEST_S = 0.5  # /proc/stat counts in 10 ms; below this a share means nothing


@dataclass(frozen=True)
class Snapshot:
    """Counters of the machine at one moment.

    Attributes:
        at: seconds, monotonic.
        busy: CPU seconds spent by everything on this machine.
        own: CPU seconds spent by this process.
        stolen: CPU seconds the hypervisor gave to others.
        clock_mhz: median current clock of the cores, None where the system does not say.
        throttled: how often the cores were throttled by heat since boot, None where the system does not say.
    """

    at: float
    busy: float
    own: float
    stolen: float
    clock_mhz: float | None
    throttled: int | None


def snapshot(root: Path = ROOT) -> Snapshot:
    """Read the counters now. ``root`` is where ``proc`` and ``sys`` lie."""
    busy, stolen = _cpu_seconds(root)
    own = os.times()
    cpus = root / "sys/devices/system/cpu"
    clocks = _numbers(cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    throttles = _numbers(cpus.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    return Snapshot(
        at=time.monotonic(),
        busy=busy,
        own=own.user + own.system,
        stolen=stolen,
        clock_mhz=median(clocks) / 1000.0 if clocks else None,
        throttled=sum(throttles) if throttles else None,
    )


def differences(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """One sentence for each thing that happened in between and makes a latency doubtful."""
    warnings: list[str] = []
    wall = after.at - before.at
    if wall >= _SHORTEST_S:
        foreign = ((after.busy - before.busy) - (after.own - before.own)) / wall
        if foreign > FOREIGN_CORES:
            warnings.append(f"foreign load: other processes used {foreign:.2f} cores meanwhile; stop them")
        stolen = (after.stolen - before.stolen) / wall / (os.cpu_count() or 1)
        if stolen > STOLEN_SHARE:
            warnings.append(f"stolen time: the hypervisor took {100 * stolen:.1f} % of this virtual machine's CPUs")
    if before.clock_mhz and after.clock_mhz and abs(after.clock_mhz / before.clock_mhz - 1.0) > CLOCK_CHANGE:
        warnings.append(f"clock drift: cores went from {before.clock_mhz:.0f} to {after.clock_mhz:.0f} MHz")
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        warnings.append(f"throttling: cores were slowed by heat {after.throttled - before.throttled} times; cool it")
    return tuple(warnings)


@contextmanager
def watched(warnings: list[str], root: Path = ROOT) -> Iterator[None]:
    """Append to ``warnings`` what happened while the body ran."""
    before = snapshot(root)
    yield
    warnings.extend(differences(before, snapshot(root)))


def _cpu_seconds(root: Path) -> tuple[float, float]:
    """Seconds of work of all CPUs since boot, and seconds stolen from them; zeros where the system does not say."""
    fields = text(root / "proc/stat").split("\n", 1)[0].split()[1:9]
    if len(fields) < 8:
        return 0.0, 0.0
    # Guests' time is already part of user time; waiting for disks is not work.
    user, nice, system, _, _, irq, softirq, steal = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
    return user + nice + system + irq + softirq, steal


def _numbers(paths: Iterable[Path]) -> list[int]:
    """What the files hold; a core that is offline, or a driver without a reading, says nothing."""
    return [found for found in map(number, paths) if found is not None]
