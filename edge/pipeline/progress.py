"""What a pipeline tells while it works, whoever listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a pipeline tells while it works."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins (and the one before it ends); ``total`` steps where known."""
        ...

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""
        ...

    def remaining(self, seconds: float) -> None:
        """The stage ends in about so many seconds."""
        ...

    def say(self, message: str) -> None:
        """One line for the user."""
        ...

    def detail(self, message: str) -> None:
        """One line for the user who asked for more (``-v``)."""
        ...


class NullProgress:
    """A :class:`Progress` that tells nobody: for library use and tests."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing."""

    def advance(self, steps: int = 1) -> None:
        """Nothing."""

    def remaining(self, seconds: float) -> None:
        """Nothing."""

    def say(self, message: str) -> None:
        """Nothing."""

    def detail(self, message: str) -> None:
        """Nothing."""
