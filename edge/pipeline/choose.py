"""Choose among the engines that pass; while a tie can still be decided, time those that tie once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.latency.statistics import merged
from edge.latency.winner import Contender, Standing, standing
from edge.pipeline.session import Clock
from edge.search.bench import Array, Bench, Effort, Refusal

if TYPE_CHECKING:
    from edge.pipeline.deploy import MeasuredEngine

MOST_STRETCHES = 4
"""Further interleaved runs of those that tie; their intervals have halved by then."""


def choose(
    engines: list[MeasuredEngine], bench: Bench, inputs: Sequence[Array], effort: Effort, clock: Clock
) -> tuple[str | None, str]:
    """The winner by the rule of :mod:`edge.latency.winner`.

    Args:
        engines: all of the run; the latencies of those that are timed again are replaced by the longer series.
        bench: times again.
        inputs: as they were timed on.
        effort: of each further run.
        clock: told of it.

    Returns:
        Its name, None where none passes or nothing was timed; and what is to be said of a tie, or "".
    """
    passing = {one.engine.name: one for one in engines if one.checked.verdict.passed and one.latency is not None}
    if not passing:
        return None, ""
    found = standing([_contender(one) for one in passing.values()])
    for _ in range(MOST_STRETCHES):
        if len(found.undecided) < 2:
            break
        found = _again(found, passing, bench, inputs, effort, clock)
    engines[:] = [passing.get(one.engine.name, one) for one in engines]
    return found.winner, found.sentence()


def _again(
    found: Standing,
    passing: dict[str, MeasuredEngine],
    bench: Bench,
    inputs: Sequence[Array],
    effort: Effort,
    clock: Clock,
) -> Standing:
    """Time all that tie once more, interleaved, and compare them over all their rounds."""
    tied = [passing[name] for name in found.tied]
    with clock.stage("tie"):
        rows = bench.times([one.candidate for one in tied], inputs, effort) or []
    for one, row in zip(tied, rows, strict=True):
        if one.latency is not None and not isinstance(row, Refusal):
            passing[one.engine.name] = replace(one, latency=merged(one.latency, row.compute))
    return standing([_contender(passing[name]) for name in found.tied])


def _contender(one: MeasuredEngine) -> Contender:
    assert one.latency is not None
    accuracy = one.checked.accuracy
    return Contender(one.engine.name, one.latency.blocks, accuracy.dice.retained, accuracy.agreement, one.engine.bytes)
