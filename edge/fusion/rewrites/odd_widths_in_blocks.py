"""Odd channel widths filled up to whole vectors with channels that nobody reads.

::

    x ─ Conv (W: 105) ─ act ─ Conv (V)          x ─ Conv (W, 7 rows of 0) ─ act ─ Conv (V, 7 columns of 0)

Algebra: a filter of zeros gives a map of zeros; whatever elementwise operations make of it is finite, and the readers'
zero columns make it 0 again, so every sum only gains terms ``0 · v``. Concatenations carry the gaps along, and the
readers' columns stand where the channels went.

Pays where a width leaves vectors half empty or makes a concatenation start inside a vector (DRRMSAN's 51, 105, 212,
426, each a concatenation of three odd widths). A convolution's outputs fill whole vectors anyway; its inputs do not, so
only regions whose issued multiplications grow by at most a tenth are proposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import base
from edge.fusion.rewrites._channels import Filters, Placement, Region, is_depthwise, placements, plain_conv, region_of
from edge.fusion.rewrites._lanes import LANES, cost
from edge.graph.editor import Editor
from edge.graph.rewrite import Rewrite, rewrite_name

_MOST_GROWTH = 1.10
Places = Mapping[ir.Value, tuple[Placement, int]]


def _sweep(editor: Editor) -> int:
    widened, known = 0, set[ir.Value]()
    for node in editor.nodes("Conv"):
        found = plain_conv(editor, node)
        if found is None or found.outputs % LANES == 0 or found.y in known:
            continue
        region = region_of(editor, found.y)
        known.update(region.maps)
        widened += _fill_up(editor, region)
    return widened


def _fill_up(editor: Editor, region: Region) -> bool:
    places = placements(editor, region, LANES)
    if places is None or all(len(at) == wide for at, wide in places.values()):
        return False
    before, after = (sum(_issued(editor, c, table) for c in region.convs) for table in ({}, places))
    if after > before * _MOST_GROWTH:
        return False
    _widen(editor, region, places)
    return True


def _issued(editor: Editor, c: Filters, places: Places) -> int:
    shape = editor.shape(c.x if c.output_axis else c.y)
    assert shape is not None
    outputs = places[c.y][1] if c.y in places else c.outputs
    inputs = places[c.x][1] if c.x in places else c.per_group
    return cost(outputs, inputs, c.taps, shape[2] * shape[3])


def _widen(editor: Editor, region: Region, places: Places) -> None:
    for c in region.convs:
        _widen_conv(editor, c, places)
    between = {node for value in region.maps if (node := value.producer()) is not None}
    for node in between - {c.node for c in region.convs}:
        _widen_constants(editor, node, *places[node.outputs[0]])
    for value, (_, wide) in places.items():
        shape = editor.shape(value)
        assert shape is not None
        value.shape = ir.Shape((shape[0], wide, *shape[2:]))


def _widen_conv(editor: Editor, c: Filters, places: Places) -> None:
    weight, *bias = (editor.array(value) for value in c.node.inputs[1:])
    assert weight is not None
    if c.x in places:
        weight = _spread(weight, *places[c.x], axis=c.input_axis)
    if c.y in places:
        weight = _spread(weight, *places[c.y], axis=c.output_axis)
        if bias and bias[0] is not None:
            wide = _spread(bias[0], *places[c.y])
            c.node.replace_input_with(2, editor.weight(wide, f"{base(c.node)}.bias"))
    c.node.replace_input_with(1, editor.weight(weight, f"{base(c.node)}.weight"))


def _widen_constants(editor: Editor, node: ir.Node, at: Placement, wide: int) -> None:
    """Constants of one entry a channel, in a node between convolutions."""
    hint = base(node)
    if node.op_type == "Resize":
        sizes = editor.array(node.inputs[3]) if len(node.inputs) > 3 else None
        if sizes is not None and sizes.size == 4:
            changed = sizes.copy()
            changed[1] = wide
            node.replace_input_with(3, editor.weight(changed, f"{hint}.sizes"))
        return
    if is_depthwise(editor, node):
        node.attributes["group"] = ir.AttrInt64("group", wide)
    for index, value in enumerate(node.inputs):
        array = editor.array(value)
        if array is None or array.size == 1:
            continue
        axis = 1 if node.op_type in ("Add", "Sub", "Mul", "Div") and array.ndim == 4 else 0
        neutral = 1.0 if node.op_type == "Div" or (node.op_type == "BatchNormalization" and index == 4) else 0.0
        spread = _spread(array, at, wide, axis, neutral)
        node.replace_input_with(index, editor.weight(spread, f"{hint}.wide"))


def _spread(table: NDArray[Any], at: Placement, wide: int, axis: int = 0, fill: float = 0.0) -> NDArray[Any]:
    """Slices along an axis moved to their places, the gaps filled."""
    moved = np.moveaxis(table, axis, 0)
    result = np.full((wide, *moved.shape[1:]), fill, table.dtype)
    result[at] = moved
    return np.moveaxis(result, 0, axis)


REWRITE = Rewrite(rewrite_name(__name__), "optional", _sweep)
