"""Meters made of files, whose readings a fake load moves: the arithmetic is known exactly."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge.latency.power import find_rapl, measure_energy


def package(root: Path, index: int = 0, joules: float = 10.0, name: str = "package-0") -> Path:
    zone = root / f"sys/class/powercap/intel-rapl:{index}"
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{name}\n")
    (zone / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    return zone


def add(zone: Path, joules: float) -> None:
    path = zone / "energy_uj"
    path.write_text(str(int(path.read_text()) + int(joules * 1e6)))


def board(root: Path, watts: float) -> Path:
    chip = root / "sys/class/hwmon/hwmon3"
    chip.mkdir(parents=True, exist_ok=True)
    for name, value in (("name", "ina3221"), ("in1_label", "VDD_IN"), ("in1_input", "5000")):
        (chip / name).write_text(f"{value}\n")
    (chip / "curr1_input").write_text(f"{int(watts / 5 * 1000)}\n")
    return chip


def test_rapl_counts_packages_and_not_their_parts(tmp_path: Path) -> None:
    package(tmp_path, 0)
    package(tmp_path, 1, name="package-1")
    package(tmp_path, 2, name="psys")
    part = tmp_path / "sys/class/powercap/intel-rapl:0:0"
    part.mkdir()
    (part / "name").write_text("core\n")
    rapl = find_rapl(tmp_path)
    assert rapl is not None
    assert rapl.name == "rapl package-0 + package-1"
    before = rapl.joules()
    assert before == [10.0, 10.0]
    add(rapl.zones[0], 2.5)
    add(rapl.zones[1], 1.0)
    assert rapl.since(before) == pytest.approx(3.5)


def test_a_counter_that_wraps_round(tmp_path: Path) -> None:
    zone = package(tmp_path, joules=262_143.0)
    rapl = find_rapl(tmp_path)
    assert rapl is not None
    before = rapl.joules()
    (zone / "energy_uj").write_text("1000000")
    assert rapl.since(before) == pytest.approx(262_143.328850 - 262_143.0 + 1.0)


def test_energy_of_a_run_above_idle(tmp_path: Path) -> None:
    zone = package(tmp_path)

    def run() -> None:
        time.sleep(0.01)
        add(zone, 0.5)

    found = measure_energy(run, seconds=0.2, idle_seconds=0.1, root=tmp_path)
    assert found is not None
    assert found.meter == "rapl package-0"
    assert found.idle_w == 0.0
    # Half a joule a run, whatever the time that took.
    assert found.mj_per_run == pytest.approx(500.0)
    assert found.mj_per_run_above_idle == found.mj_per_run
    assert found.runs >= 1


def test_the_boards_rails_come_first_and_idle_is_subtracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.machine.rails.FEWEST_SAMPLES", 1)  # a busy machine may read few
    package(tmp_path)
    chip = board(tmp_path, watts=4.0)
    calls = []

    def run() -> None:
        calls.append(1)
        if len(calls) == 2:  # the first run only warms up; the load starts after the idle stretch
            (chip / "curr1_input").write_text("1400\n")
        time.sleep(0.02)

    found = measure_energy(run, seconds=1.0, idle_seconds=0.5, root=tmp_path)
    assert found is not None
    assert found.meter == "rails VDD_IN"
    assert found.idle_w == pytest.approx(4.0)
    assert 4.0 < found.mean_w <= 7.0 + 1e-9  # what is read before the first run ends is idle
    assert found.mj_per_run_above_idle == pytest.approx((found.mean_w - 4.0) * 1e3 * found.seconds / found.runs)


def test_no_meter_no_figure(tmp_path: Path) -> None:
    assert measure_energy(lambda: None, 0.01, 0.01, tmp_path) is None
    zone = package(tmp_path)
    (zone / "energy_uj").write_text("not for you")
    assert find_rapl(tmp_path) is None
