"""ONNX Runtime's sessions on the CPU, ready to run, and as a compiler: on a workstation and on a board."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from ..errors import InputError, MachineError, first_line, machine_fault
from ..files import write_bytes
from ..machine.cores import physical_cores
from ..machine.machine import read_machine
from ..safety.watchdog import native_call
from .compiler import BoardCandidate, Built, Compiler, Identity
from .runner import ConvCounts, Layer, Timing, clocked, closed

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

ARTEFACT = "model.onnx"
PROVIDERS = ("CPUExecutionProvider",)
_MISSING = "ONNX Runtime is not installed; pip install onnxruntime"
# Operators of ONNX Runtime's own optimized graphs, by the precision their arithmetic has.
_CONVOLUTIONS = {
    "QLinearConv": "int8",
    "ConvInteger": "int8",
    "Conv": "fp32",
    "FusedConv": "fp32",
    "NhwcFusedConv": "fp32",
    "ConvTranspose": "fp32",
}


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
        self._session: onnxruntime.InferenceSession | None = session
        self._input = session.get_inputs()[0]
        self._output = output or session.get_outputs()[0].name
        self._threads = threads
        self._optimize = optimize

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32; one image at a time where
        the graph has a fixed batch of 1."""
        if len(batch) > 1 and self._input.shape[0] == 1:
            return np.concatenate([self.run(image[None]) for image in batch])
        session = self._opened()
        with running(self._where):
            return self._run(session, batch)

    def _run(self, session: onnxruntime.InferenceSession, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run([self._output], {self._input.name: batch})[0]

    def _opened(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise closed()
        return self._session

    def time(self, batch: NDArray[np.float32]) -> Timing:
        """One timed run, arrays in and out; what watches over it is not in the time."""
        session = self._opened()
        with running(self._where):
            return clocked(partial(self._run, session), batch)

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
        """Free the session."""
        self._session = None


class OnnxRuntimeCompiler(Compiler):
    """ONNX Runtime for this machine's CPU: the graph is the engine."""

    def identity(self) -> Identity:
        """ONNX Runtime's version, and the CPU."""
        return Identity("ONNX Runtime", version(), read_machine().model, "FP32 INT8")

    def build(self, candidate: BoardCandidate, graph: Path, folder: Path, timings: Path, workspace: int) -> Built:
        """Store the graph, once it was seen to run; neither timings nor a workspace are used."""
        start = time.perf_counter()
        contents = graph.read_bytes()
        counts = count_convolutions(contents, f"graph {candidate.name}")
        write_bytes(folder / ARTEFACT, contents)
        return Built(
            ARTEFACT, (ARTEFACT,), time.perf_counter() - start, counts, backend="onnxruntime", version=version()
        )

    def load(self, candidate: BoardCandidate, folder: Path, built: Built, output: str | None) -> OnnxRuntimeRunner:
        """Open a session for all physical cores."""
        path = folder / built.artefact
        session = open_session(path.read_bytes(), None, optimize=True, where=str(path))
        return OnnxRuntimeRunner(session, output, physical_cores(), True, where=str(path))


@contextmanager
def running(where: str) -> Iterator[None]:
    """A run that fails is the graph's fault, or the machine's: ONNX Runtime loads graphs that cannot run."""
    try:
        with native_call(where, "ONNX Runtime"):
            yield
    except Exception as error:  # its errors share no public base
        reason = first_line(error)
        raise machine_fault(where, str(error)) or InputError(
            f"{where}: ONNX Runtime cannot run the graph ({reason:.240}); export the model again"
        ) from None


def open_session(
    graph: bytes, threads: int | None, optimize: bool, where: str = "graph", profile: Path | None = None
) -> onnxruntime.InferenceSession:
    """A session on this CPU.

    Args:
        graph: serialized ONNX.
        threads: None for all physical cores.
        optimize: off runs the graph exactly as written.
        where: the graph, for an error's sentence.
        profile: existing folder for what the session records of its runs; None records nothing.

    Raises:
        InputError: ONNX Runtime refuses the graph.
        MachineError: it is not installed, or this machine is at fault.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MachineError(_MISSING) from None

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads or physical_cores()
    options.log_severity_level = 3  # errors
    # Without VNNI its 8-bit kernels add two products in 16 bits, which saturate without a word (9 dB). No-op elsewhere.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile / "runs")
    try:
        with native_call(where, "ONNX Runtime"):
            return onnxruntime.InferenceSession(graph, options, providers=list(PROVIDERS))
    except Exception as error:  # its errors share no public base
        fault = machine_fault(where, str(error))
        if fault is not None:
            raise fault from None
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{where}: ONNX Runtime refuses the graph ({reason}); export the model again") from None


def count_convolutions(graph: bytes, where: str = "graph") -> ConvCounts:
    """Convolutions by the precision of the kernels that a run of the optimized graph took.

    Args:
        graph: serialized ONNX.
        where: the graph, for an error's sentence.

    Raises:
        InputError: ONNX Runtime refuses the graph, or cannot run it.
    """
    with TemporaryDirectory() as folder:
        session = open_session(graph, None, optimize=True, where=where, profile=Path(folder))
        inputs = {
            one.name: np.zeros([size if isinstance(size, int) else 1 for size in one.shape], np.float32)
            for one in session.get_inputs()
        }
        with running(where):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    kernels = {
        event["args"].get("node_index", event["name"]): event["args"].get("op_name", "")
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    }
    counts = Counter(_CONVOLUTIONS[kernel] for kernel in kernels.values() if kernel in _CONVOLUTIONS)
    return ConvCounts(**counts)


def version() -> str:
    """ONNX Runtime's.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MachineError(_MISSING) from None
    return str(onnxruntime.__version__)
