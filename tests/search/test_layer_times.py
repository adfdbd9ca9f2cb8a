"""Layer tables to nodes: every millisecond has one owner, and rounding is charged to the node that asked for it."""

from __future__ import annotations

from functools import cache

import pytest

from edge.backends.engine import Layer
from edge.backends.openvino.network import LayerProfiler, read_network
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.search.layer_times import REST, node_times
from tests.fixtures.small_unet import images, small_unet

FIRST, SECOND = "encoder.0.0/Conv", "encoder.0.3/Conv"


def _layer(name: str, ms: float) -> Layer:
    return Layer(name, "", "fp32", ms)


@cache
def _planned() -> frozenset[str]:
    return plan_int8(small_unet(), SCHEMES["openvino"]).int8


def _nodes() -> list[str]:
    return [node.name for node in small_unet().proto.graph.node if node.name in _planned()]


def test_fused_layers_and_what_runs_between() -> None:
    first, second = _nodes()[:2]
    relu = next(n.name for n in small_unet().proto.graph.node if n.op_type == "Relu")
    times = node_times(
        [
            _layer(
                f"{first}/WithoutBiases, Multiply_9, {first}, {relu}", 4.0
            ),  # a convolution owns what is fused to it
            _layer(relu, 2.0),  # alone: charged to who reads it next
            _layer(f"{relu}_abcd_acdb_{second}", 1.0),  # a layout change for the second
            _layer("something_else", 0.5),
        ],
        small_unet(),
        _planned(),
    )
    assert times[first] == 4.0
    assert times[second] == 3.0
    assert times[REST] == 0.5


def test_a_tensor_read_twice_is_shared() -> None:
    relus = [n for n in small_unet().proto.graph.node if n.op_type == "Relu"]
    readers = {r.name: [n for n in small_unet().proto.graph.node if r.output[0] in n.input] for r in relus}
    skip = next(name for name, found in readers.items() if {n.op_type for n in found} == {"MaxPool", "Concat"})
    times = node_times([_layer(skip, 2.0)], small_unet(), _planned())
    assert sorted(value for value in times.values() if value) == [1.0, 1.0]


def test_all_of_a_real_table_is_attributed() -> None:
    scheme = SCHEMES["openvino"]
    graph = quantize(
        small_unet(), calibrate(small_unet(), images(2), method="mse"), plan_int8(small_unet(), scheme), scheme
    )
    for model in (small_unet(), graph):
        layers = LayerProfiler(read_network(model.proto.SerializeToString()), "fp32", 1).layers(runs=3)
        times = node_times(layers, model, _planned())
        total = sum(layer.ms or 0.0 for layer in layers)
        assert sum(times.values()) == pytest.approx(total)
        assert times[REST] < 0.1 * total
        assert all(times[node] > 0 for node in _planned())
