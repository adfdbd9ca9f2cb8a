"""Fixed size: symbolic batch, height and width become 1 and the task's size, and the graph must run at it.

A larger batch becomes 1 too, where the graph runs so.
"""

from __future__ import annotations

import onnx

from edge.errors import InputError
from edge.graph.model import graph_inputs
from edge.graph.native import with_shapes
from edge.loading.normalize.proof import example, run
from edge.loading.normalize.step import Array, Change, Draft, Step, static_dims
from edge.loading.stride import Size, advice


def _apply(draft: Draft) -> Change | None:
    task, inputs = draft.task, graph_inputs(draft.proto)
    if task is None or len(inputs) != 1:
        return None
    dims = static_dims(inputs[0])
    shape = (1, task.in_channels, *task.size)
    if dims is not None and len(dims) == len(shape) and (dims[0] or 1) > 1 and _fits(dims[1:], shape[1:]):
        return _of_one(draft, dims[0] or 1, shape)
    if dims == shape or (dims is not None and not _fits(dims, shape)):
        return None  # the second is told as a contradiction of task and graph
    fixed = draft.with_proto(_at(draft.proto, shape))
    _require_runs(fixed)
    return Change(fixed)


def _of_one(draft: Draft, batch: int, shape: tuple[int, ...]) -> Change | None:
    """The graph for one image at a time; None where a batch is written inside it, too."""
    alone = draft.with_proto(_at(draft.proto, shape))
    try:
        _try(alone)
    except Exception:  # ONNX Runtime's errors share no public base
        return None
    note = f"{draft.where}: was exported for {batch} images at a time; it takes one here"

    def first(array: Array) -> Array:
        return array[:1]

    return Change(alone, note, feed=first, old=first)


def _fits(dims: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(dims) == len(shape) and all(d in (None, s) for d, s in zip(dims, shape, strict=True))


def _at(proto: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The graph at one input shape; what was inferred from symbolic sizes is inferred anew."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    given = graph_inputs(fixed)[0]
    given.CopyFrom(onnx.helper.make_tensor_value_info(given.name, given.type.tensor_type.elem_type, shape))
    del fixed.graph.value_info[:]
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    return with_shapes(fixed)


def _require_runs(draft: Draft) -> None:
    """Refuse a size that the graph does not take, naming the next that it does.

    Raises:
        InputError: the graph runs at another size than the task's.
    """
    task = draft.task
    assert task is not None
    try:
        _try(draft)
    except Exception:  # ONNX Runtime's errors share no public base

        def runs(size: Size) -> bool:
            try:
                _try(draft.with_proto(_at(draft.proto, (1, task.in_channels, *size))))
            except Exception:
                return False
            return True

        height, width = task.size
        if told := advice(task.size, runs):
            raise InputError(f"{draft.where}: does not run at the task's size of {height} x {width}: {told}") from None


def _try(draft: Draft) -> None:
    image = example(draft)
    assert image is not None
    run(draft.proto, image)


STEP = Step("fixed size", _apply)
