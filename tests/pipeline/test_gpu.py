"""``edge deploy --target gpu`` by the user's own command, on the double of TensorRT: our half of the conversation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.backends.engine import read_engine
from edge.report.store import read_report
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.tensorrt.install import write_site


@pytest.mark.slow
@pytest.mark.parametrize("version", ["8.6.1", "10.16.1.11"])
def test_the_whole_pipeline_is_measured_on_this_machine_s_gpu(version: str, tmp_path: Path) -> None:
    write_discs(tmp_path / "discs", {"train": 4, "val": 4, "test": 22})
    disc_network().save(tmp_path / "discs.onnx")
    environment = write_site(tmp_path / "site", version, sm="8.6", title="NVIDIA RTX A6000")
    words = ("deploy", tmp_path / "discs.onnx", "--data", tmp_path / "discs", "--target", "gpu", "--seconds", 0.05)
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli.app", *map(str, words), "--budget", "20", "--out", str(tmp_path / "run")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "run")
    assert report.status == "passed" and report.target["title"].startswith("NVIDIA RTX A6000")
    assert report.target["facts"]["sm"]["value"] == "8.6"
    chosen = report.engine(str(report.chosen))
    assert chosen.backend == "tensorrt" and not chosen.simulated and chosen.latency_ms is not None
    assert chosen.path is not None and read_engine(tmp_path / "run" / chosen.path).artefact == "model.plan"
    assert {row.precision for row in report.engines} == {"fp32", "fp16", "int8", "mixed"}
