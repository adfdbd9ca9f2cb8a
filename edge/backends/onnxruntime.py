"""ONNX Runtime on the CPU: the reference that every compiler is held against, and an engine where nothing else runs.

The reference runs with graph optimizations **off**: with them on, ONNX Runtime folds float16 Q/DQ graphs into kernels
that round differently (23 dB instead of 38 on a U-Net), and a reference must do what the graph says.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate, ConvCounts, Engine, Layer, require_home
from edge.backends.runner import Timing, clocked
from edge.errors import InputError, MachineError, first_line, machine_fault
from edge.graph.model import Model
from edge.machine.cores import physical_cores
from edge.safety.watchdog import native_call
from edge.storage.scratch import scratch
from edge.targets.target import Target

if TYPE_CHECKING:
    import onnxruntime

ARTEFACT = "model.onnx"
_PROVIDERS = ("CPUExecutionProvider",)
# Operators of ONNX Runtime's own optimized graphs, by the precision their arithmetic has.
_CONVOLUTIONS = {
    "QLinearConv": "int8",
    "ConvInteger": "int8",
    "Conv": "fp32",
    "FusedConv": "fp32",
    "NhwcFusedConv": "fp32",
    "ConvTranspose": "fp32",
}
_SILENT_FLOATS = {
    "fp16": "ONNX Runtime's CPU kernels compute float16 in float32",
    "bf16": "ONNX Runtime's CPU kernels have no bfloat16 convolution",
}


class OnnxRuntime:
    """Backend over ``CPUExecutionProvider``."""

    name = "onnxruntime"

    def refusal(self, precision: str, target: Target) -> str | None:
        """Float16 and bfloat16 would silently run as float32."""
        return _SILENT_FLOATS.get(precision)

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Store the graph; ONNX Runtime compiles it when it is loaded.

        Raises:
            InputError: ONNX Runtime refuses the graph.
        """
        start = time.perf_counter()
        counts = _count_convolutions(candidate.model)
        candidate.model.save(folder / ARTEFACT)
        return Engine.for_candidate(
            candidate,
            target,
            folder,
            backend=self.name,
            artefacts=(ARTEFACT,),
            build_seconds=time.perf_counter() - start,
            convs=counts,
            versions=_versions(),
            runs_on={"provider": _PROVIDERS[0], "architecture": platform.machine()},
        )

    def load(self, engine: Engine, threads: int | None = None) -> OnnxRuntimeRunner:
        """Open a session with graph optimizations on."""
        require_home(engine, "onnxruntime", _versions()["onnxruntime"])
        session = _session((engine.folder / engine.artefact).read_bytes(), threads, optimize=True)
        return OnnxRuntimeRunner(
            session, engine.task.output_name, threads or physical_cores(), True, where=str(engine.folder)
        )


class OnnxRuntimeRunner:
    """A session, batch 1 inside whatever the graph was exported with."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        output: str | None,
        threads: int,
        optimize: bool,
        where: str = "graph",
    ) -> None:
        self._where = where
        self._session = session
        self._input = session.get_inputs()[0]
        self._output = output or session.get_outputs()[0].name
        self._threads = threads
        self._optimize = optimize

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time where
        the graph has a fixed batch of 1."""
        if len(batch) > 1 and self._input.shape[0] == 1:
            return np.concatenate([self.run(image[None]) for image in batch])
        with _running(self._where):
            return self._session.run([self._output], {self._input.name: batch})[0]

    def time(self, batch: NDArray[np.float32]) -> Timing:
        """One timed run, arrays in and out."""
        return clocked(self.run, batch)

    def layers(self) -> tuple[Layer, ...]:
        """Empty: ONNX Runtime names no precision for its kernels."""
        return ()

    def conditions(self) -> dict[str, Any]:
        """Threads, batch and whether the graph was optimized."""
        return {
            "threads": self._threads,
            "precision_hint": "fp32",
            "graph_optimization": "all" if self._optimize else "off",
            "batch": 1,
        }

    def close(self) -> None:
        """Nothing to free before the session goes."""


