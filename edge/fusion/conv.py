"""Reading and rebuilding 2-D convolutions, which most rewrites touch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.graph.editor import Editor, Shape, integer, ints, text


@dataclass(frozen=True)
class Conv:
    """A 2-D ``Conv`` node, in float64 so that folding loses nothing.

    Its filters are constants, or a mixture ``Σ_k a_k W_k`` of constant filters with computed weights ``a`` (a dynamic
    convolution). What is linear in the filters can be done to every ``W_k``.

    Attributes:
        node: the node.
        x, y: its input and output.
        bank: ``[K, out, in / groups, kh, kw]``; K = 1 for an ordinary convolution.
        mixture: ``[1, K]``, computed; None for an ordinary convolution.
        bias: ``[out]``, zeros where the node has none.
        groups: number of groups.
        kernel, strides, dilations: ``(h, w)``.
        pads: ``(top, left, bottom, right)``.
    """

    node: ir.Node
    x: ir.Value
    y: ir.Value
    bank: NDArray[np.float64]
    mixture: ir.Value | None
    bias: NDArray[np.float64]
    groups: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def weight(self) -> NDArray[np.float64]:
        """``[out, in / groups, kh, kw]`` of an ordinary convolution."""
        assert self.mixture is None
        return self.bank[0]

    @property
    def pointwise(self) -> bool:
        """A 1×1, stride-1, unpadded, ungrouped convolution: a matrix for every pixel."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads) and self.groups == 1

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return self.bank.shape[2] * self.groups

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.bank.shape[1]

    def mixed_by(self, mixture: ir.Value) -> Conv:
        """The same convolution with its filters mixed by a computed ``[1, K]``, for :func:`conv`."""
        return replace(self, mixture=mixture)

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
    """The ordinary convolution behind a node; None where it is not a 2-D one with constant weights, explicit pads."""
    found = read_any_conv(editor, node)
    return found if found is not None and found.mixture is None else None


def read_any_conv(editor: Editor, node: ir.Node | None) -> Conv | None:
    """The ordinary or dynamic 2-D convolution behind a node; None where it is neither."""
    if node is None or node.op_type != "Conv" or node.domain not in ("", "ai.onnx"):
        return None
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    bias = editor.array(node.inputs[2]) if has_bias else None
    bank, mixture = _filters(editor, node.inputs[1])
    if bank is None or bank.ndim != 5 or (has_bias and bias is None):
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
        bank.astype(np.float64),
        mixture,
        np.zeros(bank.shape[1]) if bias is None else bias.astype(np.float64),
        integer(node, "group", 1),
        (bank.shape[3], bank.shape[4]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (pads[0], pads[1], pads[2], pads[3]),
    )


def _filters(editor: Editor, weight: ir.Value | None) -> tuple[NDArray[np.float32] | None, ir.Value | None]:
    constant = editor.array(weight)
    if constant is not None:
        return (constant[None] if constant.dtype == np.float32 else None), None
    # Reshape(MatMul(mixture [1, K], bank [K, out·in·kh·kw]))
    shape = editor.shape(weight)
    reshape = editor.own(weight, "Reshape")
    product = editor.own(reshape.inputs[0], "MatMul") if reshape is not None else None
    if product is None or shape is None:
        return None, None
    bank, mixture = editor.array(product.inputs[1]), product.inputs[0]
    rows = editor.shape(mixture)
    if bank is None or bank.ndim != 2 or rows != (1, bank.shape[0]) or bank.dtype != np.float32:
        return None, None
    return bank.reshape(bank.shape[0], *shape), mixture


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
    """Append a convolution that differs from ``like`` in its input, its filters and the named attributes.

    Args:
        weight: ``[out, in / groups, kh, kw]``, or ``like``'s whole bank of them, ``[K, ...]``.
    """
    bank = weight if weight.ndim == 5 else weight[None]
    inputs = [x, _make_filters(editor, bank, like.mixture, hint)]
    if bias is not None:
        inputs.append(editor.weight(bias, f"{hint}.bias"))
    changes = {"kernel_shape": list(bank.shape[3:]), **changes}
    return editor.op("Conv", inputs, like.attributes(**changes), shape=shape, hint=hint)


def _make_filters(editor: Editor, bank: NDArray[np.float64], mixture: ir.Value | None, hint: str) -> ir.Value:
    if mixture is None:
        return editor.weight(bank[0], f"{hint}.weight")
    flat = bank.reshape(bank.shape[0], -1)
    product = editor.op(
        "MatMul",
        [mixture, editor.weight(flat, f"{hint}.bank")],
        shape=(1, flat.shape[1]),
        hint=f"{hint}.mix",
    )
    wanted = editor.weight(np.asarray(bank.shape[1:], np.int64), f"{hint}.shape")
    return editor.op("Reshape", [product, wanted], shape=bank.shape[1:], hint=f"{hint}.filters")


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
