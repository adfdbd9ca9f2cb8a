"""The model: an ONNX graph and the task that says what goes in and what comes out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edge.errors import InputError
from edge.files import replaced_file
from edge.graph.bodies import bodies
from edge.graph.native import check
from edge.graph.soundness import require_facts, require_sound, require_tensors
from edge.notebook.shown import Shown, Table
from edge.safety.guard import parse_json, parsing, require_regular
from edge.safety.watchdog import native_call
from edge.task.task import METADATA_KEY, SegmentationTask

if TYPE_CHECKING:
    import onnx_ir

_FACTS_KEY = "segedge.facts"
_QUANTIZED = frozenset(
    ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")
)
MULTIPLIES = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""Operators that multiply and add: nearly all of a network's arithmetic, and what INT8 kernels exist for."""

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True, repr=False)
class Model(Shown):
    """An ONNX graph plus its task. Stages take one and return a new one; nothing changes it in place.

    Attributes:
        proto: the graph. Treat it as read-only; edit a fresh copy from :meth:`to_ir`.
        task: what the graph's input and output mean.
        name: short name for tables and folders.
        source: where it came from, as the user wrote it.
        facts: figures that only the source knows (``parameters``: trainable, ``weights``: file hash).
        notes: what was changed on loading that the user should know of, a sentence each.
        author: the quantized model that this one was stripped from, where it was.
    """

    proto: onnx.ModelProto
    task: SegmentationTask
    name: str
    source: str = ""
    facts: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    author: Model | None = None

    def __repr__(self) -> str:
        height, width = self.task.size
        return f"<Model {self.name}: {len(self.proto.graph.node)} nodes, opset {self.opset}, {width}x{height}>"

    def _table(self) -> Table:
        return ("operator", "nodes"), Counter(node.op_type for node in self.proto.graph.node).most_common()

    @property
    def quantized(self) -> bool:
        """Whether the graph rounds to 8 bits itself, by Q/DQ nodes or integer operators."""
        return quantized(self.proto)

    @property
    def input_name(self) -> str:
        """Name of the single image input."""
        return graph_inputs(self.proto)[0].name

    @property
    def output_name(self) -> str:
        """Name of the output that the task reads."""
        return self.task.output_name or self.proto.graph.output[0].name

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return opset(self.proto)

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the serialized graph (deterministic), without metadata."""
        bare = onnx.ModelProto()
        bare.CopyFrom(self.proto)
        del bare.metadata_props[:]
        return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()

    def to_ir(self) -> onnx_ir.Model:
        """A fresh ``onnx_ir`` copy of the graph, free to edit."""
        import onnx_ir  # brings a library of symbols, which most commands never need

        return onnx_ir.from_proto(self.proto)

    def with_ir(self, graph: onnx_ir.Model) -> Model:
        """The same task over an edited graph."""
        import onnx_ir

        return replace(self, proto=onnx_ir.to_proto(graph))

    def save(self, path: Path) -> Path:
        """Write a self-describing ``.onnx`` (the task rides in its metadata), through a temporary sibling."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        del proto.metadata_props[:]
        onnx.helper.set_model_props(
            proto,
            {
                METADATA_KEY: self.task.to_json(),
                _FACTS_KEY: json.dumps({"name": self.name, **(self.facts or {})}, sort_keys=True),
            },
        )
        with replaced_file(path) as sibling:
            sibling.write_bytes(proto.SerializeToString(deterministic=True))
        return path


def read_model(path: Path, task: SegmentationTask | None = None, default: SegmentationTask | None = None) -> Model:
    """Read an ``.onnx`` file and check it against its task.

    Args:
        path: the file. External data must lie inside its folder.
        task: overrides the task in the file's metadata.
        default: for a file without one.

    Raises:
        InputError: missing, empty, truncated or not ONNX; weights with NaN; external data outside the folder;
            no task; a task that contradicts the graph.
    """
    return model_of(read_graph(path), path, task, default)


def model_of(
    proto: onnx.ModelProto, path: Path, task: SegmentationTask | None = None, default: SegmentationTask | None = None
) -> Model:
    """A graph that was read from ``path``, with its task, checked against it; see :func:`read_model`."""
    model = identified(proto, path, task, default)
    require_consistent(model, path)
    return model


