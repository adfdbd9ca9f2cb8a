"""OpenVINO on the CPU.

Two defaults of OpenVINO would make every figure here wrong, so both are always set: ``INFERENCE_PRECISION_HINT`` (it is
bf16 on CPUs that have it, so that an "FP32" engine silently runs in BF16) and the number of threads.

The hint is global. Marks that should keep single nodes in FP32 under a BF16 hint were tried on the IR in 2026.4, and
none can be relied on. ``<attribute name="precise" version="0"/>`` in a layer's ``rt_info`` does keep a convolution in
FP32, but with every layer so marked LiteNeXt still came out at 32 dB, since what surrounds the layers is rounded all
the same, and with only its convolutions marked the plugin failed to compile. ``disable_fp16_compression`` does nothing
here, nor does any key set through Python's ``rt_info``. So the search chooses INT8 or not for each node, times the
hint.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate, Engine, Layer, PixelRunner, require_home
from edge.backends.openvino.faults import as_edge_error, openvino_faults
from edge.backends.openvino.network import (
    DEVICE,
    compile_network,
    compiled_conditions,
    core,
    count_convolutions,
    profile_layers,
    read_network,
    save_network,
    version,
)
from edge.backends.openvino.pixels import OpenVinoPixels
from edge.errors import MachineError
from edge.machine.cores import physical_cores
from edge.targets.target import Target

if TYPE_CHECKING:
    import openvino

ARTEFACT, WEIGHTS = "model.xml", "model.bin"
# What the CPU must list for a precision to be more than a name.
_CAPABILITIES: Mapping[str, str] = {"int8": "INT8", "fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}


class OpenVino:
    """Backend over OpenVINO's CPU plugin."""

    name = "openvino"

    def refusal(self, precision: str, target: Target) -> str | None:
        """What this CPU would silently run in another precision, as its own list of capabilities says."""
        wanted = _CAPABILITIES.get(precision)
        if wanted is None or wanted in _capabilities():
            return None
        runs = "BF16" if "BF16" in _capabilities() and precision == "fp16" else "FP32"
        return f"this CPU has no {wanted} arithmetic: OpenVINO would silently run {runs}"

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile once, to be sure that it does and to count what runs, and store OpenVINO's IR.

        Raises:
            InputError: OpenVINO refuses the graph.
            MachineError: OpenVINO is not installed, or this CPU lacks the precision.
        """
        _require(candidate.rest)
        start = time.perf_counter()
        with openvino_faults(candidate.model.source or candidate.model.name):
            network = read_network(candidate.model)
            compiled = compile_network(network, candidate.rest, physical_cores())
            save_network(network, folder / ARTEFACT)
        seconds = time.perf_counter() - start
        return Engine.for_candidate(
            candidate,
            target,
            folder,
            backend=self.name,
            artefacts=(ARTEFACT, WEIGHTS),
            build_seconds=seconds,
            convs=count_convolutions(compiled),
            versions={"openvino": version()},
            runs_on={"device": DEVICE, "architecture": platform.machine(), "capability": _CAPABILITIES[candidate.rest]},
        )

    def load(self, engine: Engine, threads: int | None = None) -> OpenVinoRunner:
        """Compile the IR for this CPU.

        Raises:
            MachineError: OpenVINO is not installed or of another release, or this CPU lacks the engine's precision.
        """
        _require(engine.rest)
        require_home(engine, "openvino", version())
        with openvino_faults(str(engine.folder / engine.artefact)):
            network = core().read_model(str(engine.folder / engine.artefact))
            return OpenVinoRunner(network, engine.rest, threads or physical_cores(), engine.task.output_name)

    def load_pixels(self, engine: Engine, threads: int | None = None) -> PixelRunner:
        """Compile the IR with the engine's task inside: uint8 pixels in, mask out.

        Raises:
            MachineError: as :meth:`load`.
            InputError: the task does not fit the network's input or output.
        """
        _require(engine.rest)
        require_home(engine, "openvino", version())
        with openvino_faults(str(engine.folder / engine.artefact)):
            network = core().read_model(str(engine.folder / engine.artefact))
            return OpenVinoPixels(network, engine.rest, threads or physical_cores(), engine.task)


class OpenVinoRunner:
    """A compiled network, latency mode, one stream, batch 1.

    Args:
        network: OpenVINO's model.
        rest: precision of whatever is not quantized: fp32, bf16 or fp16.
        threads: of the one stream.
        output: name of the output to return; None for the first.
    """

    def __init__(self, network: openvino.Model, rest: str, threads: int, output: str | None = None) -> None:
        self._network = network
        self._rest = rest
        self._threads = threads
        compiled = compile_network(network, rest, threads)
        self._shape = tuple(compiled.input(0).shape)
        self._port = compiled.output(output) if output else compiled.output(0)
        self._request = compiled.create_infer_request()
        self._compiled: openvino.CompiledModel | None = compiled

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time."""
        if len(batch) > 1:
            return np.concatenate([self.run(image[None]) for image in batch])
        image = np.ascontiguousarray(batch, np.float32)
        try:
            results = self._request.infer({0: image}, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise as_edge_error("the engine", error) from error
        return np.array(results[self._port])  # a copy: the request writes over its own buffer on the next run

    def layers(self) -> tuple[Layer, ...]:
        """What runs, in order, with the median time of each.

        Profiling slows every layer a little, so this compiles apart and never touches the engine that is timed.
        """
        return profile_layers(self._network, self._rest, self._threads)

    def conditions(self) -> dict[str, Any]:
        """Settings as the compiled model reports them, not as they were asked for."""
        if self._compiled is None:
            raise RuntimeError("the engine is closed")
        return compiled_conditions(self._compiled)

    def close(self) -> None:
        """Free the compiled network's memory."""
        self._compiled = self._request = None


@cache
def _capabilities() -> frozenset[str]:
    return frozenset(core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"))


def _require(rest: str) -> None:
    if _CAPABILITIES[rest] not in _capabilities():
        raise MachineError(f"this CPU has no {_CAPABILITIES[rest]} arithmetic; build the engine for fp32 instead")
