"""Build one engine of one precision, from a model to an engine folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.accuracy.gate import load_gate
from edge.backends.engine import PRECISIONS, Candidate, Engine
from edge.errors import InputError, MachineError
from edge.pipeline.deploy import calibrate_job, fuse_job, propose_for
from edge.pipeline.progress import Progress
from edge.pipeline.session import (
    Request,
    prepare,
)
from edge.quantization.ranges import NO_RANGES
from edge.search.bench import CandidateSet, Refusal
from edge.search.plain_candidates import FLOATS
from edge.search.state import OUT_OF_TIME

SEARCH_GATE = "99.9"


def parse_precision(text: str) -> tuple[str, ...]:
    """``int8+fp16`` to ``("int8", "fp16")``: a quantized precision, and the float one of its other layers.

    Raises:
        InputError: no precision, or not such a pair.
    """
    precision, joined, rest = text.partition("+")
    if precision not in PRECISIONS:
        raise InputError(f"--precision {text}: unknown; known precisions are {', '.join(PRECISIONS)}")
    if not joined:
        return (precision,)
    if precision in FLOATS or rest not in FLOATS:
        raise InputError(f"--precision {text}: write int8 or mixed, a +, and one of {', '.join(FLOATS)}")
    return precision, rest


def build_single(request: Request, progress: Progress) -> Engine:
    """One engine of the first precision asked for; calibrates as a run does, and searches where it is ``mixed``.

    A second one is the float precision of the layers that are left float.

    No verdict is given, but a search has to know what is good enough: without a gate it is :data:`SEARCH_GATE`. Where
    INT8 everywhere is, the engine is an INT8 one.

    Raises:
        MachineError: the precision would not really run here.
        InputError: the graph has nothing that could run in it.
    """
    job = prepare(request, progress)
    precision, bench = "-".join(job.precisions), job.bench
    if job.criteria.gate is None:
        job = replace(job, criteria=replace(job.criteria, gate=load_gate(SEARCH_GATE)))
    out = request.out or Path("runs") / f"{job.folder_name}-{precision}"
    try:
        for asked in job.precisions:
            if reason := bench.refusal(asked):
                raise MachineError(f"--precision {asked}: {reason}; choose another precision")
        fused, left = fuse_job(job, job.budget_seconds)
        learn = job.precisions[0] not in FLOATS or bench.dialect.floats_by_ranges
        ranges = calibrate_job(job, fused.model) if learn else NO_RANGES
        candidate = _first(propose_for(job, fused.model, ranges, left).found, job.precisions)
        with job.clock.stage("build"):
            engine = bench.build(candidate, out)
    finally:
        bench.close()
    if isinstance(engine, Refusal):
        raise InputError(engine.reason)
    return engine


def _first(found: CandidateSet, precisions: Sequence[str]) -> Candidate:
    """The candidate of the first precision; a search of ``mixed`` may come to INT8 everywhere."""
    floats = precisions[0] in FLOATS
    candidate = next((c for c in found.candidates if (c.precision in FLOATS) == floats), None)
    if candidate is None:
        reason = found.refusals[0].reason
        step = "give the search more time with --budget" if OUT_OF_TIME in reason else "choose another precision"
        raise InputError(f"--precision {precisions[0]}: {reason}; {step}")
    return candidate
