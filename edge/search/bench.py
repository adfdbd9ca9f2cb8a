"""What a search may ask of a target: how long, how wrong, good enough?

:class:`Bench` is the whole of it, so that a search can be tested without a compiler and run for a device that is not
here. :class:`LocalBench` answers by building real engines on this machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.compare import compare
from edge.accuracy.evaluate import Evaluation, evaluate
from edge.accuracy.gate import Check, Criteria, Gate, judge, parity_bar
from edge.accuracy.parity import explained_by, measure_parity
from edge.backends.engine import Backend, Candidate, Layer, Runner
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.latency.timing import interleave
from edge.targets.target import Target

Array = NDArray[np.float32]
Profile = tuple[Layer, ...]

_PARITY_IMAGES = 3
_PROFILES = 3
_TIMED_SECONDS = 1.0
_TIMED_RUNS = 30
_UNSEEN = 2.0
"""How much worse the worst of other images may be: of two sets as large, a second one exceeds the first's worst drop
twofold one time in five where the tail of drops falls with the square, and means vary far less."""


@dataclass(frozen=True)
class GateResult:
    """What the gate said of one candidate on the search images.

    Attributes:
        passed: the gate, and the parity rule.
        slack: how far inside the bars it is, as a share of what each bar allows; the least of all. The bar of the worst
            image counts half, since other images hold a worse one. Negative outside, and down to -1 for a worst image
            between half its bar and the bar.
        agreement: mean Dice of its masks against the float engine's.
        sqnr_db: of its clipped logits against the float engine's.
        reasons: one sentence for each bar it missed.
    """

    passed: bool
    slack: float
    agreement: float
    sqnr_db: float
    reasons: tuple[str, ...] = ()


class Bench(Protocol):
    """Measurements of candidates on a target.

    Attributes:
        measured: whether its milliseconds are measured; False where they are estimates.
    """

    measured: bool

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile]]:
        """Layer tables of each candidate, several each, taken in turn so that they are comparable."""
        ...

    def outputs(self, candidate: Candidate, images: int) -> Array:
        """Outputs for so many of the search images, evenly spread: ``[images, maps, height, width]`` float32."""
        ...

    def judge(self, candidate: Candidate) -> GateResult:
        """The gate's verdict over all search images."""
        ...

    def times(self, candidates: Sequence[Candidate]) -> list[float]:
        """Median milliseconds of each, all interleaved in one run."""
        ...


class LocalBench:
    """Real engines on this machine.

    Args:
        backend: the compiler.
        target: this machine.
        model: the float graph whose FP32 engine every candidate is compared with.
        images: search images with masks (val, never test).
        criteria: what they are judged by, the same as of the verdict.
        threads: CPU threads, None for all usable cores.
    """

    measured = True

    def __init__(
        self,
        backend: Backend,
        target: Target,
        model: Model,
        images: ImageSet,
        criteria: Criteria,
        threads: int | None = None,
    ) -> None:
        self._backend, self._target, self._threads = backend, target, threads
        self._images, self._criteria, self._task = images, criteria, model.task
        self._model = model
        self._float: Evaluation | None = None

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile]]:
        """See :class:`Bench`."""
        with _all(self._running(candidate) for candidate in candidates) as runners:
            rounds = [[runner.layers() for runner in runners] for _ in range(_PROFILES)]
        return [list(profiles) for profiles in zip(*rounds, strict=True)]

    def outputs(self, candidate: Candidate, images: int) -> Array:
        """See :class:`Bench`."""
        with self._running(candidate) as runner:
            return np.concatenate([runner.run(x) for x in self._inputs(images)])

    def judge(self, candidate: Candidate) -> GateResult:
        """Masks of all search images through the real engine, and parity on a few of them."""
        with self._running(candidate) as runner:
            found = evaluate(runner.run, self._images, self._task)
            reference = self._reference()
            source = dict(zip(reference.names, reference.outputs, strict=True))
            bar, some = parity_bar(candidate.precision, candidate.rest), self._images.spread(_PARITY_IMAGES)
            parity = measure_parity(runner, candidate.model, some, bar, source)
        gate = self._criteria.gate
        compared = compare(found, reference, parity.engine_db, self._criteria.strata, self._criteria.group)
        accuracy = explained_by(compared, parity)
        verdict = judge(gate, accuracy, candidate.precision, candidate.rest, allow_small=True)
        guarded = judge(_guarded(gate), accuracy, candidate.precision, candidate.rest, allow_small=True)
        slack = min((_slack(check) for check in guarded.checks), default=1.0)
        return GateResult(verdict.passed, slack, accuracy.agreement, accuracy.sqnr_db, verdict.reasons)

    def times(self, candidates: Sequence[Candidate]) -> list[float]:
        """See :class:`Bench`; on a real image."""
        image = next(self._inputs(1))
        with _all(self._running(candidate) for candidate in candidates) as runners:
            runs = {str(i): (lambda r=runner: r.run(image)) for i, runner in enumerate(runners)}
            measured = interleave(runs, _TIMED_SECONDS, _TIMED_RUNS)
        return [measured[str(i)].p50 for i in range(len(candidates))]

    def _reference(self) -> Evaluation:
        if self._float is None:
            with self._running(Candidate("fp32", "fp32", "fp32", self._model)) as runner:
                self._float = evaluate(runner.run, self._images, self._task)
        return self._float

    def _inputs(self, count: int) -> Iterator[Array]:
        return (self._task.preprocess(sample.plane(self._task))[None] for sample in self._images.spread(count))

    @contextmanager
    def _running(self, candidate: Candidate) -> Iterator[Runner]:
        with tempfile.TemporaryDirectory() as folder:
            engine = self._backend.build(candidate, self._target, Path(folder))
            with closing(self._backend.load(engine, self._threads)) as runner:
                yield runner


def _guarded(gate: Gate | None) -> Gate | None:
    """The gate with a margin for a worst image that is not among these."""
    if gate is None or gate.worst_drop is None:
        return gate
    return replace(gate, worst_drop=gate.worst_drop / _UNSEEN)


def _slack(check: Check) -> float:
    """Share of what a bar allows that is left: 1 is perfect, 0 just on the bar, below 0 outside.

    Bars of the gate either lie below 1 and ask for at least (retained, agreement), or ask for a small drop.
    """
    value, bar = check.value, check.bar
    if bar >= 1.0 or bar == 0.0:  # parity in dB, a yes-or-no check, or a bar that allows nothing
        return 1.0 if check.passed else -1.0
    if bar > 0.5:
        return (value - bar) / (1.0 - bar)
    if bar < 0.0:  # lower bound of a difference
        return (value - bar) / -bar
    return (bar - value) / bar


@contextmanager
def _all(managers: Iterator[AbstractContextManager[Runner]]) -> Iterator[list[Runner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(manager) for manager in managers]
