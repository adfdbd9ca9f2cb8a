"""The minimal graphs of what OpenVINO does not do: each is a sound graph, and has a row."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest

from benchmarks import openvino_limits


def test_every_graph_is_compiled_compared_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, graphs = tmp_path / "limits.json", tmp_path / "graphs"
    monkeypatch.setattr(sys, "argv", ["openvino_limits", "--out", str(out), "--write", str(graphs)])
    openvino_limits.main()
    rows = json.loads(out.read_text())["limits"]
    assert set(rows) == {limit.name for limit in openvino_limits.LIMITS} == {p.stem for p in graphs.iterdir()}
    for name, row in rows.items():
        onnx.checker.check_model(onnx.load(graphs / f"{name}.onnx"))
        assert f"| `{name}` |" in out.with_suffix(".md").read_text() and row["kernels"]
    assert rows["residual-add-in-float"]["parity_db"] > 100


def test_a_graph_that_is_not_sound_is_not_compiled() -> None:
    with pytest.raises(onnx.checker.ValidationError):
        openvino_limits.Limit("unbound", "y = Conv (x, nothing)\n", "y", "", "").graph()
