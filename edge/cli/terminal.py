"""Progress on a terminal: messages, and a bar with the time left, all on stderr.

The bar is drawn only on a terminal, and only for a stage that has run for two seconds. ``NO_COLOR`` and ``TERM=dumb``
are honoured (by rich).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING

from edge.report import words

if TYPE_CHECKING:
    from rich.console import ConsoleRenderable
    from rich.progress import Progress as Bars

PATIENCE_SECONDS = 2.0


class Terminal:
    """A :class:`~edge.pipeline.progress.Progress` on stderr.

    A context manager, so that the cursor comes back whatever happens.

    Args:
        quiet: no progress and no messages.
        verbose: show details as well.
        stream: where to write; stderr by default.
        clock: seconds, rising.
    """

    def __init__(
        self,
        quiet: bool = False,
        verbose: bool = False,
        stream: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._stream = stream or sys.stderr
        self._clock = clock
        self._bars: Bars | None = None
        self._name, self._began = "", 0.0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, and the one before it ends. On a terminal a bar appears after two seconds."""
        self._end_stage()
        self._name, self._began = name, self._clock()
        if self._quiet or not self._stream.isatty():
            return
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.start()
        self._bars.add_task(name, total=total)

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""
        if self._bars is not None and self._bars.task_ids:
            self._bars.advance(self._bars.task_ids[-1], steps)

    def say(self, message: str) -> None:
        """One line on stderr, above any bar; nothing where ``quiet``."""
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            print(message, file=self._stream, flush=True)

    def detail(self, message: str) -> None:
        """One line on stderr where ``verbose``."""
        if self._verbose:
            self.say(message)

    def close(self) -> None:
        """End the stage and take the bar away. The terminal may be used again."""
        self._end_stage()
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _end_stage(self) -> None:
        if self._bars is None or not self._name:
            return
        took = self._clock() - self._began
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        if took >= PATIENCE_SECONDS:
            self.say(f"{self._name}: {words.seconds(took)}")
        self._name = ""


def _bars(stream: IO[str]) -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

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
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(file=stream, force_terminal=True),
        transient=True,
    )
