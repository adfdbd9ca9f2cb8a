"""One deployment to several boards: a run for each, one page for all, a sentence for those that fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge.boards.address import Address
from edge.errors import MachineError
from edge.files import write_json
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import Progress
from edge.pipeline.session import Request
from edge.report.results import Report
from edge.report.write import write_merged

PAGE, TABLE = "fleet.html", "boards.json"


@dataclass(frozen=True)
class FleetResult:
    """What deploying to several boards came to.

    Attributes:
        folder: holds a run folder for each board that answered, the common page and ``boards.json``.
        reports: board to its run's report.
        faults: board to why it has none.
    """

    folder: Path
    reports: Mapping[str, Report]
    faults: Mapping[str, str]


def deploy_to_boards(request: Request, boards: Mapping[str, Address], progress: Progress) -> FleetResult:
    """Deploy to each board in turn; one that fails does not stop the others.

    Args:
        request: ``out`` is the folder of all runs (default ``runs/fleet``), ``on`` is not looked at.
        boards: name to address.
        progress: told of everything, and which board it is about.

    Raises:
        InputError: of the user's own files, which every board would meet.
        MachineError: no board answered.
    """
    folder = request.out or Path("runs") / "fleet"
    reports: dict[str, Report] = {}
    faults: dict[str, str] = {}
    for name, address in boards.items():
        progress.say(f"board {name} ({address})")
        try:
            place = folder / folder_of(name)
            reports[name], _ = run_deploy(replace(request, on=address, out=place), progress)
        except MachineError as fault:
            faults[name] = str(fault)
            progress.say(f"board {name}: {fault}; going on with the others")
    if not reports:
        raise MachineError("; ".join(faults.values()))
    write_merged([folder / folder_of(name) for name in reports], folder / PAGE)
    answered = {name: {"status": report.status, "chosen": report.chosen} for name, report in reports.items()}
    failed = {name: {"status": "none", "why": why} for name, why in faults.items()}
    write_json(folder / TABLE, {**answered, **failed})
    return FleetResult(folder, reports, faults)


def folder_of(board: str) -> str:
    """Name of a board's run folder, of letters that are safe in a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", board).lstrip(".-")
