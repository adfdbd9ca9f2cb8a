"""OpenVINO under load: several requests in flight, or several images a request. For throughput, never for latency."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.backends.engine import Engine
from edge.backends.openvino.faults import openvino_faults
from edge.backends.openvino.network import DEVICE, HINTS, core
from edge.errors import InputError
from edge.machine.cores import physical_cores
from edge.safety.watchdog import native_call


@dataclass(frozen=True)
class Load:
    """What an engine did while it was kept busy.

    Attributes:
        requests: finished in the timed stretch.
        seconds: how long that was.
        latencies_ms: of each request, from its start to its end.
    """

    requests: int
    seconds: float
    latencies_ms: tuple[float, ...]


def open_load(engine: Engine, batch: int, streams: int, threads: int | None = None) -> Callable[[float], Load]:
    """Compile an engine's network for a batch and a number of streams, and return what keeps it busy for so long.

    Args:
        engine: built by the OpenVINO backend.
        batch: images a request.
        streams: requests that run at once; they share the threads.

    Raises:
        InputError: the network has its batch of 1 built in.
    """
    import openvino

    where = str(engine.folder / engine.artefact)
    with openvino_faults(where):
        network = core().read_model(where)
    shape = [batch, *(int(d) for d in network.input(0).get_partial_shape().to_shape()[1:])]
    settings = {
        "INFERENCE_PRECISION_HINT": HINTS[engine.rest],
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(threads or physical_cores()),
    }
    try:
        with native_call(where, "OpenVINO"):
            network.reshape(shape)
            compiled = core().compile_model(network, DEVICE, settings)
    except RuntimeError:
        raise InputError(f"{engine.folder}: the network has batch 1 built in; export it with a free batch") from None
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def load(seconds: float) -> Load:
        latencies: list[float] = []
        with openvino_faults(where, asked_seconds=seconds):
            queue = openvino.AsyncInferQueue(compiled, streams)
            for request in queue:
                request.infer({0: image})
            queue.set_callback(lambda request, _: latencies.append(float(request.latency)))
            start = time.perf_counter()
            while time.perf_counter() - start < seconds or not latencies:
                queue.start_async({0: image}, share_inputs=True)
            queue.wait_all()
            return Load(len(latencies), time.perf_counter() - start, tuple(latencies))

    return load
