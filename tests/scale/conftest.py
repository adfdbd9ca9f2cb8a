"""A Dask scheduler for the tests of scale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A scheduler with two workers, each a process that offers one machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, resources={"machine": 1}, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address
