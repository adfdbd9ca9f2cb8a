"""Rewrites around convolutions: the graph changes as pictured, the numbers do not (the driver proves each step)."""

from __future__ import annotations

import numpy as np
import pytest

from edge.fusion import fuse
from tests.fixtures.graph_builder import Builder, fused, ops, times


def test_batch_norm_after_a_convolution_is_folded() -> None:
    b = Builder(3)
    y = b.norm(b.conv("x", 3, 8, 3), 8)
    result = fused(b, y, "fold-batch-norm")
    assert ops(result) == ["Conv"] and result.max_error < 1e-5
    assert result.applied[-1].nodes == 1


def test_batch_norm_before_an_unpadded_convolution_is_folded() -> None:
    b = Builder(3)
    y = b.conv(b.norm("x", 3), 3, 4, 3, pad=0)
    assert ops(fused(b, y, "fold-batch-norm")) == ["Conv"]


def test_batch_norm_before_a_padded_convolution_is_left() -> None:
    b = Builder(3)
    y = b.conv(b.norm("x", 3), 3, 4, 3, pad=1)
    assert ops(fused(b, y, "fold-batch-norm")) == ["BatchNormalization", "Conv"]


def test_norm_after_activation_goes_forward_into_pointwise_and_grouped_readers() -> None:
    b = Builder(3)
    x = b.norm(b.op("Relu", b.conv("x", 3, 8)), 8)
    y = b.op("Add", b.conv(x, 8, 4, 1), b.conv(x, 8, 4, 1, group=2))
    assert ops(fused(b, y, "fold-batch-norm")) == ["Conv", "Relu", "Conv", "Conv", "Add"]


def test_input_normalisation_is_folded() -> None:
    b = Builder(3)
    x = b.op("Div", b.op("Sub", "x", b.random(1, 3, 1, 1)), b.random(1, 3, 1, 1, low=0.5))
    assert ops(fused(b, b.conv(x, 3, 4, 2, pad=0, stride=2), "fold-affine")) == ["Conv"]


def test_concatenation_is_split() -> None:
    b = Builder(3)
    joined = b.op("Concat", b.conv("x", 3, 5), "x", axis=1)
    result = fused(b, b.conv(joined, 8, 4, 3), "concat-conv-as-sum")
    assert ops(result) == ["Conv", "Conv", "Conv", "Add"] and times(result, "concat-conv-as-sum") == 1


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_pointwise_convolution_moves_below_a_resize(mode: str) -> None:
    b = Builder(3)
    y = b.conv(b.resize(b.conv("x", 3, 8), 2, mode), 8, 2)
    result = fused(b, y, "pointwise-below-resize")
    assert ops(result) == ["Conv", "Conv", "Resize"]
    assert result.applied[-1].macs == 8 * 2 * (32 * 32 - 16 * 16)


def test_widening_convolution_stays_above_the_resize() -> None:
    b = Builder(3)
    y = b.conv(b.resize("x", 2), 3, 8)
    assert ops(fused(b, y, "pointwise-below-resize")) == ["Resize", "Conv"]


def test_computed_channel_weights_move_below_a_resize() -> None:
    b = Builder(3)
    weights = b.op("Sigmoid", b.op("GlobalAveragePool", "x"))
    result = fused(b, b.op("Mul", b.resize("x", 4), weights), "scale-below-resize")
    assert ops(result) == ["GlobalAveragePool", "Sigmoid", "Mul", "Resize"]


def test_equal_resizes_of_a_sum_are_merged() -> None:
    b = Builder(3)
    up = [b.resize(b.conv("x", 3, 4), 2) for _ in range(2)]
    large = b.resize(b.conv("x", 3, 4, 3, stride=2), 4)
    result = fused(b, b.op("Add", b.op("Add", up[0], large), up[1]), "merge-resizes")
    assert ops(result).count("Resize") == 2


def test_convolution_of_a_sum_runs_on_the_small_maps() -> None:
    b = Builder(3)
    total = b.op("Add", b.resize(b.conv("x", 3, 8, 3, stride=2), 2), b.conv("x", 3, 8))
    result = fused(b, b.conv(total, 8, 2), "pointwise-through-add", "pointwise-below-resize")
    assert ops(result).index("Resize") > ops(result).index("Conv")
    assert times(result, "pointwise-below-resize") == 1


def test_unknown_rewrite_is_an_input_error() -> None:
    from edge.errors import InputError

    b = Builder(3)
    with pytest.raises(InputError, match="fold-batch-norm"):
        fuse(b.model(b.conv("x", 3, 1)), ["no-such-rewrite"], b.inputs())


def test_a_wrong_rewrite_is_caught_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.fusion import driver, registry
    from edge.graph.editor import Editor
    from edge.graph.rewrite import Rewrite

    def wrong(editor: Editor) -> int:
        found = list(editor.nodes("Relu"))
        for node in found:
            editor.replace(node.outputs[0], node.inputs[0])  # type: ignore[arg-type]
        return len(found)

    broken = {**registry.REWRITES, "wrong": Rewrite("wrong", "safe", wrong)}
    monkeypatch.setattr(driver, "REWRITES", broken)
    b = Builder(3)
    result = fuse(b.model(b.op("Relu", b.conv("x", 3, 1))), ["wrong"], b.inputs())
    assert [r.rewrite for r in result.refused] == ["wrong"] and not result.applied
    assert [n.op_type for n in result.model.proto.graph.node] == ["Conv", "Relu"] and result.max_error == 0
    assert np.isfinite(result.refused[0].relative_error)


