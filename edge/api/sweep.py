"""Deploy several networks for several targets, precisions and gates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import Argument, Option, PathLike, SchedulerOption
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.scale.job import SweepResult


@checked
def sweep(
    matrix: Annotated[PathLike, Argument("SWEEP.toml", "networks, targets, precisions and gates")],
    out: Annotated[PathLike, Option("folder of the run folders, sweep.html and sweep-results.json", "DIR")] = (
        "runs/sweep"
    ),
    scheduler: SchedulerOption = None,
    progress: Listener | None = None,
) -> "Sequence[SweepResult]":
    """Every network of a matrix with every target, precision and gate; what an earlier call finished is kept.

    Example: edge sweep sweep.toml --out runs/sweep

    Args:
        matrix: see :mod:`edge.scale.matrix`.
        out: folder of all that is written; a deployment whose network, images and options are those of an earlier
            call there is not done again.
        scheduler: of Dask, whose workers see the same files and offer ``machine=1``; ``local`` starts a worker here for
            each physical core, ``local:N`` so many; None deploys here, one after the other. On a machine with several
            workers one deployment times at a time, and nothing runs beside it.
        progress: called with every event; a note for each deployment that is finished.

    Raises:
        InputError: the file is at fault; a network at fault is a row with a sentence.
        MachineError: nobody answers at the scheduler's address, or its workers cannot do the work.
    """
    from edge.api.deploy import deploy
    from edge.api.given import as_path
    from edge.scale.sweep import run_sweep

    reporter = Reporter(progress, ("sweep",))
    return run_sweep(as_path("matrix", matrix), as_path("out", out), scheduler, deploy, reporter)
