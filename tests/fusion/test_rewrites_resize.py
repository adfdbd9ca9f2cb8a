"""Rewrites of upsampling, heads and dynamic convolutions; the driver proves the numbers of each step."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.accuracy.sqnr import parity_db
from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.fusion.driver import rewritten
from edge.fusion.rewrites import nearest_upsample_conv
from edge.targets.target import find_target
from tests.fixtures.graph_builder import Builder, fused, ops, times


@pytest.mark.parametrize(("scale", "outputs"), [(2, 1), (4, 1), (8, 1), (2, 6)])
def test_convolution_of_a_nearest_upsample_runs_on_the_small_map(scale: int, outputs: int) -> None:
    b = Builder(3)
    y = b.conv(b.resize(b.conv("x", 3, 20), scale, "nearest"), 20, outputs, 3)
    result = fused(b, y, "nearest-upsample-conv")
    assert times(result, "nearest-upsample-conv") == 1 and "Resize" not in ops(result)
    assert ops(result)[-1] == "DepthToSpace"


def test_filters_of_many_outputs_are_not_compared_phase_by_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an SMP U-Net, with 1.7 million weights a phase, that took 45 seconds: the search had none left."""
    monkeypatch.setattr(nearest_upsample_conv, "_distinct", None)
    b = Builder(3)
    y = b.conv(b.resize(b.conv("x", 3, 20), 2, "nearest"), 20, 6, 3)
    assert times(fused(b, y, "nearest-upsample-conv"), "nearest-upsample-conv") == 1


def test_equal_phases_of_one_output_are_computed_once() -> None:
    bank = np.arange(24.0).reshape(4, 1, 1, 6, 1, 1) // 12  # two kinds of two
    assert nearest_upsample_conv._distinct(bank) == ([0, 2], [0, 0, 1, 1])
    assert nearest_upsample_conv._distinct(np.array([[0.0], [-0.0], [1e-17]])) == ([0], [0, 0, 0])


def test_convolution_of_a_nearest_upsample_whose_padding_exceeds_the_factor_is_left() -> None:
    b = Builder(3)
    y = b.conv(b.resize("x", 2, "nearest"), 3, 1, 5)
    assert "Resize" in ops(fused(b, y, "nearest-upsample-conv"))


def test_equal_resizes_of_neighbours_in_a_concatenation_are_merged() -> None:
    b = Builder(3)
    near, far = b.conv("x", 3, 4), b.conv("x", 3, 5, 3, stride=2)
    parts = [b.resize(near, 2), b.resize(b.conv("x", 3, 6), 2), b.resize(far, 4), b.resize(b.conv("x", 3, 7), 2)]
    result = fused(b, b.op("Concat", *parts, axis=1), "concat-below-resize")
    assert times(result, "concat-below-resize") == 1
    assert ops(result).count("Resize") == 3 and ops(result).count("Concat") == 2  # the last one is no neighbour


def test_a_concatenation_of_nothing_but_equal_resizes_moves_below() -> None:
    b = Builder(3)
    y = b.op("Concat", b.resize(b.conv("x", 3, 4), 2, "nearest"), b.resize("x", 2, "nearest"), axis=1)
    assert ops(fused(b, y, "concat-below-resize")) == ["Conv", "Concat", "Resize"]


def test_unequal_resizes_in_a_concatenation_are_left() -> None:
    b = Builder(3)
    y = b.op("Concat", b.resize(b.conv("x", 3, 4), 2, "nearest"), b.resize("x", 2), axis=1)
    assert times(fused(b, y, "concat-below-resize"), "concat-below-resize") == 0


def test_head_with_one_map_is_computed_in_blocks() -> None:
    b = Builder(3)
    result = fused(b, b.conv(b.conv("x", 3, 16), 16, 1, 3), "narrow-conv-in-blocks")
    assert ops(result) == ["Conv", "Conv", "DepthToSpace"]
    widths = [list(t.dims) for t in result.model.proto.graph.initializer if len(t.dims) == 4]
    assert [16, 16, 6, 6] in widths


@pytest.mark.parametrize(("channels", "scale"), [(1, 2), (2, 4), (3, 3)])
def test_bilinear_upsample_of_few_channels_is_a_convolution(channels: int, scale: int) -> None:
    b = Builder(3)
    result = fused(b, b.resize(b.conv("x", 3, channels), scale), "bilinear-as-conv")
    assert ops(result) == ["Conv", "Pad", "Conv", "DepthToSpace"]


