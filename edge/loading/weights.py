"""Weights, read without running anything in them, and matched to the network before they are loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError
from edge.safety.guard import parsing, require_regular
from edge.safety.limits import exceeded, limits
from edge.safety.watchdog import native_call

if TYPE_CHECKING:
    from torch import Tensor, nn

# Where training code keeps the tensors; of several, the first. A network's own weights come before their average.
_HOLDERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "network_weights",
    "net",
    "network",
    "params",
    "weights",
    "ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "params_ema",
)
# What DistributedDataParallel, torch.compile, Lightning modules and averages put in front of every name.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "ema_model.")
_DEEPEST = 4


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
    wanted = network.state_dict()
    loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state = _unwrapped(_state_dict(path, loaded), wanted.keys())
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

    require_regular(path, "weights file")
    with (
        native_call(path, "safetensors"),
        parsing(path, "a sound safetensors file", "copy or save it again", SafetensorError),
    ):
        return load_file(path)


def _read_torch(path: Path) -> Any:
    import pickle

    import torch

    _require_no_bomb(path, require_regular(path, "weights file"))
    try:
        # A damaged zip raises RuntimeError, EOFError, KeyError and more.
        with (
            native_call(path, "PyTorch"),
            parsing(path, "loadable as weights", "save it again"),
            torch.serialization.safe_globals(_numbers()),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: holds pickled Python objects, which can run code when loaded; where you trust it, save its "
            "state_dict as safetensors (safetensors.torch.save_file) and give that"
        ) from None


def _require_no_bomb(path: Path, size: int) -> None:
    """Refuse an archive that holds far more than its own size: PyTorch, which packs nothing, would inflate all of it.

    Raises:
        InputError: more than the limit.
    """
    if not zipfile.is_zipfile(path):
        return
    with parsing(path, "loadable as weights", "save it again"), zipfile.ZipFile(path) as archive:
        inflated = sum(member.file_size for member in archive.infolist())
    if inflated > max(size, limits().inflated_bytes):
        raise exceeded(path, f"inflates to {inflated} bytes", "inflated_bytes")


def _numbers() -> list[Any]:
    """NumPy's scalars, which hold numbers and run nothing: training logs beside the weights are full of them."""
    import numpy as np

    kinds = (np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)
    scalar = np.float64(0).__reduce__()[0]
    # NumPy 1 keeps it in numpy.core, NumPy 2 in numpy._core; a file names the place of the one that wrote it.
    places = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*places, np.dtype, *{type(np.dtype(kind)) for kind in kinds}]


def _state_dict(path: Path, loaded: Any) -> dict[str, Tensor]:
    """The tensors of a checkpoint, from under whatever training code laid around them."""
    import torch

    for _ in range(_DEEPEST):
        inner = next((loaded[key] for key in _HOLDERS if isinstance(loaded, dict) and _holds(loaded.get(key))), None)
        if inner is None:
            break
        loaded = inner
    if not _holds(loaded) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise InputError(f"{path}: holds no state dict; save network.state_dict()")
    for name, tensor in loaded.items():
        if not isinstance(name, str):
            raise InputError(f"{path}: names a weight {name!r:.40}, which is no text; save network.state_dict()")
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise InputError(f"{path}: weight {name!r} is sparse, quantized or without data; save it dense")
    return dict(loaded)


def _holds(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _unwrapped(state: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """The tensors under the names that a network has, without the prefixes of wrappers around it.

    Where only some names have the prefix (a Lightning module has losses too), these must be the whole network.
    """
    for _ in range(_DEEPEST):
        if state.keys() == wanted:
            break
        for prefix in _PREFIXES:
            inner = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            if inner and (len(inner) == len(state) or _reaches(inner, wanted)):
                state = inner
                break
        else:
            break
    return state


def _reaches(names: Collection[str], wanted: Collection[str]) -> bool:
    """Whether these are a network's names, but for prefixes that all of them share."""
    names = set(names)
    for _ in range(_DEEPEST):
        if names == wanted:
            return True
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in names)), None)
        if prefix is None:
            return False
        names = {name.removeprefix(prefix) for name in names}
    return False


def _require_same_keys(path: Path, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        examples = [
            f"{len(names)} {kind} (such as {names[0]})"
            for kind, names in (("missing", missing), ("unknown", extra))
            if names
        ]
        raise InputError(f"{path}: weights of another architecture: {', '.join(examples)}; give this network's own")