def identified(
    proto: onnx.ModelProto, path: Path, task: SegmentationTask | None = None, default: SegmentationTask | None = None
) -> Model:
    """A graph that was read from ``path`` with its task, name and facts, not checked against each other yet.

    Raises:
        InputError: no task, or damaged metadata.
    """
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    facts = _table(path, _FACTS_KEY, metadata.get(_FACTS_KEY, "{}"))
    require_facts(facts, path)
    if task is None and METADATA_KEY in metadata:
        task = SegmentationTask.from_table(_table(path, METADATA_KEY, metadata[METADATA_KEY]), path)
    task = task or default
    if task is None:
        raise InputError(
            f"{path}: says nothing about its task; add --task task.toml (edge init {path} > task.toml to start from)"
        )
    return Model(proto, task, str(facts.pop("name", path.stem)), str(path), facts)


def read_graph(path: Path, repair: Callable[[onnx.ModelProto], onnx.ModelProto] | None = None) -> onnx.ModelProto:
    """Read an ``.onnx`` file, whatever it is for.

    Args:
        path: the file.
        repair: brings the file's form up to what the checker asks for.

    Raises:
        InputError: missing, empty, truncated or not ONNX; external data outside the folder.
    """
    if require_regular(path, "file") == 0:
        raise InputError(f"{path}: is empty; export the model again")
    faults = (DecodeError, onnx.checker.ValidationError)
    with native_call(path, "the ONNX checker"), parsing(path, "a sound ONNX file", "export the model again", *faults):
        proto = onnx.load(path, format="protobuf", load_external_data=False)  # whatever its suffix says
        require_sound(proto, path)
        _confine_external_data(path, proto)
        onnx.load_external_data_for_model(proto, str(path.parent))
        require_tensors(tensors(proto), path)
        if repair is not None and proto.graph.node and proto.opset_import:
            proto = repair(proto)
        check(proto, where=path)
    if not proto.graph.node or not proto.opset_import:
        raise InputError(f"{path}: is not a sound ONNX file (no graph in it); export the model again")
    return proto


