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
from pathlib import Path

from edge.backends.engine import Candidate, Engine, PixelRunner, require_home
from edge.backends.openvino.compiler import compile_graph
from edge.backends.openvino.faults import openvino_faults
from edge.backends.openvino.network import DEVICE, core, read_network, version
from edge.backends.openvino.pixels import OpenVinoPixels
from edge.backends.openvino.runner import (
    CAPABILITIES,
    OpenVinoRunner,
    capabilities,
    load_network,
    missing_arithmetic,
    require_precision,
)
from edge.machine.cores import physical_cores
from edge.targets.target import Target


class OpenVino:
    """Backend over OpenVINO's CPU plugin."""

    name = "openvino"

    def refusal(self, precision: str, target: Target) -> str | None:
        """What this CPU would silently run in another precision, as its own list of capabilities says."""
        return missing_arithmetic(precision, capabilities())

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile once, to be sure that it does and to count what runs, and store OpenVINO's IR.

        Raises:
            InputError: OpenVINO refuses the graph.
            MachineError: OpenVINO is not installed, or this CPU lacks the precision.
        """
        graph = candidate.model.proto
        built = compile_graph(
            graph.SerializeToString(),
            candidate.rest,
            folder,
            candidate.model.source or candidate.model.name,
            candidate.model.name,
            [node.name for node in graph.graph.node],
        )
        return Engine.for_candidate(
            candidate,
            target,
            folder,
            backend=self.name,
            artefacts=built.files,
            build_seconds=built.seconds,
            convs=built.convs,
            versions={"openvino": version()},
            runs_on={"device": DEVICE, "architecture": platform.machine(), "capability": CAPABILITIES[candidate.rest]},
        )

    def trial(self, candidate: Candidate, threads: int | None = None) -> OpenVinoRunner:
        """A graph in memory, compiled when it is first run: no folder, no IR that is read back.

        Raises:
            InputError: OpenVINO refuses the graph.
            MachineError: OpenVINO is not installed, or this CPU lacks the precision.
        """
        require_precision(candidate.rest)
        graph = candidate.model.proto
        with openvino_faults(candidate.model.source or candidate.model.name):
            network = read_network(
                graph.SerializeToString(), candidate.model.name, [node.name for node in graph.graph.node]
            )
            return OpenVinoRunner(network, candidate.rest, threads or physical_cores(), candidate.model.output_name)

    def load(self, engine: Engine, threads: int | None = None) -> OpenVinoRunner:
        """Compile the IR for this CPU.

        Raises:
            MachineError: OpenVINO is not installed or of another release, or this CPU lacks the engine's precision.
        """
        require_home(engine, "openvino", version())
        return load_network(engine.folder / engine.artefact, engine.rest, threads, engine.task.output_name)

    def load_pixels(self, engine: Engine, threads: int | None = None) -> PixelRunner:
        """Compile the IR with the engine's task inside: uint8 pixels in, mask out.

        Raises:
            MachineError: as :meth:`load`.
            InputError: the task does not fit the network's input or output.
        """
        require_precision(engine.rest)
        require_home(engine, "openvino", version())
        with openvino_faults(str(engine.folder / engine.artefact)):
            network = core().read_model(str(engine.folder / engine.artefact))
            return OpenVinoPixels(network, engine.rest, threads or physical_cores(), engine.task)
