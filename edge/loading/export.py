"""PyTorch to ONNX: dynamo export, cleanup, and a check against PyTorch before anything else touches the graph."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir

from edge.errors import InputError, first_line
from edge.graph.model import Model
from edge.graph.names import unique_name
from edge.loading.normalize.proof import run
from edge.loading.onnx_file import normalized
from edge.loading.stride import advice
from edge.safety.watchdog import native_call
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn

OPSET = 20  # the first with Gelu and LayerNormalization as single nodes
INPUT, OUTPUT = "image", "output"
_SCOPES = "pkg.torch.onnx.name_scopes"
_SUMMARY = "Exception summary"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CLASS = re.compile(r"<class '([^']+)'>")
_TOLERANCE = 1e-4  # of the largest output; exporters differ from PyTorch by about 1e-6


def export(network: nn.Module, task: SegmentationTask, name: str, source: str, facts: Mapping[str, Any]) -> Model:
    """Export at batch 1 and the task's size, clean up, and compare with PyTorch.

    Args:
        network: in evaluation mode; ``[1, channels, height, width]`` float32 to one output or several.
        task: gives the input's shape; ``output_name`` picks among several outputs.
        name, source, facts: carried into the model.

    Raises:
        InputError: the network does not run on such an input, cannot be exported, differs from PyTorch once
            exported, or contradicts the task.
    """
    import torch

    image = noise_batch(task)
    example = torch.from_numpy(image)
    try:
        with torch.inference_mode():
            expected = network(example)
    except Exception as error:
        told = advice(task.size, lambda size: _runs(network, task, size)) or "correct the task"
        reason = first_line(error)
        raise InputError(f"{source}: does not run on {list(image.shape)} ({reason}); {told}") from None
    outputs = _tensors(expected, source)
    try:
        # Fused attention kernels have no ONNX form; the plain formula has.
        with _quiet(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(outputs),
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise InputError(
            f"{source}: PyTorch cannot export it ({exporter_reason(error)}); see torch.onnx.export's own advice"
        ) from error
    assert program is not None
    proto = _clean(program.model_proto)
    _require_equal(proto, image, {name: tensor.numpy() for name, tensor in outputs.items()}, source)
    return normalized(Model(proto, task, name, source, facts))


def exporter_reason(error: Exception) -> str:
    """What stopped PyTorch's exporter, in one line: its message ends in a summary and begins with advice in colours."""
    text = _COLOURS.sub("", str(error))
    _, found, summary = text.partition(_SUMMARY)
    lines = [line.strip() for line in (summary if found else text).splitlines() if line.strip()]
    return _CLASS.sub(r"\1", lines[0]) if lines else type(error).__name__


def _runs(network: nn.Module, task: SegmentationTask, size: tuple[int, int]) -> bool:
    import torch

    try:
        with torch.inference_mode():
            network(torch.zeros(1, task.in_channels, *size))
    except Exception:  # the user's code may raise anything
        return False
    return True


def _tensors(returned: Any, source: str) -> dict[str, Any]:
    """Name to tensor: ``output`` alone; several by the names of a mapping, or numbered.

    Raises:
        InputError: the network returns something else.
    """
    import torch

    if isinstance(returned, torch.Tensor):
        return {OUTPUT: returned}
    named = isinstance(returned, Mapping)
    values = list(returned.values() if named else returned or ())
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        raise InputError(f"{source}: returns {type(returned).__name__}, not tensors; return the map of logits")
    if len(values) == 1:
        return {OUTPUT: values[0]}
    names = [str(key) if named else f"{OUTPUT}_{index}" for index, key in enumerate(returned)]
    taken = {INPUT}
    return {unique_name(name, taken): value for name, value in zip(names, values, strict=True)}


def _clean(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Name nodes after the modules they came from, drop the exporter's notes, simplify."""
    import onnxsim

    graph = onnx_ir.from_proto(proto)
    taken: set[str] = set()
    for node in graph.graph.all_nodes():
        node.name = unique_name(_source_name(node), taken)
        node.metadata_props.clear()
        node.doc_string = None
    for value in [*graph.graph.inputs, *graph.graph.outputs, *graph.graph.initializers.values()]:
        value.metadata_props.clear()
    graph.metadata_props.clear()
    graph.graph.metadata_props.clear()
    plain = onnx_ir.to_proto(graph)
    with _quiet(), native_call("the exported graph", "onnxsim"):
        simplified, sound = onnxsim.simplify(plain)
    # Domains of one runtime (com.microsoft::Attention) are taken by no other compiler.
    return simplified if sound and _domains(simplified) <= _domains(plain) else plain


def _domains(proto: onnx.ModelProto) -> set[str]:
    return {node.domain for node in proto.graph.node}


def _source_name(node: onnx_ir.Node) -> str:
    """The module a node came from. A weight says it best: exporters name a folded Conv-BN pair after the BN."""
    for value in node.inputs[1:2]:
        if value is not None and value.is_initializer() and str(value.name).endswith(".weight"):
            return f"{str(value.name).removesuffix('.weight')}/{node.op_type}"
    return _module_path(node.metadata_props.get(_SCOPES, "")) or node.op_type


def _module_path(scopes: str) -> str:
    """``"['', 'encoder', 'encoder.0', 'conv2d_1']"`` to ``encoder.0/conv2d_1``."""
    try:
        parts = [part for part in ast.literal_eval(scopes) if part]
    except (ValueError, SyntaxError):
        return ""
    return "/".join(parts[-2:])


def _require_equal(proto: onnx.ModelProto, image: Any, expected: Mapping[str, Any], source: str) -> None:
    """Refuse an exported graph that returns other numbers than PyTorch did."""
    actual = run(proto, image)
    for name, wanted in expected.items():
        scale = float(np.abs(wanted).max()) or 1.0
        error = float(np.abs(actual[name] - wanted).max()) / scale
        if not error <= _TOLERANCE:
            raise InputError(
                f"{source}: the exported graph differs from PyTorch by {error:.1e} of its largest output; "
                "look for data-dependent control flow or randomness in evaluation mode"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter off stdout, where only results belong; show it if it fails."""
    chatter = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(chatter):
            warnings.simplefilter("ignore")
            yield
    except Exception:
        sys.stderr.write(chatter.getvalue())
        raise
    finally:
        logging.disable(level)
