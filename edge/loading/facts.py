"""What a network says of its own input and output, with no task to go by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from edge.graph.model import graph_inputs
from edge.loading.onnx_file import read_onnx

if TYPE_CHECKING:
    from torch import nn

_MOST_CHANNELS = 32
"""A last axis no longer than this, after longer ones, is that of the channels."""
_CARRIERS = frozenset(("Cast", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Transpose", "Flatten", "Resize"))
_ACTIVATIONS = {"Sigmoid": "sigmoid", "Softmax": "softmax"}
_INTEGERS = (onnx.TensorProto.UINT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)


@dataclass(frozen=True)
class NetworkFacts:
    """Facts of a network.

    Attributes:
        size: height and width of the input; None: any.
        channels, maps: of the input and of the output; None: it does not say.
        outputs: names of all outputs.
        activation: sigmoid or softmax where the network ends in one.
        decides: whether it returns class indices.
        takes_pixels: whether its input is 8-bit integers.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    maps: int | None = None
    outputs: tuple[str, ...] = ()
    activation: str | None = None
    decides: bool = False
    takes_pixels: bool = False


def onnx_facts(path: Path) -> NetworkFacts:
    """Read them from an ONNX file.

    Raises:
        InputError: see :func:`edge.graph.model.read_graph`.
    """
    return graph_facts(read_onnx(path))


def graph_facts(proto: onnx.ModelProto) -> NetworkFacts:
    """Read them from a graph."""
    inputs, outputs = graph_inputs(proto), list(proto.graph.output)
    channels, size = _image(_dims(inputs[0])) if inputs else (None, None)
    last = _last(proto, outputs[0].name)
    elements = outputs[0].type.tensor_type.elem_type
    decides = elements in _INTEGERS or last == "ArgMax"
    maps = None if decides else _image(_dims(outputs[0]))[0]
    pixels = bool(inputs) and inputs[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    return NetworkFacts(
        size, channels, maps, tuple(o.name for o in outputs), _ACTIVATIONS.get(last), decides, takes_pixels=pixels
    )


def module_facts(network: nn.Module) -> NetworkFacts:
    """Take them from a PyTorch network: its first convolution, and what it returns for a blank image."""
    import torch

    first = next((p for p in network.parameters() if p.ndim == 4), None)
    if first is None:
        return NetworkFacts()
    channels = int(first.shape[1])
    try:
        with torch.inference_mode():
            returned = network.eval()(torch.zeros(1, channels, 256, 256))
    except Exception:  # the user's code may raise anything; the size may simply be wrong
        return NetworkFacts(channels=channels)
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    maps = int(values[0].shape[1]) if isinstance(values[0], torch.Tensor) and values[0].ndim == 4 else None
    return NetworkFacts(channels=channels, maps=maps)


def _dims(value: onnx.ValueInfoProto) -> list[int | None]:
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]


def _image(dims: list[int | None]) -> tuple[int | None, tuple[int, int] | None]:
    """Channels, and height and width where they are fixed, of ``[n, c, h, w]`` or ``[n, h, w, c]``."""
    if len(dims) != 4:
        return (1, None) if len(dims) == 3 else (None, None)
    _, second, third, fourth = dims
    last = fourth is not None and fourth <= _MOST_CHANNELS and (second is None or second > _MOST_CHANNELS)
    channels, height, width = (fourth, second, third) if last else (second, third, fourth)
    return channels, (height, width) if height is not None and width is not None else None


def _last(proto: onnx.ModelProto, output: str) -> str:
    """The kind of the node that an output comes from, through what only carries it."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in _CARRIERS and node.input:
        node = makers.get(node.input[0])
    return str(node.op_type) if node is not None else ""
