"""What a search for mixed precision came to: the plans worth building, and what was measured on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.backends.engine import Candidate
from edge.quantization.plan import PrecisionPlan
from edge.search.room import GateResult
from edge.search.sensitivity import Gain, Group, Harm


@dataclass(frozen=True)
class AcceptedPlan:
    """A plan worth building.

    Attributes:
        name: for tables: ``int8``, ``mixed-bf16``, ``mixed-bf16-safe``, ``mixed-bf16-safer``.
        rest: precision of the nodes it leaves float.
        plan: with a reason for every node left float.
        candidate: ready to build.
        ms: median on the target, interleaved with its rivals, or what its layers came to.
        judged: the gate on the search images.
    """

    name: str
    rest: str
    plan: PrecisionPlan
    candidate: Candidate
    ms: float
    judged: GateResult


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Attributes:
        plans: by time over the chance to pass elsewhere, least first;
            they passed on the search images, or were there no worse than a float engine that failed.
            Empty where INT8 pays nowhere.
        float_ms: float precision to its engine's median, from the same interleaved run; the sum of its layers' times
            where every plan was expected to be so much faster that nothing was timed.
        gains: float precision to group to its measured times.
        harms: group to what it does alone; empty where the sweep was not needed.
        evaluations: full evaluations of the search images that were made now (not remembered).
        seconds: spent.
        log: what was decided, in order, in words.
        spares: ever quieter plans, made as they are asked for, for when nothing quantized passes its verdict.
    """

    plans: tuple[AcceptedPlan, ...]
    float_ms: Mapping[str, float]
    gains: Mapping[str, Mapping[Group, Gain]]
    harms: Mapping[Group, Harm]
    evaluations: int
    seconds: float
    log: tuple[str, ...]
    spares: Iterable[AcceptedPlan] = ()
