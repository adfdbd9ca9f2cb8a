"""What a parser takes only in part: one check a limit, named in ``parsers.toml``.

Each check returns one phrase that says what is refused, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.lowering.parsers import Parser


@dataclass(frozen=True)
class Context:
    """What a check may ask about the graph around a node.

    Attributes:
        parser: the parser asked for.
        opset: of the graph.
        constants: name to value, for every constant.
        types: name to element type, where known.
    """

    parser: Parser
    opset: int
    constants: Mapping[str, NDArray[Any]]
    types: Mapping[str, int]


Check = Callable[[onnx.NodeProto, Context], str | None]


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """An attribute's value, None where it is absent."""
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def operand(node: onnx.NodeProto, index: int) -> str:
    """Name of an input, "" where it is absent."""
    return node.input[index] if index < len(node.input) else ""


def _no_dilation(node: onnx.NodeProto, context: Context) -> str | None:
    return "dilated pooling" if set(attribute(node, "dilations") or [1]) != {1} else None


def _one_output(node: onnx.NodeProto, context: Context) -> str | None:
    return f"a second output ({node.output[1]})" if any(node.output[1:]) else None


def _inference_only(node: onnx.NodeProto, context: Context) -> str | None:
    return "training mode" if attribute(node, "training_mode") else None


def _no_negative_pads(node: onnx.NodeProto, context: Context) -> str | None:
    return "negative padding" if min(attribute(node, "pads") or [0]) < 0 else None


def _plain_equation(node: onnx.NodeProto, context: Context) -> str | None:
    equation = (attribute(node, "equation") or b"").decode()
    terms = equation.replace("->", ",").replace(" ", "").split(",")
    plain = equation.isascii() and "..." not in equation and all(len(set(t)) == len(t) for t in terms)
    return None if plain or context.parser.version >= (10, 12) else "an equation with an ellipsis or a diagonal"


def _plain_resize(node: onnx.NodeProto, context: Context) -> str | None:
    if attribute(node, "antialias"):
        return "antialiasing"
    if (attribute(node, "keep_aspect_ratio_policy") or b"stretch") != b"stretch":
        return "an aspect ratio policy"
    mode = (attribute(node, "coordinate_transformation_mode") or b"half_pixel").decode()
    known = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"}
    if mode not in known:
        return f"coordinate_transformation_mode {mode}"
    return "axes" if attribute(node, "axes") and not context.parser.typed else None


def _known_sizes(node: onnx.NodeProto, context: Context) -> str | None:
    given = [name for name in (operand(node, 2), operand(node, 3)) if name]
    return "computed sizes" if not any(name in context.constants for name in given) else None


def _known(index: int, what: str) -> Check:
    """A limit: an operand that is there has to be constant."""

    def check(node: onnx.NodeProto, context: Context) -> str | None:
        name = operand(node, index)
        return f"computed {what}" if name and name not in context.constants else None

    return check


def _known_axes(node: onnx.NodeProto, context: Context) -> str | None:
    return _known(3 if node.op_type == "Pad" else 1, "axes")(node, context)


def _known_pad_mode(node: onnx.NodeProto, context: Context) -> str | None:
    mode = (attribute(node, "mode") or b"constant").decode()
    return f"mode {mode}" if mode == "wrap" and not context.parser.typed else None


def _opset_21(node: onnx.NodeProto, context: Context) -> str | None:
    return "its opset 18 form" if context.opset < 21 else None


def _symmetric_int8(node: onnx.NodeProto, context: Context) -> str | None:
    zero = context.constants.get(operand(node, 2))
    scale = context.constants.get(operand(node, 1))
    if zero is None:
        return "no constant zero point"
    if zero.dtype != np.int8:
        return f"{zero.dtype} levels (only int8)"
    if zero.any():
        return "a zero point that is not 0"
    if scale is None or not (scale.astype(np.float32) > 0).all():
        return "a scale that is computed or not above 0"
    return f"{scale.size} scales with {zero.size} zero points" if scale.size != zero.size else None


def _axis_written(node: onnx.NodeProto, context: Context) -> str | None:
    scale = context.constants.get(operand(node, 1))
    # Versions differ in what a missing axis means (0 up to 10.1, 1 by 10.13).
    if scale is not None and scale.size > 1 and attribute(node, "axis") is None:
        return "several scales and no axis"
    return None


def _scale_type(node: onnx.NodeProto, context: Context) -> str | None:
    scale = context.constants.get(operand(node, 1))
    if scale is None or scale.dtype == np.float32:
        return None
    if not context.parser.typed:
        return f"{scale.dtype} scales (it reads their bytes as float32)"
    return f"{scale.dtype} scales below opset 19" if context.opset < 19 else None


LIMITS: Mapping[str, Check] = {
    "axis_written": _axis_written,
    "inference_only": _inference_only,
    "known_axes": _known_axes,
    "known_pad_mode": _known_pad_mode,
    "known_sizes": _known_sizes,
    "known_slice_axes": _known(3, "axes"),
    "known_split": _known(1, "sizes"),
    "no_dilation": _no_dilation,
    "no_negative_pads": _no_negative_pads,
    "one_output": _one_output,
    "opset_21": _opset_21,
    "plain_equation": _plain_equation,
    "plain_resize": _plain_resize,
    "scale_type": _scale_type,
    "symmetric_int8": _symmetric_int8,
}