def _upsampled(b: Builder, channels: int, scales: list[float], **attributes: object) -> str:
    return b.op("Resize", b.conv("x", 3, channels), "", b.weight(scales), **{"mode": "linear", **attributes})


@pytest.mark.parametrize("size", [1, 2, 5, 16])
@pytest.mark.parametrize("channels", [16, 21])
@pytest.mark.parametrize("place", ["half_pixel", "pytorch_half_pixel"])
def test_bilinear_upsample_by_two_of_many_channels_is_a_blurred_copy(size: int, channels: int, place: str) -> None:
    b = Builder(3, size=size)
    result = fused(b, _upsampled(b, channels, [1, 1, 2, 2], coordinate_transformation_mode=place), "bilinear-as-blur")
    assert ops(result) == ["Conv", "Resize", "Pad", "Conv"] and times(result, "bilinear-as-blur") == 1
    resize = result.model.proto.graph.node[1]
    rule = {a.name: a.s for a in resize.attribute}
    assert rule == {"mode": b"nearest", "coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"}
    kernel = next(
        np.array(t.float_data or np.frombuffer(t.raw_data, np.float32)).reshape(t.dims)
        for t in result.model.proto.graph.initializer
        if list(t.dims) == [channels, 1, 3, 3]
    )
    assert (kernel == np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16).all()


@pytest.mark.parametrize(
    ("channels", "scales", "attributes"),
    [
        (16, [1, 1, 2, 2], {"coordinate_transformation_mode": "align_corners"}),
        (16, [1, 1, 2, 2], {"coordinate_transformation_mode": "asymmetric"}),
        (16, [1, 1, 2, 2], {"antialias": 1}),
        (16, [1, 1, 2, 2], {"mode": "nearest"}),
        (16, [1, 1, 2, 2], {"mode": "cubic"}),
        (16, [1, 1, 3, 3], {}),
        (16, [1, 1, 4, 4], {}),
        (16, [1, 1, 1, 2], {}),
        (16, [1, 1, 2, 3], {}),
        (16, [1, 1, 2.1, 2.1], {}),  # 5 pixels become 10 too, at other coordinates
        (4, [1, 1, 2, 2], {}),
    ],
)
def test_other_upsamples_are_no_blurred_copy(channels: int, scales: list[float], attributes: dict[str, object]) -> None:
    b = Builder(3, size=5)
    result = fused(b, _upsampled(b, channels, scales, **attributes), "bilinear-as-blur")
    assert ops(result) == ["Conv", "Resize"]


def test_an_upsample_whose_size_was_rounded_is_no_convolution() -> None:
    b = Builder(3, size=5)
    assert ops(fused(b, _upsampled(b, 2, [1, 1, 2.1, 2.1]), "bilinear-as-conv")) == ["Conv", "Resize"]


def _decoder(b: Builder) -> str:
    """Upsamples of 16 and of 2 channels, beside skips, one in front of a narrowing convolution."""
    low = b.op("Relu", b.conv("x", 3, 24, 3, stride=4, pad=1))
    mid, high = b.op("Relu", b.conv("x", 3, 24, 3, stride=2)), b.op("Relu", b.conv("x", 3, 24, 3))
    joined = b.op("Add", b.resize(b.op("Add", b.resize(low, 2), mid), 2), high)
    return b.resize(b.conv(b.op("Relu", b.conv(joined, 24, 16)), 16, 2, 3), 2)


def test_an_upsample_is_blurred_only_after_the_others_have_done_with_it() -> None:
    """Moving a convolution below both resizes takes several rounds, in which they must still be there."""
    b, others = Builder(3), ("pointwise-through-add", "pointwise-below-resize", "bilinear-as-conv")
    y = _decoder(b)
    without, result = fused(b, y, *others), fused(b, y, *others, "bilinear-as-blur")
    assert [times(result, name) for name in others] == [times(without, name) for name in others] == [2, 2, 1]
    assert times(result, "bilinear-as-blur") == 2
    both, applied = rewritten(b.model(y), (*others, "bilinear-as-blur"))
    assert both.sha256 == result.model.sha256 and set(applied) == {a.rewrite for a in result.applied}


@pytest.mark.parametrize("size", [1, 5])
def test_openvino_computes_the_blurred_copy(size: int, tmp_path: Path) -> None:
    b = Builder(3, size=size)
    model = fused(b, b.conv(_upsampled(b, 20, [1, 1, 2, 2]), 20, 2, 3), "bilinear-as-blur").model
    backend, image = find_backend("openvino"), b.inputs()[0]
    engine = backend.build(Candidate("fp32", "fp32", "fp32", model), find_target("cpu"), tmp_path)
    with closing(backend.load(engine)) as runner:
        assert parity_db(reference(model).run(image), runner.run(image)) > 100.0


