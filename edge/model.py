"""The model: an ONNX graph and the task that says what goes in and what comes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir

from edge.errors import InputError
from edge.files import replaced_file
from edge.task import METADATA_KEY, SegmentationTask

_FACTS_KEY = "segedge.facts"
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True)
class Model:
    """An ONNX graph plus its task. Stages take one and return a new one; nothing changes it in place.

    Attributes:
        proto: the graph. Treat it as read-only; edit a fresh copy from :meth:`to_ir`.
        task: what the graph's input and output mean.
        name: short name for tables and folders.
        source: where it came from, as the user wrote it.
        facts: figures that only the source knows (``parameters``: trainable, ``weights``: file hash).
    """

    proto: onnx.ModelProto
    task: SegmentationTask
    name: str
    source: str = ""
    facts: Mapping[str, Any] | None = None

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
        return int(next(o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx")))

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the serialized graph (deterministic), without metadata."""
        bare = onnx.ModelProto()
        bare.CopyFrom(self.proto)
        del bare.metadata_props[:]
        return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()

    def to_ir(self) -> onnx_ir.Model:
        """A fresh ``onnx_ir`` copy of the graph, free to edit."""
        return onnx_ir.from_proto(self.proto)

    def with_ir(self, graph: onnx_ir.Model) -> Model:
        """The same task over an edited graph."""
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


def read_model(path: Path, task: SegmentationTask | None = None) -> Model:
    """Read an ``.onnx`` file and check it against its task.

    Args:
        path: the file. External data must lie inside its folder.
        task: overrides the task in the file's metadata.

    Raises:
        InputError: missing, empty, truncated or not ONNX; weights with NaN; external data outside the folder;
            no task; a task that contradicts the graph.
    """
    proto = _parse(path)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    facts: dict[str, Any] = json.loads(metadata.get(_FACTS_KEY, "{}"))
    if task is None:
        if METADATA_KEY not in metadata:
            raise InputError(f"{path}: says nothing about its task; add --task task.toml")
        task = SegmentationTask.from_table(json.loads(metadata[METADATA_KEY]), path)
    model = Model(proto, task, str(facts.pop("name", path.stem)), str(path), facts)
    require_consistent(model, path)
    return model


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
        raise InputError(f"{where}: the graph has outputs {', '.join(outputs)}; set output_name in the task")
    if task.output_name is not None and task.output_name not in outputs:
        raise InputError(
            f"{where}: no output {task.output_name!r} in the graph (it has {', '.join(outputs)}); correct output_name"
        )
    _require_shape(where, "input", inputs[0], (None, task.in_channels, *task.size), "channels or size")
    _require_shape(where, "output", outputs[model.output_name], (None, task.maps, None, None), "classes")
    for tensor in model.proto.graph.initializer:
        if tensor.data_type in _FLOATS and not np.isfinite(onnx.numpy_helper.to_array(tensor)).all():
            raise InputError(f"{where}: weight {tensor.name!r} holds NaN or infinity; train or export it again")


def graph_inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Inputs that are not weights (old files list both)."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in weights]


def _require_shape(
    where: str | Path, kind: str, value: onnx.ValueInfoProto, wanted: tuple[int | None, ...], key: str
) -> None:
    if not value.type.tensor_type.HasField("shape"):
        return
    dims = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
    same_rank = len(dims) == len(wanted)
    if not same_rank or any(w and d and w != d for d, w in zip(dims, wanted, strict=True)):
        shown, asked = ("x".join(str(d or "?") for d in shape) for shape in (dims, wanted))
        raise InputError(
            f"{where}: {kind} {value.name!r} is {shown}, but the task says {asked}; correct {key} in the task"
        )


def _parse(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty; export the model again")
    try:
        proto = onnx.load(path, load_external_data=False)
        _confine_external_data(path, proto)
        onnx.load_external_data_for_model(proto, str(path.parent))
        onnx.checker.check_model(proto)
    except InputError:
        raise
    except Exception as error:  # protobuf, checker and OS errors share no base
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: is not a sound ONNX file ({reason}); export the model again") from None
    if not proto.graph.node or not proto.opset_import:
        raise InputError(f"{path}: is not a sound ONNX file (no graph in it); export the model again")
    return proto


def _confine_external_data(path: Path, proto: onnx.ModelProto) -> None:
    root = path.parent.resolve()
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            target = (root / entry.value).resolve()
            if not target.is_relative_to(root):
                raise InputError(
                    f"{path}: external data {entry.value!r} lies outside the model's folder; move it inside"
                )
            if not target.is_file():
                raise InputError(f"{path}: external data {entry.value!r} is missing; copy it beside the model")
