"""The bench of a target: this machine where it is the target, a board where one is named, else a simulation."""

from __future__ import annotations

from collections.abc import Callable, Collection

from edge.backends import find_backend
from edge.boards.address import Address
from edge.boards.device import require_compiler, require_device, resolve_elsewhere
from edge.errors import InputError
from edge.machine.environment import versions
from edge.machine.machine import read_machine
from edge.quantization.schemes import find_scheme, openvino_scheme
from edge.search.bench import Bench
from edge.search.dialect import ArmDialect, Dialect, PlainDialect, TensorRtDialect
from edge.search.local_bench import LocalBench
from edge.search.simulated_bench import SimulatedBench
from edge.search.simulated_cpu_bench import SimulatedCpuBench
from edge.targets.local import is_local
from edge.targets.target import CPU, Target, cpu_of, find_target

# TensorRT for RTX reads what the enterprise parser of its time reads.
RTX_PARSER = "10.16"
NEWEST = "11.4"


def open_bench(target: Target, jetpack: str | None = None, threads: int | None = None) -> Bench:
    """A bench; close it when done.

    Args:
        target: as :func:`edge.targets.local.resolve` left it.
        jetpack: release on the device; None takes what is installed here, or the target's default.
        threads: CPU threads, None for all usable cores.

    Raises:
        InputError: a JetPack that the target does not run, or one for a target that is no Jetson.
    """
    backend, here = find_backend(target.backend), is_local(target)
    tensorrt = tensorrt_version(target, jetpack)
    if here:
        installed = versions(target.compilers).get(target.compilers[0])
        machine = read_machine()
        dialect = dialect_of(target.backend, installed or tensorrt, machine.architecture, machine.isa)
        return LocalBench(backend, target, dialect, threads)
    if target.kind == "cpu":
        return SimulatedCpuBench(
            backend, target, dialect_of(target.backend, "", target.fact("architecture"), ()), threads
        )
    return SimulatedBench(
        backend, target, TensorRtDialect(tensorrt), tensorrt, _written_for(target, jetpack, tensorrt), threads
    )


def open_remote_bench(
    address: Address,
    name: str | None,
    jetpack: str | None = None,
    backend: str | None = None,
    look: Callable[[], object] = lambda: None,
) -> tuple[Target, Bench]:
    """A bench on a board, and the target that the board is; close it when done.

    Args:
        address: of the board.
        name: of the target; None takes what the board is: its Jetson, else its CPU.
        jetpack: release that must be on the board; None takes what is there.
        backend: another compiler for its NVIDIA GPU.
        look: called twice a second while waiting for the board; what it raises ends the wait.

    Raises:
        InputError: unknown names.
        MachineError: the board cannot be reached, is another device, or lacks something.
    """
    from edge.boards.board import Board
    from edge.boards.line import Line
    from edge.search.remote_bench import RemoteBench

    known = find_target(name) if name is not None else None
    board = Board(Line(address, look=look))
    try:
        facts = board.look()
        target = cpu_of(known or find_target(facts.module or CPU), facts.architecture)
        target = resolve_elsewhere(target, backend)
        require_device(target, facts, board.name)
        identity, environment = board.open(target.backend)
        require_compiler(target, identity, jetpack, board.name)
    except BaseException:
        board.close()
        raise
    dialect = dialect_of(target.backend, identity.version, facts.architecture, facts.isa)
    return target, RemoteBench(board, identity, environment, find_backend(target.backend), target, dialect)


def dialect_of(backend: str, version: str, architecture: str, isa: Collection[str]) -> Dialect:
    """How graphs are written for a backend of a version, on a CPU of an architecture and its instruction sets."""
    if backend == "tensorrt_rtx":
        return TensorRtDialect(RTX_PARSER)
    if backend == "tensorrt":
        return TensorRtDialect(version)
    if backend == "arm_cpu":
        return ArmDialect(openvino_scheme(architecture, isa))
    if backend == "torch_tensorrt":
        return PlainDialect(find_scheme("tensorrt"))
    return PlainDialect(openvino_scheme(architecture, isa))


def tensorrt_version(target: Target, jetpack: str | None = None) -> str:
    """The TensorRT that a target builds with where it is not asked itself.

    Raises:
        InputError: a JetPack that the target does not run, or one for a target that is no Jetson.
    """
    if target.jetpacks:
        return target.find_jetpack(jetpack).tensorrt
    if jetpack is not None:
        raise InputError(f"--jetpack {jetpack}: {target.name} is not a Jetson; leave it out")
    return RTX_PARSER if target.backend == "tensorrt_rtx" else NEWEST


def _written_for(target: Target, jetpack: str | None, tensorrt: str) -> str:
    if not target.jetpacks:
        return f"graphs written for TensorRT {tensorrt}"
    release = target.find_jetpack(jetpack)
    chosen = "" if jetpack else ", the default; --jetpack names another"
    return f"graphs written for TensorRT {tensorrt} (JetPack {release.version}{chosen})"
