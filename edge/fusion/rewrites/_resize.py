"""Recognising resizes that keep channels apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.graph.editor import Editor, Shape, integer, text


@dataclass(frozen=True)
class Upsample:
    """A bilinear or nearest ``Resize`` of an NCHW map: linear, the same for every channel, weights summing to 1.

    ``before`` and ``after`` are the shapes of ``x`` and ``y``.
    """

    node: ir.Node
    x: ir.Value
    y: ir.Value
    before: Shape
    after: Shape

    @property
    def grows(self) -> bool:
        """Whether the map gets larger, so that work before it is cheaper than work after it."""
        return self.after[2] * self.after[3] > self.before[2] * self.before[3]


def read_upsample(editor: Editor, node: ir.Node | None) -> Upsample | None:
    """The resize behind a node; None for cubic, cropping or extrapolating ones and other ranks."""
    if node is None or node.op_type != "Resize" or node.inputs[0] is None:
        return None
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if before is None or after is None or len(before) != 4 or before[:2] != after[:2]:
        return None
    # tf_crop_and_resize may read outside the map, where a constant stands in for it.
    if text(node, "mode", "nearest") not in ("nearest", "linear"):
        return None
    if text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return None
    if any(editor.array(v) is None for v in node.inputs[2:] if v is not None):
        return None
    return Upsample(node, node.inputs[0], node.outputs[0], before, after)


def half_pixel_factor(editor: Editor, up: Upsample) -> int | None:
    """The whole factor by which a bilinear resize with half-pixel coordinates enlarges both sides; None for others."""
    node, factor = up.node, up.after[2] // up.before[2]
    if text(node, "mode", "nearest") != "linear" or integer(node, "antialias", 0):
        return None
    if text(node, "coordinate_transformation_mode", "half_pixel") not in ("half_pixel", "pytorch_half_pixel"):
        return None
    if factor < 2 or up.after[2:] != (up.before[2] * factor, up.before[3] * factor):
        return None
    # Coordinates follow the scale where there is one, not the size that it was rounded to.
    scales = editor.array(node.inputs[2]) if len(node.inputs) > 2 else None
    return factor if scales is None or np.isin(scales, (1, factor)).all() else None


def resize_like(editor: Editor, like: Upsample, x: ir.Value, channels: int, hint: str) -> ir.Value:
    """Append the same resize for another map of the same height and width."""
    shape = (like.after[0], channels, *like.after[2:])
    attributes = {name: attribute for name, attribute in like.node.attributes.items() if name != "axes"}
    plain = {name: attribute.value for name, attribute in attributes.items()}
    # Scales where the source gives scales: coordinates follow the scale, not the rounded size.
    scales = editor.array(like.node.inputs[2]) if len(like.node.inputs) > 2 else None
    if scales is not None and scales.size == 4:
        inputs = [x, None, editor.weight(np.asarray(scales, np.float32), f"{hint}.scales")]
    else:
        inputs = [x, None, None, editor.weight(np.asarray(shape, np.int64), f"{hint}.sizes")]
    return editor.op("Resize", inputs, plain, shape=shape, hint=hint)


def filter_neighbours(editor: Editor, x: ir.Value, shape: Shape, filters: NDArray[np.float64], hint: str) -> ir.Value:
    """Append 3x3 filters of each channel by itself, over a map whose edge is repeated.

    Args:
        editor: of the graph.
        x, shape: the map, ``[batch, channels, height, width]``.
        filters: ``[filters of a channel, 3, 3]``, the same for every channel.
        hint: for names.

    Returns:
        ``[batch, channels * filters, height, width]``, all of a channel's filters together.
    """
    batch, channels, height, width = shape
    margins = editor.weight(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), f"{hint}.margins")
    padded = editor.op(
        "Pad",
        [x, margins],
        {"mode": "edge"},
        shape=(batch, channels, height + 2, width + 2),
        hint=f"{hint}.edge",
    )
    weight = editor.weight(np.tile(filters[:, None], (channels, 1, 1, 1)), f"{hint}.weight")
    attributes = {
        "kernel_shape": [3, 3],
        "pads": [0, 0, 0, 0],
        "strides": [1, 1],
        "dilations": [1, 1],
        "group": channels,
    }
    filtered = (batch, channels * len(filters), height, width)
    return editor.op("Conv", [padded, weight], attributes, shape=filtered, hint=hint)


def same_resize(one: Upsample, two: Upsample, editor: Editor) -> bool:
    """Whether two resizes would do the same to the same map."""
    if one.before[2:] != two.before[2:] or one.after[2:] != two.after[2:]:
        return False
    keys = ("mode", "coordinate_transformation_mode", "nearest_mode")
    defaults = ("nearest", "half_pixel", "round_prefer_floor")
    pairs = zip(keys, defaults, strict=True)
    return all(text(one.node, key, default) == text(two.node, key, default) for key, default in pairs)
