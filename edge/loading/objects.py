"""Models in memory: a PyTorch module, an ONNX graph or a loaded model, without a file in between."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import onnx

from edge.errors import InputError, first_line
from edge.graph.model import Model, identified
from edge.graph.native import check
from edge.loading.normalize import FORM, normalize
from edge.loading.normalize.step import Draft
from edge.loading.onnx_file import normalized
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn


def load_object(model: object, task: SegmentationTask | None, default: SegmentationTask | None = None) -> Model:
    """Bring a model in memory to the form that every stage expects; the object itself is left as it is.

    Args:
        model: a :class:`~edge.graph.model.Model`, an ``onnx.ModelProto``, or a ``torch.nn.Module`` with its weights.
        task: overrides the model's own; required for a module.
        default: task of a graph that names none.

    Raises:
        InputError: something else, no task, or a task that contradicts the graph.
    """
    if isinstance(model, Model):
        return model if task is None else normalized(replace(model, task=task))
    if isinstance(model, onnx.ModelProto):
        return _load_proto(model, task, default)
    if _is_module(model):
        return _load_module(model, task or default)
    raise InputError(
        f"model: is a {type(model).__name__}; give a path, an onnx.ModelProto, a torch.nn.Module or what "
        "edge.load_model returned"
    )


def _load_proto(proto: onnx.ModelProto, task: SegmentationTask | None, default: SegmentationTask | None) -> Model:
    name = proto.graph.name or "model"
    if not proto.graph.node or not proto.opset_import:
        raise InputError("model: the onnx.ModelProto has no graph; export the model again")
    try:
        repaired = normalize(Draft(proto, name), FORM)
        check(repaired.draft.proto, where=name)
    except InputError:
        raise
    except Exception as error:  # protobuf and the checker share no base
        reason = first_line(error)
        raise InputError(f"model: the onnx.ModelProto is not sound ({reason}); export the model again") from None
    model = identified(repaired.draft.proto, Path(name), task, default)
    return normalized(replace(model, notes=repaired.notes))


def _load_module(network: nn.Module, task: SegmentationTask | None) -> Model:
    if task is None:
        raise InputError(
            "model: a torch.nn.Module says nothing about its task; add task= (edge.init writes one to start from)"
        )
    from edge.loading.export import export

    name = type(network).__name__
    facts = {
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "weights": _weights_sha256(network),
    }
    training = network.training
    try:
        return export(network.eval(), task, name, name, facts)
    finally:
        network.train(training)


def _weights_sha256(network: nn.Module) -> str:
    """Hex SHA-256 over names and values of the state, in order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _is_module(model: object) -> TypeGuard[nn.Module]:
    """Whether this is a ``torch.nn.Module``; whoever made one has imported PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
