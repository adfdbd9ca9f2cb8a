"""Power from the board's own monitors: INA3221 and its kin, through hwmon (JetPack 5 and later) or iio (JetPack 4).

hwmon gives millivolts and milliamperes per channel (kernel: Documentation/hwmon/ina3221.rst), INA238 also microwatts.
The sensors average over tens of milliseconds, so only means over seconds mean anything, and what the board draws when
idle is measured first and told apart.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from .machine import ROOT, number, text

_CHIPS = ("ina3221", "ina238", "ina226", "ina219")
_TOTALS = ("VDD_IN", "POM_5V_IN", "VIN")
"""Rails that carry everything the board draws; without one, the sum of the rails stands for it."""

_UNUSED = ("NC", "sum of shunt voltages")
_INTERVAL_S = 0.05
IDLE_S, FEWEST_SAMPLES = 3.0, 20
SHORTEST_S = 1.5 * FEWEST_SAMPLES * _INTERVAL_S
"""Of a stretch that gives enough readings."""


@dataclass(frozen=True)
class Rail:
    """One monitored supply; reads watts."""

    name: str
    watts: Callable[[], float | None]


@dataclass(frozen=True)
class Power:
    """Mean power over a stretch of time.

    Attributes:
        watts: rail to mean.
        total: of the whole board.
        total_of: the rails that ``total`` is made of.
        samples, seconds: how many readings, over how long.
    """

    watts: dict[str, float]
    total: float
    total_of: tuple[str, ...]
    samples: int
    seconds: float


def find_rails(root: Path = ROOT) -> tuple[Rail, ...]:
    """Every rail that the board monitors and that is connected."""
    rails = [*_hwmon(root), *_iio(root)]
    return tuple({rail.name: rail for rail in rails}.values())


def total_rails(names: list[str]) -> tuple[str, ...]:
    """Which rails make up the board's total."""
    single = next((name for name in _TOTALS if name in names), None)
    return (single,) if single else tuple(names)


class Meter:
    """Samples every rail in a thread while the body runs.

    >>> with Meter(rails) as meter: work()
    >>> meter.power()
    """

    def __init__(self, rails: tuple[Rail, ...], interval: float = _INTERVAL_S) -> None:
        self._rails, self._interval = rails, interval
        self._samples: dict[str, list[float]] = {rail.name: [] for rail in rails}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._start = self._seconds = 0.0

    def __enter__(self) -> Meter:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._seconds = time.monotonic() - self._start

    def power(self) -> Power | None:
        """Means, or None where there were no rails or too few readings to mean anything."""
        watts = {name: sum(v) / len(v) for name, v in self._samples.items() if v}
        fewest = min((len(v) for v in self._samples.values() if v), default=0)
        if fewest < FEWEST_SAMPLES:
            return None
        parts = total_rails(list(watts))
        return Power(watts, sum(watts[name] for name in parts), parts, fewest, self._seconds)

    def _sample(self) -> None:
        while not self._stop.is_set():
            for rail in self._rails:
                value = rail.watts()
                if value is not None:
                    self._samples[rail.name].append(value)
            self._stop.wait(self._interval)


def energy(idle: Power | None, busy: Power | None, seconds: float, runs: int) -> dict[str, Any] | None:
    """What a run costs, as a table for the report; None without readings.

    Args:
        idle, busy: before, and while running back to back.
        seconds, runs: of the busy stretch.
    """
    if idle is None or busy is None or runs < 1:
        return None
    above = busy.total - idle.total
    return {
        "idle_w": idle.total,
        "mean_w": busy.total,
        "above_idle_w": above,
        "mj_per_image": 1e3 * busy.total * seconds / runs,
        "mj_per_image_above_idle": 1e3 * above * seconds / runs,
        "rails_w": busy.watts,
        "total_of": list(busy.total_of),
        "samples": busy.samples,
    }


def _hwmon(root: Path) -> Iterator[Rail]:
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if not text(folder / "name").strip().startswith(_CHIPS):
            continue
        for label in sorted(folder.glob("in*_label")):
            match = re.match(r"in(\d+)_label$", label.name)
            name = text(label).strip()
            if match and name not in _UNUSED:
                yield Rail(name, _product(folder / f"in{match.group(1)}_input", folder / f"curr{match.group(1)}_input"))
        if (folder / "power1_input").exists():  # INA238 on Thor: one channel, no label, the board's input
            yield Rail(text(folder / "power1_label").strip() or "VIN", _scaled(folder / "power1_input", 1e-6))


def _iio(root: Path) -> Iterator[Rail]:
    for label in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*/rail_name_*")):
        channel = label.name.rpartition("_")[2]
        yield Rail(text(label).strip(), _scaled(label.with_name(f"in_power{channel}_input"), 1e-3))


def _product(millivolts: Path, milliamperes: Path) -> Callable[[], float | None]:
    def watts() -> float | None:
        volts, amperes = number(millivolts), number(milliamperes)
        return None if volts is None or amperes is None else volts * amperes * 1e-6

    return watts


def _scaled(path: Path, factor: float) -> Callable[[], float | None]:
    def watts() -> float | None:
        value = number(path)
        return None if value is None else value * factor

    return watts
