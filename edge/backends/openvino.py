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
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.cores import physical_cores
from edge.backends.engine import Candidate, ConvCounts, Engine, Layer, PixelRunner
from edge.errors import InputError, MachineError
from edge.files import sha256_file
from edge.model import Model
from edge.target import Target

if TYPE_CHECKING:
    import openvino

ARTEFACT, WEIGHTS = "model.xml", "model.bin"
_DEVICE = "CPU"
# Our word for a precision, OpenVINO's hint, and the capability the CPU must list for it to be more than a name.
_HINTS: Mapping[str, tuple[str, str]] = {
    "fp32": ("f32", "FP32"),
    "bf16": ("bf16", "BF16"),
    "fp16": ("f16", "FP16"),
}
_CAPABILITIES: Mapping[str, str] = {"int8": "INT8", **{name: capability for name, (_, capability) in _HINTS.items()}}
_RUNTIME_PRECISIONS: Mapping[str, str] = {
    "i8": "int8",
    "u8": "int8",
    "f16": "fp16",
    "bf16": "bf16",
    "f32": "fp32",
}
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_PROFILED_RUNS = 15
_LEAST_PROFILED_RUNS = 5
_UNPROFILED_RUNS = 2
_PROFILE_SECONDS = 1.0


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
        with _faults(candidate.model.source or candidate.model.name):
            network = read_network(candidate.model)
            compiled = compile_network(network, candidate.rest, physical_cores())
            save_network(network, folder / ARTEFACT)
        seconds = time.perf_counter() - start
        return Engine(
            folder=folder,
            name=candidate.name,
            precision=candidate.precision,
            rest=candidate.rest,
            backend=self.name,
            target=target.name,
            task=candidate.model.task,
            artefact=ARTEFACT,
            graph_sha256=candidate.model.sha256,
            artefact_sha256={name: sha256_file(folder / name) for name in (ARTEFACT, WEIGHTS)},
            build_seconds=seconds,
            convs=count_convolutions(compiled),
            versions={"openvino": version()},
            runs_on={"device": _DEVICE, "architecture": platform.machine(), "capability": _HINTS[candidate.rest][1]},
        ).write()

    def load(self, engine: Engine, threads: int | None = None) -> OpenVinoRunner:
        """Compile the IR for this CPU.

        Raises:
            MachineError: OpenVINO is not installed, or this CPU lacks the engine's precision.
        """
        _require(engine.rest)
        with _faults(str(engine.folder / engine.artefact)):
            network = core().read_model(str(engine.folder / engine.artefact))
            return OpenVinoRunner(network, engine.rest, threads or physical_cores(), engine.task.output_name)

    def load_pixels(self, engine: Engine, threads: int | None = None) -> PixelRunner:
        """Compile the IR with the engine's task inside: uint8 pixels in, mask out.

        Raises:
            MachineError: as :meth:`load`.
            InputError: the task does not fit the network's input or output.
        """
        from edge.backends.openvino_pixels import OpenVinoPixels

        _require(engine.rest)
        with _faults(str(engine.folder / engine.artefact)):
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
        results = self._request.infer({0: image}, share_inputs=True, share_outputs=True)
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


# ------------------------------------------------------------------------------------------------ OpenVINO itself


@cache
def core() -> openvino.Core:
    """OpenVINO's one entry point (loading its plugins takes a moment).

    Raises:
        MachineError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise MachineError("OpenVINO is not installed; pip install openvino") from None
    return openvino.Core()


def version() -> str:
    """The runtime's version, with its commit."""
    import openvino

    return openvino.get_version()


def read_network(model: Model) -> openvino.Model:
    """ONNX to OpenVINO's model, through memory, every operation named after the ONNX node it came from."""
    network = core().read_model(model.proto.SerializeToString())
    network.set_friendly_name(model.name)
    _name_operations(network, frozenset(node.name for node in model.proto.graph.node))
    return network


def save_network(network: openvino.Model, path: Path) -> None:
    """Write the IR (``.xml`` and ``.bin``) with weights as they are."""
    import openvino

    openvino.save_model(network, str(path), compress_to_fp16=False)


