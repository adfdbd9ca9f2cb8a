"""ONNX files: batch 1, the task's size, and an operator set that every backend's quantization can be written in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter

from edge.backends.onnxruntime import reference
from edge.graph.model import Model, graph_inputs, read_model
from edge.graph.names import with_names
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask

# QuantizeLinear takes FP16 scales from here on, which TensorRT's strongly typed graphs need.
OPSET = 19
_TOLERANCE = 1e-5


def load_onnx(path: Path, task: SegmentationTask | None, default: SegmentationTask | None = None) -> Model:
    """Read an ONNX file as every stage expects it.

    Nodes without a name of their own get one. Symbolic batch, height and width become 1 and the task's size. An older
    operator set is converted to 19; a graph that the converter fails on, or computes otherwise afterwards, stays as it
    was.

    Raises:
        InputError: as :func:`edge.graph.model.read_model`.
    """
    model = read_model(path, task, default)
    fixed = replace(model, proto=_fixed(model))
    raised = _converted(fixed) if model.opset < OPSET else fixed
    return replace(raised, proto=with_names(raised.proto))


def _fixed(model: Model) -> onnx.ModelProto:
    shape = (1, model.task.in_channels, *model.task.size)
    given = graph_inputs(model.proto)[0].type.tensor_type
    if given.HasField("shape") and tuple(d.dim_value for d in given.shape.dim) == shape:
        return model.proto
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph_inputs(proto)[0].CopyFrom(onnx.helper.make_tensor_value_info(model.input_name, given.elem_type, shape))
    # What was inferred from symbolic sizes is inferred anew.
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    return inferred


def _converted(model: Model) -> Model:
    image = noise_batch(model.task)
    try:
        converted = replace(model, proto=onnx.version_converter.convert_version(model.proto, OPSET))
        before, after = (reference(one).run(image) for one in (model, converted))
    except Exception:  # the converter and the runtime raise errors of their own kinds
        return model
    same = before.shape == after.shape and np.abs(before - after).max() <= _TOLERANCE * np.abs(before).max()
    return converted if same else model
