"""Choose among the engines that pass; where a tie can still be decided, time those that tie once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.accuracy.compare import Accuracy
from edge.backends.engine import Candidate
from edge.latency.winner import Contender, settled
from edge.pipeline.session import Clock
from edge.search.bench import Array, Bench, Effort, Refusal

if TYPE_CHECKING:
    from edge.latency.statistics import Samples


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
        effort: of the further run.
        clock: told of it.

    Returns:
        Its name, None where nothing passes or was timed; and what is to be said of a tie, or "".
    """
    if not passing:
        return None, ""
    candidates = {one.candidate.name: one.candidate for one in passing}

    def again(names: Sequence[str]) -> dict[str, Sequence[Samples]]:
        with clock.stage("tie"):
            rows = bench.times([candidates[name] for name in names], inputs, effort) or []
        return {n: row.compute.blocks for n, row in zip(names, rows, strict=False) if not isinstance(row, Refusal)}

    found = settled([one.contender() for one in passing], again)
    return found.winner, found.sentence()
