"""The travelling kit with small files: parts of a limited size, every damage found before anything is unpacked."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.kit import PART_BYTES, SETS, pack
from benchmarks.gpu.kit_check import BASE, markdown
from edge.files import read_json
from tests.fixtures.runtime_kit import ROOT

LIMIT = 100_000


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "python" / "lib" / "test").mkdir(parents=True)
    (source / "python" / "lib" / "os.py").write_bytes(np.random.default_rng(0).bytes(250_000))
    (source / "python" / "lib" / "test" / "long.py").write_text("left out")
    (source / "wheels" / "8.6").mkdir(parents=True)
    with zipfile.ZipFile(source / "wheels" / "8.6" / "small-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("small.py", "VALUE = 7\n")
    (source / "networks").mkdir()
    (source / "networks" / "tiny.onnx").write_bytes(b"onnx")
    contents = {name: source / name for name in ("python", "networks", "wheels/8.6")}
    parts = pack(contents, tmp_path / "kit", LIMIT)
    assert len(parts) >= 3 and all(int(str(part["bytes"])) <= LIMIT for part in parts)
    return tmp_path / "kit"


def test_what_was_packed_comes_out_and_can_be_imported(kit: Path, tmp_path: Path) -> None:
    done = _load(kit, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    assert "benchmarks.gpu --out" in done.stdout and "sites/8.6" in done.stdout
    assert f"--networks {tmp_path / 'there' / 'networks' / 'tiny.onnx'}" in done.stdout
    packed = (tmp_path / "source" / "python" / "lib" / "os.py").read_bytes()
    assert (tmp_path / "there" / "python" / "lib" / "os.py").read_bytes() == packed
    assert not (tmp_path / "there" / "python" / "lib" / "test").exists()
    line = [sys.executable, "-c", "import small; print(small.VALUE)"]
    site = {"PYTHONPATH": str(tmp_path / "there" / "sites" / "8.6")}
    assert subprocess.run(line, env=site, capture_output=True, text=True, check=True).stdout == "7\n"
    again = _load(kit, tmp_path / "there")
    assert again.returncode == 1 and "is there already" in again.stderr


@pytest.mark.parametrize(("damage", "said"), [("flip", "is damaged"), ("cut", "bytes, not"), ("remove", "is missing")])
def test_a_damaged_part_is_named_and_nothing_is_unpacked(kit: Path, tmp_path: Path, damage: str, said: str) -> None:
    part = kit / json.loads((kit / "kit.json").read_text())["parts"][1]["name"]
    data = part.read_bytes()
    if damage == "remove":
        part.unlink()
    else:
        part.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    done = _load(kit, tmp_path / "there")
    assert done.returncode == 1 and part.name in done.stderr and said in done.stderr
    assert not (tmp_path / "there").exists()


def test_every_tensorrt_of_the_kit_is_pinned() -> None:
    assert {"base", "rtx", "8.5", "8.6"} == set(SETS)
    assert all("==" in wheel for name, wheels in SETS.items() if name != "base" for wheel in wheels)


def test_a_kit_as_released_was_unpacked_and_each_of_its_sets_imported() -> None:
    """What ``benchmarks.gpu.kit_check`` wrote of the whole kit, whose wheels are too large for a test."""
    table = read_json(ROOT / "benchmarks" / "results" / "gpu_kit.json")
    parts = table["parts"]
    assert parts["largest"] <= PART_BYTES and parts["hashes"] == parts["count"] > 1
    assert len(table["networks"]) == 5 and set(table["sets"]) == set(SETS)
    for name, row in table["sets"].items():
        assert set(BASE) <= set(row["modules"]) and not row["elsewhere"] and row["python"].startswith("3.10."), name
        if name == "base":
            continue
        pinned = next(wheel for wheel in SETS[name] if wheel.startswith("tensorrt"))
        assert pinned.endswith("==" + row["modules"]["tensorrt_rtx" if name == "rtx" else "tensorrt"])
        assert row["command"]["exit"] == 3 and "no GPU to measure" in row["command"]["said"]
    assert table["sets"]["rtx"]["plan_bytes"] > 0  # the one that builds without a GPU
    assert (ROOT / "benchmarks" / "results" / "gpu_kit.md").read_text() == markdown(table)


def _load(kit: Path, into: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(kit / "load.py"), "--into", str(into)]
    return subprocess.run(line, capture_output=True, text=True, check=False)
