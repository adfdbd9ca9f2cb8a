"""The published measurements: where each is from, and how far the fit to the others is off for a network."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge.latency.published import expect, left_out_errors, measurements
from tests.fixtures.discs import disc_network


def test_every_measurement_names_its_source() -> None:
    rows = measurements()
    assert len(rows) >= 30 and len({row.network for row in rows}) >= 10 and len({row.device for row in rows}) >= 4
    assert all(row.source.count("https://") == 1 and row.how and row.ms > 0 for row in rows)
    assert max(Counter((r.network, r.device, r.height, r.width) for r in rows).values()) == 1
    (one,) = (r for r in rows if (r.network, r.device, r.height) == ("EfficientViT-B1", "jetson-nano", 512))
    assert one.ms == 110 and one.compute_ms == pytest.approx(2e3 * 3_045_851_136 / 0.472e12)
    assert one.memory_ms == pytest.approx(1e3 * 2 * 92_361_344 / 25.6e9)


def test_a_network_left_out_is_expected_closer_than_by_the_roofline() -> None:
    errors = np.array(left_out_errors())
    roofline = np.array([math.log(row.ms / max(row.compute_ms, row.memory_ms)) for row in measurements()])
    assert math.exp(np.sqrt(np.mean(errors**2))) < 1.6 and math.exp(np.abs(errors).max()) < 3
    assert math.exp(np.sqrt(np.mean(roofline**2))) > 2 and math.exp(np.abs(roofline).max()) > 10


def test_the_interval_holds_nine_of_ten_that_were_left_out() -> None:
    found = expect(10.0, 3.0, "fp16", "jetson-xavier-nx")
    inside = [found.low <= found.ms * math.exp(error) <= found.high for error in left_out_errors()]
    assert 0.85 <= np.mean(inside) <= 0.95 and found.low < found.ms < found.high
    assert found.caution == ""
    beyond = expect(10.0, 3.0, "int8", "jetson-orin-nx-8gb")
    assert "not in int8" in beyond.caution and "none is of jetson-orin-nx-8gb" in beyond.caution


@pytest.mark.slow
def test_an_estimate_is_printed_with_its_interval(tmp_path: Path) -> None:
    disc_network().save(tmp_path / "discs.onnx")
    command = [sys.executable, "-m", "edge.cli.app", "estimate", "discs.onnx", "--target", "jetson-xavier-nx"]
    command += ["--precision", "fp16"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "EXPECTED, not measured" in said and "measurements of 16 networks" in said and "root mean square" in said
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    table = json.loads(done.stdout)
    assert table["expected"]["low"] < table["expected"]["ms"] < table["expected"]["high"]
    assert table["ms"] < table["expected"]["ms"]
