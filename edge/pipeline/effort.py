"""How long a deployment looks for a faster engine, and how long it times what it found: a table of two rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import InputError


@dataclass(frozen=True)
class DeployEffort:
    """Seconds that a deployment takes where its user names none.

    Attributes:
        budget_seconds: of fusion and the search of precisions together.
        latency_seconds: of timing for each engine.
    """

    budget_seconds: float
    latency_seconds: float


DEFAULT = "default"
EFFORTS: Mapping[str, DeployEffort] = {
    DEFAULT: DeployEffort(budget_seconds=60.0, latency_seconds=1.0),
    "thorough": DeployEffort(budget_seconds=300.0, latency_seconds=3.0),
}


def find_effort(name: str) -> DeployEffort:
    """One effort by name.

    Raises:
        InputError: unknown; names those there are.
    """
    if name not in EFFORTS:
        raise InputError(f"--effort {name}: unknown; known are {', '.join(EFFORTS)}")
    return EFFORTS[name]
