"""Mask queries: class scores and a mask for each of a number of queries become one map for each class.

::

    classes [1, Q, C + 1] ─ Softmax ─ without the last ────────────┐
    masks [1, Q, h, w] ─ Resize to the task's size ─ Sigmoid ─ Σ over the queries ─ maps [1, C, H, W]

Mask2Former, MaskFormer and EoMT return the two (``class_queries_logits``, ``masks_queries_logits``); the sum is what
transformers' ``post_process_semantic_segmentation`` and the papers decide from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from edge.errors import InputError
from edge.loading.normalize.activation import sigmoid, softmax
from edge.loading.normalize.edit import fresh, inferred, node, set_output
from edge.loading.normalize.one_output import only_fit
from edge.loading.normalize.output_size import enlarged_bilinearly
from edge.loading.normalize.proof import example, output_shapes, run
from edge.loading.normalize.step import Array, Change, Draft, Step
from edge.task.task import SegmentationTask

Shapes = Mapping[str, tuple[int, ...]]

_NAMED = "masks_queries_logits"


def _apply(draft: Draft) -> Change | None:
    task = draft.task
    if task is None or task.output == "labels" or task.output_name is not None or len(draft.proto.graph.output) < 2:
        return None
    shapes = output_shapes(draft)
    found = _pair(shapes, task.maps)
    if found is None or _returns_maps_too(found, shapes, task):
        return None
    classes, masks = found
    queries, kinds = shapes[classes][1:]
    if kinds == 2:
        raise InputError(
            f"{draft.where}: finds one class by {queries} masks ({classes} and {masks}) and has no background to weigh "
            "it against, so that transformers' post_process_semantic_segmentation makes every pixel that class; train "
            "it with the background as a class of its own (num_labels = 2) and name both in classes of the task"
        )
    if kinds - 1 != task.maps:
        raise InputError(
            f"{draft.where}: finds {kinds - 1} classes by {queries} masks ({classes} and {masks}), the task names "
            f"{task.maps}; name all of the network's classes, the background too, in classes of the task"
        )
    note = (
        f"{draft.where}: finds its classes by {queries} masks; {classes} and {masks} are combined into one map for "
        "each class inside the engine, as transformers' post_process_semantic_segmentation does"
    )
    proto = _combined(draft, classes, masks, shapes[masks], kinds - 1)

    def expected(low: Array) -> Array:
        image = example(draft)
        assert image is not None
        scores = softmax(run(draft.proto, image)[classes].transpose(0, 2, 1))[:, :-1]
        return np.einsum("bcq,bqhw->bchw", scores, sigmoid(enlarged_bilinearly(low, task.size)))

    return Change(replace(draft, proto=proto, task=replace(task, output_name=masks)), note, 1e-4, old=expected)


def _pair(shapes: Shapes, maps: int) -> tuple[str, str] | None:
    """The outputs with the classes and with the masks of as many queries; None where there are no such two."""
    masks = [name for name, shape in shapes.items() if len(shape) == 4 and shape[0] == 1]
    masks = [name for name in masks if shapes[name][1] != maps or name == _NAMED]
    rows = [name for name, shape in shapes.items() if len(shape) == 3 and shape[0] == 1 and shape[2] > 1]
    pairs = [(row, mask) for mask in masks for row in rows if shapes[row][1] == shapes[mask][1]]
    exact = [(row, mask) for row, mask in pairs if shapes[row][2] == maps + 1] or pairs
    named = [(row, mask) for row, mask in exact if mask == _NAMED and row.startswith("class")] or exact
    return named[0] if len(named) == 1 else None


def _returns_maps_too(found: tuple[str, str], shapes: Shapes, task: SegmentationTask) -> bool:
    """Whether another output is the task's map: then features and tokens beside it are no masks and classes."""
    others = {name: shape for name, shape in shapes.items() if name not in found}
    return _NAMED not in found and only_fit(others, task) is not None


def _combined(draft: Draft, classes: str, masks: str, shape: tuple[int, ...], kinds: int) -> onnx.ModelProto:
    assert draft.task is not None
    proto, size = draft.copy(), draft.task.size
    queries = shape[1]

    def constant(values: object, hint: str) -> str:
        name = fresh(proto, f"{masks}_{hint}")
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def op(kind: str, *inputs: str, **attributes: object) -> str:
        made = fresh(proto, f"{masks}_{kind.lower()}")
        proto.graph.node.append(node(proto, kind, inputs, made, attributes))
        return made

    ends = (constant([0], "first"), constant([kinds], "last"), constant([2], "axis"))
    scores = op("Transpose", op("Slice", op("Softmax", classes, axis=-1), *ends), perm=[0, 2, 1])
    sizes = constant([1, queries, *size], "sizes")
    high = op("Resize", masks, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    flat = op("Reshape", op("Sigmoid", high), constant([1, queries, size[0] * size[1]], "pixels"))
    summed = op("Reshape", op("MatMul", scores, flat), constant([1, kinds, *size], "maps"))
    kept = [output for output in draft.proto.graph.output if output.name == masks]
    del proto.graph.output[:]
    proto.graph.output.extend(kept)
    set_output(proto, masks, summed, (1, kinds, *size))
    return inferred(proto)


STEP = Step("mask queries", _apply)
