"""Is a target this machine? Asked of the machine itself, not of the target's table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from edge.errors import InputError, MachineError
from edge.machine.here import Here, this_machine
from edge.targets.target import UNKNOWN, Fact, Target, cpu_of

GPU_BACKENDS = ("tensorrt", "tensorrt_rtx", "torch_tensorrt")
_INSTALL: Mapping[str, str] = {
    "openvino": "OpenVINO is not installed (pip install openvino)",
    "tensorrt": "TensorRT is not installed (pip install 'segedge[tensorrt]', or JetPack's own on a Jetson)",
    "tensorrt_rtx": "TensorRT for RTX is not installed (pip install 'segedge[tensorrt-rtx]')",
    "torch_tensorrt": "Torch-TensorRT is not installed (pip install torch-tensorrt, of PyTorch's own version)",
}
_NO_GPU = "this machine has no NVIDIA GPU that answers (neither nvidia-smi nor the CUDA runtime finds one)"


def lacks(target: Target, here: Here | None = None) -> str | None:
    """What this machine lacks to be the target, in one phrase; None where it is the target.

    Args:
        target: any.
        here: None asks this machine.
    """
    here = here or this_machine()
    wanted = str(target.fact("sm"))
    target = cpu_of(target, here.architecture)
    if target.fact("architecture") not in (UNKNOWN, here.architecture):
        return f"its CPU is {target.fact('architecture')}, this machine's {here.architecture}"
    if target.kind == "jetson" and here.jetson != target.name:
        return f"this machine is {here.jetson or 'no Jetson'}"
    if target.kind != "cpu":
        if here.gpu is None:
            return _NO_GPU
        if not target.own and here.gpu.sm != wanted:
            return f"its GPU is of compute capability {wanted}, this machine's ({here.gpu.name}) of {here.gpu.sm}"
        card = target.fact("gpu")
        if card != UNKNOWN and not re.search(rf"\b{re.escape(card)}\b", here.gpu.name):
            return f"its GPU is the {card}, this machine's the {here.gpu.name}; --target gpu takes what is here"
        if target.own and not here.compilers & {"tensorrt", "tensorrt_rtx"}:
            return f"neither TensorRT nor TensorRT for RTX is installed ({_INSTALL['tensorrt']})"
    backend = target.compilers[0] if target.kind == "cpu" else resolved_backend(target, here)
    return None if backend in here.compilers else _INSTALL[backend]


def is_local(target: Target) -> bool:
    """Whether engines of this target are built, run and timed here.

    The targets that mean this machine's own hardware always are: what is missing then is an error, not another device.
    """
    return target.own or lacks(target) is None


def resolve(target: Target, backend: str | None = None) -> Target:
    """The target with what only this machine knows of it, and with another compiler where one was asked for.

    ``cpu`` on an ARM machine is ``cpu-arm64``.

    Args:
        target: from :func:`~edge.targets.target.find_target`.
        backend: ``torch-tensorrt``, ``tensorrt`` or ``tensorrt-rtx``, for an NVIDIA GPU; None takes the target's.

    Raises:
        InputError: a compiler that does not serve the target.
        MachineError: ``gpu`` on a machine without a GPU or without its compiler; the message says which.
    """
    target = cpu_of(target, this_machine().architecture)
    if backend is not None:
        target = replace(target, backend=checked_backend(backend, target))
    if not target.own or target.kind == "cpu":
        return target
    here = this_machine()
    lack = lacks(target, here)
    if lack is not None or here.gpu is None:
        raise MachineError(f"--target {target.name}: {lack or _NO_GPU}; edge targets shows what this machine is")
    source = f"this machine's {here.gpu.name}"
    facts = {"sm": Fact(here.gpu.sm, source)}
    if here.gpu.memory_mb is not None:
        facts["memory_gb"] = Fact(round(here.gpu.memory_mb / 1024, 1), source)
    return replace(
        target,
        title=f"{here.gpu.name} (this machine's GPU)",
        backend=resolved_backend(target, here),
        facts={**target.facts, **facts},
    )


def resolved_backend(target: Target, here: Here) -> str:
    """The target's compiler; for this machine's own GPU, whichever is installed."""
    if target.own and target.backend == "tensorrt" and "tensorrt" not in here.compilers:
        return "tensorrt_rtx" if "tensorrt_rtx" in here.compilers else target.backend
    return target.backend


def checked_backend(backend: str, target: Target) -> str:
    """The module name of a compiler that serves the target.

    Raises:
        InputError: it does not.
    """
    name = backend.replace("-", "_")
    known = GPU_BACKENDS if target.kind != "cpu" else (target.backend,)
    if name not in known:
        raise InputError(f"--backend {backend}: does not serve {target.name}; it takes {', '.join(known)}")
    return name
