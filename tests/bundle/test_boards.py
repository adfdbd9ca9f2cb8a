"""A bundle on pretend boards: ``edge deploy``, ``edge bundle``, and the bundle's own ``verify`` in its own process.

The board is a recorded tree for ``/proc``, ``/sys`` and ``/etc``; its TensorRT and its GPU are doubles
(``tests/fixtures/tensorrt``). Figures of time are therefore of this machine's CPU, and mean nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.fixtures import tensorrt
from tests.fixtures.bundle_example import picture_set, tiny_unet
from tests.fixtures.tensorrt.install import write_site

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
pytest.importorskip("tensorrt_rtx", reason="deploying for a Jetson asks TensorRT for RTX")

TREES = Path(__file__).parents[1] / "machine" / "trees"
DRIVER = Path(next(iter(tensorrt.__path__))) / "board.py"
slow = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tree", "target", "jetpack", "version", "sm"),
    [
        ("xavier-nx-jetpack-5.1", "jetson-xavier-nx", "5.1", "8.5.2.2", "7.2"),
        pytest.param("orin-nano-jetpack-6.2", "jetson-orin-nano-8gb", "6.2", "10.3.0", "8.7", marks=slow),
        pytest.param("agx-thor-jetpack-7.1", "jetson-agx-thor", "7.1", "10.13.3.9", "11.0", marks=slow),
        pytest.param("agx-orin-jetpack-7.2", "jetson-agx-orin-64gb", "7.2.1", "10.16.1.11", "8.7", marks=slow),
    ],
)
def test_a_bundle_is_verified_on_its_board(
    tree: str, target: str, jetpack: str, version: str, sm: str, tmp_path: Path
) -> None:
    kit = _kit(tmp_path, target, jetpack)
    environment = write_site(tmp_path / "site", version, sm)
    done = _verify(kit, tree, environment)
    assert done.returncode == 0, done.stderr
    report = json.loads((kit / "run" / "report.json").read_text())
    assert report["status"] == "passed" and report["chosen"] in {row["name"] for row in report["engines"]}
    assert {row["name"] for row in report["engines"]} >= {"fp32", "fp16", "int8", "int8-fp16"}
    for row in report["engines"]:
        assert row["gate"]["passed"] and not row["simulated"] and row["latency_ms"]["n"] >= 5, row["name"]
        assert row["accuracy"]["parity_db"] > 60
        plan = (kit / "run" / row["path"] / "model.plan").read_bytes()
        assert plan[:4] == b"ftrt" and f"{plan[24]}.{plan[25]}" == ".".join(version.split(".")[:2])
    assert "building" in done.stderr
    again = _verify(kit, tree, environment)
    assert again.returncode == 0 and "building" not in again.stderr and "engine from an earlier run" in again.stderr


@slow
def test_a_board_that_lacks_something_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    kit = _kit(tmp_path, "jetson-xavier-nx", "5.1")
    for name, options, tree, said in (
        ("no-gpu", {"version": "8.5.2.2", "devices": 0}, "xavier-nx-jetpack-5.1", "driver"),
        ("newer", {"version": "10.3.0", "sm": "7.2"}, "xavier-nx-jetpack-5.1", "the graphs were made for 8.5"),
        ("other", {"version": "10.3.0", "sm": "8.7"}, "orin-nano-jetpack-6.2", "the bundle is for Jetson Xavier NX"),
    ):
        done = _verify(kit, tree, write_site(tmp_path / name, **options))
        assert done.returncode == 3 and said in done.stderr and "Traceback" not in done.stderr, (name, done.stderr)
        assert not (kit / "run").exists()


def _kit(tmp_path: Path, target: str, jetpack: str) -> Path:
    model, data = tiny_unet().save(tmp_path / "tiny.onnx"), picture_set(tmp_path / "set")
    _edge("deploy", model, "--data", data, "--target", target, "--jetpack", jetpack, "--gate", "99",
          "--calibration-images", "16", "--out", tmp_path / "run")  # fmt: skip
    _edge("bundle", tmp_path / "run", "--target", target, "--jetpack", jetpack, "--out", tmp_path / "kit.tar.gz")
    with tarfile.open(tmp_path / "kit.tar.gz") as archive:
        archive.extractall(tmp_path / "kit", filter="data")
    return tmp_path / "kit"


def _edge(*words: object) -> None:
    line = [sys.executable, "-m", "edge.cli.app", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr


def _verify(kit: Path, tree: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(DRIVER), str(TREES / tree), "verify", "--seconds", "0.05", "--min-runs", "5"]
    return subprocess.run(line, cwd=kit, env=environment, capture_output=True, text=True, check=False)
