"""Reading and rebuilding 2-D convolutions, which most rewrites touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.editor import Editor, Shape, integer, ints, text


@dataclass(frozen=True)
class Conv:
    """A 2-D ``Conv`` node with constant weights, in float64 so that folding loses nothing.

    Attributes:
        node: the node.
        x, y: its input and output.
        weight: ``[out, in / groups, kh, kw]``.
        bias: ``[out]``, zeros where the node has none.
        groups: number of groups.
        kernel, strides, dilations: ``(h, w)``.
        pads: ``(top, left, bottom, right)``.
    """

    node: ir.Node
    x: ir.Value
    y: ir.Value
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    groups: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def pointwise(self) -> bool:
        """A 1×1, stride-1, unpadded, ungrouped convolution: a matrix for every pixel."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads) and self.groups == 1

    @property
    def depthwise(self) -> bool:
        """One filter per channel."""
        return self.groups > 1 and self.weight.shape[0] == self.groups and self.weight.shape[1] == 1

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return self.weight.shape[1] * self.groups

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.weight.shape[0]

    def attributes(self, **changes: Any) -> dict[str, Any]:
        """Attributes for a rebuilt node."""
        table: dict[str, Any] = {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            "pads": list(self.pads),
            "group": self.groups,
        }
        table.update(changes)
        return table


def read_conv(editor: Editor, node: ir.Node | None) -> Conv | None:
    """The convolution behind a node; None where it is not a 2-D one with constant weights and explicit pads."""
    if node is None or node.op_type != "Conv" or node.domain not in ("", "ai.onnx"):
        return None
    weight = editor.array(node.inputs[1])
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = editor.array(node.inputs[2]) if has_bias else None
    if weight is None or weight.ndim != 4 or weight.dtype != np.float32 or (has_bias and bias is None):
        return None
    if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    x = node.inputs[0]
    assert x is not None
    pads = ints(node, "pads", (0, 0, 0, 0))
    strides, dilations = ints(node, "strides", (1, 1)), ints(node, "dilations", (1, 1))
    return Conv(
        node,
        x,
        node.outputs[0],
        weight.astype(np.float64),
        np.zeros(weight.shape[0]) if bias is None else bias.astype(np.float64),
        integer(node, "group", 1),
        (weight.shape[2], weight.shape[3]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (pads[0], pads[1], pads[2], pads[3]),
    )


def conv(
    editor: Editor,
    like: Conv,
    x: ir.Value,
    weight: NDArray[np.float64],
    bias: NDArray[np.float64] | None,
    *,
    shape: Shape | None,
    hint: str,
    **changes: Any,
) -> ir.Value:
    """Append a convolution that differs from ``like`` in its input, its weights and the named attributes."""
    inputs = [x, editor.weight(weight, f"{hint}.weight")]
    if bias is not None:
        inputs.append(editor.weight(bias, f"{hint}.bias"))
    changes = {"kernel_shape": list(weight.shape[2:]), **changes}
    return editor.op("Conv", inputs, like.attributes(**changes), shape=shape, hint=hint)


def pointwise(
    editor: Editor,
    x: ir.Value,
    weight: NDArray[np.float64],
    bias: NDArray[np.float64] | None,
    *,
    shape: Shape | None,
    hint: str,
) -> ir.Value:
    """Append a 1×1 convolution; ``weight`` is ``[out, in]``."""
    inputs = [x, editor.weight(weight[:, :, None, None], f"{hint}.weight")]
    if bias is not None:
        inputs.append(editor.weight(bias, f"{hint}.bias"))
    attributes = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0], "group": 1}
    return editor.op("Conv", inputs, attributes, shape=shape, hint=hint)


def base(node: ir.Node) -> str:
    """A node's name as the start of new names."""
    return node.name or node.outputs[0].name or node.op_type
