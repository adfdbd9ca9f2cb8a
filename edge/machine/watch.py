"""Eyes on the machine while something is timed: other processes, the hypervisor, clocks, throttling."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

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


def snapshot(root: Path = Path("/")) -> Snapshot:
    """Read the counters now. ``root`` is where ``sys`` lies."""
    times = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    # guest time is already part of user time on Linux; waiting for disks is not work.
    idle = times.idle + getattr(times, "iowait", 0.0)
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    stolen = getattr(times, "steal", 0.0)
    cpus = root / "sys/devices/system/cpu"
    clocks = _numbers(cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    throttles = _numbers(cpus.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    return Snapshot(
        at=time.monotonic(),
        busy=sum(times) - idle - guest - stolen,
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
        stolen = (after.stolen - before.stolen) / wall / (psutil.cpu_count() or 1)
        if stolen > STOLEN_SHARE:
            warnings.append(f"stolen time: the hypervisor took {100 * stolen:.1f} % of this virtual machine's CPUs")
    if before.clock_mhz and after.clock_mhz and abs(after.clock_mhz / before.clock_mhz - 1.0) > CLOCK_CHANGE:
        warnings.append(f"clock drift: cores went from {before.clock_mhz:.0f} to {after.clock_mhz:.0f} MHz")
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        warnings.append(f"throttling: cores were slowed by heat {after.throttled - before.throttled} times; cool it")
    return tuple(warnings)


@contextmanager
def watched(warnings: list[str]) -> Iterator[None]:
    """Append to ``warnings`` what happened while the body ran."""
    before = snapshot()
    yield
    warnings.extend(differences(before, snapshot()))


def _numbers(paths: Iterable[Path]) -> list[int]:
    found = []
    for path in paths:
        # A core that is offline, or a driver without a reading, says nothing.
        with suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return found
