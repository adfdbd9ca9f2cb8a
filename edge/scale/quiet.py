"""One timing at a time on a machine, and nothing else of a sweep beside it.

Stages that time wait until every other deployment of a sweep on this machine has stopped at the end of a stage, then
run alone; all others run side by side. The lock is the kernel's (``flock``), so it ends with its process.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from edge.errors import MachineError


class Event(Protocol):
    """An event of :mod:`edge.api.progress`, as far as it is looked at."""

    @property
    def kind(self) -> str:
        """``stage`` where one begins."""
        ...

    @property
    def stage(self) -> str:
        """The stage's name."""
        ...


TIMED = frozenset(("fuse", "search", "layers", "profile", "pixels", "tie", "costs", "sweep"))
"""Stages of a deployment in which something is timed, or that end with a time of their own."""


def lock_file() -> Path:
    """One for each user of the machine."""
    return Path(tempfile.gettempdir()) / f"segedge-timing-{os.getuid()}.lock"


@contextmanager
def side_by_side(path: Path | None = None) -> Iterator[Callable[[Event], None]]:
    """A listener for a deployment's events, which waits where it has to.

    Args:
        path: the lock's file; None takes :func:`lock_file`.

    Raises:
        MachineError: the file cannot be opened.
    """
    path = path or lock_file()
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MachineError(f"{path}: cannot be locked ({error.strerror}); remove it") from None

    def listen(event: Event) -> None:
        if event.kind == "stage":
            # Changing the kind of a lock gives the old one up first, so two that both want to time never block.
            fcntl.flock(handle, fcntl.LOCK_EX if event.stage in TIMED else fcntl.LOCK_SH)

    try:
        yield listen
    finally:
        os.close(handle)
