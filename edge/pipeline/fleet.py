"""One deployment to several boards: a run for each, one page for all, a sentence for those that fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from edge.boards.address import Address
from edge.errors import MachineError
from edge.files import write_json
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import Progress
from edge.pipeline.session import Request
from edge.pipeline.together import Together
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
    """Deploy to all boards at the same time; one that fails does not stop the others.

    Every board times alone on itself, whatever this machine does meanwhile. An image set in memory is read by one
    deployment at a time, so the boards then follow one another.

    Args:
        request: ``out`` is the folder of all runs (default ``runs/fleet``), ``on`` is not looked at.
        boards: name to address.
        progress: told of everything, with the board it is about.

    Raises:
        InputError: of the user's own files, which every board would meet.
        MachineError: no board answered.
    """
    folder = request.out or Path("runs") / "fleet"
    progress.stage("boards", len(boards))
    together = Together(progress)

    def deploy(name: str) -> Report | MachineError:
        told = together.board(name)
        try:
            place = folder / folder_of(name)
            return run_deploy(replace(request, on=boards[name], out=place), told)[0]
        except MachineError as fault:
            told.say(f"{fault}; going on with the others")
            return fault
        finally:
            told.close()

    found = _at_once(deploy, list(boards), len(boards) if isinstance(request.data, Path) else 1, together)
    reports = {name: one for name, one in found.items() if not isinstance(one, MachineError)}
    faults = {name: str(one) for name, one in found.items() if isinstance(one, MachineError)}
    if not reports:
        raise MachineError("; ".join(faults.values()))
    write_merged([folder / folder_of(name) for name in reports], folder / PAGE, faults, columns=True)
    answered = {name: {"status": report.status, "chosen": report.chosen} for name, report in reports.items()}
    failed = {name: {"status": "none", "why": why} for name, why in faults.items()}
    write_json(folder / TABLE, {**answered, **failed})
    return FleetResult(folder, reports, faults)


def _at_once(
    work: Callable[[str], Report | MachineError], names: Sequence[str], most: int, together: Together
) -> dict[str, Report | MachineError]:
    """What each name's work came to, in their order; whatever ends one of them, or this thread, ends all."""
    with ThreadPoolExecutor(most) as pool:
        running = {name: pool.submit(work, name) for name in names}
        try:
            for done in as_completed(running.values()):
                done.result()
                together.advance()
        except BaseException:
            together.stop()
            for one in running.values():
                one.cancel()
            raise
    return {name: one.result() for name, one in running.items()}


def folder_of(board: str) -> str:
    """Name of a board's run folder, of letters that are safe in a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", board).lstrip(".-")
