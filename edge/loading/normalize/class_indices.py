"""Class indices: a graph that returns its decision (ArgMax, or a threshold) is cut back to the maps it decided from.

What an engine loses is seen in maps, the decision is the task's, and compilers run the rest of the graph no slower.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto

from edge.errors import InputError
from edge.loading.normalize.edit import array_of, fresh, inferred, makers, node, set_output
from edge.loading.normalize.proof import example, output_shapes, run
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute
from edge.task.task import SegmentationTask

_CARRIERS = frozenset(("Cast", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Transpose", "Flatten"))
_INTEGERS = (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
_THRESHOLDS = frozenset(("Greater", "GreaterOrEqual"))


def _apply(draft: Draft) -> Change | None:
    if draft.task is None:
        return None
    decision = _decision(draft)
    if decision is None:
        return _as_float(draft)
    proto = draft.copy()
    maps = decision.input[0]
    shape = _shape(draft, maps)
    set_output(proto, draft.output_name, maps, shape)
    cut = draft.with_proto(inferred(proto))
    if decision.op_type == "ArgMax":
        axis = attribute(decision, "axis", 0) % len(shape)
        task = _of_classes(draft.task, shape[axis], draft.where)
        note = f"{draft.where}: returns class indices (ArgMax); cut back to the maps in front, the task decides"

        def decided(array: Array) -> Array:
            return array.argmax(axis).astype(np.float64).reshape(-1)

    else:
        level = float(array_of(draft.proto, decision.input[1]).reshape(()))
        task, note = _of_threshold(draft, maps, level)

        def decided(array: Array) -> Array:
            return (array > level).astype(np.float64).reshape(-1)

    if task.classes != draft.task.classes:
        note += f"; classes are {', '.join(task.classes)}"
    return Change(replace(cut, task=task), note, old=lambda labels: labels.astype(np.float64).reshape(-1), new=decided)


def _as_float(draft: Draft) -> Change | None:
    """Indices that no ArgMax in sight decides, or one in front of a Resize, stay what they are, as float32."""
    task = draft.task
    assert task is not None
    kinds = {output.name: output.type.tensor_type.elem_type for output in draft.proto.graph.output}
    _require_whole(draft)
    decided_here = kinds[draft.output_name] in _INTEGERS or _is_resized_decision(draft)
    if not decided_here or task.overlapping or task.fit == "tile":
        return None
    proto, name = draft.copy(), draft.output_name
    shape = output_shapes(draft).get(name, ())
    made = fresh(proto, f"{name}_levels")
    proto.graph.node.append(node(proto, "Cast", [name], made, {"to": TensorProto.FLOAT}))
    set_output(proto, name, made, shape)
    note = f"{draft.where}: returns class indices that it decides itself; the task's output is labels then"
    decided = replace(draft.with_proto(inferred(proto)), task=replace(task, output="labels"))
    return Change(decided, note if task.output != "labels" else "")


def _is_resized_decision(draft: Draft) -> bool:
    """Whether the output is an ArgMax that was enlarged to its nearest neighbours."""
    made = makers(draft.proto)
    found, resized = made.get(draft.output_name), False
    while found is not None and (found.op_type in _CARRIERS or _is_nearest(found)):
        resized = resized or found.op_type == "Resize"
        found = made.get(found.input[0])
    return resized and found is not None and found.op_type == "ArgMax"


def _require_whole(draft: Draft) -> None:
    """Refuse class indices that were mixed by a Resize: between classes 1 and 3 it makes a 2 that is not there."""
    made = makers(draft.proto)
    found, mixed = made.get(draft.output_name), ""
    while found is not None and (found.op_type in _CARRIERS or found.op_type == "Resize"):
        if found.op_type == "Resize" and not _is_nearest(found):
            mixed = found.name
        found = made.get(found.input[0])
    if mixed and found is not None and found.op_type == "ArgMax":
        raise InputError(
            f"{draft.where}: enlarges class indices (node {mixed!r} behind the ArgMax) by a kernel that mixes them, so "
            "that classes appear between two others; export the map in front of the ArgMax, which is enlarged here"
        )


def _is_nearest(found: onnx.NodeProto) -> bool:
    return found.op_type == "Resize" and attribute(found, "mode", b"nearest") == b"nearest"


def _decision(draft: Draft) -> onnx.NodeProto | None:
    """The ArgMax or threshold that the output comes from, through nothing but casts and changes of shape."""
    made = makers(draft.proto)
    found = made.get(draft.output_name)
    while found is not None and found.op_type in _CARRIERS:
        found = made.get(found.input[0])
    if found is None:
        return None
    if found.op_type in _THRESHOLDS:
        level = array_of(draft.proto, found.input[1])
        return found if level is not None and level.size == 1 else None
    return found if found.op_type == "ArgMax" else None


def _shape(draft: Draft, value: str) -> tuple[int, ...]:
    """Shape of a value inside the graph, seen in a run."""
    proto = draft.copy()
    proto.graph.output.append(onnx.ValueInfoProto(name=value))
    image = example(draft)
    try:
        if image is not None:
            return run(proto, image)[value].shape
    except Exception:  # told below, whatever the runtime's reason
        pass
    raise InputError(
        f"{draft.where}: returns class indices, and does not run in ONNX Runtime; export its logits instead"
    )


def _of_classes(task: SegmentationTask, maps: int, where: str) -> SegmentationTask:
    """The task over so many maps of logits; one foreground class beside a background map gets that one's name."""
    if maps == 2 and len(task.classes) == 1:
        classes = ("background", *task.classes)
        return replace(task, classes=classes, output="logits", activation="softmax")
    if maps != len(task.classes):
        raise InputError(
            f"{where}: its ArgMax chooses among {maps} classes and the task names {len(task.classes)} "
            f"({', '.join(task.classes)}); name all {maps} in the task's classes, in the network's order"
        )
    return replace(task, output="logits", activation="softmax")


def _of_threshold(draft: Draft, maps: str, level: float) -> tuple[SegmentationTask, str]:
    task = draft.task
    assert task is not None
    if len(task.classes) != 1:
        raise InputError(
            f"{draft.where}: returns a mask (a threshold at {level:g}), which has one foreground class, and the task "
            f"names {len(task.classes)}; name one class in the task"
        )
    maker = makers(draft.proto).get(maps)
    probability = level if maker is not None and maker.op_type == "Sigmoid" else 1.0 / (1.0 + math.exp(-level))
    note = (
        f"{draft.where}: returns a mask (a threshold at {level:g}); cut back to the map in front, "
        f"the task decides from it at threshold {probability:.4g}"
    )
    return replace(task, output="logits", activation="sigmoid", threshold=probability), note


STEP = Step("class indices", _apply)
