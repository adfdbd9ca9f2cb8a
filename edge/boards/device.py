"""Is a board the target? Asked of the board, as :mod:`edge.targets.local` asks this machine."""

from __future__ import annotations

from dataclasses import replace

from edge.backends.compiler import Identity
from edge.boards.board import Facts
from edge.device.preflight import generation
from edge.errors import MachineError
from edge.targets.local import checked_backend
from edge.targets.target import UNKNOWN, Target


def resolve_elsewhere(target: Target, backend: str | None) -> Target:
    """The target with another compiler where one was asked for.

    Raises:
        InputError: a compiler that does not serve the target.
    """
    return target if backend is None else replace(target, backend=checked_backend(backend, target))


def require_device(target: Target, facts: Facts, board: str) -> None:
    """Refuse a board that is another device, before its compiler is started.

    Raises:
        MachineError: what it is.
    """
    if target.kind == "jetson" and facts.module != target.name:
        advice = f"--target {facts.module}" if facts.module else "the board that you mean"
        raise MachineError(f"{board}: is a {facts.title}, not a {target.title}; give {advice}")
    wanted = target.fact("architecture")
    if wanted not in (UNKNOWN, facts.architecture):
        raise MachineError(f"{board}: its CPU is {facts.architecture}, {target.title} is {wanted}; give --target cpu")


def require_compiler(target: Target, identity: Identity, jetpack: str | None, board: str) -> None:
    """Refuse a board whose GPU or whose JetPack is another.

    Raises:
        MachineError: what it has.
    """
    wanted = target.fact("sm")
    if target.kind != "cpu" and wanted not in (UNKNOWN, identity.sm):
        raise MachineError(
            f"{board}: its GPU is of compute capability {identity.sm}, {target.title} of {wanted}; "
            "give the --target that it is (edge targets)"
        )
    if jetpack is None:
        return
    expected = target.find_jetpack(jetpack).tensorrt
    if generation(expected) != generation(identity.version):
        raise MachineError(
            f"{board}: has TensorRT {identity.version}, JetPack {jetpack} ships {expected}; leave --jetpack out"
        )
