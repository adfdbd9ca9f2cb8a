"""Several deployments at the same time, told to one listener: each line says which board it is about."""

from __future__ import annotations

import threading

from edge.pipeline.progress import Progress

ONE_AT_A_TIME = frozenset(("load", "report"))
"""Stages that call libraries which do not bear two threads: PyTorch's exporter, Matplotlib."""


class Together:
    """What the deployments share.

    Args:
        progress: told of all of them.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._telling = progress, threading.Lock()
        self._stopped, self.turn = threading.Event(), threading.Lock()

    def board(self, name: str) -> BoardProgress:
        """What the deployment to a board tells; close it at the end."""
        return BoardProgress(name, self)

    def stop(self) -> None:
        """End every deployment when it next tells anything."""
        self._stopped.set()

    def advance(self) -> None:
        """One of them is done."""
        with self._telling:
            self._progress.advance()

    def say(self, message: str) -> None:
        """A line for the user."""
        with self._telling:
            self._progress.say(message)

    def detail(self, message: str) -> None:
        """A line for the user who asked for more."""
        with self._telling:
            self._progress.detail(message)

    def require_going_on(self) -> None:
        """Raise where the deployments were stopped.

        Raises:
            KeyboardInterrupt: they were.
        """
        if self._stopped.is_set():
            raise KeyboardInterrupt


class BoardProgress:
    """A :class:`~edge.pipeline.progress.Progress` of one deployment among several."""

    def __init__(self, name: str, together: Together) -> None:
        self._name, self._together, self._has_turn = name, together, False

    def stage(self, name: str, total: int | None = None) -> None:
        """Waits where only one deployment at a time may go on."""
        self._together.require_going_on()
        self.close()
        if name in ONE_AT_A_TIME:
            self._together.turn.acquire()
            self._has_turn = True
            self._together.require_going_on()  # they may have been stopped while it waited
        self._together.say(f"board {self._name}: {name}")

    def advance(self, steps: int = 1) -> None:
        """Only looks whether to go on."""
        self._together.require_going_on()

    def remaining(self, seconds: float) -> None:
        """Only looks whether to go on."""
        self._together.require_going_on()

    def say(self, message: str) -> None:
        """See the protocol."""
        self._together.say(f"board {self._name}: {message}")

    def detail(self, message: str) -> None:
        """See the protocol."""
        self._together.detail(f"board {self._name}: {message}")

    def close(self) -> None:
        """Let the next one have its turn."""
        if self._has_turn:
            self._has_turn = False
            self._together.turn.release()
