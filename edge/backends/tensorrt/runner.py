"""A TensorRT plan behind the runner's protocol, on a workstation and on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...safety.watchdog import native_call
from ..runner import Layer, Timing
from .run import TensorRtRunner

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlanRunner:
    """A loaded plan of one input behind the runner's protocol, batch 1.

    Args:
        runner: the plan on this machine's GPU.
        output: name of the output to return; None for the first.
    """

    def __init__(self, runner: TensorRtRunner, output: str | None) -> None:
        self._runner = runner
        self._input = next(iter(runner.inputs))
        self._output = output or next(iter(runner.outputs))

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time."""
        with native_call("the engine", "TensorRT"):
            maps = [self._runner.run({self._input: image[None]})[self._output] for image in batch]
        return np.concatenate(maps).astype(np.float32, copy=False)

    def time(self, batch: NDArray[np.float32]) -> Timing:
        """One timed run of an image: the copies and the computation, apart and together."""
        with native_call("the engine", "TensorRT"):
            return self._runner.time({self._input: batch})

    def layers(self) -> tuple[Layer, ...]:
        """The inspector's layers with the median time of each, profiled apart."""
        with native_call("the engine", "TensorRT"):
            times = dict(self._runner.layer_times())
            told = self._runner.describe()
        if not told:
            return tuple(Layer(name, "layer", "unknown", ms) for name, ms in times.items())
        return tuple(Layer(layer.name, layer.op, layer.precision, times.get(layer.name)) for layer in told)

    def conditions(self) -> dict[str, Any]:
        """What a latency here depends on."""
        return {
            "batch": 1,
            "threads": 1,
            "precision_hint": "in the plan",
            "streams": 1,
            "cuda_graph": self._runner.uses_graph,
            "host_memory": "pinned",
            "timed_region": "host clock round copy in, compute, copy out",
            "engine_memory_bytes": self._runner.memory,
        }

    def close(self) -> None:
        """Free the device."""
        self._runner.close()
