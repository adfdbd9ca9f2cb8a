"""The weights file: safetensors, float16 for kernels, float32 for everything one-dimensional."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from edge.files import replaced_file, sha256_file


def half_kernels(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float tensors of two and more axes to float16.

    Normalisation statistics, their scales and shifts, and biases are one-dimensional and stay float32.
    """
    return {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value for name, value in state.items()
    }


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dict as safetensors through a temporary sibling."""
    with replaced_file(path) as sibling:
        save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, sibling)
        sibling.chmod(0o644)  # safetensors writes for the owner only


def weights_record(path: Path, network: nn.Module, half: bool) -> dict[str, Any]:
    """What ``training.json`` says of a weights file that was written."""
    return {
        "sha256": sha256_file(path),
        "bytes": path.stat().st_size,
        "kernels": "float16" if half else "float32",
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
    }


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, every float tensor as float32."""
    return {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
