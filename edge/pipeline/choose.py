"""Choose among the engines that pass; while a tie can still be decided, time those that tie once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.accuracy.compare import Accuracy
from edge.backends.engine import Candidate
from edge.latency.winner import Contender, standing
from edge.pipeline.session import Clock
from edge.search.bench import Array, Bench, Effort, Refusal

if TYPE_CHECKING:
    from edge.latency.statistics import Samples

MOST_STRETCHES = 4
"""Further interleaved runs of those that tie; their intervals have halved by then."""


@dataclass(frozen=True)
class Passing:
    """An engine that passes, as it was timed together with all others.

    Attributes:
        candidate: for the bench, to time it again.
        accuracy: of the verdict.
        bytes: of its artefact.
        blocks: run times in milliseconds.
    """

    candidate: Candidate
    accuracy: Accuracy
    bytes: int
    blocks: tuple[Samples, ...]

    def contender(self) -> Contender:
        """As the rule of a tie sees it."""
        accuracy = self.accuracy
        return Contender(self.candidate.name, self.blocks, accuracy.dice.retained, accuracy.agreement, self.bytes)


def choose(
    passing: Sequence[Passing], bench: Bench, inputs: Sequence[Array], effort: Effort, clock: Clock
) -> tuple[str | None, str]:
    """The winner by the rule of :mod:`edge.latency.winner`.

    What is timed again only decides the tie: the latencies of a report are those of the one run that all engines had
    together.

    Args:
        passing: engines that pass and were timed.
        bench: times again.
        inputs: as they were timed on.
        effort: of each further run.
        clock: told of it.

    Returns:
        Its name, None where nothing passes or was timed; and what is to be said of a tie, or "".
    """
    if not passing:
        return None, ""
    known = {one.candidate.name: one for one in passing}
    found = standing([one.contender() for one in passing])
    for _ in range(MOST_STRETCHES):
        if len(found.undecided) < 2:
            break
        with clock.stage("tie"):
            tied = _timed_again([known[name] for name in found.tied], bench, inputs, effort)
        known.update((one.candidate.name, one) for one in tied)
        found = standing([one.contender() for one in tied])
    return found.winner, found.sentence()


def _timed_again(tied: Sequence[Passing], bench: Bench, inputs: Sequence[Array], effort: Effort) -> list[Passing]:
    """All that tie with the blocks of one more interleaved run."""
    rows = bench.times([one.candidate for one in tied], inputs, effort) or []
    return [
        Passing(one.candidate, one.accuracy, one.bytes, (*one.blocks, *row.compute.blocks))
        for one, row in zip(tied, rows, strict=True)
        if not isinstance(row, Refusal)
    ]