def reference(model: Model, threads: int | None = None) -> OnnxRuntimeRunner:
    """The graph exactly as written: graph optimizations off.

    Raises:
        InputError: ONNX Runtime refuses the graph.
    """
    return _runner(model, threads, optimize=False)


def optimized(model: Model, threads: int | None = None) -> OnnxRuntimeRunner:
    """ONNX Runtime with its graph optimizations on: several times as fast as :func:`reference`, for trials.

    Raises:
        InputError: ONNX Runtime refuses the graph.
    """
    return _runner(model, threads, optimize=True)


def _runner(model: Model, threads: int | None, optimize: bool) -> OnnxRuntimeRunner:
    where = model.source or model.name
    session = _session(_serialized(model), threads, optimize=optimize, where=where)
    return OnnxRuntimeRunner(session, model.output_name, threads or physical_cores(), optimize, where=where)


class Intermediates:
    """Runs a graph and hands out tensors from inside it.

    Args:
        model: float graph.
        tensors: names of values inside it.
        optimize: off runs the graph exactly as written, which a quantized graph needs.

    Raises:
        InputError: ONNX Runtime refuses the graph.
    """

    def __init__(self, model: Model, tensors: Sequence[str], threads: int | None = None, optimize: bool = True) -> None:
        from onnx import ModelProto, ValueInfoProto

        proto = ModelProto()
        proto.CopyFrom(model.proto)
        del proto.graph.output[:]
        proto.graph.output.extend(ValueInfoProto(name=name) for name in tensors)
        self._tensors = list(tensors)
        self._where = model.source or model.name
        self._input = model.input_name
        self._session = _session(proto.SerializeToString(), threads, optimize, where=model.source or model.name)

    def run(
        self, image: NDArray[np.float32], given: Mapping[str, NDArray[np.floating[Any]]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """``[1, channels, height, width]`` to tensor name to its value.

        Args:
            image: the graph's first input.
            given: further inputs, where the graph has them.
        """
        with _running(self._where):
            values = self._session.run(self._tensors, {self._input: image, **(given or {})})
        return dict(zip(self._tensors, values, strict=True))


@contextmanager
def _running(where: str) -> Iterator[None]:
    """A run that fails is the graph's fault, or the machine's: ONNX Runtime loads graphs that cannot run."""
    try:
        with native_call(where, "ONNX Runtime"):
            yield
    except Exception as error:  # its errors share no public base
        reason = first_line(error)
        raise machine_fault(where, str(error)) or InputError(
            f"{where}: ONNX Runtime cannot run the graph ({reason:.240}); export the model again"
        ) from None


def _serialized(model: Model) -> bytes:
    return model.proto.SerializeToString()


def _session(
    graph: bytes, threads: int | None, optimize: bool, where: str = "graph", save: Path | None = None
) -> onnxruntime.InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise MachineError("ONNX Runtime is not installed; pip install onnxruntime") from None

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads or physical_cores()
    options.log_severity_level = 3  # errors
    if save is not None:
        # The layout passes of ENABLE_ALL write operators of this machine only; EXTENDED shows the same precisions.
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(save)
    try:
        with native_call(where, "ONNX Runtime"):
            return onnxruntime.InferenceSession(graph, options, providers=list(_PROVIDERS))
    except Exception as error:  # its errors share no public base
        fault = machine_fault(where, str(error))
        if fault is not None:
            raise fault from None
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{where}: ONNX Runtime refuses the graph ({reason}); export the model again") from None


def _count_convolutions(model: Model) -> ConvCounts:
    import onnx

    with scratch() as folder:
        path = folder / "optimized.onnx"
        _session(_serialized(model), 1, optimize=True, where=model.name, save=path)
        nodes = onnx.load(path).graph.node
    counts = Counter(_CONVOLUTIONS[node.op_type] for node in nodes if node.op_type in _CONVOLUTIONS)
    return replace(ConvCounts(), **{name: counts[name] for name in asdict(ConvCounts()) if counts[name]})


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"onnxruntime": version("onnxruntime")}
