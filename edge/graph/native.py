"""onnx's own C++, which may take for ever over a hostile graph, within the limit of seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.version_converter

from edge.safety.watchdog import native_call

if TYPE_CHECKING:
    import onnx_ir


def check(proto: onnx.ModelProto, full: bool = False, where: object = "the graph") -> None:
    """Hold a graph to the standard, and with ``full`` its types and shapes too.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: it does not hold.
    """
    with native_call(where, "the ONNX checker"):
        onnx.checker.check_model(proto, full_check=full)


def with_shapes(proto: onnx.ModelProto, data_prop: bool = True, where: object = "the graph") -> onnx.ModelProto:
    """A copy with every type and shape that can be inferred.

    Args:
        data_prop: follow values through the arithmetic of shapes.
    """
    with native_call(where, "the inference of its shapes"):
        inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(proto, data_prop=data_prop)
    return inferred


def infer_shapes(graph: onnx_ir.Model, data_prop: bool = True, where: object = "the graph") -> None:
    """Infer what :func:`with_shapes` does, into an ``onnx_ir`` graph."""
    import onnx_ir.passes.common as passes

    with native_call(where, "the inference of its shapes"):
        passes.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=data_prop)(graph)


def in_opset(proto: onnx.ModelProto, opset: int, where: object = "the graph") -> onnx.ModelProto:
    """A copy in another version of the default operator set; the converter's errors share no public base."""
    with native_call(where, "the conversion of its operator set"):
        converted: onnx.ModelProto = onnx.version_converter.convert_version(proto, opset)
    return converted
