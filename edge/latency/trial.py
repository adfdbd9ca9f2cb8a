"""What every bench is asked, in this order: build each candidate, check each engine, time those together, choose.

:class:`edge.search.bench.Bench` is the whole of what a workstation asks of a target;
:class:`edge.device.bundle_bench.BundleBench` answers for a board with a bundle. These steps are the same for both, and
a candidate that its compiler refuses, or that cannot run, is a :class:`Refusal` among their results, not the end.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, Mapping, Protocol, Sequence, TypeVar, Union

from .winner import Contender, Standing, settled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .statistics import Measured, Samples

    Array = NDArray[np.float32]

Advance = Callable[[], object]


def silent() -> None:
    """Tells nobody that something is done."""


@dataclass(frozen=True)
class Refusal:
    """A precision or a graph that cannot be had, and why.

    Attributes:
        name, precision: of the candidate.
        reason: one sentence, the compiler's own where it is the compiler that refuses.
        machine: it is the machine that lacks something, where that is not the end.
    """

    name: str
    precision: str
    reason: str
    machine: bool = False


@dataclass(frozen=True)
class Effort:
    """How long to time each candidate.

    Attributes:
        seconds, runs: at least, both.
        undecided_seconds: makes it a race (:class:`~edge.latency.race.Race`): the clearly slower are timed less, those
            that tie up to so many seconds; None times all as long.
        energy: measure as well what each draws, where a bench does that beside its times.
        most_seconds: that timing all of them may take by the clock, where a budget pays for it; a bench elsewhere may
            not keep it.
    """

    seconds: float
    runs: int
    undecided_seconds: float | None = None
    energy: bool = True
    most_seconds: float | None = None


@dataclass(frozen=True)
class Timed:
    """One candidate's times, interleaved with the others' of the same call.

    Attributes:
        compute: host array in, host array out.
        outputs: ``[inputs, maps, height, width]`` float32 of all inputs.
        pixels: uint8 pixels to mask inside the engine; None where it was not asked for or cannot be.
    """

    compute: Measured
    outputs: Array
    pixels: Measured | None = None


class Named(Protocol):
    """A candidate, as far as these steps look at it."""

    @property
    def name(self) -> str:
        """Unique."""
        ...


C = TypeVar("C", bound=Named)
E = TypeVar("E")
K = TypeVar("K")
S = TypeVar("S")
_Candidate = TypeVar("_Candidate", contravariant=True)
_Engine = TypeVar("_Engine", covariant=True)
_Checked = TypeVar("_Checked", covariant=True)
_Standard = TypeVar("_Standard", contravariant=True)
Rows = List[Union[Timed, Refusal]]


class Builds(Protocol[_Candidate, _Engine]):
    """The part of a bench that builds."""

    def build(self, candidate: _Candidate, folder: Path) -> _Engine | Refusal:
        """Build into a folder, swapped in whole, and keep the engine at hand."""
        ...


class Checks(Protocol[_Candidate, _Standard, _Checked]):
    """The part of a bench that checks."""

    def check(self, candidate: _Candidate, standard: _Standard, advance: Advance = silent) -> _Checked | Refusal:
        """Score on the images that the reference was scored on, and judge."""
        ...


class Times(Protocol[_Candidate]):
    """The part of a bench that times."""

    def times(self, candidates: Sequence[_Candidate], inputs: Sequence[Array], effort: Effort) -> Rows | None:
        """Run all inputs, and time all candidates interleaved on the first; None where the target is not here."""
        ...


def build_each(
    bench: Builds[C, E], candidates: Sequence[C], place: Path, advance: Advance = silent
) -> tuple[list[tuple[C, E]], list[Refusal]]:
    """Build candidates into folders of their names.

    Args:
        place: folder of the folders.
        advance: called after each.
    """
    built: list[tuple[C, E]] = []
    refusals: list[Refusal] = []
    for candidate in candidates:
        engine = bench.build(candidate, place / candidate.name)
        if isinstance(engine, Refusal):
            refusals.append(engine)
        else:
            built.append((candidate, engine))
        advance()
    return built, refusals


def check_each(
    bench: Checks[C, S, K],
    built: Sequence[tuple[C, E]],
    standard: S,
    advance: Advance = silent,
    told: Callable[[C, E, K | Refusal], object] = lambda *_: None,
) -> tuple[list[tuple[C, E, K]], list[Refusal]]:
    """Check engines that were built.

    Args:
        standard: what the bench checks by.
        advance: called after each image, where the bench tells of them.
        told: called with each verdict as it comes.
    """
    checked: list[tuple[C, E, K]] = []
    refusals: list[Refusal] = []
    for candidate, engine in built:
        found = bench.check(candidate, standard, advance)
        if isinstance(found, Refusal):
            refusals.append(found)
        else:
            checked.append((candidate, engine, found))
        told(candidate, engine, found)
    return checked, refusals


def choose(
    passing: Sequence[tuple[C, Contender]],
    bench: Times[C],
    inputs: Sequence[Array],
    effort: Effort | None,
    stage: Callable[[], ContextManager[Any]] = nullcontext,
) -> Standing | None:
    """The winner by the rule of :mod:`.winner`; where a tie can still be decided, those that tie are timed once more.

    What is timed again only decides the tie: the latencies of a report are those of the one run that all engines had
    together.

    Args:
        passing: engines that pass and were timed.
        bench: times again.
        inputs, effort: as they were timed; no effort leaves a tie as it stands.
        stage: entered for the further run.

    Returns:
        None where nothing passes or was timed.
    """
    if not passing:
        return None
    candidates = {contender.name: candidate for candidate, contender in passing}

    def again(names: Sequence[str], once_more: Effort) -> Mapping[str, Sequence[Samples]]:
        with stage():
            rows = bench.times([candidates[name] for name in names], inputs, replace(once_more, energy=False)) or []
        return {name: row.compute.blocks for name, row in zip(names, rows) if not isinstance(row, Refusal)}

    contenders = [contender for _, contender in passing]
    return settled(contenders, None if effort is None else partial(again, once_more=effort))
