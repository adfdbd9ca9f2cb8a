"""The GPU's power through NVML, against a library of our own that keeps its calling convention."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edge.latency.power import measure_energy
from edge.machine.cuda import open_cuda
from edge.machine.nvml import find_gpu_rail
from edge.machine.rails import Rail
from tests.fixtures import tensorrt
from tests.fixtures.tensorrt.install import installed

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
HERE = "0000:65:00.0"  # where the double of CUDA has its GPU
SOURCE = Path(next(iter(tensorrt.__path__))) / "nvml.c"


def _library(folder: Path, milliwatts: int) -> Any:
    path = folder / f"nvml{milliwatts}.so"
    line = ["cc", "-shared", "-fPIC", f"-DMILLIWATTS={milliwatts}", "-o", str(path), str(SOURCE)]
    subprocess.run(line, check=True)
    return ctypes.CDLL(str(path))


def test_watts_are_read_and_a_gpu_that_does_not_tell_has_no_rail(tmp_path: Path) -> None:
    rail = find_gpu_rail(HERE, _library(tmp_path, 42500))
    assert rail is not None and rail.name == f"NVML GPU {HERE}" and rail.watts() == pytest.approx(42.5)
    assert find_gpu_rail(HERE, _library(tmp_path, 0)) is None


def test_of_several_gpus_the_one_at_the_address_is_read(tmp_path: Path) -> None:
    library = _library(tmp_path, 42500)
    first, second = find_gpu_rail("0000:17:00.0", library), find_gpu_rail(HERE, library)
    assert first is not None and second is not None
    assert (first.watts(), second.watts()) == (pytest.approx(9), pytest.approx(42.5))
    assert find_gpu_rail("0000:99:00.0", library) is None


@pytest.mark.parametrize("pycuda", [False, True], ids=["cudart", "pycuda"])
def test_an_engine_on_a_gpu_is_metered_there_and_never_by_the_processor(
    pycuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, asked = _library(tmp_path, 30000), []

    def find(bus_id: str) -> Rail | None:
        asked.append(bus_id)
        return find_gpu_rail(bus_id, library)

    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, value in (("name", "package-0"), ("energy_uj", "10"), ("max_energy_range_uj", "1000")):
        (zone / name).write_text(value)
    monkeypatch.setattr("edge.latency.power.find_gpu_rail", find)
    monkeypatch.setattr("edge.machine.rails.FEWEST_SAMPLES", 1)
    with installed("10.3.0", pycuda=pycuda):
        assert open_cuda().name == ("pycuda" if pycuda else "cudart")
        found = measure_energy(lambda: time.sleep(0.001), 0.5, 0.5, tmp_path, gpu=True)
        assert found is not None and found.meter == f"rails NVML GPU {HERE}" and asked == [HERE]
        assert found.mean_w == pytest.approx(30) and found.mj_per_run_above_idle == pytest.approx(0, abs=1e-6)
        monkeypatch.setattr("edge.latency.power.find_gpu_rail", lambda bus_id: None)
        assert measure_energy(lambda: None, 0.1, 0.1, tmp_path, gpu=True) is None