def test_transposed_convolution_is_a_pointwise_one() -> None:
    b = Builder(3)
    y = b.op("ConvTranspose", "x", b.random(3, 5, 2, 2), b.random(5), strides=[2, 2], kernel_shape=[2, 2])
    result = fused(b, y, "transposed-conv-as-pointwise")
    assert ops(result) == ["Conv", "DepthToSpace"] and result.applied[-1].macs == 0


def test_overlapping_transposed_convolution_is_left() -> None:
    b = Builder(3)
    y = b.op("ConvTranspose", "x", b.random(3, 5, 3, 3), strides=[2, 2], kernel_shape=[3, 3])
    assert ops(fused(b, y, "transposed-conv-as-pointwise")) == ["ConvTranspose"]


def test_mean_of_an_upsampled_map_is_the_mean_of_the_map() -> None:
    b = Builder(3)
    up = b.resize(b.conv("x", 3, 4), 2)
    y = b.op("Mul", up, b.op("Sigmoid", b.op("GlobalAveragePool", up)))
    result = fused(b, y, "mean-below-resize", "scale-below-resize")
    assert ops(result) == ["Conv", "GlobalAveragePool", "Sigmoid", "Mul", "Resize"]


def test_mean_of_an_align_corners_upsample_is_left() -> None:
    b = Builder(3)
    sizes = b.weight(np.array([1, 3, 32, 32]), np.int64)
    up = b.op("Resize", "x", "", "", sizes, mode="linear", coordinate_transformation_mode="align_corners")
    assert times(fused(b, b.op("GlobalAveragePool", up), "mean-below-resize"), "mean-below-resize") == 0


def test_spatial_gate_moves_behind_the_narrowing_convolution() -> None:
    b = Builder(3)
    a = b.op("LeakyRelu", b.conv("x", 3, 12))
    gated = b.op("Mul", a, b.op("Sigmoid", b.conv(a, 12, 1)))
    y = b.conv(b.op("Concat", a, gated, axis=1), 24, 3)
    result = fused(b, y, "concat-conv-as-sum", "gate-after-pointwise")
    assert "Concat" not in ops(result) and times(result, "gate-after-pointwise") == 1


def _dynamic(b: Builder, x: str, inputs: int, outputs: int) -> str:
    route = b.op("Sigmoid", b.conv(b.op("GlobalAveragePool", x), inputs, 4))
    flat = b.op("Reshape", route, b.weight([1, 4], np.int64))
    mixed = b.op("MatMul", flat, b.random(4, outputs * inputs * 9))
    kernel = b.op("Reshape", mixed, b.weight([outputs, inputs, 3, 3], np.int64))
    return b.op("Conv", x, kernel, kernel_shape=[3, 3], pads=[1] * 4)


def test_norm_and_pointwise_fold_into_a_dynamic_convolution() -> None:
    b = Builder(3)
    y = b.conv(b.norm(_dynamic(b, b.conv("x", 3, 8), 8, 16), 16), 16, 4)
    result = fused(b, y, "fold-batch-norm", "pointwise-into-conv")
    assert ops(result).count("Conv") == 3 and times(result, "pointwise-into-conv") == 1
    assert sum(a.macs for a in result.applied) == 16 * 16 * (16 * 8 * 9 + 16 * 4 - 4 * 8 * 9) + 4 * 8 * 9 * 4 * 3


def test_dynamic_head_is_computed_in_blocks() -> None:
    b = Builder(3)
    result = fused(b, _dynamic(b, b.conv("x", 3, 8), 8, 1), "narrow-conv-in-blocks")
    assert times(result, "narrow-conv-in-blocks") == 1 and ops(result)[-1] == "DepthToSpace"


@pytest.mark.parametrize(
    ("place", "moved"), [("half_pixel", 1), ("half_pixel_symmetric", 0), ("tf_half_pixel_for_nn", 0)]
)
def test_the_mean_of_a_resize_whose_coordinates_are_not_known_is_left(place: str, moved: int) -> None:
    b = Builder(3)
    sizes = b.weight([1.0, 1.0, 2.0, 2.0])
    up = b.op("Resize", b.conv("x", 3, 4), "", sizes, mode="nearest", coordinate_transformation_mode=place)
    y = b.op("Mul", up, b.op("GlobalAveragePool", up))
    assert times(fused(b, y, "mean-below-resize"), "mean-below-resize") == moved
