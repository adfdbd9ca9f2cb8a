"""Throughput over batches and streams: how much more an engine can do when it need not answer one image at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.backends.engine import Engine
from edge.errors import InputError
from edge.latency.statistics import percentile

BATCHES = (1, 2, 4)
STREAMS = (1, 2)
SWEEP_SECONDS = 2.0
"""Most for each setting: throughput needs no tail, and there are many settings."""


@dataclass(frozen=True)
class Throughput:
    """One setting.

    Attributes:
        batch: images a request.
        streams: requests in flight.
        images_per_second: finished images over wall time; None where the setting does not run.
        request_p50_ms: median time of a request, which is what one image then waits.
        requests: how many were timed.
        note: why it does not run, or "".
    """

    batch: int
    streams: int
    images_per_second: float | None
    request_p50_ms: float | None
    requests: int
    note: str = ""


def sweep(
    engine: Engine,
    batches: Sequence[int] = BATCHES,
    streams: Sequence[int] = STREAMS,
    seconds: float = SWEEP_SECONDS,
    threads: int | None = None,
) -> tuple[Throughput, ...]:
    """Run every batch with every number of streams, one after the other.

    Args:
        engine: built by the OpenVINO backend.
        batches, streams: settings to try.
        seconds: for each.
        threads: for all streams together; None for all physical cores.

    Raises:
        InputError: the engine's backend has no streams.
    """
    if engine.backend != "openvino":
        raise InputError(f"{engine.folder}: backend {engine.backend} has no batch and stream sweep; use openvino")
    return tuple(_row(engine, batch, count, seconds, threads) for batch in batches for count in streams)


def _row(engine: Engine, batch: int, streams: int, seconds: float, threads: int | None) -> Throughput:
    from edge.backends.openvino.streams import open_load

    try:
        load = open_load(engine, batch, streams, threads)(seconds)
    except InputError as error:
        return Throughput(batch, streams, None, None, 0, str(error))
    return Throughput(
        batch,
        streams,
        images_per_second=batch * load.requests / load.seconds,
        request_p50_ms=percentile(np.sort(np.array(load.latencies_ms)), 0.5),
        requests=load.requests,
    )
