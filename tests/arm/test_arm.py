"""What goes to a board runs on aarch64, emulated: the C++ runtime's own tests, the board's half, boards' real paths.

``make arm`` runs this file, and the pixel tests of ``tests/runtime`` with the same programs.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from edge.machine.machine import read_machine
from tests.arm.programs import ROOT
from tests.arm.space import Space, with_files
from tests.machine.test_machine import AGX_ORIN, ORIN_NANO, THOR, XAVIER_NX

_READ = """
import json
from edge.machine.machine import read_machine
print(json.dumps(read_machine().to_json()))
"""


def test_the_runtime_passes_its_own_tests(arm_build: Path) -> None:
    done = _run(["ctest", "--test-dir", str(arm_build), "--output-on-failure"])
    found = re.search(r"100% tests passed, 0 tests failed out of (\d+)", done)
    assert found and int(found[1]) >= 16, done[-4000:]


def test_the_boards_half_passes_its_tests(space: Space) -> None:
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
    told = _run(space.python(*words, "--ignore", "tests/device/test_python38.py"))
    found = re.search(r"(\d+) passed", told)
    assert found and int(found[1]) >= 60 and "failed" not in told, told[-4000:]


def test_its_python_is_aarch64_and_loads_openvino(space: Space) -> None:
    program = "import platform, openvino; print(platform.machine(), openvino.Core().available_devices)"
    assert "aarch64 ['CPU']" in _run(space.python("-c", program))


@pytest.mark.parametrize("tree", (ORIN_NANO, AGX_ORIN, XAVIER_NX, THOR), ids=lambda tree: tree.name)
def test_a_board_is_read_at_its_real_paths(space: Space, tree: Path, tmp_path: Path) -> None:
    board = with_files(space, tree, tmp_path / "board")
    found = json.loads(_run(board.python("-c", _READ)).splitlines()[-1])
    assert found == json.loads(json.dumps(read_machine(tree, "aarch64").to_json()))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
