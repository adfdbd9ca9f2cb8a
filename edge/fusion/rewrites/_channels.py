"""Maps whose channels can be moved and widened together: everything between convolutions that keeps channels apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.rewrites._affine import read_batch_norm
from edge.fusion.rewrites._resize import read_upsample
from edge.graph.editor import Editor, integer, text

Placement = NDArray[np.int64]
"""``[C]``: where each channel of a map stands in the wider one."""

# Finite wherever the input is, so that a channel that nobody reads stays harmless.
_UNARY = (
    "Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Elu", "Mish", "Identity",
    "MaxPool", "AveragePool", "GlobalAveragePool",
)  # fmt: skip
_BINARY = ("Add", "Sub", "Mul", "Div")


@dataclass(frozen=True)
class Filters:
    """A convolution's shape, without its weights, of which there may be many megabytes.

    ``output_axis`` and ``input_axis`` are those of the weights: ConvTranspose has them the other way round.
    """

    node: ir.Node
    x: ir.Value
    y: ir.Value
    outputs: int
    per_group: int
    taps: int
    groups: int
    output_axis: int = 0

    @property
    def input_axis(self) -> int:
        return 1 - self.output_axis


@dataclass
class Region:
    """Maps that must be widened together, and what stands around them.

    Attributes:
        maps: in the order found.
        twins: pairs whose channels correspond one to one.
        concats: concatenations inside the region.
        convs: ungrouped convolutions that write or read a map.
        pinned: maps that something else reads or writes too: they keep their channels.
    """

    maps: list[ir.Value] = field(default_factory=list)
    twins: list[tuple[ir.Value, ir.Value]] = field(default_factory=list)
    concats: list[ir.Node] = field(default_factory=list)
    convs: list[Filters] = field(default_factory=list)
    pinned: list[ir.Value] = field(default_factory=list)


def region_of(editor: Editor, start: ir.Value) -> Region:
    """Everything that has to follow where a map's channels go."""
    found = Region()
    seen: set[ir.Node] = set()
    pending = [start]
    while pending:
        value = pending.pop()
        if value in found.maps:
            continue
        found.maps.append(value)
        producer = value.producer()
        if producer is None or value.is_graph_output():
            found.pinned.append(value)
        for node in (producer, *(use.node for use in value.uses())):
            if node is None:
                continue
            kept = _kept(editor, node)
            conv = plain_conv(editor, node)
            if conv is not None:
                if node not in seen:
                    found.convs.append(conv)
            elif kept is not None and any(v is value for v in kept):
                pending += kept
                if node not in seen and node.op_type == "Concat":
                    found.concats.append(node)
                elif node not in seen:
                    found.twins += [(kept[-1], other) for other in kept[:-1]]
            else:
                found.pinned.append(value)
            seen.add(node)
    return found


def read_filters(editor: Editor, node: ir.Node) -> Filters | None:
    """A 2-D convolution, or ungrouped transposed one, with constant float32 filters and explicit pads; else None."""
    if node.op_type not in ("Conv", "ConvTranspose") or node.domain not in ("", "ai.onnx"):
        return None
    x, weight, *bias = node.inputs
    shape = editor.shape(weight)
    constant = all(v is None or v.const_value is not None for v in (weight, *bias))
    if x is None or weight is None or shape is None or len(shape) != 4 or not constant:
        return None
    if weight.dtype != ir.DataType.FLOAT or text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    axis, groups = int(node.op_type == "ConvTranspose"), integer(node, "group", 1)
    if axis and groups != 1:
        return None
    return Filters(node, x, node.outputs[0], shape[axis], shape[1 - axis], shape[2] * shape[3], groups, axis)


def plain_conv(editor: Editor, node: ir.Node) -> Filters | None:
    """An ungrouped convolution, transposed or not, with constant filters."""
    found = read_filters(editor, node)
    return found if found is not None and found.groups == 1 else None


