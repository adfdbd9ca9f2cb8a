"""The bench of a board over SSH: engines are built, run and timed there, and judged here by the code that judges any.

Outputs travel, not verdicts: every image's output comes back and is scored by :func:`edge.accuracy.check.check`, so a
Dice from a board is what the same outputs would score on this machine, to the digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge import __version__
from edge.accuracy.check import Standard, check
from edge.accuracy.checked import Checked
from edge.backends.arm.compiler import missing, serving
from edge.backends.compiler import Identity
from edge.backends.engine import MANIFEST, Backend, Candidate, Engine, read_engine
from edge.backends.openvino.runner import missing_arithmetic
from edge.backends.runner import Timing, clocked
from edge.boards.board import Board, BoardEngine, refused
from edge.errors import InputError
from edge.files import replaced_folder
from edge.search.bench import (
    PROFILES,
    Advance,
    Array,
    Bench,
    Effort,
    PixelRoute,
    Profile,
    Refusal,
    Timed,
    silent,
)
from edge.search.build import GRAPH
from edge.search.dialect import Dialect
from edge.targets.target import Target

_MISSING = {"openvino": missing_arithmetic, "arm_cpu": missing}
"""By backend of a CPU, why a precision would not really run there."""


@dataclass(frozen=True)
class RemoteRunner:
    """An engine on a board as a :class:`~edge.backends.runner.Runner`."""

    board: Board
    engine: BoardEngine

    def run(self, batch: Array) -> Array:
        """See the protocol; one image at a time."""
        return self.board.run(self.engine, [image[None] for image in batch])

    def time(self, batch: Array) -> Timing:
        """The way there and back with it; :meth:`~edge.boards.board.Board.time` times the engine itself."""
        return clocked(self.run, batch)

    def layers(self) -> Profile:
        """See the protocol."""
        return self.board.layers([self.engine], 1)[0][0]

    def conditions(self) -> dict[str, Any]:
        """See the protocol."""
        return {"board": self.board.name}

    def close(self) -> None:
        """The board keeps its engines until it is closed."""


class RemoteBench(Bench):
    """Real engines on a board.

    Args:
        board: the machine, with its compiler started; closed with the bench.
        identity: what the compiler there is.
        environment: what the machine there is.
        backend: of the target; only asked what it refuses.
        target: the device.
        dialect: of the board's compiler.
    """

    measured = True

    def __init__(
        self,
        board: Board,
        identity: Identity,
        environment: Mapping[str, Any],
        backend: Backend,
        target: Target,
        dialect: Dialect,
    ) -> None:
        self.dialect = self.trial_dialect = dialect
        self._board, self._identity, self._environment = board, identity, environment
        self._backend, self._target = backend, target
        self._kept: dict[str, BoardEngine] = {}

    def refusal(self, precision: str) -> str | None:
        """See :class:`~edge.search.bench.Bench`."""
        if self._target.kind == "cpu":
            return _MISSING[self._target.backend](precision, frozenset(self._identity.sm.split()))
        return self._backend.refusal(precision, self._target)

    def build(self, candidate: Candidate, folder: Path) -> Engine | Refusal:
        """See :class:`~edge.search.bench.Bench`; built on the board, its files brought here."""
        there = self._build(candidate)
        if isinstance(there, Refusal):
            return there
        backend = self._target.backend if len(self._target.compilers) == 1 else serving(candidate.precision)
        with replaced_folder(folder, MANIFEST) as fresh:
            self._board.fetch(there, fresh)
            candidate.model.save(fresh / GRAPH)
            Engine.for_candidate(
                candidate,
                self._target,
                fresh,
                backend=backend,
                artefacts=(there.built.artefact, *(f for f in there.built.files if f != there.built.artefact)),
                build_seconds=there.built.seconds,
                convs=there.built.convs,
                versions={backend: there.built.version or self._identity.version},
                runs_on=self._runs_on(),
            )
        self._kept[candidate.name] = there
        return read_engine(folder)

    def check(self, candidate: Candidate, standard: Standard, advance: Advance = silent) -> Checked | Refusal:
        """See :class:`~edge.search.bench.Bench`; run there, judged here."""
        there = self._build(candidate)
        if isinstance(there, Refusal):
            return there
        try:
            runner, kind = RemoteRunner(self._board, there), (candidate.precision, candidate.rest)
            return check(runner, candidate.model.task, candidate.model, *kind, standard, advance)
        except InputError as error:
            return self._refusal(candidate, error)

    def times(
        self,
        candidates: Sequence[Candidate],
        inputs: Sequence[Array],
        effort: Effort,
        pixels: PixelRoute | None = None,
        advance: Advance = silent,
    ) -> list[Timed | Refusal] | None:
        """See :class:`~edge.search.bench.Bench`; interleaved on the board, without the line. No route from pixels."""
        outputs = [self.outputs(candidate, inputs) for candidate in candidates]
        engines = {
            str(index): self._there(candidate)
            for index, (candidate, output) in enumerate(zip(candidates, outputs, strict=True))
            if not isinstance(output, Refusal)
        }
        measured = self._board.time(engines, inputs[0], effort.seconds, effort.runs, advance) if engines else {}
        return [
            output if isinstance(output, Refusal) else Timed(measured[str(index)], output)
            for index, output in enumerate(outputs)
        ]

    def outputs(self, candidate: Candidate, inputs: Sequence[Array]) -> Array | Refusal:
        """See :class:`~edge.search.bench.Bench`."""
        there = self._build(candidate)
        if isinstance(there, Refusal):
            return there
        try:
            return np.concatenate([self._board.run(there, [x]) for x in inputs])
        except InputError as error:
            return self._refusal(candidate, error)

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile] | Refusal]:
        """See :class:`~edge.search.bench.Bench`."""
        there = [self._build(candidate) for candidate in candidates]
        built = [one for one in there if not isinstance(one, Refusal)]
        tables = iter(self._board.layers(built, PROFILES) if built else [])
        return [one if isinstance(one, Refusal) else next(tables) for one in there]

    def layers(self, candidate: Candidate) -> Profile:
        """See :class:`~edge.search.bench.Bench`."""
        return self._board.layers([self._kept[candidate.name]], 1)[0][0]

    def identity(self) -> Mapping[str, Any]:
        """See :class:`~edge.search.bench.Bench`."""
        machine = {key: self._environment.get(key) for key in ("cpu", "isa", "threads", "device", "power_mode")}
        return {"compiler": asdict(self._identity), "board": machine}

    def environment(self) -> dict[str, Any]:
        """The board's, with the version of what ran it."""
        versions = self._environment.get("versions")
        known = versions if isinstance(versions, dict) else {}
        return {**self._environment, "versions": {**known, "segedge": __version__}}

    def notes(self) -> tuple[str, ...]:
        """Where it was measured, and what of its CPU changes the graphs."""
        device = self._environment.get("device") or self._identity.gpu
        compiler = f"{self._identity.title} {self._identity.version}"
        measured = f"built, run and timed on {self._board.name} ({device}) with {compiler}; outputs were scored here"
        return tuple(filter(None, (measured, self.dialect.scheme.note)))

    def close(self) -> None:
        """See :class:`~edge.search.bench.Bench`; the board forgets the deployment."""
        self._kept.clear()
        self._board.close()

    def _there(self, candidate: Candidate) -> BoardEngine:
        """The engine on the board: built now, or before.

        Raises:
            InputError: the compiler refuses the graph.
        """
        return self._board.build(candidate)

    def _build(self, candidate: Candidate) -> BoardEngine | Refusal:
        try:
            return self._there(candidate)
        except InputError as error:
            return self._refusal(candidate, error)

    def _refusal(self, candidate: Candidate, error: InputError) -> Refusal:
        return Refusal(candidate.name, candidate.precision, refused(error, self._board))

    def _runs_on(self) -> dict[str, Any]:
        if self._target.kind != "cpu":
            return {"sm": self._identity.sm, "tensorrt": self._identity.version}
        machine = self._environment.get("machine")
        architecture = machine.get("architecture") if isinstance(machine, dict) else None
        return {"device": "CPU", "architecture": str(architecture)}
