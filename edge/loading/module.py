"""From an ``nn.Module`` with weights to a model: the part that folders and callables share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError, MachineError, first_line
from edge.files import sha256_file
from edge.graph.model import Model
from edge.loading.export import export
from edge.loading.weights import load_weights
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn


def require_torch(*extras: str) -> None:
    """Refuse a machine without PyTorch.

    Args:
        extras: what else the model needs of this package's extras, so that one install line names all.

    Raises:
        MachineError: names the install line.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MachineError(
            "PyTorch is not installed, and loading a network's Python needs it; "
            f"pip install 'segedge[{','.join(('torch', *extras))}]', or export the network to ONNX elsewhere"
        ) from None


def call_builder(builder: Callable[..., Any], options: Mapping[str, Any], where: str | Path) -> nn.Module:
    """Call a network's builder.

    Raises:
        InputError: it does not take the options, or returns something else than an ``nn.Module``.
    """
    require_torch()
    from torch import nn

    try:
        network = builder(**options)
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{where}: {first_line(error)}; correct the options or the network") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{where}: returned {type(network).__name__}, not a torch.nn.Module; return the network")
    return network


def load_module(network: nn.Module, weights: Path, task: SegmentationTask, name: str, source: str) -> Model:
    """Load the weights into the network and export it.

    Raises:
        InputError: wrong weights, or a network that contradicts the task or cannot be exported.
    """
    network.load_state_dict(load_weights(weights, network), strict=True)
    return export_loaded(network, weights, task, name, source)


def export_loaded(network: nn.Module, weights: Path, task: SegmentationTask, name: str, source: str) -> Model:
    """Export a network that holds its weights already; ``weights`` is the file they came from.

    Raises:
        InputError: a network that contradicts the task or cannot be exported.
    """
    facts = {
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "weights": sha256_file(weights),
    }
    return export(network.eval(), task, name, source, facts)