def test_input_normalisation_before_a_padded_convolution_keeps_its_shift() -> None:
    """A zero border is not the normalised zero: the scale is folded, the shift is refused."""
    b = Builder(3)
    x = b.op("Div", b.op("Sub", "x", b.random(1, 3, 1, 1)), b.random(1, 3, 1, 1, low=0.5))
    assert ops(fused(b, b.conv(x, 3, 4, 3), "fold-affine")) == ["Sub", "Conv"]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_batch_norm_of_the_input_joins_the_parallel_convolutions(groups: int) -> None:
    b = Builder(3)
    x = b.op("Relu", b.conv("x", 3, 6))
    branches = b.op("Add", b.norm(b.conv(x, 6, 6, 3, group=groups), 6), b.norm(x, 6))
    y = b.op("Add", branches, b.norm(b.conv(x, 6, 6, group=groups), 6))
    result = fused(b, y, "fold-batch-norm", "sum-of-parallel-convs")
    assert ops(result) == ["Conv", "Relu", "Conv"] and times(result, "sum-of-parallel-convs") == 2


@pytest.mark.parametrize("identity", [False, True])
def test_parallel_convolutions_and_identity_become_one_kernel(identity: bool) -> None:
    b = Builder(3)
    x = b.op("Relu", b.conv("x", 3, 6))
    y = b.op("Add", b.conv(x, 6, 6, 3), b.conv(x, 6, 6))
    y = b.op("Add", y, x) if identity else y
    result = fused(b, y, "sum-of-parallel-convs")
    assert ops(result) == ["Conv", "Relu", "Conv"] and times(result, "sum-of-parallel-convs") == 1 + identity


def test_parallel_convolutions_of_other_strides_are_left() -> None:
    b = Builder(3)
    y = b.op("Add", b.conv("x", 3, 6, 3, stride=2), b.conv("x", 3, 6, 1, stride=2))
    z = b.op("Add", b.conv("x", 3, 6, 4, pad=0), b.conv("x", 3, 6, 4, pad=0))
    pooled = b.op("Add", b.op("GlobalAveragePool", y), b.op("GlobalAveragePool", z))
    assert times(fused(b, pooled, "sum-of-parallel-convs"), "sum-of-parallel-convs") == 1


def _mixture(b: Builder, kernels: int) -> str:
    """Computed weights of a dynamic convolution, ``[1, kernels]``."""
    pooled = b.op("GlobalAveragePool", b.conv("x", 3, kernels))
    return b.op("Reshape", b.op("Sigmoid", pooled), b.weight([1, kernels], np.int64))


def _by_maps(b: Builder, kernels: int, outputs: int, bias: bool = False) -> str:
    """A dynamic 3x3 convolution as exporters write its mixed form."""
    maps = b.conv("x", 3, kernels * outputs, 3)
    if not bias:
        del b.nodes[-1].input[2]
    split = b.op("Reshape", maps, b.weight([1, kernels, outputs, 16, 16], np.int64))
    weights = b.op("Reshape", _mixture(b, kernels), b.weight([1, kernels, 1, 1, 1], np.int64))
    return b.op("ReduceSum", b.op("Mul", split, weights), b.weight([1], np.int64), keepdims=0)


def test_mixed_maps_become_one_convolution_with_a_mixed_kernel() -> None:
    b = Builder(3)
    result = fused(b, b.norm(_by_maps(b, 4, 8), 8), "dynamic-conv-by-kernel", "fold-batch-norm")
    assert "ReduceSum" not in ops(result) and "BatchNormalization" not in ops(result)
    assert times(result, "dynamic-conv-by-kernel") == 1
    saved = next(a.macs for a in result.applied if a.rewrite == "dynamic-conv-by-kernel")
    assert saved == 3 * 8 * 27 * 16 * 16 - 4 * 8 * 27  # three of four convolutions, for one product of the bank


def test_mixed_maps_with_a_bias_are_left() -> None:
    b = Builder(3)
    assert not times(fused(b, _by_maps(b, 4, 8, bias=True), "dynamic-conv-by-kernel"), "dynamic-conv-by-kernel")


def test_a_mixed_kernel_becomes_constant_filters_over_gated_inputs() -> None:
    b = Builder(3)
    y = b.norm(_by_maps(b, 4, 8), 8)
    result = fused(b, y, "dynamic-conv-by-kernel", "fold-batch-norm", "dynamic-conv-by-inputs")
    assert times(result, "dynamic-conv-by-inputs") == 1 and "MatMul" not in ops(result)
    weights = {tensor.name: list(tensor.dims) for tensor in result.model.proto.graph.initializer}
    last = result.model.proto.graph.node[-1]
    assert last.op_type == "Conv" and weights[last.input[1]] == [8, 4 * 3, 3, 3]
