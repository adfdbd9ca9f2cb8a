"""A finished run: its report, its folder, and the engine it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.notebook.shown import Shown, Table

if TYPE_CHECKING:
    from edge.report.results import Report


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """What :func:`edge.deploy` and :func:`edge.verify` return.

    Attributes:
        report: everything that was found out, key for key ``report.json``.
        folder: the run folder.
    """

    report: Report
    folder: Path

    @property
    def passed(self) -> bool:
        """Whether an engine passes the gate and was chosen, measured on the target itself."""
        return self.report.status == "passed"

    @property
    def engine(self) -> Path | None:
        """Folder of the chosen engine; None where none passes, or nothing was timed."""
        row = self.report.chosen_row
        return self.folder / row.path if row is not None and row.path else None

    @property
    def speedup(self) -> float | None:
        """How many times faster than FP32 the chosen engine's median is; None where either was not timed."""
        from edge.report import words

        row = self.report.chosen_row
        return None if row is None else words.speedup(row, words.baseline(self.report))

    def __repr__(self) -> str:
        from edge.report.summary import result_line

        row = self.report.chosen_row
        shown = result_line(self.report, row) if row is not None else "no engine chosen"
        return f"<Run {self.folder} {self.report.status}: {shown}>"

    def _table(self) -> Table:
        from edge.report.summary import run_table

        return run_table(self.report)


@dataclass(frozen=True, repr=False)
class FleetRun(Run):
    """What :func:`edge.deploy` returns for several boards: the run of the first that answered, and all of them.

    Attributes:
        boards: name of each board that answered to its run.
        faults: name of each of the others to a sentence.
        page: the report with a column for each board.
    """

    boards: Mapping[str, Run]
    faults: Mapping[str, str]
    page: Path

    @property
    def passed(self) -> bool:
        """Whether every board answered and has an engine that passes."""
        return not self.faults and all(run.passed for run in self.boards.values())

    def __repr__(self) -> str:
        passing = sum(run.passed for run in self.boards.values())
        return f"<FleetRun {self.page}: {passing} of {len(self.boards) + len(self.faults)} boards pass>"

    def _table(self) -> Table:
        runs = [(name, run.report.status, run.report.chosen or "none") for name, run in self.boards.items()]
        return ("board", "status", "chosen"), [*runs, *((name, fault, "none") for name, fault in self.faults.items())]


def chosen_engine(folder: Path) -> Path:
    """Folder of the engine that a run chose.

    Raises:
        InputError: it chose none; the message lists the engines it has.
    """
    from edge.report.store import read_report

    run = Run(read_report(folder), folder)
    if run.engine is None:
        built = [str(folder / row.path) for row in run.report.engines if row.path]
        raise InputError(f"{folder}: the run chose no engine; name one of its engines: {', '.join(built) or 'none'}")
    return run.engine
