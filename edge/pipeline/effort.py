"""How long a deployment looks for a faster engine, and how long it times what it found: a table of two rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import InputError


@dataclass(frozen=True)
class DeployEffort:
    """Seconds that a deployment takes where its user names none.

    Attributes:
        least_budget_seconds: of fusion and the search of precisions together,
        budget_seconds_per_gmac: and for each billion multiply-accumulates: a larger network takes longer to run, so
            also to look into.
        latency_seconds: of timing for each engine,
        latency_runs: and runs at least: what takes a third of a second is not run a hundred times by default.
        exhaustive: nothing is left out that a short race says cannot win, and a tie is timed once more.
    """

    least_budget_seconds: float
    budget_seconds_per_gmac: float
    latency_seconds: float
    latency_runs: int
    exhaustive: bool

    def budget_seconds(self, macs: int) -> float:
        """For a network of so many multiply-accumulates."""
        return self.least_budget_seconds + self.budget_seconds_per_gmac * macs / 1e9


DEFAULT = "default"
EFFORTS: Mapping[str, DeployEffort] = {
    DEFAULT: DeployEffort(45.0, budget_seconds_per_gmac=4.0, latency_seconds=1.0, latency_runs=40, exhaustive=False),
    "thorough": DeployEffort(
        300.0, budget_seconds_per_gmac=8.0, latency_seconds=3.0, latency_runs=100, exhaustive=True
    ),
}


def find_effort(name: str) -> DeployEffort:
    """One effort by name.

    Raises:
        InputError: unknown; names those there are.
    """
    if name not in EFFORTS:
        raise InputError(f"--effort {name}: unknown; known are {', '.join(EFFORTS)}")
    return EFFORTS[name]
