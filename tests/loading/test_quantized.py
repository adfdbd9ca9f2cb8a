"""Graphs that come quantized: built as they are, never called float, and stripped where that is asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.backends.onnxruntime import reference
from edge.cli.app import app
from edge.errors import InputError
from edge.fusion.driver import Fused, rewritten
from edge.graph.model import Model
from edge.loading.quantized import announced, dequantized, on_products
from edge.pipeline import deploy
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.report.store import read_report
from edge.task.noise import noise_batch
from tests.fixtures.command import edge
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


def test_a_relu_that_a_grid_stands_for_comes_back(tmp_path: Path) -> None:
    """ONNX Runtime's quantizer drops a ReLU whose Q begins at 0; here by hand, on the first one."""
    import onnx

    source = authored()
    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    relu = next(node for node in proto.graph.node if node.op_type == "Relu")
    after = [node for node in proto.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == relu.output[0]]
    assert len(after) == 1
    zero = next(t for t in proto.graph.initializer if t.name == after[0].input[2])
    scale = next(t for t in proto.graph.initializer if t.name == after[0].input[1])
    wide = 2 * onnx.numpy_helper.to_array(scale)  # as large a range, all of it above 0
    scale.CopyFrom(onnx.numpy_helper.from_array(wide.astype(np.float32), scale.name))
    zero.CopyFrom(onnx.numpy_helper.from_array(np.array(0, np.uint8), zero.name))
    after[0].input[0] = relu.input[0]
    proto.graph.node.remove(relu)
    model = dequantized(dataclasses.replace(source, proto=proto))
    assert "Clip" in {node.op_type for node in model.proto.graph.node}
    image = noise_batch(TASK)
    exact = reference(disc_network()).run(image)
    np.testing.assert_allclose(reference(model).run(image), exact, atol=0.05 * np.abs(exact).max())


def test_a_float_graph_has_nothing_to_strip() -> None:
    assert announced(disc_network()).notes == ()
    with pytest.raises(InputError, match="nothing to dequantize"):
        dequantized(disc_network())


def test_pairs_stay_on_operands_of_convolutions_alone() -> None:
    import onnx

    source = authored()
    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    relu = next(node for node in proto.graph.node if node.op_type == "Relu")
    scale = np.float32(0.05)
    proto.graph.initializer.extend(
        [onnx.numpy_helper.from_array(scale, "s"), onnx.numpy_helper.from_array(np.int8(3), "z")]
    )
    at = list(proto.graph.node).index(relu)
    proto.graph.node.insert(at, onnx.helper.make_node("QuantizeLinear", [relu.input[0], "s", "z"], ["q"], "q"))
    proto.graph.node.insert(at + 1, onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["dq"], "dq"))
    relu.input[0] = "dq"
    wider = dataclasses.replace(source, proto=proto)
    kept = on_products(wider)
    assert [n.op_type for n in kept.proto.graph.node] == [n.op_type for n in source.proto.graph.node]
    image = noise_batch(TASK)
    np.testing.assert_array_equal(reference(kept).run(image), reference(source).run(image))


@pytest.mark.slow
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
        # A file that has 8-bit weights saturates a little on x86 without VNNI.
        assert rows["int8"].gate.passed and rows["int8"].accuracy.agreement > 0.95
        assert any("--dequantize strips it" in note for note in report.notes)


@pytest.mark.slow
def test_losses_of_the_author_s_graph_are_against_what_it_was_stripped_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rewrites are chosen depends on the machine; some widen a layer that the author's graph has as well."""
    write_discs(tmp_path / "set", {"train": 4, "val": 4, "test": 20})
    authored().save(tmp_path / "int8.onnx")

    def widened(model: Model, *rest: object) -> Fused:
        fused = rewritten(model, ("odd-widths-in-blocks",))[0]
        assert fused.proto != model.proto
        return Fused(fused, (), 0.0)

    monkeypatch.setattr(deploy, "fuse_for_target", widened)
    words = ("--data", "set", "--out", "run", "--precisions", "fp32,int8", "--gate", "none", "--explain")
    said = edge("deploy", "int8.onnx", "--dequantize", *words, "--seconds", 0.1, folder=tmp_path)
    assert said.returncode == 0, said.stderr
    rows = {row.name: row for row in read_report(tmp_path / "run").engines}
    for name in ("int8", "int8-author"):
        assert {layer.name for layer in rows[name].lost} == {n.name for n in disc_network().proto.graph.node}
        assert min(layer.own_db for layer in rows[name].lost) > 20.0


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("fuse", ("--out", "fused.onnx")),
        ("calibrate", ("--data", "discs", "--out", "ranges.json")),
        ("estimate", ("--target", "jetson-orin-nano-8gb")),
    ],
)
@pytest.mark.slow
def test_a_stage_that_needs_a_float_model_says_how_to_get_one(
    command: str, rest: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    authored().save(tmp_path / "int8.onnx")
    write_discs(tmp_path / "discs", {"train": 4, "val": 2, "test": 2})
    refused = CliRunner().invoke(app, [command, "int8.onnx", *rest])
    assert isinstance(refused.exception, InputError)
    assert "int8.onnx: is quantized already" in str(refused.exception) and "--dequantize" in str(refused.exception)
    taken = CliRunner().invoke(app, [command, "int8.onnx", "--dequantize", *rest])
    assert taken.exit_code == 0, taken.stderr


@pytest.mark.slow
def test_engines_are_checked_against_the_stripped_model_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    authored().save(tmp_path / "int8.onnx")
    write_discs(tmp_path / "discs", {"train": 4, "val": 2, "test": 2})
    line = ["build", "int8.onnx", "--data", "discs", "--target", "cpu", "--precision", "fp32", "--out", "fp32"]
    refused = CliRunner().invoke(app, line)
    assert isinstance(refused.exception, InputError) and "--dequantize" in str(refused.exception)
    assert CliRunner().invoke(app, [*line, "--dequantize"]).exit_code == 0
    check = ["check", "fp32", "--data", "discs", "--reference", "int8.onnx", "--allow-small", "--json"]
    agreements = []
    for more in ([], ["--dequantize"]):
        done = CliRunner().invoke(app, [*check, *more])
        agreements.append(json.loads(done.stdout)[0]["accuracy"]["sqnr_db"])
    assert agreements[1] > 90 > agreements[0]


def test_a_quantized_file_is_said_to_be_one(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["inspect", str(authored().save(tmp_path / "int8.onnx"))])
    assert "--dequantize strips it back" in said.stdout