def placements(editor: Editor, region: Region, block: int) -> dict[ir.Value, tuple[Placement, int]] | None:
    """Where channels go and how wide each map becomes, filled up to whole blocks; None where demands contradict.

    A concatenation's output follows from its inputs; maps that correspond to it follow too.
    """
    ends = [value for conv in region.convs for value in (conv.x, conv.y)]
    if any(editor.shape(value) is None for value in (*region.maps, *ends)):
        return None
    home = {value: value for value in region.maps}

    def root(value: ir.Value) -> ir.Value:
        while home[value] is not value:
            value = home[value]
        return value

    for one, two in region.twins:
        home[root(one)] = root(two)
    joined: dict[ir.Value, list[ir.Node]] = {}
    for concat in region.concats:
        joined.setdefault(root(concat.outputs[0]), []).append(concat)
    pinned = {root(value) for value in region.pinned}
    known: dict[ir.Value, tuple[Placement, int]] = {}

    def place(value: ir.Value) -> tuple[Placement, int]:
        key = root(value)
        if key in known:
            return known[key]
        width = _channels(editor, value)
        known[key] = np.arange(width), width if key in pinned else -(-width // block) * block
        for concat in joined.get(key, ()):
            parts = [place(part) for part in concat.inputs if part is not None]
            starts = np.cumsum([0, *(wide for _, wide in parts)])
            whole = np.concatenate([at + start for (at, _), start in zip(parts, starts[:-1], strict=True)])
            wanted = whole, int(starts[-1])
            if key in known and concat is not joined[key][0] and not _equal(known[key], wanted):
                raise _Contradiction
            known[key] = wanted
        if key in pinned and not _equal(known[key], (np.arange(width), width)):
            raise _Contradiction
        return known[key]

    try:
        return {value: place(value) for value in region.maps}
    except _Contradiction:
        return None


class _Contradiction(Exception):
    pass


def _equal(one: tuple[Placement, int], two: tuple[Placement, int]) -> bool:
    return one[1] == two[1] and np.array_equal(one[0], two[0])


def _channels(editor: Editor, value: ir.Value) -> int:
    shape = editor.shape(value)
    assert shape is not None
    return shape[1]


def _kept(editor: Editor, node: ir.Node) -> list[ir.Value] | None:
    """The maps of a node that keeps channels apart, its output last; None for any other node."""
    y = node.outputs[0]
    shape = editor.shape(y)
    if shape is None or len(shape) != 4 or len(node.outputs) != 1 or node.domain not in ("", "ai.onnx"):
        return None
    values = _mapped(editor, node, shape[1])
    if values is None or any(v is None for v in values):
        return None
    return [*(v for v in values if v is not None), y]


def _mapped(editor: Editor, node: ir.Node, channels: int) -> Sequence[ir.Value | None] | None:
    x = node.inputs[0]
    if node.op_type == "Concat":
        shapes = [editor.shape(v) for v in node.inputs]
        wide = all(s is not None and len(s) == 4 for s in shapes) and all(editor.array(v) is None for v in node.inputs)
        return node.inputs if wide and integer(node, "axis", 0) in (1, -3) else None
    if node.op_type in _BINARY:
        return _operands(editor, node, channels)
    simple = (
        node.op_type in _UNARY
        or (node.op_type == "Resize" and read_upsample(editor, node) is not None)
        or (node.op_type == "BatchNormalization" and read_batch_norm(editor, node) is not None)
        or is_depthwise(editor, node)
    )
    shape = editor.shape(x)
    return [x] if simple and shape is not None and len(shape) == 4 and shape[1] == channels else None


def is_depthwise(editor: Editor, node: ir.Node) -> bool:
    """A convolution with one constant filter for each channel."""
    found = read_filters(editor, node)
    return found is not None and found.per_group == 1 and 1 < found.groups == found.outputs


def _operands(editor: Editor, node: ir.Node, channels: int) -> list[ir.Value | None] | None:
    """The computed operands that have the output's channels; constants and one-channel gates are broadcast."""
    kept: list[ir.Value | None] = []
    for index, value in enumerate(node.inputs):
        constant, shape = editor.array(value), editor.shape(value)
        if constant is not None:
            per_channel = constant.ndim in (3, 4) and constant.shape[-3:] == (channels, 1, 1)
            if not (constant.size == 1 or (per_channel and constant.size == channels)) or constant.dtype != np.float32:
                return None
        elif shape is None or len(shape) != 4 or (node.op_type == "Div" and index == 1):
            return None  # a channel of zeros must not divide
        elif shape[1] == channels:
            kept.append(value)
        elif shape[1] != 1:
            return None
    return kept or None
