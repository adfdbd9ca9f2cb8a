"""The command in a process of its own, so that it ends when it is told to, whatever native call it is in.

The parent does nothing but wait: it passes signals on, and kills the child that does not notice one, that overruns the
seconds of a native call, or whose terminal has gone. What a killed child leaves beside its results is swept by the next
run (:mod:`edge.storage.swap`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from edge.safety.guard import printable
from edge.safety.limits import out_of_time
from edge.safety.watchdog import Page, hear, watched_by

INTERRUPTED = 130
DEAF_SECONDS = 1.5
"""After which a child that did not notice a signal is killed."""
CLEANING_SECONDS = 20.0
"""After which one that did is killed all the same."""
_POLL_SECONDS = 0.5
_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_CRASHES = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL") if hasattr(signal, name)
}
_PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG


def supervise(run: Callable[[], NoReturn]) -> NoReturn:
    """Run a command that ends in ``SystemExit``, and end as it does: within two seconds of a signal."""
    _require_standard_files()
    if not hasattr(os, "fork") or not hasattr(signal, "sigtimedwait"):
        run()
    ending = {number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN}  # nohup stays nohup
    page, parent = Page(), os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*ending, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        _die_with(parent)
        watched_by(page)
        for number in ending:
            signal.signal(number, _end_once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*ending, signal.SIGCHLD})
        run()
    status, told = _wait(child, page, ending)
    sys.exit(_exit_code(status, told, page))


def _wait(child: int, page: Page, ending: set[signal.Signals]) -> tuple[int, str]:
    """The child's exit status, and why it was killed ("" where it was not)."""
    told = 0.0
    while True:
        received = signal.sigtimedwait({*ending, signal.SIGCHLD}, _POLL_SECONDS)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, ""
        now, state = time.monotonic(), page.read()
        if received is not None and received.si_signo in ending:
            told = told or now
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, received.si_signo)
        deaf = told and now - told > (CLEANING_SECONDS if state.heard else DEAF_SECONDS)
        late = state.deadline and now > state.deadline
        if deaf or late:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1], "interrupted" if deaf else "late"


def _exit_code(status: int, killed: str, page: Page) -> int:
    """The child's own exit code, or the one that its end by a signal stands for, with a sentence."""
    if killed == "interrupted" or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _ENDING):
        return _say("interrupted; nothing was replaced", INTERRUPTED)
    call = page.read().call
    if killed == "late":
        where, _, what = call.rpartition(": ")
        return _say(f"error: {out_of_time(where, what)}", 2)
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number == signal.SIGKILL:
        return _say("error: the system ended the command, likely for want of memory; close other programs", 3)
    if number in _CRASHES and call:
        where, _, what = call.rpartition(": ")
        return _say(f"error: {where}: {what} crashed over it; export the model again", 2)
    return _say(f"error: the command was ended by {signal.Signals(number).name}", 128 + number)


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(printable(sentence), file=sys.stderr)
    return code


def _end_once(number: int, _: object) -> NoReturn:
    """The first signal ends the command as Ctrl-C does; those after it must not interrupt its cleaning up."""
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    hear()
    raise KeyboardInterrupt


def _die_with(parent: int) -> None:
    """Linux: end when the parent is killed. Elsewhere the child would go on alone, which does no harm."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(INTERRUPTED)


def _require_standard_files() -> None:
    """Where stdin, stdout or stderr is closed, a file opened next would take its place and be written into."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
