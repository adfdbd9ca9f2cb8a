"""The bench of this machine: real engines, really timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge.accuracy.check import Standard, check
from edge.accuracy.checked import Checked
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.backends.engine import Backend, Candidate, Engine, Runner, TrialBackend
from edge.errors import InputError, MachineError
from edge.images.image_set import ImageSet
from edge.latency.costs import Costs, measure_costs
from edge.latency.estimate import Peaks
from edge.latency.peaks import measure_peaks
from edge.latency.pixels import IN_ENGINE, REGION, in_engine
from edge.latency.sweep import SWEEP_SECONDS, Throughput, sweep
from edge.latency.timing import compute_runs, interleave
from edge.machine.cores import physical_cores
from edge.machine.environment import environment, versions
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
from edge.search.build import build_engine
from edge.search.dialect import Dialect
from edge.storage.scratch import scratch
from edge.targets.target import Target


@dataclass(frozen=True)
class _Kept:
    """An engine that was built into a folder, and stays loaded."""

    engine: Engine
    runner: Runner


class LocalBench(Bench):
    """Real engines on this machine.

    Args:
        backend: the compiler.
        target: this machine.
        dialect: of the compiler.
        threads: CPU threads, None for all usable cores.
    """

    measured = True

    def __init__(self, backend: Backend, target: Target, dialect: Dialect, threads: int | None = None) -> None:
        self.dialect = self.trial_dialect = dialect
        self._backend, self._target, self._threads = backend, target, threads
        self._kept: dict[str, _Kept] = {}
        self._stack = ExitStack()

    def refusal(self, precision: str) -> str | None:
        """See :class:`~edge.search.bench.Bench`."""
        return self._backend.refusal(precision, self._target)

    def build(self, candidate: Candidate, folder: Path) -> Engine | Refusal:
        """See :class:`~edge.search.bench.Bench`; the engine stays loaded."""
        try:
            engine = build_engine(self._backend, candidate, self._target, folder)
            runner = self._stack.enter_context(closing(self._backend.load(engine, self._threads)))
        except InputError as error:
            return _refusal(candidate, error)
        self._kept[candidate.name] = _Kept(engine, runner)
        return engine

    def check(self, candidate: Candidate, standard: Standard, advance: Advance = silent) -> Checked | Refusal:
        """See :class:`~edge.search.bench.Bench`; through the real engine."""
        try:
            with self._loaded(candidate) as runner:
                kind = candidate.precision, candidate.rest
                return check(runner, candidate.model.task, candidate.model, *kind, standard, advance)
        except InputError as error:
            return _refusal(candidate, error)

    def times(
        self,
        candidates: Sequence[Candidate],
        inputs: Sequence[Array],
        effort: Effort,
        pixels: PixelRoute | None = None,
        advance: Advance = silent,
    ) -> list[Timed | Refusal] | None:
        """See :class:`~edge.search.bench.Bench`."""
        with self._all(candidates) as (loaded, refused), ExitStack() as stack:
            outputs = self._outputs(candidates, loaded, refused, inputs)
            names = _names(candidates)
            runs, conditions = compute_runs({names[index]: runner for index, runner in loaded.items()}, inputs[0])
            routes = self._pixel_routes(candidates, loaded, pixels or PixelRoute(), runs, conditions, stack)
            measured = (
                interleave(
                    runs,
                    effort.seconds,
                    effort.runs,
                    conditions,
                    advance,
                    undecided_seconds=effort.undecided_seconds,
                    most_seconds=effort.most_seconds,
                )
                if runs
                else {}
            )
        return [
            refused[index]
            if index in refused
            else Timed(measured[names[index]], outputs[index], measured[routes[index]] if index in routes else None)
            for index in range(len(candidates))
        ]

    def evaluated(self, candidate: Candidate, images: ImageSet) -> Evaluation | None:
        """See :class:`~edge.search.bench.Bench`; a compiler's own FP32 is faster, and a hundred decibels from exact."""
        try:
            with self._loaded(candidate) as runner:
                return evaluate(runner.run, images, candidate.model.task)
        except InputError:
            return None

    def outputs(self, candidate: Candidate, inputs: Sequence[Array]) -> Array | Refusal:
        """See :class:`~edge.search.bench.Bench`."""
        try:
            with self._loaded(candidate) as runner:
                return np.concatenate([runner.run(x) for x in inputs])
        except InputError as error:
            return _refusal(candidate, error)

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile] | Refusal]:
        """See :class:`~edge.search.bench.Bench`."""
        tables: dict[int, list[Profile]] = {}
        with self._all(candidates) as (loaded, refused):
            for _ in range(PROFILES):
                for index, runner in list(loaded.items()):
                    try:
                        tables.setdefault(index, []).append(runner.layers())
                    except InputError as error:
                        refused[index] = _refusal(candidates[index], error)
                        del loaded[index]
        return [refused[index] if index in refused else tables[index] for index in range(len(candidates))]

    def layers(self, candidate: Candidate) -> Profile:
        """See :class:`~edge.search.bench.Bench`."""
        return self._kept[candidate.name].runner.layers()

    def costs(self, candidate: Candidate, images: ImageSet, seconds: float) -> Costs:
        """See :class:`~edge.search.bench.Bench`."""
        one = self._kept[candidate.name]
        return measure_costs(one.engine, one.runner, images, seconds, self._threads)

    def throughput(self, candidate: Candidate, seconds: float) -> tuple[Throughput, ...]:
        """See :class:`~edge.search.bench.Bench`."""
        return sweep(self._kept[candidate.name].engine, seconds=min(seconds, SWEEP_SECONDS), threads=self._threads)

    def peaks(self) -> Peaks | None:
        """This CPU's own, measured with OpenVINO; a GPU has a table."""
        if self._target.kind != "cpu":
            return None
        try:
            return measure_peaks(self._threads or physical_cores())
        except MachineError:
            return None

    def identity(self) -> Mapping[str, Any]:
        """See :class:`~edge.search.bench.Bench`."""
        packages = (*(name.replace("_", "-") for name in self._target.compilers), "onnxruntime")
        return {"compiler": versions(packages), "threads": self._threads}

    def environment(self) -> dict[str, Any]:
        """This machine's."""
        return environment()

    def notes(self) -> tuple[str, ...]:
        """What of this CPU changes the graphs; what is measured speaks for itself."""
        return tuple(filter(None, (self.dialect.scheme.note,)))

    def close(self) -> None:
        """See :class:`~edge.search.bench.Bench`."""
        self._kept.clear()
        self._stack.close()

    @contextmanager
    def _loaded(self, candidate: Candidate) -> Iterator[Runner]:
        """The engine at hand, or one built for this question alone."""
        kept = self._kept.get(candidate.name)
        if kept is not None and kept.engine.graph_sha256 == candidate.model.sha256:
            yield kept.runner
            return
        if isinstance(self._backend, TrialBackend):
            with closing(self._backend.trial(candidate, self._threads)) as runner:
                yield runner
            return
        with scratch() as folder:
            engine = self._backend.build(candidate, self._target, folder)
            with closing(self._backend.load(engine, self._threads)) as runner:
                yield runner

    def _outputs(
        self,
        candidates: Sequence[Candidate],
        loaded: dict[int, Runner],
        refused: dict[int, Refusal],
        inputs: Sequence[Array],
    ) -> dict[int, Array]:
        """What each returns; one that cannot run the inputs moves to the refused."""
        found: dict[int, Array] = {}
        for index, runner in list(loaded.items()):
            try:
                found[index] = np.concatenate([runner.run(x) for x in inputs])
            except InputError as error:
                refused[index] = _refusal(candidates[index], error)
                del loaded[index]
        return found

    @contextmanager
    def _all(self, candidates: Sequence[Candidate]) -> Iterator[tuple[dict[int, Runner], dict[int, Refusal]]]:
        """Those that build (and take the inputs) by their place, and the refusals of the others."""
        loaded: dict[int, Runner] = {}
        refused: dict[int, Refusal] = {}
        with ExitStack() as stack:
            for index, candidate in enumerate(candidates):
                try:
                    loaded[index] = stack.enter_context(self._loaded(candidate))
                except InputError as error:
                    refused[index] = _refusal(candidate, error)
            yield loaded, refused

    def _pixel_routes(
        self,
        candidates: Sequence[Candidate],
        loaded: Mapping[int, Runner],
        pixels: PixelRoute,
        runs: dict[str, Callable[[], object]],
        conditions: dict[str, Mapping[str, Any]],
        stack: ExitStack,
    ) -> dict[int, str]:
        """Add the runs from pixels to mask; returns their names by the candidate's place."""
        routes: dict[int, str] = {}
        for index, runner in loaded.items():
            name = candidates[index].name
            kept = self._kept.get(name)
            if name not in pixels.names or kept is None:
                continue
            inside = in_engine(kept.engine, runner, pixels.images, self._threads)
            if inside.runner is not None:
                key = routes[index] = f"{name}, {IN_ENGINE}"
                runs[key] = partial(stack.enter_context(closing(inside.runner)).run, pixels.images[0])
                conditions[key] = {**conditions[name], "timed_region": REGION, "proven_on": inside.images}
        return routes


def _refusal(candidate: Candidate, error: InputError) -> Refusal:
    """A graph that the compiler refuses is an answer, not an end; a fault of the machine is an end."""
    return Refusal(candidate.name, candidate.precision, str(error))


def _names(candidates: Sequence[Candidate]) -> list[str]:
    """Names that are different even where trials share one."""
    names = [candidate.name for candidate in candidates]
    return [name if names.count(name) == 1 else f"{name} {index}" for index, name in enumerate(names, start=1)]
