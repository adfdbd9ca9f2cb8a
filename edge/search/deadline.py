"""A promise of time: work that must end by then asks what is left before it begins anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds, rising; :func:`time.monotonic` unless a test brings its own."""


@dataclass(frozen=True)
class Deadline:
    """The end of a budget. Passed on from fusion to the search, so that one budget bounds both.

    Attributes:
        ends: by the clock.
        clock: see :data:`Clock`.
    """

    ends: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        """So many seconds from now."""
        return cls(clock() + seconds, clock)

    def left(self) -> float:
        """Seconds until then; negative after it."""
        return self.ends - self.clock()

    def affords(self, seconds: float) -> bool:
        """Whether something that takes so long still ends in time; what never was done before (0 seconds) may begin
        while any time is left."""
        left = self.left()
        return left > 0 and left >= seconds

    def share(self, part: float, most_seconds: float) -> Deadline:
        """An earlier deadline: a part of what is left, and no more than so many seconds."""
        return Deadline(self.clock() + max(0.0, min(part * self.left(), most_seconds)), self.clock)
