"""What single verbs do on a board over SSH: a bundle verified there, engines timed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.backends.compiler import Built, Identity
from edge.backends.engine import Engine, read_engine
from edge.boards.address import Address
from edge.boards.board import Board, BoardEngine
from edge.boards.line import Line
from edge.device.manifest import DIGEST, MANIFEST, check_folder
from edge.errors import InputError, MachineError
from edge.files import replaced_folder
from edge.latency.timing import MIN_RUNS, ratio, timed_seconds
from edge.pipeline.profile import Profiled
from edge.pipeline.progress import Progress
from edge.report.store import REPORT
from edge.task.noise import noise_batch

Say = Callable[[str], object]


def verify_on_board(
    address: Address, bundle: Path, out: Path, seconds: float, min_runs: int, allow_small: bool, say: Say
) -> None:
    """Send a bundle, have it verified, and bring the run back.

    Args:
        address: of the board.
        bundle: unpacked.
        out: run folder, swapped in whole.
        seconds, min_runs: timing of each engine.
        allow_small: judge on fewer than 20 images.
        say: told of every step.

    Raises:
        InputError: the bundle is damaged.
        MachineError: the board is not the target, or lacks something.
    """
    manifest = check_folder(bundle)
    with opened(address, manifest.backend, say) as (board, _, _):
        files = {name: bundle / name for name in (*manifest.files, MANIFEST, DIGEST)}
        with replaced_folder(out, REPORT) as fresh:
            board.verify(files, seconds, min_runs, allow_small, say, fresh)


def profile_on_board(
    address: Address, engines: Sequence[Path], seconds: float, layers: bool, progress: Progress
) -> Profiled:
    """Latencies of engines that are sent to a board, interleaved there.

    Raises:
        InputError: an engine given twice, or two of different compilers.
        MachineError: the board's compiler or CPU is not the one that an engine was built with.
    """
    read = [read_engine(path) for path in engines]
    if len({engine.folder.resolve() for engine in read}) < len(read):
        raise InputError(f"{engines[0]}: given twice; give another engine to --against")
    first = read[0]
    if any(engine.backend != first.backend for engine in read):
        raise InputError(f"{engines[0]}: and the engine of --against are of two compilers; profile them one by one")
    progress.stage("load")
    with opened(address, first.backend, progress.say) as (board, identity, environment):
        there = {str(engine.folder): _sent(board, engine, identity, environment) for engine in read}
        progress.stage("profile", timed_seconds(seconds, len(there)))
        measured = board.time(there, noise_batch(first.task), seconds, MIN_RUNS, progress.advance)
        table = board.layers([there[str(first.folder)]], 1)[0][0] if layers else ()
    names = list(measured)
    pair = ratio(measured[names[0]].blocks, measured[names[1]].blocks) if len(names) > 1 else None
    return Profiled(measured, pair, {}, layers=tuple(sorted(table, key=lambda layer: -(layer.ms or 0.0))))


@contextmanager
def opened(address: Address, backend: str, told: Say) -> Iterator[tuple[Board, Identity, Mapping[str, Any]]]:
    """A board with its compiler started, what that is, and what the machine is; closed at the end."""
    board = Board(Line(address, told=told))
    try:
        yield (board, *board.open(backend))
    finally:
        board.close()


def _sent(board: Board, engine: Engine, identity: Identity, environment: Mapping[str, Any]) -> BoardEngine:
    built_with = engine.versions.get(engine.backend, identity.version).partition("-")[0]
    if built_with != identity.version.partition("-")[0]:
        raise MachineError(
            f"{engine.folder}: was built with {identity.title} {built_with}, {board.name} has {identity.version}; "
            "deploy with --on, which builds there"
        )
    machine = environment.get("machine")
    there = machine.get("architecture") if isinstance(machine, dict) else None
    wanted = engine.runs_on.get("architecture", there)
    if wanted != there:
        raise MachineError(f"{engine.folder}: was built for {wanted}, {board.name} is {there}; deploy with --on")
    files = {name: engine.folder / name for name in engine.artefact_sha256}
    built = Built(engine.artefact, tuple(files), engine.build_seconds, engine.convs)
    return board.adopt(engine.precision, engine.rest, built, files, engine.task.output_name)
