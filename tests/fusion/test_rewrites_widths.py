"""Widths filled up with zero channels: the graph widens as pictured, the numbers do not (each step is proven)."""

from __future__ import annotations

import numpy as np

from edge.fusion import Fused
from tests.fixtures.graph_builder import Builder, fused, times

NAME = "odd-widths-in-blocks"


def widths(result: Fused) -> list[tuple[int, int]]:
    """Outputs and inputs of every convolution, in order."""
    tables = {t.name: tuple(t.dims) for t in result.model.proto.graph.initializer}
    convs = [n for n in result.model.proto.graph.node if n.op_type == "Conv"]
    return [tables[n.input[1]][:2] for n in convs]  # type: ignore[misc]


def test_maps_between_convolutions_are_filled_up() -> None:
    b = Builder(3)
    x = b.op("Sigmoid", b.conv("x", 3, 45, 3))  # 0.5 in the channels that nobody reads
    y = b.conv(b.op("HardSwish", b.conv(x, 45, 31, 3)), 31, 1)
    result = fused(b, y, NAME)
    assert widths(result) == [(48, 3), (32, 48), (1, 32)]
    assert times(result, NAME) == 2 and result.applied[-1].macs < 0


def test_a_concatenation_carries_its_gaps_to_all_its_readers() -> None:
    """MultiRes: the shortcut's channels stand where the concatenation's do."""
    b = Builder(3)
    x = b.conv("x", 3, 16)
    one = b.op("Relu", b.conv(x, 16, 15, 3))
    two = b.op("Relu", b.conv(one, 15, 29, 3))
    three = b.op("Relu", b.conv(two, 29, 47, 3))
    chain = b.norm(b.op("Concat", one, two, three, axis=1), 91)
    y = b.norm(b.op("Relu", b.op("Add", b.conv(x, 16, 91), chain)), 91)
    result = fused(b, b.conv(y, 91, 32, 3), NAME)
    assert widths(result) == [(16, 3), (16, 16), (32, 16), (48, 32), (96, 16), (32, 96)]
    table = next(t for t in result.model.proto.graph.initializer if tuple(t.dims) == (32, 96, 3, 3))
    used = np.flatnonzero(np.frombuffer(table.raw_data, np.float32).reshape(32, 96, 9).any(axis=(0, 2)))
    assert used.tolist() == [*range(15), *range(16, 45), *range(48, 95)]


def test_what_keeps_channels_apart_is_widened_too() -> None:
    b = Builder(3)
    x = b.op("Relu", b.conv("x", 3, 46))
    sizes = b.weight(np.array([1, 46, 32, 32]), np.int64)
    up = b.op("Resize", b.conv(x, 46, 46, 3, group=46), "", "", sizes, mode="linear")
    scaled = b.op("Div", b.op("Mul", up, b.random(46, 1, 1)), b.random(1, 46, 1, 1, low=0.5))
    gate = b.op("Sigmoid", b.conv(b.op("GlobalAveragePool", scaled), 46, 46))
    y = b.op("MaxPool", b.op("Mul", scaled, gate), kernel_shape=[2, 2], strides=[2, 2])
    result = fused(b, b.conv(y, 46, 16, 3), NAME)
    assert widths(result) == [(48, 3), (48, 1), (48, 48), (16, 48)] and times(result, NAME) == 1


def test_transposed_convolutions_write_and_read_widened_maps() -> None:
    b = Builder(3)
    x = b.op("Relu", b.conv("x", 3, 47))
    up = b.op("ConvTranspose", x, b.random(47, 31, 2, 2), b.random(31), strides=[2, 2], kernel_shape=[2, 2])
    result = fused(b, b.conv(b.op("Add", up, b.conv(b.resize(x, 2), 47, 31)), 31, 16), NAME)
    table = {t.name: tuple(t.dims) for t in result.model.proto.graph.initializer}
    transposed = next(n for n in result.model.proto.graph.node if n.op_type == "ConvTranspose")
    assert table[transposed.input[1]] == (48, 32, 2, 2) and widths(result) == [(48, 3), (32, 48), (16, 32)]


def test_widths_that_would_cost_too_much_are_left() -> None:
    b = Builder(3)
    y = b.conv(b.op("Relu", b.conv("x", 3, 17)), 17, 16, 3)
    assert widths(fused(b, y, NAME)) == [(17, 3), (16, 17)]  # 32 inputs for 17: nearly twice the work


def test_maps_that_something_else_reads_keep_their_channels() -> None:
    b = Builder(3)
    x = b.op("Relu", b.conv("x", 3, 47))
    mean = b.op("ReduceMean", x, b.weight([1], np.int64), keepdims=1)
    y = b.op("Mul", b.conv(x, 47, 16), mean)
    result = fused(b, y, NAME)
    assert times(result, NAME) == 0 and widths(result) == [(47, 3), (16, 47)]
