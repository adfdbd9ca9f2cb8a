"""Resizes that compilers forget or refuse become two products with the weights of their rows and of their columns.

::

    x ─ Resize(antialias) ─ y
    x ─ R · x ─ · Cᵀ ─ y            R [H', H], C [W', W]: what ONNX Runtime makes of single rows and columns

OpenVINO passes over ``antialias`` and ``exclude_outside``, and has no ``half_pixel_symmetric`` and no
``tf_crop_and_resize``; TensorRT refuses most of them. All of these are linear, and rows and columns do not depend on
each other. ``keep_aspect_ratio_policy`` only says sizes, which are written out.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge.graph.native import with_shapes
from edge.loading.normalize.edit import array_of, fresh, inferred, node
from edge.loading.normalize.proof import example, run
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute, static_dims

_COORDINATES = (b"half_pixel_symmetric", b"tf_crop_and_resize")
_POLICY = "keep_aspect_ratio_policy"
_STRETCH = b"stretch"
Shape = tuple[int, ...]


def _apply(draft: Draft) -> Change | None:
    names = [one.name for one in draft.proto.graph.node if one.op_type == "Resize" and (_odd(one) or _keeps(one))]
    if draft.task is None or not names:
        return None
    shapes = _seen(draft, names)
    proto, changed = draft.copy(), False
    for one in [n for n in proto.graph.node if n.name in names]:
        before, after = shapes.get(one.input[0]), shapes.get(one.output[0])
        if before is None or after is None or len(before) != 4 or before[:2] != after[:2]:
            continue
        if _keeps(one):
            _name_sizes(proto, one, after)
            changed = True
        if _odd(one) and _constant(proto, one):
            _as_products(proto, one, before, after)
            changed = True
    return Change(draft.with_proto(inferred(proto)), tolerance=1e-4) if changed else None


def _odd(one: onnx.NodeProto) -> bool:
    return bool(
        attribute(one, "antialias", 0)
        or attribute(one, "exclude_outside", 0)
        or attribute(one, "coordinate_transformation_mode", b"half_pixel") in _COORDINATES
    )


def _keeps(one: onnx.NodeProto) -> bool:
    return attribute(one, _POLICY, _STRETCH) != _STRETCH


def _constant(proto: onnx.ModelProto, one: onnx.NodeProto) -> bool:
    """Whether everything but the map is known, and what lies outside a crop is 0."""
    known = all(not name or array_of(proto, name) is not None for name in one.input[1:])
    return known and attribute(one, "extrapolation_value", 0.0) == 0.0


def _seen(draft: Draft, names: list[str]) -> dict[str, Shape]:
    """Shapes of what such nodes read and make: as inferred, or as seen in a run."""
    graph = inferred(draft.copy()).graph
    declared = {v.name: static_dims(v) for v in (*graph.input, *graph.value_info, *graph.output)}
    wanted = [name for one in graph.node if one.name in names for name in (one.input[0], one.output[0])]
    known = {name: dims for name in wanted if (dims := declared.get(name)) is not None and None not in dims}
    # Inference does not follow every policy and crop.
    image, proto = example(draft), draft.copy()
    made = {name for one in proto.graph.node for name in one.output} - {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(wanted) if name in made)
    try:
        seen = {} if image is None else run(proto, image)
    except Exception:  # a graph that does not run is refused where its runtime can say why
        seen = {}
    return {**known, **{name: array.shape for name, array in seen.items() if name in wanted}}


def _name_sizes(proto: onnx.ModelProto, one: onnx.NodeProto, after: Shape) -> None:
    sizes = fresh(proto, f"{one.output[0]}_sizes")
    axes = attribute(one, "axes", range(4))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([after[a] for a in axes], np.int64), sizes))
    roi = one.input[1] if len(one.input) > 1 else ""
    one.input[:] = [one.input[0], roi, "", sizes]
    kept = [each for each in one.attribute if each.name != _POLICY]
    del one.attribute[:]
    one.attribute.extend(kept)


def _as_products(proto: onnx.ModelProto, one: onnx.NodeProto, before: Shape, after: Shape) -> None:
    value = one.input[0]
    products: list[onnx.NodeProto] = []
    for axis in (2, 3):
        weights = _weights(proto, one, axis, before[axis], after[axis])
        stored = fresh(proto, f"{one.output[0]}_{'rows' if axis == 2 else 'columns'}")
        last = axis == 3
        array = np.ascontiguousarray(weights.T) if last else weights
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, stored))
        made = one.output[0] if last else fresh(proto, f"{one.output[0]}_half")
        products.append(node(proto, "MatMul", [value, stored] if last else [stored, value], made))
        value = made
    at = next(index for index, each in enumerate(proto.graph.node) if each.name == one.name)
    products[-1].name = one.name
    proto.graph.node.insert(at, products[0])
    proto.graph.node[at + 1].CopyFrom(products[1])


def _weights(proto: onnx.ModelProto, one: onnx.NodeProto, axis: int, before: int, after: int) -> Array:
    """``[after, before]``: the node itself on single rows, each a channel of an image of one column."""
    place = list(attribute(one, "axes", range(4))).index(axis)
    rank = len(attribute(one, "axes", range(4)))
    given = {
        key: array_of(proto, name) for key, name in zip(("roi", "scales", "sizes"), one.input[1:], strict=False) if name
    }
    inputs, weights = ["rows", "", "", ""], []
    if (roi := given.get("roi")) is not None and roi.size:
        ends = np.array([0, 0, roi[place], 0, 1, 1, roi[rank + place], 1], np.float32)
        inputs[1], weights = "roi", [onnx.numpy_helper.from_array(ends, "roi")]
    if (scales := given.get("scales")) is not None and scales.size:
        factors = np.array([1, 1, scales[place], 1], np.float32)
        inputs[2], weights = "scales", [*weights, onnx.numpy_helper.from_array(factors, "scales")]
    else:
        lengths = np.array([1, before, after, 1], np.int64)
        inputs[3], weights = "sizes", [*weights, onnx.numpy_helper.from_array(lengths, "sizes")]
    while not inputs[-1]:
        inputs.pop()
    alone = helper.make_node("Resize", inputs, ["made"], "resize")
    alone.attribute.extend(each for each in one.attribute if each.name not in ("axes", _POLICY))
    ends_of = [("rows", before), ("made", after)]
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, before, size, 1]) for name, size in ends_of]
    graph = helper.make_graph([alone], "rows", shapes[:1], shapes[1:], weights)
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    rows = np.eye(before, dtype=np.float32)[None, :, :, None]
    return np.ascontiguousarray(run(with_shapes(model), rows)["made"][0, :, :, 0].T)


STEP = Step("resizes that no compiler takes", _apply)
