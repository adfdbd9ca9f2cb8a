"""ONNX Runtime on the CPU: the reference that every compiler is held against, and an engine where nothing else runs.

The reference runs with graph optimizations **off**: with them on, ONNX Runtime folds float16 Q/DQ graphs into kernels
that round differently (23 dB instead of 38 on a U-Net), and a reference must do what the graph says.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate, Engine, require_home
from edge.backends.session import (
    ARTEFACT,
    PROVIDERS,
    OnnxRuntimeRunner,
    count_convolutions,
    open_session,
    running,
    version,
)
from edge.graph.model import Model
from edge.machine.cores import physical_cores
from edge.targets.target import Target

__all__ = ["Intermediates", "OnnxRuntime", "OnnxRuntimeRunner", "optimized", "reference"]

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
        counts = count_convolutions(candidate.model.proto.SerializeToString(), candidate.model.name)
        candidate.model.save(folder / ARTEFACT)
        return Engine.for_candidate(
            candidate,
            target,
            folder,
            backend=self.name,
            artefacts=(ARTEFACT,),
            build_seconds=time.perf_counter() - start,
            convs=counts,
            versions={"onnxruntime": version()},
            runs_on={"provider": PROVIDERS[0], "architecture": platform.machine()},
        )

    def load(self, engine: Engine, threads: int | None = None) -> OnnxRuntimeRunner:
        """Open a session with graph optimizations on."""
        require_home(engine, "onnxruntime", version())
        session = open_session((engine.folder / engine.artefact).read_bytes(), threads, optimize=True)
        return OnnxRuntimeRunner(
            session, engine.task.output_name, threads or physical_cores(), True, where=str(engine.folder)
        )


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
    session = open_session(model.proto.SerializeToString(), threads, optimize=optimize, where=where)
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
        self._session = open_session(proto.SerializeToString(), threads, optimize, where=model.source or model.name)

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """``[1, channels, height, width]`` to tensor name to its value."""
        with running(self._where):
            values = self._session.run(self._tensors, {self._input: image})
        return dict(zip(self._tensors, values, strict=True))
