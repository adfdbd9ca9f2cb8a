"""Weights, read without running anything in them, and matched to the network before they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn


def load_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Read a checkpoint and fit it to a network's state.

    Args:
        path: ``.safetensors``, or a ``torch.save`` of plain tensors (read with ``weights_only=True``).
        network: whose names and shapes the checkpoint must have.

    Returns:
        State dict in the network's own dtypes.

    Raises:
        InputError: missing, truncated, in need of unpickling, of another architecture, or with NaN.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights; check --weights, or train the network (models/train.py)")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    wanted = network.state_dict()
    _require_same_keys(path, state, wanted)
    for name, tensor in wanted.items():
        given = state[name]
        if given.shape != tensor.shape:
            raise InputError(
                f"{path}: {name} is {list(given.shape)}, the network's is {list(tensor.shape)}; "
                "these weights belong to another architecture or other options"
            )
        if given.is_floating_point() and not bool(given.isfinite().all()):
            raise InputError(f"{path}: {name} holds NaN or infinity; train again or take an earlier checkpoint")
    return {name: state[name].to(tensor.dtype) for name, tensor in wanted.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except PermissionError:
        raise
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is not a sound safetensors file ({error}); copy or save it again") from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: holds pickled Python objects, which can run code when loaded; where you trust it, save its "
            "state_dict as safetensors (safetensors.torch.save_file) and give that"
        ) from None
    except PermissionError:
        raise
    except Exception as error:  # a damaged zip raises RuntimeError, EOFError, KeyError and more
        reason = first_line(error)
        raise InputError(f"{path}: does not load as weights ({reason}); save it again") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise InputError(f"{path}: holds no state dict; save network.state_dict()")
    return {name.removeprefix("module."): tensor for name, tensor in loaded.items()}


def _require_same_keys(path: Path, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        examples = [
            f"{len(names)} {kind} (such as {names[0]})"
            for kind, names in (("missing", missing), ("unknown", extra))
            if names
        ]
        raise InputError(f"{path}: weights of another architecture: {', '.join(examples)}; give this network's own")