def compile_network(network: openvino.Model, rest: str, threads: int, profile: bool = False) -> openvino.CompiledModel:
    """Compile for one stream in latency mode, with the precision always said.

    Args:
        rest: fp32, bf16 or fp16: what the CPU plugin runs wherever the graph is not quantized.
        profile: count time per layer.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[rest][0],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "PERF_COUNT": "YES" if profile else "NO",
    }
    return core().compile_model(network, _DEVICE, settings)


def compiled_conditions(compiled: openvino.CompiledModel) -> dict[str, Any]:
    """Settings that a latency depends on, as the compiled model reports them."""
    get = compiled.get_property
    return {
        "threads": int(get("INFERENCE_NUM_THREADS")),
        "precision_hint": str(get("INFERENCE_PRECISION_HINT").get_type_name()),
        "performance_hint": str(get("PERFORMANCE_HINT")),
        "streams": int(get("NUM_STREAMS")),
        "pinned": bool(get("ENABLE_CPU_PINNING")),
        "batch": 1,
    }


def count_convolutions(compiled: openvino.CompiledModel) -> ConvCounts:
    """Convolutions by the precision that the compiled model's own graph gives them."""
    counts = Counter(row["precision"] for row in _runtime_nodes(compiled) if row["kind"] in _CONVOLUTIONS)
    return ConvCounts(**counts)


def profile_layers(
    network: openvino.Model,
    rest: str,
    threads: int,
    image: NDArray[np.float32] | None = None,
    runs: int = _PROFILED_RUNS,
) -> tuple[Layer, ...]:
    """Every layer that runs, in order, with the median of its times.

    Args:
        image: input to run on, ``[1, channels, height, width]``; None for seeded noise.
        runs: counted runs, after a few that are not; fewer where they take over a second.
    """
    compiled = compile_network(network, rest, threads, profile=True)
    if image is None:
        image = np.random.default_rng(0).standard_normal(tuple(compiled.input(0).shape)).astype(np.float32)
    request = compiled.create_infer_request()
    times: dict[str, list[float]] = {}
    deadline = time.perf_counter() + _PROFILE_SECONDS
    for run in range(_UNPROFILED_RUNS + runs):
        if run >= _UNPROFILED_RUNS + _LEAST_PROFILED_RUNS and time.perf_counter() > deadline:
            break
        request.infer({0: image}, share_inputs=True, share_outputs=True)
        if run < _UNPROFILED_RUNS:
            continue
        for entry in request.get_profiling_info():
            if entry.status == entry.Status.EXECUTED:
                times.setdefault(entry.node_name, []).append(entry.real_time.total_seconds() * 1e3)
    rows = {row["name"]: row for row in _runtime_nodes(compiled)}
    return tuple(
        Layer(row["sources"] or name, row["kind"], row["precision"], statistics.median(samples))
        for name, samples in times.items()
        if (row := rows.get(name)) is not None
    )


def _name_operations(network: openvino.Model, known: frozenset[str]) -> None:
    """Name what the reader left anonymous (``ConvolutionBackpropData_69``) after the node that its result goes to."""
    for operation in reversed(network.get_ordered_ops()):
        kind, name = operation.get_type_name(), operation.get_friendly_name()
        if kind in ("Parameter", "Result", "Constant") or name in known or name.rpartition("/")[0] in known:
            continue
        for target in operation.output(0).get_target_inputs():
            label = target.get_node().get_friendly_name()
            root = label if label in known else label.rpartition("/")[0]
            if root in known:
                operation.set_friendly_name(f"{root}/{kind}")
                break


def _runtime_nodes(compiled: openvino.CompiledModel) -> Iterator[dict[str, str]]:
    """Name, source nodes, kind and precision of every node of the graph that will run."""
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        facts = {key: info[key].astype(str) for key in ("originalLayersNames", "layerType", "runtimePrecision")}
        yield {
            "name": node.get_friendly_name(),
            "sources": facts["originalLayersNames"].replace(",", ", "),
            "kind": facts["layerType"],
            "precision": _RUNTIME_PRECISIONS.get(facts["runtimePrecision"], "unknown"),
        }


@cache
def _capabilities() -> frozenset[str]:
    return frozenset(core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))


def _require(rest: str) -> None:
    if _HINTS[rest][1] not in _capabilities():
        raise MachineError(f"this CPU has no {_HINTS[rest][1]} arithmetic; build the engine for fp32 instead")


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """OpenVINO's errors as one sentence."""
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        telling = [line for line in lines if line and not line.startswith(("Exception", "Check", "FrontEnd", "Model "))]
        reason = telling[0].rstrip(":") if telling else type(error).__name__
        raise InputError(f"{where}: OpenVINO refuses the graph ({reason}); export the model again") from error
