"""Which graphs to try: one or two for each precision asked for, and a sentence for each that cannot be tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.graph.model import Model
from edge.pipeline.session import Job
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.search.local_search import search
from edge.search.search import SearchResult

FLOATS = ("fp32", "bf16", "fp16")
PLAN, MEMORY = "plan.json", "search.json"


@dataclass(frozen=True)
class Refusal:
    """A precision that was asked for and cannot be had, and why."""

    name: str
    precision: str
    reason: str


def local_candidates(
    job: Job, fused: Model, ranges: Ranges, folder: Path
) -> tuple[list[Candidate], list[Refusal], tuple[str, ...]]:
    """Candidates for a target that is this machine, in the order asked for.

    ``int8`` is tried over every float precision asked for as the rest of the graph; ``mixed`` asks the search.

    Returns:
        Candidates, a refusal for each precision that cannot be had, and what the search decided, in words.
    """
    backend = find_backend(job.target.backend)
    refused = {p: reason for p in (*FLOATS, "int8") if (reason := backend.refusal(p, job.target))}
    rests = [p for p in job.precisions if p in FLOATS and p not in refused] or ["fp32"]
    candidates: list[Candidate] = []
    refusals: list[Refusal] = []
    log: tuple[str, ...] = ()
    plan = plan_int8(fused, find_scheme(job.target.backend))
    plan.save(folder / PLAN)
    for precision in job.precisions:
        if precision in refused:
            refusals.append(Refusal(precision, precision, refused[precision]))
        elif precision in FLOATS:
            candidates.append(Candidate(precision, precision, precision, fused))
        elif precision == "int8":
            candidates += int8_candidates(fused, ranges, plan, job.target.backend, rests)
            if not plan.int8:
                refusals.append(Refusal("int8", "int8", "the graph has no layer that the compiler runs in INT8"))
        elif precision == "mixed":
            found = _search(job, fused, ranges, rests, folder)
            log = tuple(f"search: {line}" for line in found.log)
            fresh = _distinct(found, candidates)
            candidates += fresh
            if not fresh:
                why = "the search came to the int8 engines themselves" if found.plans else _why_none(found)
                refusals.append(Refusal("mixed", "mixed", why))
    return candidates, refusals, log


def int8_candidates(
    fused: Model, ranges: Ranges, plan: PrecisionPlan, backend: str, rests: Sequence[str]
) -> list[Candidate]:
    """A plan's graph, once for each float precision of the rest."""
    if not plan.int8:
        return []
    graph = quantize(fused, ranges, plan, find_scheme(backend))
    names = ["int8" if rest == "fp32" else f"int8-{rest}" for rest in rests]
    return [Candidate(name, "int8", rest, graph, plan.reasons) for name, rest in zip(names, rests, strict=True)]


def _search(job: Job, fused: Model, ranges: Ranges, rests: Sequence[str], folder: Path) -> SearchResult:
    with job.clock.stage("search"):
        found = search(
            fused,
            ranges,
            job.splits.search,
            job.target,
            job.criteria,
            rests,
            job.request.budget_seconds,
            job.request.threads,
            job.clock.searching,
            folder / MEMORY,
            job.inputs(job.splits.calibration) if job.request.bias_correction else (),
        )
    if found.plans:
        found.plans[0].plan.save(folder / PLAN)
    return found


def _distinct(found: SearchResult, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The search's plans that are not yet among the candidates, under names of their own."""
    known = {(c.model.sha256, c.rest) for c in candidates}
    names = {c.name for c in candidates}
    fresh = [p.candidate for p in found.plans if (p.candidate.model.sha256, p.candidate.rest) not in known]
    return [replace(c, name=f"{c.name}-searched") if c.name in names else c for c in fresh]


def _why_none(found: SearchResult) -> str:
    return found.log[-1] if found.log else "INT8 pays on no layer here"
