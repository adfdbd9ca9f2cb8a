"""ONNX Runtime: the reference does what the graph says, the backend counts what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge.backends import find_backend
from edge.backends.engine import Candidate, ConvCounts, read_engine
from edge.backends.onnxruntime import Intermediates, OnnxRuntime, reference
from edge.backends.session import count_convolutions, open_session
from edge.errors import InputError
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from tests.fixtures.small_unet import images, small_unet

CPU = find_target("cpu")


def test_engine_round_trip(tmp_path: Path) -> None:
    model, backend = small_unet(), find_backend("onnxruntime")
    backend.build(Candidate("fp32", "fp32", "fp32", model), CPU, tmp_path)
    engine = read_engine(tmp_path)
    assert engine.convs == ConvCounts(fp32=13)
    runner = backend.load(engine, threads=1)
    batch = np.concatenate(images(2, "val"))
    assert np.abs(runner.run(batch) - reference(model).run(batch)).max() < 1e-4
    assert runner.conditions()["graph_optimization"] == "all"


def test_a_closed_runner_says_so() -> None:
    runner, batch = reference(small_unet()), images(1)[0]
    runner.run(batch)
    runner.close()
    runner.close()
    for run in (runner.run, runner.time):
        with pytest.raises(InputError, match=r"^the engine: was closed.*; load it again$"):
            run(batch)


def test_convolutions_are_counted_as_they_run() -> None:
    model = small_unet()
    scheme = SCHEMES["openvino-identical"]
    graph = quantize(model, calibrate(model, images(2), method="min-max"), plan_int8(model, scheme), scheme)
    # It fuses an INT8 convolution only where the bias is int32 as well; these have float ones and run in FP32.
    assert count_convolutions(graph.proto.SerializeToString()) == ConvCounts(fp32=13)


def test_the_reference_is_not_optimized_and_names_its_output() -> None:
    runner = reference(small_unet())
    assert runner.conditions()["graph_optimization"] == "off"
    assert runner.run(images(1)[0]).shape == (1, 1, 64, 64)


@pytest.mark.parametrize(("dtype", "zero", "steps"), [("int8", 0, 127), ("uint8", 0, 255), ("uint8", 128, 127)])
def test_products_of_8_bits_do_not_saturate(dtype: str, zero: int, steps: int) -> None:
    rng = np.random.default_rng(0)
    weights = {
        "step": np.float32(1 / steps), "zero": np.array(zero, dtype), "levels": rng.integers(64, 128, (64, 8), np.int8),
        "steps": np.full(8, 1 / 127, np.float32), "zeros": np.zeros(8, np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["levels", "steps", "zeros"], ["weight"], axis=1),
        helper.make_node("MatMul", ["rounded", "weight"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 4, k]) for n, k in (("x", 64), ("y", 8)))
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "product", [x], [y], stored)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    image = rng.uniform(0.5, 1.0, (1, 4, 64)).astype(np.float32)
    fast, exact = (open_session(proto, 1, optimize).run(None, {"x": image})[0] for optimize in (True, False))
    np.testing.assert_allclose(fast, exact, rtol=1e-4)  # saturated, they are a third apart


def test_intermediate_tensors() -> None:
    values = Intermediates(small_unet(), ["relu", "image"]).run(images(1)[0])
    assert values["relu"].shape == (1, 8, 64, 64) and values["relu"].min() == 0.0
    assert np.array_equal(values["image"], images(1)[0])


def test_silent_floats_are_refused_and_faults_are_one_sentence() -> None:
    assert OnnxRuntime().refusal("fp16", CPU) and OnnxRuntime().refusal("bf16", CPU)
    assert OnnxRuntime().refusal("int8", CPU) is None
    model = small_unet()
    proto = type(model.proto).FromString(model.proto.SerializeToString())
    proto.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(InputError, match=r"^broken.onnx: ONNX Runtime refuses the graph"):
        reference(Model(proto, model.task, "broken", "broken.onnx"))
