"""Progress as events: what a caller's ``progress=`` is called with while a function works."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["stage", "step", "note", "detail"]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: ``stage`` (a stage begins, and the one before it ends), ``step`` (some of it is done), ``note`` (a line
            for the user) or ``detail`` (a line for the user who asked for more).
        stage: name of the stage.
        number, of: the stage's place among those of the function; None where that is not known.
        done, total: steps of the stage; ``total`` is None where it is not known.
        seconds: since the stage began.
        left: seconds until the stage ends, as far as can be told; None where it cannot.
        text: the line of a note or detail.
    """

    kind: Kind
    stage: str = ""
    number: int | None = None
    of: int | None = None
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    left: float | None = None
    text: str = ""


Listener = Callable[[Event], object]
"""Called with every event, in the thread that works; what it raises ends the work."""


class Reporter:
    """A pipeline's :class:`~edge.pipeline.progress.Progress` that tells a listener; None listens to nothing.

    Args:
        listener: called with each event.
        stages: names in order, where they are known beforehand.
        clock: seconds, rising.
    """

    def __init__(
        self,
        listener: Listener | None,
        stages: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener or (lambda _: None)
        self._stages = tuple(stages)
        self._clock = clock
        self._name, self._began, self._done = "", clock(), 0
        self._total: int | None = None
        self._end: float | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, and the one before it ends."""
        self._name, self._began, self._done, self._total, self._end = name, self._clock(), 0, total, None
        self._tell("stage")

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""
        self._done += steps
        self._tell("step")

    def remaining(self, seconds: float) -> None:
        """The stage ends in about so many seconds."""
        self._end = self._clock() + seconds
        self._tell("step")

    def say(self, message: str) -> None:
        """One line for the user."""
        self._tell("note", message)

    def detail(self, message: str) -> None:
        """One line for the user who asked for more."""
        self._tell("detail", message)

    def _tell(self, kind: Kind, text: str = "") -> None:
        number = self._stages.index(self._name) + 1 if self._name in self._stages else None
        seconds = self._clock() - self._began
        self._listener(
            Event(
                kind,
                self._name,
                number,
                len(self._stages) if number else None,
                self._done,
                self._total,
                seconds,
                self._left(seconds),
                text,
            )
        )

    def _left(self, seconds: float) -> float | None:
        if self._end is not None:
            return max(self._end - self._clock(), 0.0)
        if not self._total or not self._done:
            return None
        return max(seconds * (self._total - self._done) / self._done, 0.0)
