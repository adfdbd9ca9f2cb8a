"""Energy per image from whatever meter this machine has, with what it draws when idle told apart.

A board's own monitors (INA3221 and its kin) come first: they see everything the board draws. Else, for an engine on an
NVIDIA GPU, what its driver says the GPU draws (NVML); for one on the processor RAPL's energy counters (Linux
powercap), which see the processor packages. Sensors average over tens of milliseconds, so the load runs
back to back for seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.errors import MachineError
from edge.machine.cuda import open_cuda
from edge.machine.nvml import find_gpu_rail
from edge.machine.rails import Meter, Rail, find_rails

SETTLE_S = 0.5


@dataclass(frozen=True)
class Energy:
    """What a run costs.

    Attributes:
        meter: what was read: ``rapl package-0``, the board's rails, or the GPU's.
        idle_w, mean_w: watts before, and while running back to back.
        mj_per_run: millijoules of a run, all that the meter saw.
        mj_per_run_above_idle: the same without what the machine draws anyway.
        runs, seconds: of the busy stretch.
    """

    meter: str
    idle_w: float
    mean_w: float
    mj_per_run: float
    mj_per_run_above_idle: float
    runs: int
    seconds: float


@dataclass(frozen=True)
class Rapl:
    """Energy counters of the processor packages.

    Attributes:
        zones: one folder per package, each with ``energy_uj``.
    """

    zones: tuple[Path, ...]

    @property
    def name(self) -> str:
        return "rapl " + " + ".join((zone / "name").read_text().strip() for zone in self.zones)

    def joules(self) -> list[float]:
        """Each package's counter now."""
        return [int((zone / "energy_uj").read_text()) * 1e-6 for zone in self.zones]

    def since(self, before: list[float]) -> float:
        """Joules of all packages since, counters that wrapped round included."""
        spent = 0.0
        for zone, old, new in zip(self.zones, before, self.joules(), strict=True):
            wrap = int((zone / "max_energy_range_uj").read_text()) * 1e-6 if new < old else 0.0
            spent += new - old + wrap
        return spent


def find_rapl(root: Path = Path("/")) -> Rapl | None:
    """RAPL's packages under ``root``, or None where there are none or they may not be read."""
    zones = []
    for zone in sorted((root / "sys/class/powercap").glob("*-rapl:[0-9]*")):
        if zone.name.count(":") > 1:  # a part of a package; counted in it
            continue
        try:
            if (zone / "name").read_text().startswith("package"):
                int((zone / "energy_uj").read_text())
                zones.append(zone)
        except (OSError, ValueError):
            continue
    return Rapl(tuple(zones)) if zones else None


def measure_energy(
    run: Callable[[], object],
    seconds: float = 5.0,
    idle_seconds: float = 3.0,
    root: Path = Path("/"),
    gpu: bool = False,
) -> Energy | None:
    """Mean power idle, then while running back to back.

    Args:
        run: one inference.
        seconds: of the busy stretch, at least.
        idle_seconds: of the idle stretch, measured first.
        root: where ``sys`` lies.
        gpu: whether it runs on an NVIDIA GPU, which the processor's counters do not see.

    Returns:
        None where this machine has no meter that can be read.
    """
    rails = find_rails(root)
    if not rails and gpu:
        rails = _gpu_rails()
    if rails:
        name = "rails " + " + ".join(rail.name for rail in rails)
        return _measured(name, _metered(rails), run, seconds, idle_seconds)
    if gpu:
        return None
    rapl = find_rapl(root)
    if rapl is None:
        return None

    def read(work: Callable[[], None]) -> _Stretch:
        before, start = rapl.joules(), time.monotonic()
        work()
        lasted = time.monotonic() - start
        return _Stretch(rapl.since(before) / lasted, lasted)

    return _measured(rapl.name, read, run, seconds, idle_seconds)


def _gpu_rails() -> tuple[Rail, ...]:
    """Of the GPU that engines run on; none where CUDA or its driver does not tell."""
    try:
        rail = find_gpu_rail(open_cuda().bus_id())
    except MachineError:
        return ()
    return (rail,) if rail else ()


@dataclass(frozen=True)
class _Stretch:
    """Mean power over so many seconds."""

    watts: float
    seconds: float


_Read = Callable[[Callable[[], None]], "_Stretch | None"]


def _metered(rails: tuple[Rail, ...]) -> _Read:
    def read(work: Callable[[], None]) -> _Stretch | None:
        with Meter(rails) as meter:
            work()
        power = meter.power()
        return _Stretch(power.total, power.seconds) if power else None

    return read


def _measured(name: str, read: _Read, run: Callable[[], object], seconds: float, idle_seconds: float) -> Energy | None:
    runs = 0

    def busy() -> None:
        nonlocal runs
        end = time.monotonic() + seconds
        while time.monotonic() < end or not runs:
            run()
            runs += 1

    run()
    time.sleep(min(SETTLE_S, idle_seconds))
    idle = read(lambda: time.sleep(idle_seconds))
    load = read(busy)
    if idle is None or load is None:
        return None
    # The meter's own stretch, so that energy over runs is exact however the machine was interrupted.
    per_run = 1e3 * load.seconds / runs
    return Energy(
        meter=name,
        idle_w=idle.watts,
        mean_w=load.watts,
        mj_per_run=load.watts * per_run,
        mj_per_run_above_idle=(load.watts - idle.watts) * per_run,
        runs=runs,
        seconds=load.seconds,
    )
