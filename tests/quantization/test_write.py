"""Q/DQ graphs: where the pairs go, on which grid, and that OpenVINO then computes what the graph says."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.accuracy.sqnr import sqnr_db
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.backends.openvino.backend import OpenVino
from edge.errors import InputError
from edge.graph.model import Model
from edge.machine.machine import read_machine
from edge.quantization.calibrate import calibrate
from edge.quantization.grid import WEIGHT_STEPS, grid_for, quantize_weight
from edge.quantization.plan import FLOAT, INT8, PrecisionPlan, read_plan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES, find_scheme, openvino_scheme, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from tests.fixtures.small_unet import images, small_litenext, small_unet

NETWORKS = {"small_unet": small_unet, "small_litenext": small_litenext}


# What most exporters write for OpenVINO: signed everywhere. Its masks look plausible and its numbers are wrong next to
# every Concat.
NAIVE = replace(SCHEMES["openvino-identical"], name="naive", grids=SCHEMES["tensorrt"].grids)


@cache
def _ranges(name: str) -> Ranges:
    return calibrate(NETWORKS[name](), images(), method="mse")


# What this CPU's weights may have: OpenVINO computes what a graph says up to there.
_STEPS = openvino_scheme(read_machine().architecture, read_machine().isa).weight_steps


@cache
def _quantized(name: str, scheme: str, weight_steps: int = WEIGHT_STEPS) -> Model:
    model, rules = NETWORKS[name](), replace({**SCHEMES, "naive": NAIVE}[scheme], weight_steps=weight_steps)
    return quantize(model, _ranges(name), plan_int8(model, rules), rules)


@cache
def _parity(name: str, scheme: str) -> tuple[float, np.ndarray]:
    """Decibels of OpenVINO against unoptimized ONNX Runtime on the same graph, and OpenVINO's outputs."""
    graph, batch = _quantized(name, scheme, _STEPS), np.concatenate(images(6, "val"))
    with tempfile.TemporaryDirectory() as folder:
        engine = OpenVino().build(Candidate("int8", "int8", "fp32", graph), find_target("cpu"), Path(folder))
        outputs = OpenVino().load(engine).run(batch)
    return sqnr_db(reference(graph).run(batch), outputs), outputs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scheme", ["openvino", "openvino-identical"])
@pytest.mark.slow
def test_openvino_computes_what_the_graph_says(name: str, scheme: str) -> None:
    assert _parity(name, scheme)[0] >= 30.0


@pytest.mark.parametrize("name", NETWORKS)
def test_the_naive_dialect_is_caught_by_parity_alone(name: str) -> None:
    decibels, outputs = _parity(name, "naive")
    right = _parity(name, "openvino")[1]
    assert decibels < 30.0
    # Nothing else would show it: the shape is right, the values are finite and of the usual size.
    assert outputs.shape == right.shape and np.isfinite(outputs).all()
    assert 0.3 < outputs.std() / right.std() < 3.0
    # And ONNX Runtime runs that same file correctly, so the file is not at fault.
    batch = np.concatenate(images(6, "val"))
    graphs = [reference(_quantized(name, scheme, _STEPS)).run(batch) for scheme in ("naive", "openvino-identical")]
    assert sqnr_db(*graphs) > 60.0


def test_every_pair_names_axis_and_zero_point_and_weights_are_int8() -> None:
    proto = _quantized("small_unet", "openvino").proto
    onnx.checker.check_model(proto, full_check=True)
    weights = {w.name: numpy_helper.to_array(w) for w in proto.graph.initializer}
    pairs = [n for n in proto.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) == 13 * 2 + 13  # thirteen tensors, thirteen weights
    for node in pairs:
        assert len(node.input) == 3 and [a.name for a in node.attribute] == ["axis"]
    axes = {}
    for node in proto.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            maker = next(n for n in pairs if n.output[0] == node.input[1])
            levels, scale, zero = (weights[name] for name in maker.input)
            axes[node.op_type] = maker.attribute[0].i
            assert levels.dtype == np.int8 and levels.min() >= -127 and not zero.any()
            assert scale.shape == zero.shape == (levels.shape[maker.attribute[0].i],)
            assert weights[node.input[2]].dtype == np.float32
    assert axes == {"Conv": 0, "ConvTranspose": 1}
    assert not any(w.dtype == np.float32 and w.ndim == 4 for w in weights.values())  # no float copy is left


def test_one_pair_a_tensor_however_many_read_it() -> None:
    proto = _quantized("small_litenext", "openvino").proto
    rounded = Counter(n.input[0] for n in proto.graph.node if n.op_type == "QuantizeLinear")
    assert max(rounded.values()) == 1
    readers = Counter(i for n in proto.graph.node if n.op_type == "Conv" for i in n.input[:1])
    assert max(readers.values()) > 1


def test_what_meets_in_a_concat_is_rounded_before_it_on_one_grid() -> None:
    proto = _quantized("small_unet", "openvino").proto
    makers = {output: node for node in proto.graph.node for output in node.output}
    for concat in (node for node in proto.graph.node if node.op_type == "Concat"):
        pairs = [makers[name] for name in concat.input]
        assert [pair.op_type for pair in pairs] == ["DequantizeLinear"] * 2
        scales = [numpy_helper.to_array(w) for p in pairs for w in proto.graph.initializer if w.name == p.input[1]]
        assert scales[0] == scales[1]
    for pool in (node for node in proto.graph.node if node.op_type == "MaxPool"):
        assert makers[pool.input[0]].op_type == "DequantizeLinear"


