"""Graphs that come quantized: built as they are, never called float, and stripped where that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.backends.onnxruntime import reference
from edge.cli.app import app
from edge.errors import InputError
from edge.graph.model import Model
from edge.loading.quantized import announced, dequantized
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.report import read_report
from edge.task.noise import noise_batch
from tests.fixtures.discs import TASK, disc_network, write_discs


def authored() -> Model:
    """The disc network in INT8, as another tool might leave it."""
    model = disc_network()
    ranges = calibrate(model, [noise_batch(TASK, seed) for seed in range(4)])
    scheme = find_scheme("openvino")
    return quantize(model, ranges, plan_int8(model, scheme), scheme)


def test_stripping_leaves_a_float_graph_near_the_original() -> None:
    model = dequantized(authored())
    assert not model.quantized and model.author is not None and model.author.quantized
    assert [n.op_type for n in model.proto.graph.node] == [n.op_type for n in disc_network().proto.graph.node]
    image = noise_batch(TASK)
    exact = reference(disc_network()).run(image)
    np.testing.assert_allclose(reference(model).run(image), exact, atol=0.02 * np.abs(exact).max())


def test_a_float_graph_has_nothing_to_strip() -> None:
    assert announced(disc_network()).notes == ()
    with pytest.raises(InputError, match="nothing to dequantize"):
        dequantized(disc_network())


@pytest.mark.parametrize("strip", [False, True])
def test_a_deployment_of_a_quantized_file(strip: bool, tmp_path: Path) -> None:
    root = write_discs(tmp_path / "set", {"train": 4, "val": 4, "test": 20})
    path = authored().save(tmp_path / "int8.onnx")
    out = tmp_path / "run"
    arguments = ["deploy", str(path), "--data", str(root), "--out", str(out), "--precisions", "fp32,int8"]
    more = ["--budget", "1", "--seconds", "0.1", "--gate", "none", *(["--dequantize"] if strip else [])]
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, result.output
    report = read_report(out)
    rows = {row.name: row for row in report.engines}
    if strip:
        assert {"fp32", "int8", "int8-author"} <= rows.keys() and rows["fp32"].path is not None
        assert any("stripped" in note for note in report.notes)
    else:
        assert rows["fp32"].path is None and "quantized already" in rows["fp32"].gate.reasons[0]
        assert rows["int8"].gate.passed and rows["int8"].accuracy.agreement > 0.99
        assert any("--dequantize strips it" in note for note in report.notes)
