"""A sweep: every deployment of a matrix, here one after the other or on the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from edge.errors import MachineError
from edge.files import write_json
from edge.pipeline.progress import Progress
from edge.report.write import write_merged
from edge.scale.cluster import connected, each
from edge.scale.job import SCHEMA, Deploy, SweepResult, run_deployment, unfinished
from edge.scale.matrix import Deployment, read_matrix

PAGE, TABLE = "sweep.html", "sweep-results.json"


def run_sweep(
    path: Path, out: Path, scheduler: str | None, deploy: Deploy, progress: Progress
) -> tuple[SweepResult, ...]:
    """Every deployment of a ``SWEEP.toml``; those that an earlier sweep finished at the same place are kept.

    Args:
        path: the file.
        out: folder of the run folders, of ``sweep.html`` and ``sweep-results.json``.
        scheduler: address of a Dask scheduler whose workers see the same files; None works here.
        deploy: :func:`edge.deploy`.
        progress: told of each that is finished.

    Returns:
        In the order of the matrix.

    Raises:
        InputError: the file is at fault.
        MachineError: nobody answers at the address.
    """
    deployments = read_matrix(path.resolve(), out.resolve(), deploy)
    progress.stage("sweep", len(deployments))
    found: dict[str, SweepResult] = {}
    with _finished(partial(run_deployment, deploy), deployments, scheduler) as results:
        for result in results:
            found[result.name] = result
            progress.advance()
            progress.say(f"{len(found)}/{len(deployments)} {line_of(result)}")
    rows = tuple(found[one.name] for one in deployments)
    write_json(out / TABLE, {"schema": SCHEMA, "rows": [asdict(replace(row, folder=row.name)) for row in rows]})
    reported = [out / row.name for row in rows if row.status != "none"]
    if reported:
        write_merged(reported, out / PAGE, {row.name: row.fault for row in rows if row.fault})
    return rows


@contextmanager
def _finished(
    run: Callable[[Deployment], SweepResult], deployments: Sequence[Deployment], scheduler: str | None
) -> Iterator[Iterator[SweepResult]]:
    """The results, as they finish."""
    if scheduler is None:
        yield map(run, deployments)
        return
    with connected(scheduler) as client:
        yield (
            unfinished(one, str(found)) if isinstance(found, MachineError) else found
            for one, found in each(client, run, deployments)
        )


def line_of(result: SweepResult) -> str:
    """``unet-cpu-99 passed: int8 1.234 ms, Dice 0.9512 (99.98 %)``."""
    kept = " (kept)" if result.kept else ""
    if result.fault:
        return f"{result.name}: {result.fault}"
    engine = result.engine
    if engine is None:
        return f"{result.name} {result.status}: no engine chosen{kept}"
    time = "not timed" if engine.p50_ms is None else f"{engine.p50_ms:.3f} ms"
    return f"{result.name} {result.status}: {engine.name} {time}, Dice {engine.dice:.4f}{kept}"
