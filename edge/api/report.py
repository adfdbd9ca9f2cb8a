"""Merge the reports of several runs into one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from edge.api.checked import checked
from edge.api.options import Argument, Option, PathLike, RunLike
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.report.results import Report


@checked
def report(
    runs: Annotated[RunLike | Sequence[RunLike], Argument("RUN...", "run folders")],
    out: Annotated[PathLike, Option(".json and .md go beside it", "FILE.html")] = "report.html",
    progress: Listener | None = None,
) -> "tuple[Report, ...]":
    """One report over several runs, side by side; of one network and target, what changed since the first comes first.

    Example: edge report runs/unet --out runs/all.html

    Args:
        runs: run folders, or runs, in the order to show; what is released before what is to replace it.
        out: the page to write.
        progress: called with every event.

    Returns:
        The runs' own reports, in order.

    Raises:
        InputError: one of the runs holds no sound report, or would be overwritten.
        MachineError: the disk is full or the folder is not writable.
    """
    from edge.api.given import as_path
    from edge.api.run import Run
    from edge.errors import InputError
    from edge.report.write import write_merged

    many: list[Any] = list(runs) if isinstance(runs, list | tuple) else [runs]
    if not many:
        raise InputError("runs: is empty; give one run at least")
    folders = [given.folder if isinstance(given, Run) else as_path("runs", given) for given in many]
    Reporter(progress, ("report",)).stage("report")
    return write_merged(folders, as_path("out", out))
