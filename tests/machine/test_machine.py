"""What the machine's files say, read from reconstructed trees of four boards (see trees/README.md)."""

import shutil
import time
from pathlib import Path

import pytest

from edge.machine.jetson import find_module, jetpack_of, tensorrt_of
from edge.machine.machine import read_machine
from edge.machine.rails import Meter, Power, energy, find_rails, total_rails

TREES = Path(__file__).parent / "trees"
ORIN_NANO, AGX_ORIN, XAVIER_NX, THOR = (
    TREES / name
    for name in ("orin-nano-jetpack-6.2", "agx-orin-jetpack-7.2", "xavier-nx-jetpack-5.1", "agx-thor-jetpack-7.1")
)


@pytest.mark.parametrize(
    ("tree", "target", "jetpack", "tensorrt", "mode", "fixed", "dla", "hottest"),
    [
        (ORIN_NANO, "jetson-orin-nano-8gb", "6.2", "10.3.0.30", "25W", False, 0, 49.906),
        (AGX_ORIN, "jetson-agx-orin-64gb", "7.2", "10.16.2.10", "MAXN", True, 2, 45.218),
        (XAVIER_NX, "jetson-xavier-nx", "5.1", "8.5.2", "mode 8", False, 1, 39.5),
        (THOR, "jetson-agx-thor", "7.1", "10.13.3.9", "120W", False, 0, 41.0),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_boards(tree, target, jetpack, tensorrt, mode, fixed, dla, hottest):
    machine = read_machine(tree, "aarch64")
    assert machine.module.target == target
    assert machine.jetpack == jetpack
    assert machine.tensorrt.startswith(tensorrt)
    assert (machine.power_mode, machine.clocks_fixed, machine.dla) == (mode, fixed, dla)
    assert max(degrees for _, degrees in machine.temperatures) == hottest
    assert machine.gpu_clock.governor == "nvhost_podgov"
    assert "asimddp" in machine.isa and 0 < machine.free_bytes < machine.memory_bytes
    table = machine.to_json()
    assert table["jetpack"] == jetpack and len(table["cpu_clocks"]) == 1


@pytest.mark.parametrize(
    ("compatible", "memory", "target"),
    [
        (["nvidia,p3768-0000+p3767-0004", "nvidia,tegra234"], 4, "jetson-orin-nano-4gb"),
        (["nvidia,p3768-0000+p3767-0000", "nvidia,tegra234"], 16, "jetson-orin-nx-16gb"),
        (["nvidia,p3737-0000+p3701-0000", "nvidia,tegra234"], 30, "jetson-agx-orin-32gb"),
        (["nvidia,p3737-0000+p3701-0000", "nvidia,tegra234"], 61, "jetson-agx-orin-64gb"),
        (["raspberrypi,5-model-b", "brcm,bcm2712"], 8, None),
        ([""], 8, None),
    ],
)
def test_modules_by_part_number(compatible, memory, target):
    module = find_module(compatible, memory << 30)
    assert (module.target if module else None) == target


@pytest.mark.parametrize(
    ("l4t", "jetpack", "tensorrt"),
    [
        ("35.2.1", "5.1", "8.5"),
        ("36.3.0", "6.0", "8.6"),
        ("36.4.0", "6.1", "10.3"),
        ("36.4.3", "6.2", "10.3"),
        ("36.4", "6.1", "10.3"),
        ("36.5.0", "6.2.2", "10.3"),
        ("38.4.0", "7.1", "10.13"),
        ("39.2.1", "7.2", "10.16"),
        ("99.1", None, None),
    ],
)
def test_releases(l4t, jetpack, tensorrt):
    assert (jetpack_of(l4t), tensorrt_of(l4t)) == (jetpack, tensorrt)


def test_release_from_the_package_where_the_file_is_missing(tmp_path):
    shutil.copytree(ORIN_NANO, tmp_path / "t")
    (tmp_path / "t/etc/nv_tegra_release").unlink()
    assert read_machine(tmp_path / "t", "aarch64").l4t == "36.4.3"


def test_an_empty_tree_says_nothing_and_does_not_fail(tmp_path):
    machine = read_machine(tmp_path, "riscv64")
    assert machine.module is None and machine.l4t is None and machine.free_bytes == 0 and not machine.clocks_fixed
    assert find_rails(tmp_path) == ()


@pytest.mark.parametrize(
    ("tree", "watts", "total"),
    [
        (ORIN_NANO, {"VDD_IN": 5.112576, "VDD_CPU_GPU_CV": 0.81024, "VDD_SOC": 1.501312}, ("VDD_IN",)),
        (
            AGX_ORIN,
            {"VDD_GPU_SOC": 6.4, "VDD_CPU_CV": 1.6, "VIN_SYS_5V0": 4.0448, "VDDQ_VDD2_1V8AO": 0.525824},
            ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"),
        ),
        (XAVIER_NX, {"VDD_IN": 4.464, "VDD_CPU_GPU_CV": 0.5952, "VDD_SOC": 1.24}, ("VDD_IN",)),
        (THOR, {"VDD_GPU": 4.79232, "VDD_CPU_SOC_MSS": 8.306688, "VIN_SYS_5V0": 5.581824, "VIN": 31.25}, ("VIN",)),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_rails(tree, watts, total):
    rails = find_rails(tree)
    assert {rail.name: pytest.approx(rail.watts()) for rail in rails} == watts
    assert total_rails([rail.name for rail in rails]) == total


def test_rails_of_jetpack_4(tmp_path):
    folder = tmp_path / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    folder.mkdir(parents=True)
    (folder / "rail_name_0").write_text("POM_5V_IN\n")
    (folder / "in_power0_input").write_text("2450\n")
    (rail,) = find_rails(tmp_path)
    assert (rail.name, rail.watts()) == ("POM_5V_IN", pytest.approx(2.45))


def test_meter_takes_means_and_survives_a_rail_that_goes_away(tmp_path):
    shutil.copytree(ORIN_NANO, tmp_path / "t")
    rails = find_rails(tmp_path / "t")
    meter = Meter(rails, interval=0.001)
    with meter:
        for _ in range(2000):
            found = meter.power()
            if found is not None and found.samples >= 20:
                break
            time.sleep(0.01)
        (tmp_path / "t/sys/class/hwmon/hwmon1/in3_input").unlink()
        time.sleep(0.05)
    power = meter.power()
    assert power.total == pytest.approx(5.112576) and power.total_of == ("VDD_IN",) and power.samples >= 20
    assert Meter(()).power() is None


def test_energy_subtracts_idle():
    idle = Power({"VDD_IN": 5.0}, 5.0, ("VDD_IN",), 60, 3.0)
    busy = Power({"VDD_IN": 9.0}, 9.0, ("VDD_IN",), 200, 10.0)
    table = energy(idle, busy, seconds=10.0, runs=1000)
    assert table["mj_per_image"] == pytest.approx(90.0) and table["mj_per_image_above_idle"] == pytest.approx(40.0)
    assert energy(None, busy, 10.0, 1000) is None
