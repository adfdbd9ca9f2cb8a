"""Which graphs to try: one or two for each precision asked for, and a sentence for each that cannot be tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.job import Job
from edge.model import Model
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize

FLOATS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Refusal:
    """A precision that was asked for and cannot be had, and why."""

    name: str
    precision: str
    reason: str


def local_candidates(job: Job, fused: Model, ranges: Ranges, folder: Path) -> tuple[list[Candidate], list[Refusal]]:
    """Candidates for a target that is this machine, in the order asked for.

    ``int8`` is tried with every float precision asked for as the rest of the graph.
    """
    backend = find_backend(job.target.backend)
    candidates: list[Candidate] = []
    refusals: list[Refusal] = []
    refused = {p: reason for p in (*FLOATS, "int8") if (reason := backend.refusal(p, job.target))}
    rests = [p for p in job.precisions if p in FLOATS and p not in refused] or ["fp32"]
    for precision in job.precisions:
        if precision in refused:
            refusals.append(Refusal(precision, precision, refused[precision]))
        elif precision in FLOATS:
            candidates.append(Candidate(precision, precision, precision, fused))
        elif precision == "int8":
            candidates += int8_candidates(fused, ranges, job.target.backend, rests)
    return candidates, refusals


def int8_candidates(fused: Model, ranges: Ranges, scheme_name: str, rests: list[str]) -> list[Candidate]:
    """INT8 wherever the backend's rules allow it, once for each float precision of the rest."""
    scheme = SCHEMES[scheme_name]
    plan: PrecisionPlan = plan_int8(fused, scheme)
    graph = quantize(fused, ranges, plan, scheme)
    names = ["int8" if rest == "fp32" else f"int8-{rest}" for rest in rests]
    return [Candidate(name, "int8", rest, graph, plan.reasons) for name, rest in zip(names, rests, strict=True)]
