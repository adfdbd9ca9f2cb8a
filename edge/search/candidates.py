"""Which graphs a deployment builds: those that need no search, and what the search proposes for ``mixed``."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.gate import Criteria
from edge.backends.engine import Candidate
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.quantization.bias import measure_shifts
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import plan_int8
from edge.quantization.write import quantize
from edge.search.bench import Bench, CandidateSet, Refusal
from edge.search.cache import MeasurementCache, asked_of
from edge.search.deadline import Deadline
from edge.search.plain_candidates import MIXED, float_rests, plain_candidates
from edge.search.plan_measurements import PlanMeasurements
from edge.search.result import AcceptedPlan, SearchResult
from edge.search.search import run_search
from edge.search.state import Progress
from edge.targets.target import Target

_TIMING_SECONDS = 2.0  # warm-up and the timed part, for each engine


@dataclass(frozen=True)
class SearchRequest:
    """What a search of precisions is given.

    Attributes:
        images: the search images (val). Never the test split.
        criteria: what an engine is judged by, the same as of the verdict.
        deadline: nothing is begun that is expected to end after it.
        progress: see :data:`~edge.search.state.Progress`.
        keep: file for what is measured; a second search with the same inputs reads it, an interrupted one goes on.
        shared: folder of the user's cache, for other runs; None for none.
        seconds_each: that building and timing one graph is expected to take, before one was; 0 where nobody knows.
        bias_images: calibration images, ``[1, channels, height, width]`` float32 each, to correct biases on; none
            leaves biases alone. It helps some networks and hurts others (U-Net: -2 dB), so it is off by default.
        passed: float precisions over which INT8 everywhere has passed its verdict already.
    """

    images: ImageSet
    criteria: Criteria
    deadline: Deadline
    progress: Progress | None = None
    keep: Path | None = None
    shared: Path | None = None
    seconds_each: float = 0.0
    bias_images: Callable[[], Sequence[NDArray[np.float32]]] = list
    passed: Container[str] = ()


@dataclass(frozen=True)
class Proposal:
    """Candidates and how they came about.

    Attributes:
        found: to build, and what cannot be.
        plan: the fastest plan that was accepted, else INT8 wherever the rules allow it.
        log: what the search decided, in words.
        spares: ever quieter plans, made as they are asked for; see :class:`~edge.search.result.SearchResult`.
    """

    found: CandidateSet
    plan: PrecisionPlan
    log: tuple[str, ...] = ()
    spares: Iterable[AcceptedPlan] = ()


def propose(
    bench: Bench, target: Target, model: Model, ranges: Ranges, precisions: Sequence[str], wanted: SearchRequest
) -> Proposal:
    """Candidates for every precision asked for, in that order; ``mixed`` asks the search.

    Args:
        bench: of the target.
        target: the device.
        model: the fused float graph that was calibrated.
        ranges: of its tensors.
        precisions: as asked for.
        wanted: of the search.
    """
    plain = plain_candidates(bench.dialect, bench.refusal, model, ranges, precisions)
    plan = plan_int8(model, bench.dialect.scheme)
    if MIXED not in precisions:
        return Proposal(plain, plan)
    refusal = bench.refusal("int8") or bench.refusal(MIXED)
    if refusal is not None:
        return Proposal(_with(plain, (), (Refusal(MIXED, MIXED, refusal),)), plan)
    rests = bench.dialect.searched(float_rests(bench.dialect, bench.refusal, precisions))
    result = search(bench, target, model, ranges, rests, wanted)
    fresh = _distinct(result, plain.candidates)
    refusals = () if fresh else (Refusal(MIXED, MIXED, _why_none(result)),)
    log = tuple(f"search: {line}" for line in (*filter(None, (bench.basis(),)), *result.log))
    best = result.plans[0].plan if result.plans else plan
    return Proposal(_with(plain, fresh, refusals), best, log, result.spares)


def search(
    bench: Bench, target: Target, model: Model, ranges: Ranges, rests: Sequence[str], wanted: SearchRequest
) -> SearchResult:
    """Search which nodes run in INT8, over these float precisions.

    Args:
        bench: measures, or estimates and simulates.
        target: the device.
        model: the fused float graph that was calibrated.
        ranges: of its tensors.
        rests: float precisions that run on the target.
        wanted: see :class:`SearchRequest`.
    """
    scheme = bench.trial_dialect.scheme
    on_operands = replace(scheme, shared=False)
    bias_images = wanted.bias_images()
    shifts = (
        measure_shifts(model, quantize(model, ranges, plan_int8(model, scheme), on_operands), bias_images)
        if bias_images
        else {}
    )
    memory = MeasurementCache(
        wanted.keep,
        {
            **asked_of(model, ranges, wanted.images, wanted.criteria, target, scheme.name),
            **bench.identity(),
            "biases": {name: shift.tolist() for name, shift in shifts.items()},
        },
        wanted.shared,
    )
    book = PlanMeasurements(model, ranges, wanted.images, wanted.criteria, bench, memory, shifts)
    timing_seconds = _TIMING_SECONDS if bench.measured else 0.0
    return run_search(book, rests, wanted.deadline, wanted.progress, timing_seconds, wanted.seconds_each, wanted.passed)


def _with(plain: CandidateSet, more: Sequence[Candidate], refusals: Sequence[Refusal]) -> CandidateSet:
    return CandidateSet((*plain.candidates, *more), (*plain.refusals, *refusals))


def _distinct(found: SearchResult, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The search's plans that are not yet among the candidates, under names of their own."""
    known = {(c.model.sha256, c.rest) for c in candidates}
    names = {c.name for c in candidates}
    fresh = [p.candidate for p in found.plans if (p.candidate.model.sha256, p.candidate.rest) not in known]
    return [replace(c, name=f"{c.name}-searched") if c.name in names else c for c in fresh]


def _why_none(found: SearchResult) -> str:
    if found.plans:
        return "the search came to the int8 engines themselves"
    return found.log[-1] if found.log else "INT8 pays on no layer here"
