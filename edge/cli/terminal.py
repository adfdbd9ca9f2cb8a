"""Progress for people, on stderr: stages with their number and the time left, and messages.

On a terminal a bar is drawn for a stage that has run for two seconds. Elsewhere (a pipe, a CI log) a stage gets one
line when it ends, and one every 15 seconds until then, none in its first two; a command that is over in two seconds
says nothing of its stages. ``NO_COLOR`` and ``TERM=dumb`` are honoured (by rich).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from edge.api.progress import Event, Reporter
from edge.errors import InputError
from edge.report import words
from edge.safety.guard import printable

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable
    from rich.progress import Progress as Bars

PATIENCE_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
_LABEL_WIDTH = 19  # [10/16] check mixed


class Terminal:
    """Shows events; a context manager, so that the cursor comes back whatever happens.

    It is called with each :class:`~edge.api.progress.Event`. To the pipeline itself it is a
    :class:`~edge.pipeline.progress.Progress`.

    Args:
        quiet: no progress and no messages.
        verbose: show details as well.
        stream: where to write; stderr by default.
        clock: seconds, rising.
        log_file: file that gets every line with its time, details included, whatever is shown.
        heartbeat: seconds between two lines of a stage where there is no terminal.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(
        self,
        quiet: bool = False,
        verbose: bool = False,
        stream: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        log_file: str | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._stream = stream or sys.stderr
        self._clock, self._started, self._heartbeat = clock, clock(), heartbeat
        self._bars: Bars | None = None
        self._stage: Event | None = None
        self._latest, self._latest_at, self._began = Event("stage"), 0.0, 0.0
        self._log = _opened(log_file) if log_file else None
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._closed.set()
        reporter = Reporter(self, clock=clock)
        self.stage, self.advance, self.remaining = reporter.stage, reporter.advance, reporter.remaining
        self.say, self.detail = reporter.say, reporter.detail

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            if event.kind == "note":
                self._write(event.text)
            elif event.kind == "detail":
                self._write(event.text, shown=self._verbose)
            else:
                self._follow(event)

    def close(self) -> None:
        """End the stage and take the bar away. The terminal may be used again."""
        with self._lock:
            self._end_stage()
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
            self._closed.set()

    def _follow(self, event: Event) -> None:
        if event.kind == "stage":
            self._end_stage()
            self._stage, self._began = event, self._clock()
        self._latest, self._latest_at = event, self._clock()
        if self._quiet:
            return
        if not self._stream.isatty():
            self._start_heartbeat()
        elif event.kind == "stage":
            if self._bars is None:
                self._bars = _bars(self._stream)
                self._bars.start()
            self._bars.add_task(_label(event), total=event.total)
        if self._bars is not None and self._bars.task_ids:
            ends = None if event.total or event.left is None else time.monotonic() + event.left
            self._bars.update(self._bars.task_ids[-1], completed=event.done, ends=ends)

    def _end_stage(self) -> None:
        if self._stage is None:
            return
        if self._bars is not None:
            for task in self._bars.task_ids:
                self._bars.remove_task(task)
        now = self._clock()
        patient = now - self._began if self._stream.isatty() else now - self._started
        self._write(
            f"{_label(self._stage):<{_LABEL_WIDTH}} {words.seconds(now - self._began)}",
            shown=patient >= PATIENCE_SECONDS,
        )
        self._stage = None

    def _write(self, line: str, shown: bool = True) -> None:
        line = printable(line)
        if self._log is not None:
            print(datetime.now().isoformat(timespec="seconds"), line, file=self._log, flush=True)
        if self._quiet or not shown:
            return
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def _start_heartbeat(self) -> None:
        if self._closed.is_set():
            self._closed = threading.Event()
            threading.Thread(target=self._beat, args=(self._closed,), daemon=True).start()

    def _beat(self, closed: threading.Event) -> None:
        while not closed.wait(self._heartbeat):
            with self._lock:
                patient = self._clock() - self._began >= PATIENCE_SECONDS
                if self._stage is not None and patient and not closed.is_set():
                    self._write(self._so_far())

    def _so_far(self) -> str:
        """``[4/9] fuse      12 s, about 20 s left``."""
        assert self._stage is not None
        now = self._clock()
        line = f"{_label(self._stage):<{_LABEL_WIDTH}} {words.seconds(now - self._began)}"
        if self._latest.left is None:
            return line
        return f"{line}, {_left(self._latest.left - (now - self._latest_at))}"


def _left(seconds: float) -> str:
    return f"about {words.seconds(seconds)} left" if seconds >= 1 else "nearly done"


def _label(event: Event) -> str:
    return f"[{event.number}/{event.of}] {event.stage}" if event.number else event.stage


def _opened(path: str) -> IO[str]:
    try:
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--log-file {path}: cannot be written ({error.strerror}); name another file") from None


def _bars(stream: IO[str]) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Left(TimeRemainingColumn):
        """Time left by the pace of the steps, or until the moment that the stage named itself."""

        def render(self, task: Any) -> Text:
            ends = task.fields.get("ends")
            if ends is None:
                return super().render(task)
            return Text(_left(ends - time.monotonic()))

    class Done(MofNCompleteColumn):
        """How many steps of how many, where a stage has steps."""

        def render(self, task: Any) -> Text:
            return super().render(task) if task.total else Text("")

    class Patient(Bars):
        """Shows a stage only once it has run for a while: short ones would only flicker."""

        def get_renderables(self) -> Iterable[ConsoleRenderable]:
            late = [task for task in self.tasks if (task.elapsed or 0.0) >= PATIENCE_SECONDS]
            if late:
                yield self.make_tasks_table(late)

    return Patient(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        Done(),
        Left(elapsed_when_finished=True),
        console=Console(file=stream, force_terminal=True),
        transient=True,
    )
