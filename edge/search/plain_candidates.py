"""The candidates that need no search: each float precision asked for, and INT8 wherever the compiler's rules allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from edge.backends.engine import Candidate
from edge.errors import InputError
from edge.graph.model import Model
from edge.quantization.plan import PrecisionPlan
from edge.quantization.ranges import Ranges
from edge.quantization.schemes import plan_int8
from edge.search.bench import CandidateSet, Refusal
from edge.search.dialect import Dialect, GraphRequest

FLOATS = ("fp32", "bf16", "fp16")
MIXED = "mixed"
NOTHING_TO_QUANTIZE = "the graph has no layer that the compiler runs in INT8"

Refuses = Callable[[str], str | None]


def plain_candidates(
    dialect: Dialect, refuses: Refuses, model: Model, ranges: Ranges, precisions: Sequence[str]
) -> CandidateSet:
    """Candidates in the order asked for; ``int8`` goes over every float precision asked for, ``mixed`` is a search's.

    Args:
        dialect: of the target's compiler.
        refuses: why a precision would not really run on the target, None where it would.
        model: the float graph that was calibrated.
        ranges: of its tensors.
        precisions: as asked for.
    """
    made: list[Candidate] = []
    refusals: list[Refusal] = []
    int8 = plan_int8(model, dialect.scheme) if "int8" in precisions else None

    def write(name: str, precision: str, rest: str) -> None:
        try:
            plan = int8 if precision == "int8" else None
            made.append(dialect.write(GraphRequest(name, precision, rest, model, ranges, plan)))
        except InputError as error:
            refusals.append(Refusal(name, precision, str(error)))

    for precision in (p for p in precisions if p != MIXED):
        reason = refuses(precision)
        if reason is None and precision == "int8" and int8 is not None and not int8.int8:
            reason = _nothing_to_quantize(int8)
        if reason is not None:
            refusals.append(Refusal(precision, precision, reason))
        elif precision == "int8":
            for rest in float_rests(dialect, refuses, precisions):
                write("int8" if rest == "fp32" else f"int8-{rest}", "int8", rest)
        else:
            write(precision, precision, precision)
    return CandidateSet(tuple(made), tuple(refusals))


def _nothing_to_quantize(plan: PrecisionPlan) -> str:
    """That no layer runs in INT8, with the reason that most layers have."""
    why = Counter(plan.reasons.values()).most_common(1)
    return f"{NOTHING_TO_QUANTIZE} ({why[0][0]})" if why else NOTHING_TO_QUANTIZE


def float_rests(dialect: Dialect, refuses: Refuses, precisions: Sequence[str]) -> tuple[str, ...]:
    """Float precisions that INT8 is put over: those asked for that the target has, else the compiler's usual one."""
    asked = tuple(p for p in precisions if p in FLOATS and refuses(p) is None)
    return dialect.under_int8(asked or (dialect.rest,))