def opset(proto: onnx.ModelProto) -> int:
    """Version of the default operator set."""
    return int(next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")))


def quantized(proto: onnx.ModelProto) -> bool:
    """Whether a graph rounds to 8 bits itself, by Q/DQ nodes or integer operators."""
    return any(node.op_type in _QUANTIZED for node in proto.graph.node)


def carries_task(proto: onnx.ModelProto) -> bool:
    """Whether the file's metadata says what goes in and what comes out."""
    return any(entry.key == METADATA_KEY for entry in proto.metadata_props)


def require_consistent(model: Model, where: str | Path) -> None:
    """Refuse a task that contradicts the graph, and weights that are not finite.

    Raises:
        InputError: names what differs.
    """
    task, inputs = model.task, graph_inputs(model.proto)
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise InputError(f"{where}: the graph has {len(inputs)} inputs ({names}); export it with one image input")
    outputs = {o.name: o for o in model.proto.graph.output}
    if task.output_name is None and len(outputs) > 1:
        raise InputError(f"{where}: the graph has outputs {_choice(outputs.values(), task)}")
    if task.output_name is not None and task.output_name not in outputs:
        raise InputError(
            f"{where}: no output {task.output_name!r} in the graph (it has {', '.join(outputs)}); correct output_name"
        )
    output = outputs[model.output_name]
    for kind, value in (("input", inputs[0]), ("output", output)):
        _require_float32_batch_1(where, kind, value)
    wanted = (None, task.in_channels, *task.size)
    _require_shape(where, "input", inputs[0], wanted, "channels or size", _image_for(inputs[0], task))
    _require_shape(where, "output", output, (None, task.maps, None, None), "classes", _classes_for(output, task))
    _require_sound_weights(model.proto, where)


def _choice(outputs: Iterable[onnx.ValueInfoProto], task: SegmentationTask) -> str:
    """Several outputs with their shapes, and which of them to name, if any can be the task's maps."""
    shown, fits = [], False
    for output in outputs:
        dims = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        shown.append(f"{output.name} [{' x '.join(str(size or '?') for size in dims)}]" if dims else output.name)
        fits = fits or not dims or (len(dims) == 4 and not {0, task.maps}.isdisjoint((dims[1], dims[3])))
    told = "set output_name in the task"
    if not fits:
        one = "one map" if task.maps == 1 else f"{task.maps} maps, one for each class"
        told = (
            f"none of them is {one}; boxes, scores and prototypes of instances (YOLO, Mask R-CNN) make no such map: "
            "give a network of semantic segmentation, or export the map that its masks are decided from"
        )
    return f"{', '.join(shown)}; {told}"


def _image_for(given: onnx.ValueInfoProto, task: SegmentationTask) -> str:
    """What a task would have to say of channels and size for the image that a graph takes."""
    dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
    if len(dims) != 4:
        return ": it takes no batch of images with rows, columns and channels; export it so"
    last = dims[3] in _FEW and dims[1] not in _FEW  # channels last
    channels = dims[3] if last else dims[1]
    size = tuple(dims[1:3] if last else dims[2:])
    told = []
    if channels and channels != task.in_channels:
        told.append(f"it takes {_CHANNELS.get(channels, _NAMED).format(channels)}")
    if all(size) and size != task.size:
        told.append(f"it takes images of {size[0]} x {size[1]}, so set size = {list(size)}")
    return ": " + ", and ".join(told) if told else ""


_FEW = (1, 3, 4)
_CHANNELS = {1: 'one channel, so set channels = "grey"', 3: 'three channels, so set channels = "rgb" (or "bgr")'}
_NAMED = '{} channels, so name them in the network\'s order, channels = ["...", ...]'


def _classes_for(output: onnx.ValueInfoProto, task: SegmentationTask) -> str:
    """What a task would have to name for an output with so many maps."""
    dims = output.type.tensor_type.shape.dim
    if len(dims) != 4:
        return ": maps have four axes, batch x classes x rows x columns; export the map alone in that shape"
    maps = dims[1].dim_value
    if maps == 1:
        return ': it has one map, so name one class, with activation = "sigmoid"'
    if maps == len(task.classes) + 1:
        return ': it has one map more than there are classes, so name the background first, with activation = "softmax"'
    return f": it has {maps} maps, so name {maps} classes in their order" if maps else ""


def _require_sound_weights(proto: onnx.ModelProto, where: str | Path) -> None:
    """Refuse NaN anywhere, and infinities in what is multiplied. (Elsewhere minus infinity is a mask of attention.)"""
    multiplied = {
        name
        for graph in graphs(proto.graph)
        for node in graph.node
        if node.op_type in MULTIPLIES
        for name in node.input[1:]
    }
    for tensor in tensors(proto):
        if tensor.data_type not in _FLOATS:
            continue
        array = onnx.numpy_helper.to_array(tensor)
        if np.isnan(array).any() or (tensor.name in multiplied and np.isinf(array).any()):
            raise InputError(f"{where}: weight {tensor.name!r} holds NaN or infinity; train or export it again")


def graph_inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Inputs that are not weights (old files list both)."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in weights]


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every graph inside it."""
    yield graph
    for node in graph.node:
        for inner in bodies(node):
            yield from graphs(inner)


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor: weights and attributes of the graph, of its subgraphs and of its functions."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _sparse_parts(graph.sparse_initializer)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            yield from _sparse_parts([*([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else ())])
            yield from _sparse_parts(attribute.sparse_tensors)
        for body in bodies(node):
            yield from _graph_tensors(body)


def _sparse_parts(sparse: Iterable[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def _table(path: Path, key: str, text: str) -> dict[str, Any]:
    damaged = f"{path}: its metadata {key!r} is damaged; add --task task.toml, or export the model again"
    try:
        table = parse_json(text, path)
    except InputError:
        raise InputError(damaged) from None
    if not isinstance(table, dict):
        raise InputError(damaged)
    return table


def _require_float32_batch_1(where: str | Path, kind: str, value: onnx.ValueInfoProto) -> None:
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise InputError(f"{where}: {kind} {value.name!r} is {name}; export it with float32 inputs and outputs")
    batch = tensor.shape.dim[0].dim_value if tensor.shape.dim else 0
    if batch > 1:
        raise InputError(f"{where}: {kind} {value.name!r} has batch {batch}; export it with batch 1")


def _require_shape(
    where: str | Path, kind: str, value: onnx.ValueInfoProto, wanted: tuple[int | None, ...], key: str, told: str = ""
) -> None:
    if not value.type.tensor_type.HasField("shape"):
        return
    dims = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
    same_rank = len(dims) == len(wanted)
    if not same_rank or any(w and d and w != d for d, w in zip(dims, wanted, strict=True)):
        shown, asked = ("x".join(str(d or "?") for d in shape) for shape in (dims, wanted))
        raise InputError(
            f"{where}: {kind} {value.name!r} is {shown}, but the task says {asked}; correct {key} in the task{told}"
        )


def _confine_external_data(path: Path, proto: onnx.ModelProto) -> None:
    root = path.parent.resolve()
    for tensor in tensors(proto):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            target = (root / entry.value).resolve()
            if not target.is_relative_to(root):
                raise InputError(
                    f"{path}: external data {entry.value!r} lies outside the model's folder; move it inside"
                )
            if not target.is_file():  # nor a pipe or a device
                raise InputError(f"{path}: external data {entry.value!r} is missing; copy it beside the model")
