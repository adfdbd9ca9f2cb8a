"""The oldest Python of a board, with the oldest numpy: a board's tests, and a whole ``verify`` of a bundle for the CPU.

``make py38`` makes the environment, where there is a Python 3.8.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from edge.api.bundle import bundle
from edge.api.deploy import deploy
from tests.fixtures.discs import write_disc_case

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "py38" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="no Python 3.8 with numpy 1.17 and OpenVINO: make py38")


def test_a_board_s_tests_pass_on_python_3_8() -> None:
    words = (
        "-m",
        "pytest",
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        "tests/device",
        "tests/machine/test_machine.py",
    )
    command = [str(PYTHON), "-B", *words, "--ignore", "tests/device/test_python38.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and found is not None and int(found[1]) >= 60, done.stdout[-4000:]


def test_a_bundle_is_verified_on_python_3_8(tmp_path: Path) -> None:
    write_disc_case(tmp_path)
    run = deploy(
        tmp_path / "discs.onnx",
        tmp_path / "discs",
        precisions="fp32,int8",
        budget=1,
        seconds=0.05,
        out=tmp_path / "run",
    )
    with tarfile.open(bundle(run, target="cpu", out=tmp_path / "kit.tar.gz").path) as archive:
        archive.extractall(tmp_path / "kit", filter="data")
    (folder,) = (path.parent for path in (tmp_path / "kit").rglob("manifest.json"))
    command = [str(PYTHON), "-m", "edge_bundle", "verify", "--seconds", "0.05"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verified = json.loads((folder / "run" / "report.json").read_text())
    assert verified["status"] == "passed" and verified["environment"]["python"].startswith("3.8")
    assert verified["environment"]["versions"]["numpy"].startswith("1.17")
    dice = {row["name"]: row["accuracy"]["dice"]["mean"] for row in verified["engines"]}
    for row in run.report.engines:
        assert dice[row.name] == pytest.approx(row.accuracy.dice.mean, abs=2e-3)
