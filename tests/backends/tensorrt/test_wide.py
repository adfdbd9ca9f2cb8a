"""Norms that leave half's range stay FP32 where flags decide precision: in the graph, in a bundle and in the plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.backends.compiler import BoardCandidate
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.backends.tensorrt.build import build_plan
from edge.backends.tensorrt.compiler import TensorRtCompiler
from edge.backends.tensorrt.engine import wish_for
from edge.backends.tensorrt.run import TensorRtRunner
from edge.backends.tensorrt.settings import find_settings
from edge.bundle.pack import _add_graph
from edge.graph.wide import wide_nodes
from edge.machine.cuda import open_cuda
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import quantizable
from edge.quantization.half import to_half
from edge.quantization.half_range import watched
from edge.quantization.half_steps import in_half_steps
from edge.search.dialect import GraphRequest, TensorRtDialect
from tests.fixtures.graph_builder import Builder
from tests.fixtures.tensorrt.install import installed

VERSIONS = ("8.5.2.2", "8.6.1")


def _candidate(version: str) -> tuple[Candidate, np.ndarray]:
    """A network whose second norm sees values of a thousand and more, as FP16 for one TensorRT."""
    b = Builder(3, 16)
    x = b.op("InstanceNormalization", b.conv("x", 3, 4, 3), b.random(4), b.random(4))
    x = b.op("Mul", x, b.weight(np.array(1500.0, np.float32)))
    x = b.op("InstanceNormalization", x, b.random(4, low=0.5), b.random(4))
    model = b.model(b.conv(x, 4, 2, 3))
    images = [np.random.default_rng(seed).standard_normal((1, 3, 16, 16)).astype(np.float32) for seed in range(3)]
    ranges = calibrate(model, images, [*quantizable(model), *watched(model)])
    asked = GraphRequest(name="fp16", precision="fp16", rest="fp16", model=model, ranges=ranges)
    return TensorRtDialect(version).write(asked), images[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_norm_that_overflows_is_held_to_float_in_the_plan(version: str) -> None:
    candidate, image = _candidate(version)
    held = wide_nodes(candidate.model)
    assert held and all("reach" in candidate.reasons[name] for name in held)
    with installed(version) as (trt, _):
        settings = find_settings(version, wish_for(candidate))
        assert "OBEY_PRECISION_CONSTRAINTS" in settings.on
        graph = candidate.model.proto.SerializeToString()
        layers = [
            dict(_layers(trt, build_plan(trt, graph, one).plan)) for one in (settings, replace(settings, wide=()))
        ]
    assert {layers[0][name] for name in held} == {"fp32"} and "fp16" in layers[0].values()
    # What each plan says, computed in half: the held one keeps the network's answer, the other one loses it.
    exact = reference(candidate.plain).run(image)
    errors = []
    for plan in layers:
        floats = [name for name, precision in plan.items() if precision == "fp32"]
        found = reference(in_half_steps(to_half(candidate.plain, floats))).run(image)
        errors.append(np.nanmax(np.abs(found - exact)) if np.isfinite(found).all() else np.inf)
    scale = np.abs(exact).max()
    assert errors[0] < 0.01 * scale and errors[1] > 0.2 * scale


def test_the_names_go_along_in_a_bundle_and_reach_the_compiler_of_the_board(tmp_path) -> None:
    candidate, _ = _candidate("8.5.2.2")
    files: dict[str, bytes] = {}
    inputs = {0: np.zeros((candidate.model.task.in_channels, *candidate.model.task.size), np.float32)}
    row = _add_graph("fp16", "fp16", "fp16", candidate.model, inputs, {}, files)
    assert tuple(row["wide"]) == wide_nodes(candidate.model)
    (tmp_path / "graph.onnx").write_bytes(files[row["graph"]])
    with installed("8.5.2.2") as (trt, _):
        board = TensorRtCompiler()
        built = board.build(BoardCandidate(**row), tmp_path / "graph.onnx", tmp_path, tmp_path / "timings", 1 << 28)
        layers = dict(_layers(trt, (tmp_path / built.artefact).read_bytes()))
    assert {layers[name] for name in row["wide"]} == {"fp32"} and "fp16" in layers.values()


def test_a_node_without_a_layer_is_warned_of() -> None:
    candidate, _ = _candidate("8.5.2.2")
    with installed("8.5.2.2") as (trt, _):
        settings = replace(find_settings("8.5.2.2", wish_for(candidate)), wide=("gone",))
        built = build_plan(trt, candidate.model.proto.SerializeToString(), settings)
    assert built.warnings[0] == "gone: no layer is named after it, so it could not be held to FP32"


def _layers(trt: object, plan: bytes) -> list[tuple[str, str]]:
    runner = TensorRtRunner(trt, plan, open_cuda())
    found = [(layer.name, layer.precision) for layer in runner.describe()]
    runner.close()
    return found
