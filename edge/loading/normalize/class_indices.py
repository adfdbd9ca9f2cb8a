"""Class indices: a graph that returns its decision (ArgMax, or a threshold) is cut back to the maps it decided from.

What an engine loses is seen in maps, the decision is the task's, and compilers run the rest of the graph no slower.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx

from edge.errors import InputError
from edge.loading.normalize.edit import array_of, inferred, makers, set_output
from edge.loading.normalize.proof import example, run
from edge.loading.normalize.step import Array, Change, Draft, Step, attribute
from edge.task.task import SegmentationTask

_CARRIERS = frozenset(("Cast", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Transpose", "Flatten"))
_THRESHOLDS = frozenset(("Greater", "GreaterOrEqual"))


def _apply(draft: Draft) -> Change | None:
    if draft.task is None:
        return None
    decision = _decision(draft)
    if decision is None:
        return None
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


def _decision(draft: Draft) -> onnx.NodeProto | None:
    """The ArgMax or threshold that the output comes from, through nothing but casts and changes of shape."""
    made = makers(draft.proto)
    node = made.get(draft.output_name)
    while node is not None and node.op_type in _CARRIERS:
        node = made.get(node.input[0])
    if node is None:
        return None
    if node.op_type in _THRESHOLDS:
        level = array_of(draft.proto, node.input[1])
        return node if level is not None and level.size == 1 else None
    return node if node.op_type == "ArgMax" else None


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
    if maps == 2 and task.maps == 1:
        classes = ("background", *task.classes)
        return replace(task, classes=classes, output="logits", activation="softmax")
    if maps != task.maps:
        raise InputError(
            f"{where}: its ArgMax chooses among {maps} classes and the task names {task.maps} "
            f"({', '.join(task.classes)}); name all {maps} in the task's classes, in the network's order"
        )
    return replace(task, output="logits")


def _of_threshold(draft: Draft, maps: str, level: float) -> tuple[SegmentationTask, str]:
    task = draft.task
    assert task is not None
    if task.maps != 1:
        raise InputError(
            f"{draft.where}: returns a mask (a threshold at {level:g}), which has one foreground class, and the task "
            f"names {task.maps}; name one class in the task"
        )
    maker = makers(draft.proto).get(maps)
    probability = level if maker is not None and maker.op_type == "Sigmoid" else 1.0 / (1.0 + math.exp(-level))
    note = (
        f"{draft.where}: returns a mask (a threshold at {level:g}); cut back to the map in front, "
        f"the task decides from it at threshold {probability:.4g}"
    )
    return replace(task, output="logits", activation="sigmoid", threshold=probability), note


STEP = Step("class indices", _apply)
