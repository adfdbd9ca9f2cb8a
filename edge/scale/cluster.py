"""The user's own Dask cluster, or workers on this machine: connecting, and whether the workers can do the work."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from edge import __version__
from edge.errors import InputError, MachineError, first_line
from edge.machine.cores import physical_cores

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

RESOURCE = "machine"
"""Every worker has one; every task takes it, so that nothing runs beside it on that worker."""
_LOCAL = re.compile(r"local(?::([1-9]\d{0,2}))?")
_GIVE = "give tcp://HOST:8786, or local (local:N for N workers) for this machine's cores"
_CONNECT_S = 20
_AHEAD = 4  # tasks for each worker that the scheduler knows of beforehand; the rest wait here


@contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """A client of a scheduler whose workers are of this version.

    Args:
        scheduler: its address, ``tcp://HOST:8786``; ``local`` starts a worker here for each physical core and ends it
            at the end, ``local:N`` so many.

    Raises:
        InputError: no such address.
        MachineError: Dask is not installed, nobody answers there, workers cannot be started here, or one cannot do the
            work.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MachineError("--scheduler: Dask is not installed; pip install 'segedge[scale]'") from None
    local = _LOCAL.fullmatch(scheduler)
    if local is None and "://" not in scheduler:
        raise InputError(f"--scheduler {scheduler}: is no address; {_GIVE}")
    with ExitStack() as stack:
        address = scheduler
        if local is not None:
            try:
                address = stack.enter_context(_workers_here(int(local[1] or physical_cores())))
            except (OSError, RuntimeError) as error:
                raise MachineError(
                    f"--scheduler {scheduler}: no workers could be started on this machine ({first_line(error)}); "
                    "leave --scheduler out, or start them yourself and give tcp://HOST:8786"
                ) from None
        try:
            client = stack.enter_context(Client(address, timeout=_CONNECT_S, set_as_default=False))
        except ValueError as error:
            raise InputError(f"--scheduler {scheduler}: is no address ({first_line(error)}); {_GIVE}") from None
        except (OSError, TimeoutError):
            raise MachineError(
                f"--scheduler {scheduler}: nobody answers within {_CONNECT_S} s; start one with dask scheduler"
            ) from None
        _require_able(client, scheduler)
        yield client


@contextmanager
def _workers_here(count: int) -> Iterator[str]:
    """Address of a scheduler of this process, on loopback, with so many workers, each a process; ended at the end."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        resources={RESOURCE: 1},
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


def each(
    client: Client, function: Callable[..., R], items: Iterable[T], *given: Any
) -> Iterator[tuple[T, R | MachineError]]:
    """What a function makes of each item, as they finish, with the item; a :class:`MachineError` for a lost worker.

    Only a few items for each worker are under way, and a result is forgotten once it was given out: memory here does
    not grow with their number.

    Args:
        client: connected.
        function, items: as they are pickled.
        given: further arguments of the function, sent to each worker once.

    Raises:
        Exception: whatever the function raises.
    """
    from distributed import KilledWorker, as_completed

    waiting = iter(items)
    running: dict[str, T] = {}
    sent = [client.scatter(one, broadcast=True, hash=False) for one in given]
    done = as_completed(loop=client.loop)

    def submit() -> None:
        item: Any = next(waiting, _END)
        if item is not _END:
            future = client.submit(function, item, *sent, resources={RESOURCE: 1}, pure=False)
            running[future.key] = item
            done.add(future)

    for _ in range(_AHEAD * max(1, len(_workers(client)))):
        submit()
    for future in done:
        item = running.pop(future.key)
        try:
            yield item, future.result()
        except KilledWorker:
            yield item, MachineError("its worker ended each time it was tried; see its log, then run again")
        future.release()
        submit()


_END = object()


def _workers(client: Client) -> Sequence[Any]:
    return list(client.scheduler_info(n_workers=-1)["workers"].values())


def _require_able(client: Client, scheduler: str) -> None:
    workers = _workers(client)
    start = f"dask worker {scheduler} --nthreads 1 --resources {RESOURCE}=1"
    if not workers:
        raise MachineError(f"--scheduler {scheduler}: has no workers; start some with {start}")
    if not all(worker["resources"].get(RESOURCE) == 1 for worker in workers):
        raise MachineError(
            f"--scheduler {scheduler}: a worker offers no {RESOURCE}=1, so nothing would keep timings alone there; "
            f"start it with {start}"
        )
    try:
        versions = client.run(worker_version)
    except Exception as error:
        raise MachineError(
            f"--scheduler {scheduler}: a worker cannot import SegEdge ({first_line(error)}); install it there"
        ) from None
    other = next(((where, found) for where, found in versions.items() if found != __version__), None)
    if other is not None:
        raise MachineError(f"--scheduler {scheduler}: worker {other[0]} has SegEdge {other[1]}, this is {__version__}")


def worker_version() -> str:
    """SegEdge's version, asked of a worker."""
    return __version__
