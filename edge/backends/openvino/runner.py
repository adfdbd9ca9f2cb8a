"""A network that OpenVINO compiled for this CPU, ready to run, on a workstation and on a board."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, AbstractSet, Any, Mapping

import numpy as np

from ...errors import MachineError, machine_fault
from ...machine.cores import physical_cores
from ..runner import Layer, Timing, clocked, closed
from .faults import openvino_faults, reason
from .network import DEVICE, LayerProfiler, compile_network, compiled_conditions, core

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

ARM = "aarch64"
CAPABILITIES: Mapping[str, str] = {"int8": "INT8", "fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}
"""What the CPU must list for a precision to be more than a name."""


@lru_cache(maxsize=None)
def capabilities() -> frozenset[str]:
    """What this CPU computes in, as OpenVINO lists it: but not INT8 on ARM, where its convolutions run in FP32 all the
    same (2026.4's own ``runtimePrecision``).

    Raises:
        MachineError: OpenVINO does not start here; memory may be full.
    """
    try:
        listed = frozenset(core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError as error:
        text = str(error)
        raise machine_fault("OpenVINO", text) or MachineError(
            f"OpenVINO does not start on this CPU ({reason(text)}); install it anew"
        ) from error
    return listed - {"INT8"} if platform.machine() == ARM else listed


def missing_arithmetic(precision: str, able: AbstractSet[str]) -> str | None:
    """Why a precision would not really run on a CPU of these capabilities; None where it would."""
    wanted = CAPABILITIES.get(precision)
    if wanted is None or wanted in able:
        return None
    runs = "BF16" if "BF16" in able and precision == "fp16" else "FP32"
    return f"this CPU has no {wanted} arithmetic: OpenVINO would silently run {runs}"


def require_precision(rest: str) -> None:
    """Refuse a float precision that OpenVINO would silently run as another.

    Raises:
        MachineError: this CPU has no such arithmetic.
    """
    if CAPABILITIES[rest] not in capabilities():
        raise MachineError(
            f"this CPU has no {CAPABILITIES[rest]} arithmetic, so OpenVINO would silently run another precision; "
            "build the engine for fp32 instead"
        )


def load_network(path: Path, rest: str, threads: int | None, output: str | None) -> OpenVinoRunner:
    """Compile OpenVINO's IR for this CPU.

    Args:
        path: the ``.xml`` file.
        rest: precision of whatever is not quantized: fp32, bf16 or fp16.
        threads: of the one stream; None for all physical cores.
        output: name of the output to return; None for the first.

    Raises:
        MachineError: OpenVINO is not installed, or this CPU lacks the precision.
        InputError: OpenVINO refuses the file.
    """
    require_precision(rest)
    with openvino_faults(str(path)):
        return OpenVinoRunner(core().read_model(str(path)), rest, threads or physical_cores(), output).opened()


class OpenVinoRunner:
    """A network compiled in latency mode, one stream, batch 1, by :meth:`opened` or else when it is first run: layers
    are timed in a compilation of their own.

    Args:
        network: OpenVINO's model.
        rest: precision of whatever is not quantized: fp32, bf16 or fp16.
        threads: of the one stream.
        output: name of the output to return; None for the first.
    """

    def __init__(self, network: openvino.Model, rest: str, threads: int, output: str | None = None) -> None:
        self._network: openvino.Model | None = network
        self._rest = rest
        self._threads = threads
        self._output = output
        self._compiled: openvino.CompiledModel | None = None
        self._ready: tuple[openvino.InferRequest, openvino.ConstOutput] | None = None
        self._profiler: LayerProfiler | None = None

    def opened(self) -> OpenVinoRunner:
        """The same, compiled."""
        self._open()
        return self

    def _open(self) -> tuple[openvino.InferRequest, openvino.ConstOutput]:
        if self._network is None:
            raise closed()
        if self._ready is None:
            self._compiled = compile_network(self._network, self._rest, self._threads)
            self._ready = self._compiled.create_infer_request(), self._compiled.output(self._output or 0)
        return self._ready

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time."""
        if len(batch) > 1:
            return np.concatenate([self.run(image[None]) for image in batch])
        with openvino_faults("the engine"):
            return self._run(batch)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        image = np.ascontiguousarray(batch, np.float32)
        request, port = self._ready or self._open()
        results = request.infer({0: image}, share_inputs=True, share_outputs=True)
        return np.array(results[port])  # a copy: the request writes over its own buffer on the next run

    def time(self, batch: NDArray[np.float32]) -> Timing:
        """One timed run, arrays in and out; what watches over it is not in the time."""
        with openvino_faults("the engine"):
            return clocked(self._run, batch)

    def layers(self) -> tuple[Layer, ...]:
        """What runs, in order, with the median time of each.

        Profiling slows every layer a little, so this compiles apart, once, and never touches the engine that is timed.
        """
        with openvino_faults("the engine"):
            if self._network is None:
                raise closed()
            if self._profiler is None:
                self._profiler = LayerProfiler(self._network, self._rest, self._threads)
            return self._profiler.layers()

    def conditions(self) -> dict[str, Any]:
        """Settings as the compiled model reports them, not as they were asked for."""
        with openvino_faults("the engine"):
            self._open()
        return compiled_conditions(self._compiled)

    def close(self) -> None:
        """Free the compiled network's memory."""
        self._network = self._compiled = self._ready = self._profiler = None
