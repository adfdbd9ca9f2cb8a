"""What goes to a board runs on aarch64, emulated: the C++ runtime's own tests, the board's half, boards' real paths.

``make arm`` runs this file, and the pixel tests of ``tests/runtime`` with the same programs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from edge.api.bundle import bundle
from edge.api.deploy import deploy
from edge.backends.engine import read_engine
from edge.machine.machine import read_machine
from edge.report.store import read_report
from tests.arm.programs import ROOT
from tests.arm.space import Space, with_files
from tests.fixtures.discs import disc_network, write_discs
from tests.machine.test_machine import AGX_ORIN, ORIN_NANO, THOR, XAVIER_NX

DEVICE_SUITE = (
    "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "tests/device", "tests/machine/test_machine.py",
    "--ignore", "tests/device/test_python38.py",
)  # fmt: skip
_COUNT = """
import json, sys
from edge.backends.openvino.network import DEVICE, compile_network, core, count_convolutions, read_network
from edge.backends.openvino.runner import capabilities
compiled = compile_network(read_network(open(sys.argv[1], "rb").read()), "fp32", 1)
listed = core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
print(json.dumps({"listed": listed, "able": sorted(capabilities()), "convs": vars(count_convolutions(compiled))}))
"""
_READ = """
import json
from edge.machine.machine import read_machine
print(json.dumps(read_machine().to_json()))
"""


def test_the_runtime_passes_its_own_tests(arm_build: Path) -> None:
    done = _run(["ctest", "--test-dir", str(arm_build), "--output-on-failure"])
    found = re.search(r"100% tests passed, 0 tests failed out of (\d+)", done)
    assert found and int(found[1]) >= 16, done[-4000:]


@pytest.mark.parametrize("which", ("space", "old_space"))
def test_the_boards_half_passes_its_tests(which: str, request: pytest.FixtureRequest) -> None:
    told = _run(request.getfixturevalue(which).python(*DEVICE_SUITE))
    found = re.search(r"(\d+) passed", told)
    assert found and int(found[1]) >= 60 and "failed" not in told, told[-4000:]


def test_an_arm_bundle_is_verified_by_emulated_arm(arm_bundle: Path, space: Space) -> None:
    """Packed on x86-64: float graphs are built by OpenVINO there, INT8 by ONNX Runtime, with its INT8 kernels."""
    verified = verify(space, arm_bundle)
    rows = {row["name"]: row for row in verified["engines"]}
    assert {name: row["backend"] for name, row in rows.items()} == {
        "fp32": "openvino", "fp16": "openvino", "int8": "onnxruntime",
    }  # fmt: skip
    assert verified["status"] == "passed" and verified["environment"]["machine"]["architecture"] == "aarch64"
    convs = {name: read_engine(arm_bundle / "run" / rows[name]["path"]).convs for name in rows}
    assert convs["fp32"].fp32 == convs["fp16"].fp16 == 3 and convs["int8"].int8 >= 1
    assert_same_dice(verified, arm_bundle.parent / "run")


def test_openvino_runs_int8_in_fp32_on_arm(arm_bundle: Path, space: Space) -> None:
    """Why INT8 is not OpenVINO's there: its compiled graph says so, while it lists INT8 among what it can."""
    found = json.loads(_run(space.python("-c", _COUNT, arm_bundle / "candidates/int8/graph.onnx")).splitlines()[-1])
    assert "INT8" in found["listed"] and "INT8" not in found["able"]
    assert found["convs"]["int8"] == 0 and found["convs"]["fp32"] == 3


def test_an_x86_bundle_is_refused_there(cpu_run: Path, space: Space, tmp_path: Path) -> None:
    folder = unpacked(cpu_run, "cpu", tmp_path)
    done = subprocess.run(
        space.python("-m", "edge_bundle", "verify"), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3 and "this machine is aarch64" in done.stderr and done.stderr.count("\n") <= 2


def test_its_python_is_aarch64_and_loads_openvino(space: Space) -> None:
    program = "import platform, openvino; print(platform.machine(), openvino.Core().available_devices)"
    assert "aarch64 ['CPU']" in _run(space.python("-c", program))


@pytest.mark.parametrize("tree", (ORIN_NANO, AGX_ORIN, XAVIER_NX, THOR), ids=lambda tree: tree.name)
def test_a_board_is_read_at_its_real_paths(space: Space, tree: Path, tmp_path: Path) -> None:
    board = with_files(space, tree, tmp_path / "board")
    found = json.loads(_run(board.python("-c", _READ)).splitlines()[-1])
    assert found == json.loads(json.dumps(read_machine(tree, "aarch64").to_json()))


@pytest.fixture(scope="module")
def arm_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked bundle for ARM CPUs; its run lies beside it."""
    root = tmp_path_factory.mktemp("arm")
    write_discs(root / "discs", {"train": 6, "val": 4, "test": 24})
    disc_network().save(root / "discs.onnx")
    deploy(root / "discs.onnx", root / "discs", target="cpu-arm64", out=root / "run")
    return unpacked(root / "run", "cpu-arm64", root)


def unpacked(run: Path, target: str, root: Path) -> Path:
    with tarfile.open(bundle(run, target=target, out=root / "kit.tar.gz").path) as archive:
        archive.extractall(root / "kit", filter="data")
    (folder,) = (path.parent for path in (root / "kit").rglob("manifest.json"))
    return folder


def verify(space: Space, folder: Path) -> Any:
    """The report of ``edge_bundle verify``, from nothing."""
    for name in ("run", "work"):
        shutil.rmtree(folder / name, ignore_errors=True)
    command = space.python("-m", "edge_bundle", "verify", "--seconds", "0.05")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads((folder / "run" / "report.json").read_text())


def assert_same_dice(verified: Any, run: Path) -> None:
    """Of every engine that was built there, within what FP16 and another order of sums make."""
    here = {row.name: row.accuracy.dice.mean for row in read_report(run).engines}
    there = {row["name"]: row["accuracy"]["dice"]["mean"] for row in verified["engines"] if row["accuracy"]}
    assert there == pytest.approx({name: here[name] for name in there}, abs=2e-3) and len(there) >= 2


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