def test_rounding_never_reaches_a_float_node() -> None:
    model, scheme = small_unet(), SCHEMES["openvino"]
    plan = plan_int8(model, scheme)
    concat = next(n for n in model.proto.graph.node if n.op_type == "Concat")
    reader = next(n for n in model.proto.graph.node if concat.output[0] in n.input)
    proto = quantize(model, _ranges("small_unet"), plan.without({reader.name: "test"}), scheme).proto
    after = next(n for n in proto.graph.node if n.output[0] == concat.output[0])
    assert list(after.input) == list(concat.input)


@pytest.mark.parametrize(
    ("scheme", "grids"),
    [
        ("openvino", {("uint8", 0): 8, ("uint8", 128): 4, ("int8", 0): 1}),
        ("openvino-identical", {("uint8", 128): 2, ("int8", 0): 11}),
        ("tensorrt", {("int8", 0): 10}),
        ("naive", {("int8", 0): 13}),
    ],
)
def test_grids_of_each_dialect(scheme: str, grids: dict[tuple[str, int], int]) -> None:
    proto = _quantized("small_unet", scheme).proto
    weights = {w.name: numpy_helper.to_array(w) for w in proto.graph.initializer}
    zeros = [weights[n.input[2]] for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    assert Counter((str(z.dtype), int(z)) for z in zeros) == grids


def test_tensorrt_keeps_transposed_convolutions_float_and_says_so() -> None:
    plan = plan_int8(small_unet(), SCHEMES["tensorrt"])
    assert plan.nodes["decoder.0.up/ConvTranspose"] == FLOAT
    assert plan.reasons["decoder.0.up/ConvTranspose"] == "TensorRT keeps ConvTranspose float"
    assert set(plan.reasons) == {name for name, precision in plan.nodes.items() if precision == FLOAT}


def test_a_plan_is_followed_saved_and_checked(tmp_path: Path) -> None:
    model, scheme = small_unet(), SCHEMES["openvino"]
    plan = plan_int8(model, scheme).without({"encoder.0.0/Conv": "INT8 is 0.9x here"})
    assert read_plan(plan.save(tmp_path / "plan.json")) == plan
    proto = quantize(model, _ranges("small_unet"), plan, scheme).proto
    assert next(n for n in proto.graph.node if n.name == "encoder.0.0/Conv").input[0] == "image"
    with pytest.raises(InputError, match="no node 'ghost'"):
        quantize(model, _ranges("small_unet"), PrecisionPlan({"ghost": INT8}), scheme)
    (tmp_path / "plan.json").write_text('{"schema": "edge.plan/1", "nodes": {"a": "int3"}, "reasons": {}}')
    with pytest.raises(InputError, match="damaged"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(InputError, match="unknown; known are openvino"):
        find_scheme("magic")


def test_grids_represent_zero_and_the_signed_ones_are_equal() -> None:
    signed, shifted = grid_for("int8", -1.0, 3.0, 3.0), grid_for("uint8-128", -1.0, 3.0, 3.0)
    assert (signed.scale, signed.zero) == (shifted.scale, 0) == (3.0 / 127, 0)
    assert shifted.zero == 128
    lopsided = grid_for("uint8-range", -0.17, 6.0, 4.0)
    assert lopsided.scale == pytest.approx(4.17 / 255) and lopsided.zero == round(0.17 / lopsided.scale)
    assert grid_for("uint8", 0.0, 2.0, 2.0).scale == 2.0 / 255
    assert grid_for("int8", 0.0, 0.0, 0.0).scale > 0


def test_weights_round_by_channel_and_dead_channels_stay_zero() -> None:
    weight = np.stack([np.linspace(-1, 1, 9), np.linspace(-100, 50, 9), np.zeros(9)]).astype(np.float32)
    levels, scale = quantize_weight(weight, 0)
    assert levels.min() == -127 and not levels[2].any() and np.isfinite(scale).all()
    assert (np.abs(levels * scale[:, None] - weight).max(axis=1) <= scale / 2 * 1.0001).all()
    assert quantize_weight(weight, None)[1].shape == ()


@pytest.mark.parametrize(
    ("architecture", "isa", "scheme"),
    [
        ("x86_64", ("avx2", "fma"), "openvino-avx2"),
        ("x86_64", ("avx2", "avx_vnni"), "openvino"),
        ("x86_64", ("avx512f", "avx512_vnni"), "openvino"),
        ("aarch64", ("asimd",), "openvino"),
    ],
)
def test_a_cpu_without_dot_products_gets_weights_in_7_bits(
    architecture: str, isa: tuple[str, ...], scheme: str
) -> None:
    found = openvino_scheme(architecture, isa)
    levels, scales = quantize_weight(np.array([[-3.0, 1.5], [0.5, 0.25]], np.float32), 0, found.weight_steps)
    assert found.name == scheme and np.abs(levels).max() == (63 if scheme == "openvino-avx2" else 127)
    assert np.allclose(levels * scales[:, None], [[-3.0, 1.5], [0.5, 0.25]], atol=float(scales.max()) / 2)
    if scheme == "openvino-avx2":  # what two products of a level and a weight come to fits in 16 bits
        assert 2 * 255 * found.weight_steps < 2**15
