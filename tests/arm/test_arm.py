"""What goes to a board runs on aarch64, emulated: the C++ runtime's own tests, the board's half, boards' real paths.

``make arm`` runs this file, and the pixel tests of ``tests/runtime`` with the same programs.
"""

from __future__ import annotations

import json
import re
import shlex
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
from tests.fixtures.command import edge
from tests.fixtures.discs import write_disc_case
from tests.fixtures.sshd import SSHD, WHY_NOT, ssh_board
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


def test_an_arm_bundle_is_verified_by_the_oldest_python_there_is(arm_bundle: Path, old_space: Space) -> None:
    """It has no ONNX Runtime: INT8 is refused with what to install, rather than run in FP32 by OpenVINO."""
    verified = verify(old_space, arm_bundle)
    rows = {row["name"]: row for row in verified["engines"]}
    assert verified["status"] == "passed" and verified["environment"]["machine"]["architecture"] == "aarch64"
    assert verified["environment"]["python"].startswith("3.9")
    assert verified["environment"]["versions"]["numpy"].startswith("1.19")
    assert rows["int8"]["accuracy"] is None and "pip install onnxruntime" in rows["int8"]["gate"]["reasons"][0]
    assert_same_dice(verified, arm_bundle.parent / "run")


@pytest.mark.skipif(SSHD is None, reason=WHY_NOT)
def test_an_arm_board_is_deployed_to_over_ssh(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's sshd, whose ``python3`` is emulated: it says what it is, and engines are built there."""
    place = write_disc_case(tmp_path)
    emulator, *words = space.python()
    words = [str(shutil.which(emulator)), *words]  # the board's PATH holds its python3 alone
    (python := tmp_path / "python3").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    python.chmod(0o755)
    with ssh_board(tmp_path / "board", str(python)) as board:
        monkeypatch.setenv("HOME", str(board.client))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        options = ("--precisions", "fp32,fp16,int8", "--seconds", "0.05", "--budget", "0", "--out", "run", "--quiet")
        done = edge("deploy", "discs.onnx", "--data", "discs", "--on", board.address, *options, folder=place)
        assert done.returncode == 0, done.stderr
        assert list((board.home / ".cache/segedge/runs").iterdir()) == []
    report = read_report(place / "run")
    assert report.status == "passed" and report.target["name"] == "cpu-arm64"
    assert report.environment["machine"]["architecture"] == "aarch64"
    rows = {row.name: row for row in report.engines}
    assert {name: row.backend for name, row in rows.items()} == {
        "fp32": "openvino", "fp16": "openvino", "int8": "onnxruntime",
    }  # fmt: skip
    for row in rows.values():
        assert row.path is not None and row.accuracy is not None and row.latency_ms is not None
        engine = read_engine(place / "run" / row.path)
        assert engine.runs_on == {"device": "CPU", "architecture": "aarch64"}
        assert row.latency_ms.conditions["board"] == board.address
    assert rows["fp32"].accuracy.dice.mean == pytest.approx(report.reference.dice, abs=2e-3)
    done = edge("profile", place / "run" / "engines" / "fp32", "--seconds", "0.01", "--quiet")
    assert done.returncode == 3 and "aarch64" in done.stderr, done.stderr


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
    root = write_disc_case(tmp_path_factory.mktemp("arm"))
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
