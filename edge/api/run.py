"""A finished run: its report, its folder, and the engine it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError

if TYPE_CHECKING:
    from edge.report.results import Report


@dataclass(frozen=True, repr=False)
class Run:
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
        path = self.report.engine(self.report.chosen).path if self.report.chosen else None
        return self.folder / path if path else None

    @property
    def speedup(self) -> float | None:
        """How many times faster than FP32 the chosen engine's median is; None where either was not timed."""
        from edge.report import words

        report = self.report
        return words.speedup(report.engine(report.chosen), words.baseline(report)) if report.chosen else None

    def __repr__(self) -> str:
        from edge.api.summary import result_line

        report = self.report
        shown = result_line(report, report.engine(report.chosen)) if report.chosen else "no engine chosen"
        return f"<Run {self.folder} {report.status}: {shown}>"

    def _repr_html_(self) -> str:
        from edge.api.summary import run_rows
        from edge.report.table import html_table

        header, rows = run_rows(self.report)
        return html_table(f"{self.folder}: {self.report.status}", header, rows)


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
