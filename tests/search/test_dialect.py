"""Candidate graphs for every JetPack: what each may hold, and that they compute what the float graph does."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest

from edge.accuracy.sqnr import sqnr_db
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.graph.model import Model
from edge.lowering import find_parser, unsupported
from edge.quantization.half_range import beyond_half
from edge.quantization.ranges import Ranges
from edge.search.open_bench import tensorrt_version
from edge.targets.target import find_target
from tests.fixtures.networks import NAMES, calibrated, inputs
from tests.fixtures.networks import tensorrt_candidates as candidates

HALF = onnx.TensorProto.FLOAT16
# Decibels against the float source, random weights. LANet's random attention amplifies every rounding.
LEAST = {"fp32": 100.0, "fp16": 50.0, "int8": 30.0, "int8-fp16": 30.0}
LEAST_LANET = {**LEAST, "int8": 15.0, "int8-fp16": 15.0}
JETPACKS = {"5.1": "8.5", "6.0": "8.6", "6.2": "10.3", "7.1": "10.13", "7.2": "10.16", "7.2.2": "11.4"}
# Every release with one network, and every network with a parser that takes flags, one that takes types, the newest.
EVERY = [
    pytest.param(name, jetpack, marks=() if name == "unet" else pytest.mark.slow)
    for name in NAMES
    for jetpack in (JETPACKS if name == "unet" else ("5.1", "6.2", "7.2.2"))
]


@cache
def source(name: str) -> tuple[Model, Ranges, np.ndarray]:
    model, ranges = calibrated(name)
    return model, ranges, reference(model).run(inputs(model)[0])


_SEEN: dict[str, float] = {}


def decibels(graph: Model, name: str) -> float:
    """Against the float source. Where two versions take the very same graph, it is run once."""
    model, _, expected = source(name)
    if graph.sha256 not in _SEEN:
        _SEEN[graph.sha256] = sqnr_db(expected, reference(graph).run(inputs(model)[0]))
    return _SEEN[graph.sha256]


@pytest.mark.parametrize(("name", "jetpack"), EVERY)
@pytest.mark.slow
def test_each_graph_is_one_its_tensorrt_takes_and_computes_the_same(name: str, jetpack: str) -> None:
    model, ranges, _ = source(name)
    target = find_target("jetson-agx-orin-64gb" if jetpack != "7.1" else "jetson-agx-thor")
    version = tensorrt_version(target, jetpack)
    assert version.startswith(JETPACKS[jetpack])
    typed = find_parser(version).typed
    made = candidates(model, ranges, target, jetpack)
    assert [(c.name, c.precision, c.rest) for c in made] == [
        ("fp32", "fp32", "fp32"), ("fp16", "fp16", "fp16"), ("int8", "int8", "fp32"), ("int8-fp16", "int8", "fp16"),
    ]  # fmt: skip
    for candidate in made:
        assert unsupported(candidate.model, version) == ()
        onnx.checker.check_model(candidate.model.proto, full_check=True)
        types = {tensor.data_type for tensor in candidate.model.proto.graph.initializer}
        assert (HALF in types) == (typed and candidate.rest == "fp16")
        # Flags decide precision before strong typing; after it a simulation only writes out what is inside norms.
        assert candidate.simulation is None or candidate.rest == "fp16"
        assert candidate.simulation is not None or typed or candidate.rest != "fp16"
        assert candidate.model.opset == (20 if typed else 17)
        least = (LEAST_LANET if name == "lanet" else LEAST)[candidate.name]
        assert decibels(candidate.simulated, name) >= least, candidate.name
        if not typed and candidate.rest == "fp16":
            floats = LEAST["fp32"] if candidate.precision == "fp16" else least
            assert decibels(candidate.model, name) >= floats, candidate.name


def test_one_calibration_serves_every_version() -> None:
    model, ranges, _ = source("unet")
    scales = []
    for target, jetpack in (("jetson-xavier-nx", "5.1"), ("jetson-orin-nano-8gb", "6.2"), ("rtx-ada", None)):
        graph = candidates(model, ranges, find_target(target), jetpack)[2].model.proto.graph
        quantized = [node.input[1] for node in graph.node if node.op_type == "QuantizeLinear"]
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        scales.append({name: float(arrays[name]) for name in quantized if arrays[name].ndim == 0})
    assert scales[0] == scales[1] == scales[2] and len(scales[0]) > 10


def test_every_float_layer_has_a_reason() -> None:
    model, ranges, _ = source("unet")
    int8 = candidates(model, ranges, find_target("jetson-orin-nano-8gb"), "6.2")[2]
    nodes = {node.name: node for node in int8.model.proto.graph.node}
    made = {output: node.op_type for node in nodes.values() for output in node.output}
    for name, node in nodes.items():
        if node.op_type in ("Conv", "ConvTranspose"):
            assert (made.get(node.input[0]) == "DequantizeLinear") != (name in int8.reasons), name


def test_tensors_near_the_end_of_half_stay_float() -> None:
    from dataclasses import replace

    model, ranges, _ = source("unet")
    name = next(node.output[0] for node in model.proto.graph.node if node.op_type == "Relu")
    wide = replace(ranges, tensors={**ranges.tensors, name: replace(ranges.tensors[name], high=5e4)})
    assert beyond_half(model, ranges) == {}
    kept = beyond_half(model, wide)
    assert len(kept) >= 2
    half = candidates(model, wide, find_target("h200"))[1]
    assert {node for node, reason in half.reasons.items() if reason} == set(kept)


def test_jetpacks_are_for_jetsons() -> None:
    with pytest.raises(InputError, match="rtx-ada is not a Jetson"):
        tensorrt_version(find_target("rtx-ada"), "6.2")
    assert tensorrt_version(find_target("h200")) == "11.4"
