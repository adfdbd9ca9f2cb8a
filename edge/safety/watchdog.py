"""Calls into native libraries, told to whoever watches this process: they can be neither interrupted nor timed out.

A native call that holds the interpreter lets no Python run, not even the handler of Ctrl-C. So the command line forks
first: the child works, and its parent watches it through a page of memory that both see (:mod:`edge.cli.supervise`).
In a process that nobody watches (a notebook, a board), all this does nothing.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import threading
import time
from dataclasses import dataclass, replace
from typing import Iterator

from .limits import limits

_FORM = struct.Struct("<d?3x500s")  # when the call must have ended, whether a signal was heard, what is called


@dataclass(frozen=True)
class State:
    """What a watched process is doing.

    Attributes:
        deadline: seconds on the monotonic clock; 0 outside native calls.
        heard: it has noticed the signal that asks it to end, and cleans up.
        call: file and what is done with it.
    """

    deadline: float
    heard: bool
    call: str


class Page:
    """Memory shared by a process and the one it was forked from."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _FORM.size)

    def read(self) -> State:
        """What the other process wrote last."""
        deadline, heard, call = _FORM.unpack_from(self._memory)
        return State(deadline, heard, call.rstrip(b"\0").decode("utf-8", "replace"))

    def write(self, state: State) -> None:
        """Tell the other process."""
        _FORM.pack_into(self._memory, 0, state.deadline, state.heard, state.call.encode("utf-8", "replace")[:500])


_pages: list[Page] = []
_calls: list[State] = []
_telling = threading.Lock()


def watched_by(page: Page) -> None:
    """From now on tell native calls to ``page``."""
    _pages[:] = [page]


def hear() -> None:
    """Say that the signal to end was noticed."""
    for page in _pages:
        state = page.read()
        page.write(State(state.deadline, True, state.call))


@contextlib.contextmanager
def native_call(where: object, what: str, asked_seconds: float = 0.0) -> Iterator[None]:
    """Run a call that may take for ever over a hostile file.

    Args:
        where: the file.
        what: what is done, as in "WHAT did not end within the limit of seconds".
        asked_seconds: how long it runs because it was asked to, besides the limit.
    """
    if not _pages:
        yield
        return
    call = State(time.monotonic() + asked_seconds + limits().native_seconds, False, f"{where}: {what}")
    _begin(call)
    try:
        yield
    finally:
        _end(call)


def _begin(call: State) -> None:
    with _telling:
        _calls.append(call)
        _tell()


def _end(call: State) -> None:
    with _telling:
        _calls[:] = [other for other in _calls if other is not call]
        _tell()


def _tell() -> None:
    """Of calls inside each other, and of several threads at once, the page has the one that began last."""
    last = _calls[-1] if _calls else State(0.0, False, "")
    page = _pages[0]
    page.write(replace(last, heard=page.read().heard))
