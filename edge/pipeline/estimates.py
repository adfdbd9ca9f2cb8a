"""What the device's peaks alone would allow beside each engine: a roofline, with its error where one was measured."""

from __future__ import annotations

from typing import Protocol

from edge.errors import InputError
from edge.graph.model import Model
from edge.latency.estimate import Estimate, Peaks, estimate
from edge.report.results import Estimated
from edge.targets.target import Target

_ALL_INT8 = "every layer that may be quantized is taken as INT8, which is a floor for any mixture"


class Estimator(Protocol):
    """Precision, precision of the rest, and measured median in ms (None: not measured) to an estimate."""

    def __call__(self, precision: str, rest: str, measured_ms: float | None = None) -> Estimated | None: ...


def estimator(model: Model, target: Target, peaks: Peaks | None = None) -> Estimator:
    """How fast a target would be at its peaks, with the error wherever a measurement stands beside it.

    Args:
        model: the fused float graph that all engines start from.
        target: the device.
        peaks: instead of its table (measured ones, for this machine).
    """
    known: dict[tuple[str, str], Estimate | None] = {}

    def estimated(precision: str, rest: str, measured_ms: float | None = None) -> Estimated | None:
        key = ("int8" if precision == "mixed" else precision, rest)
        if key not in known:
            known[key] = _estimate(model, target, *key, peaks)
        found = known[key]
        if found is None:
            return None
        error = None if measured_ms is None else found.error(measured_ms)
        assumptions = (*found.assumptions, *((_ALL_INT8,) if precision == "mixed" else ()))
        return Estimated(found.kind, found.ms, error, found.source, assumptions)

    return estimated


def _estimate(model: Model, target: Target, precision: str, rest: str, peaks: Peaks | None) -> Estimate | None:
    try:
        return estimate(model, target, precision, peaks, rest)
    except InputError:  # the target's table does not say enough
        return None
