"""FP16 inside norms: what would overflow stays FP32 with its reason, and a simulation shows what half would do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.backends.onnxruntime import reference
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half import stays_float, to_half
from edge.quantization.half_range import beyond_half, over_lowered, watched
from edge.quantization.half_steps import in_half_steps
from edge.quantization.ranges import Ranges
from tests.fixtures.graph_builder import Builder

NORMS = {
    "InstanceNormalization": {},
    "LayerNormalization": {"axis": -1},
}


def normed(loud: float, op: str = "InstanceNormalization") -> tuple[Model, list[np.ndarray]]:
    """A convolution whose output reaches about ``loud``, a norm that undoes it, a head."""
    b = Builder(3)
    x = b.op("Conv", "x", b.weight(loud * b.rng.uniform(-0.2, 0.2, (4, 3, 1, 1))))
    size = 16 if op == "LayerNormalization" else 4
    x = b.op(op, x, b.random(size, low=0.5), b.random(size), **NORMS[op])
    return b.model(b.conv(x, 4, 1)), b.inputs()


def learned(model: Model, inputs: list[np.ndarray]) -> Ranges:
    return calibrate(model, inputs, [*quantizable(model), *watched(model)])


@pytest.mark.parametrize("op", NORMS)
def test_a_norm_whose_squares_overflow_stays_float_and_says_so(op: str) -> None:
    model, inputs = normed(3000.0, op)
    kept = beyond_half(model, learned(model, inputs))
    assert list(kept) == ["n1"] and kept["n1"].startswith("squares inside it reach ")
    half = to_half(model, kept)
    assert stays_float(model, kept)["n1"] == kept["n1"]
    exact = np.concatenate([reference(model).run(x) for x in inputs])
    outputs = np.concatenate([reference(in_half_steps(half)).run(x) for x in inputs])
    np.testing.assert_allclose(outputs, exact, atol=2e-2)


def test_a_quiet_norm_is_half_and_its_steps_are_near() -> None:
    model, inputs = normed(10.0)
    assert beyond_half(model, learned(model, inputs)) == {}
    steps = in_half_steps(to_half(model))
    onnx.checker.check_model(steps.proto, full_check=True)
    assert "InstanceNormalization" not in {n.op_type for n in steps.proto.graph.node}
    for x in inputs:
        np.testing.assert_allclose(reference(steps).run(x), reference(model).run(x), atol=2e-2)


def test_the_simulation_shows_what_a_norm_in_half_would_do() -> None:
    model, inputs = normed(3000.0)
    careless = to_half(model)
    exact = reference(model).run(inputs[0])
    kernel, steps = (reference(graph).run(inputs[0]) for graph in (careless, in_half_steps(careless)))
    np.testing.assert_allclose(kernel, exact, atol=2e-2)  # float32 inside the kernel hides it
    assert np.abs(steps - exact).max() > 0.1 * np.abs(exact).max()


def test_softmax_in_half_steps_sums_to_one() -> None:
    b = Builder(3)
    model = b.model(b.op("Softmax", b.conv("x", 3, 4), axis=1))
    steps = in_half_steps(to_half(model))
    assert {"Exp", "ReduceMax", "ReduceSum"} <= {n.op_type for n in steps.proto.graph.node}
    for x in b.inputs():
        np.testing.assert_allclose(reference(steps).run(x), reference(model).run(x), atol=2e-3)


def test_a_mean_over_many_large_values_stays_float() -> None:
    b = Builder(3, size=64)
    model = b.model(b.op("GlobalAveragePool", b.op("Add", "x", b.weight([20.0]))))
    kept = beyond_half(model, learned(model, b.inputs()))
    assert kept.keys() == {"n1"} and "the sum inside it reaches" in kept["n1"]


def test_the_parts_of_a_lowered_node_stay_float_with_it() -> None:
    b = Builder(3)
    model = b.model(b.op("Relu", "x"))
    model.proto.graph.node[0].name = "n1.norm"
    assert over_lowered({"n1": "because"}, model)["n1.norm"] == "because"
