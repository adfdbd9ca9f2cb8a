"""Rewrites of channel norms."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fixtures.graph_builder import Builder, fused, ops, times

LAYER_NORM = ("channel-layer-norm", "center-into-conv", "variance-as-conv", "norm-scale-into-conv")


def _layer_norm(b: Builder, x: str, channels: int) -> str:
    last = b.op("Transpose", x, perm=[0, 2, 3, 1])
    tables = (b.random(channels, low=0.5, high=1.5), b.random(channels))
    normed = b.op("LayerNormalization", last, *tables, axis=-1, epsilon=1e-5)
    return b.op("Transpose", normed, perm=[0, 3, 1, 2])


def test_no_transposes_are_left() -> None:
    b = Builder(3)
    result = fused(b, _layer_norm(b, b.conv("x", 3, 8, 3), 8), "channel-layer-norm")
    assert "Transpose" not in ops(result) and ops(result).count("ReduceMean") == 2


def test_centring_variance_and_scale_go_into_convolutions() -> None:
    b = Builder(3)
    result = fused(b, _layer_norm(b, b.conv("x", 3, 8, 3), 8), *LAYER_NORM, "fold-affine")
    assert sorted(ops(result)) == sorted(["Conv", "Mul", "Conv", "Sqrt", "Reciprocal", "Mul", "Add"])


def test_grouped_convolutions_keep_their_centring() -> None:
    b = Builder(3)
    x = b.conv("x", 3, 8)
    result = fused(b, _layer_norm(b, b.conv(x, 8, 8, 3, group=8), 8), *LAYER_NORM)
    assert times(result, "center-into-conv") == 0 and "Sub" in ops(result)


def test_a_vanishing_scale_is_not_divided_by() -> None:
    b = Builder(3)
    y = _layer_norm(b, b.conv("x", 3, 8, 3), 8)
    scale = next(t for t in b.weights if t.name == b.nodes[2].input[1])
    table = np.linspace(0.5, 1.5, 8, dtype=np.float32)
    table[3] = 0.0
    scale.raw_data = table.tobytes()
    assert times(fused(b, y, *LAYER_NORM), "norm-scale-into-conv") == 0


def test_variance_of_a_widened_map_comes_from_the_narrow_one() -> None:
    b = Builder(3)
    result = fused(b, _layer_norm(b, b.conv("x", 3, 32), 32), *LAYER_NORM, "variance-from-inputs")
    assert times(result, "variance-from-inputs") == 1
    widths = [t.dims[0] for t in result.model.proto.graph.initializer if len(t.dims) == 4 and t.dims[1] == 3]
    assert sorted(widths) == [4, 32]


@pytest.mark.parametrize("biased", [False, True])
def test_packed_projection_is_taken_apart(biased: bool) -> None:
    b = Builder(3)
    tokens = b.op("Transpose", b.op("Reshape", b.conv("x", 3, 8), b.weight([1, 8, 256], np.int64)), perm=[0, 2, 1])
    packed = b.op("MatMul", tokens, b.random(8, 24))
    packed = b.op("Add", packed, b.random(24)) if biased else packed
    heads = b.op("Reshape", packed, b.weight([1, 256, 3, 2, 4], np.int64))
    turned = b.op("Transpose", heads, perm=[2, 0, 3, 1, 4])
    q, k, v = (b.op("Gather", turned, b.weight(np.array(i), np.int64), axis=0) for i in range(3))
    scores = b.op("MatMul", b.op("Mul", q, b.weight(np.array(0.5))), b.op("Transpose", k, perm=[0, 1, 3, 2]))
    mixed = b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), v), perm=[0, 1, 3, 2])
    y = b.op("Reshape", mixed, b.weight([1, 8, 16, 16], np.int64))
    result = fused(b, y, "split-packed-projection")
    assert times(result, "split-packed-projection") == 1 and "Gather" not in ops(result) and "Mul" not in ops(result)
