"""A peer's quantized graph is an earlier run's only where source and images are the same and that was asked for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from benchmarks.peers import quantized
from benchmarks.peers.arguments import peer_names
from benchmarks.peers.quantize_aimet import signed
from benchmarks.peers.setting import Setting
from edge.backends.session import open_session
from tests.fixtures.discs import disc_network


def _setting(folder: Path) -> Setting:
    model = disc_network()
    images = folder / "calibration.npy"
    shape = (4, model.task.in_channels, *model.task.size)
    np.save(images, np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    return Setting(
        "onnxruntime-int8",
        "",
        model.save(folder / "source.onnx"),
        model.output_name,
        images,
        folder,
        folder,
        folder,
        1,
        {},
    )


def test_a_graph_is_taken_again_for_the_same_source_and_images_only(tmp_path: Path) -> None:
    setting = _setting(tmp_path)
    path = quantized.by_onnxruntime(setting)
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)
    path.write_bytes(b"an earlier run's")
    assert quantized.by_onnxruntime(replace(setting, reuse=True)).read_bytes() == b"an earlier run's"
    np.save(setting.calibration, np.load(setting.calibration) * 2)
    assert quantized.by_onnxruntime(replace(setting, reuse=True)).read_bytes() != b"an earlier run's"
    path.write_bytes(b"an earlier run's")
    assert quantized.by_onnxruntime(setting).read_bytes() != b"an earlier run's"


def test_a_graph_made_elsewhere_needs_an_interpreter_and_says_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="--python aimet=PATH"):
        quantized.elsewhere(_setting(tmp_path), "aimet")


def test_a_variant_of_a_peer_is_asked_of_its_script_and_kept_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho "$5" > "$4"\n')
    script.chmod(0o755)
    setting = replace(_setting(tmp_path), pythons={"aimet": str(script)})
    written = {variant: quantized.elsewhere(setting, "aimet", variant=variant) for variant in ("", "symmetric")}
    assert {variant: path.read_text().strip() for variant, path in written.items()} == {v: v for v in written}


def test_peers_are_chosen_by_name() -> None:
    assert peer_names("openvino-fp32,aimet-int8") == ["openvino-fp32", "aimet-int8"]
    with pytest.raises(argparse.ArgumentTypeError, match="openvino-fp8: no such peer"):
        peer_names("openvino-fp8")


def test_symmetric_grids_around_128_are_written_around_0() -> None:
    rng = np.random.default_rng(0)
    stored = {"step": np.float32(0.1), "zero": np.uint8(128)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "step", "zero"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1000]) for name in ("x", "y"))
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "grid", [x, y][:1], [y], weights),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    values = rng.uniform(-12.7, 12.7, (1, 1000)).astype(np.float32)
    around_128 = open_session(model.SerializeToString(), 1, False).run(None, {"x": values})[0]
    around_0 = open_session(signed(model).SerializeToString(), 1, False).run(None, {"x": values})[0]
    assert [numpy_helper.to_array(tensor).dtype for tensor in model.graph.initializer] == [np.float32, np.int8]
    assert np.array_equal(around_0, around_128) and len(np.unique(around_0)) > 200
