"""PyTorch to ONNX: dynamo export, cleanup, and a check against PyTorch before anything else touches the graph."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir

from edge.errors import InputError, first_line
from edge.graph.model import Model, require_consistent
from edge.graph.names import unique_name
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn

OPSET = 20  # the first with Gelu and LayerNormalization as single nodes
INPUT, OUTPUT = "image", "output"
_SCOPES = "pkg.torch.onnx.name_scopes"
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

    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (*task.size, 3), dtype=np.uint8)
    image = task.preprocess(pixels)[None]
    example = torch.from_numpy(image)
    try:
        with torch.inference_mode():
            expected = network(example)
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"{source}: does not run on {list(image.shape)} ({reason}); correct the task") from None
    outputs = _tensors(expected, source)
    names = [OUTPUT] if len(outputs) == 1 else [f"{OUTPUT}_{i}" for i in range(len(outputs))]
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=names,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{source}: PyTorch cannot export it ({reason}); see torch.onnx.export's own advice"
        ) from error
    assert program is not None
    model = Model(_clean(program.model_proto), task, name, source, facts)
    require_consistent(model, source)
    _require_equal(model, image, outputs[names.index(model.output_name)].numpy())
    return model


def _tensors(returned: Any, source: str) -> list[Any]:
    """One tensor, or a tuple or mapping of them, as a list.

    Raises:
        InputError: the network returns something else.
    """
    import torch

    if isinstance(returned, torch.Tensor):
        return [returned]
    values = list(returned.values() if isinstance(returned, Mapping) else returned or ())
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        raise InputError(f"{source}: returns {type(returned).__name__}, not tensors; return the map of logits")
    return values


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
    with _quiet():
        simplified, sound = onnxsim.simplify(onnx_ir.to_proto(graph))
    return simplified if sound else onnx_ir.to_proto(graph)


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


def _require_equal(model: Model, image: np.ndarray[Any, np.dtype[np.float32]], expected: Any) -> None:
    from edge.backends.onnxruntime import reference

    actual = reference(model).run(image)
    scale = float(np.abs(expected).max()) or 1.0
    error = float(np.abs(actual - expected).max()) / scale
    if not error <= _TOLERANCE:
        raise InputError(
            f"{model.source}: the exported graph differs from PyTorch by {error:.1e} of its largest output; "
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
