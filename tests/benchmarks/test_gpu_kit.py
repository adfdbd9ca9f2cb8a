"""The travelling kit with small files: parts of a limited size, every damage found before anything is unpacked."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.kit import SETS, pack

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


def _load(kit: Path, into: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(kit / "load.py"), "--into", str(into)]
    return subprocess.run(line, capture_output=True, text=True, check=False)
