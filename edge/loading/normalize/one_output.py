"""One output: of several, the one that the task names or the only one that fits it; the others go.

Deep supervision returns smaller maps beside the full one, detection-like heads return other things altogether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edge.loading.normalize.edit import drop_unread
from edge.loading.normalize.proof import output_shapes
from edge.loading.normalize.step import Change, Draft, Step
from edge.task.task import SegmentationTask

Shape = tuple[int, ...]


def _apply(draft: Draft) -> Change | None:
    names = [output.name for output in draft.proto.graph.output]
    task = draft.task
    if task is None or len(names) < 2:
        return None
    note, name = "", task.output_name
    if name is None:
        shapes = output_shapes(draft)
        name = only_fit(shapes, task)
        if name is None:
            return None  # told as outputs to choose from
        others = ", ".join(f"{other} {_shown(shapes.get(other, ()))}" for other in names if other != name)
        note = f"{draft.where}: of its outputs {name} {_shown(shapes[name])} is taken; left out: {others}"
    if name not in names:
        return None
    proto = draft.copy()
    kept = [output for output in draft.proto.graph.output if output.name == name]
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    drop_unread(proto)
    return Change(replace(draft, proto=proto, task=replace(task, output_name=name)), note)


def only_fit(shapes: Mapping[str, Shape], task: SegmentationTask) -> str | None:
    """The only map of the task's size; the only largest one where none has it."""
    maps = {name: size for name, shape in shapes.items() if (size := _map_size(shape, task.maps)) is not None}
    if not maps:
        return None
    largest = max(maps.values(), key=lambda size: size[0] * size[1])
    wanted = task.size if task.size in maps.values() else largest
    fitting = [name for name, size in maps.items() if size == wanted]
    return fitting[0] if len(fitting) == 1 else None


def _map_size(shape: Shape, maps: int) -> tuple[int, int] | None:
    """Height and width of what can be the task's maps, None for what cannot."""
    if len(shape) != 4 or shape[0] != 1:
        return None
    if shape[1] == maps:
        return shape[2], shape[3]
    return (shape[1], shape[2]) if shape[3] == maps else None


def _shown(shape: Shape) -> str:
    return "[" + " x ".join(map(str, shape)) + "]"


STEP = Step("one output", _apply)
