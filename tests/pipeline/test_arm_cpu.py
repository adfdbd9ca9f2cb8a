"""An ARM CPU as a target of a workstation that is none: what it says, and what its bundle is for."""

from __future__ import annotations

import json
import platform
import tarfile
from pathlib import Path

import pytest

from edge.backends.arm.compiler import ONNXRUNTIME, missing
from edge.device.manifest import read_manifest
from edge.device.preflight import require_target
from edge.errors import MachineError
from edge.machine.machine import read_machine
from tests.fixtures.command import edge
from tests.fixtures.discs import write_disc_case

pytestmark = pytest.mark.usefixtures("without_plots")

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="this machine is the target")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disc_case(tmp_path_factory.mktemp("arm"))


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (found,) = (path.parent for path in folder.rglob("manifest.json"))
    return found


@on_x86
def test_an_arm_cpu_is_deployed_for_from_x86(place: Path) -> None:
    made = edge("deploy", "discs.onnx", "--data", "discs", "--target", "cpu-arm64", "--out", "run", folder=place)
    assert made.returncode == 0, made.stderr
    report = json.loads((place / "run" / "report.json").read_text())
    assert report["status"] == "unconfirmed"
    rows = {row["name"]: (row["precision"], row["backend"], row["latency_ms"]) for row in report["engines"]}
    assert rows == {
        "fp32": ("fp32", "openvino", None),
        "fp16": ("fp16", "openvino", None),
        "int8": ("int8", "onnxruntime", None),
    }
    assert any("OpenVINO runs INT8 convolutions in FP32 on ARM" in note for note in report["notes"])
    assert not any("TensorRT" in note for note in report["notes"])

    packed = edge("bundle", "run", "--target", "cpu-arm64", "--out", "kit.tar.gz", folder=place)
    assert packed.returncode == 0, packed.stderr
    refused = edge("verify", "kit.tar.gz", folder=place)
    assert refused.returncode == 3 and "this machine is x86_64" in refused.stderr
    assert "the bundle is for the CPU of an aarch64 machine" in refused.stderr
    folder = unpacked(place / "kit.tar.gz", place / "kit")
    require_target(read_manifest(folder), read_machine(architecture="aarch64"))
    assert "onnxruntime==" in (folder / "README.md").read_text()


@pytest.mark.slow
@on_x86
def test_an_x86_bundle_is_refused_on_arm(place: Path) -> None:
    line = ("deploy", "discs.onnx", "--data", "discs", "--precisions", "fp32", "--seconds", "0.01", "--out", "near")
    assert edge(*line, folder=place).returncode == 0
    assert edge("bundle", "near", "--target", "cpu", "--out", "near.tar.gz", folder=place).returncode == 0
    manifest = read_manifest(unpacked(place / "near.tar.gz", place / "near-kit"))
    with pytest.raises(MachineError, match=r"this machine is aarch64 .*, the bundle is for the CPU of an x86_64"):
        require_target(manifest, read_machine(architecture="aarch64"))


@pytest.mark.parametrize(
    ("precision", "able", "words"),
    [
        ("fp32", {"FP32"}, None),
        ("fp16", {"FP32", "FP16"}, None),
        ("fp16", {"FP32"}, "no FP16 arithmetic: OpenVINO would silently run FP32"),
        ("bf16", {"FP32", "FP16"}, "no BF16 arithmetic"),
        ("int8", {"FP32", ONNXRUNTIME}, None),
        ("int8", {"FP32", "INT8"}, "OpenVINO runs INT8 convolutions in FP32 on ARM, and ONNX Runtime"),
        ("mixed", {"FP32"}, "is not installed there"),
    ],
)
def test_what_would_run_in_another_precision_is_refused(precision: str, able: set[str], words: str | None) -> None:
    found = missing(precision, able)
    assert found is None if words is None else found is not None and words in found
