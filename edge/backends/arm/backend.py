"""An ARM CPU as a backend: engines are OpenVINO's or ONNX Runtime's, and say so."""

from __future__ import annotations

from pathlib import Path

from edge.backends.arm.compiler import ONNXRUNTIME, QUANTIZED, has_onnxruntime, missing
from edge.backends.engine import Candidate, Engine, Runner
from edge.backends.onnxruntime import OnnxRuntime, optimized
from edge.backends.openvino.backend import OpenVino
from edge.backends.openvino.runner import capabilities
from edge.targets.target import Target


class ArmCpu:
    """Backend over OpenVINO and ONNX Runtime, by precision; see :mod:`edge.backends.arm.compiler`."""

    name = "arm_cpu"

    def __init__(self) -> None:
        self._floats, self._quantized = OpenVino(), OnnxRuntime()

    def refusal(self, precision: str, target: Target) -> str | None:
        """What this CPU would silently run in another precision."""
        return missing(precision, capabilities() | ({ONNXRUNTIME} if has_onnxruntime() else set()))

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """By the compiler that serves the precision.

        Raises:
            InputError: it refuses the graph.
            MachineError: it is not installed, or this CPU lacks the precision.
        """
        return self._of(candidate.precision).build(candidate, target, folder)

    def trial(self, candidate: Candidate, threads: int | None = None) -> Runner:
        """The same in memory.

        Raises:
            InputError: the compiler refuses the graph.
            MachineError: it is not installed, or this CPU lacks the precision.
        """
        if candidate.precision in QUANTIZED:
            return optimized(candidate.model, threads)
        return self._floats.trial(candidate, threads)

    def load(self, engine: Engine, threads: int | None = None) -> Runner:
        """By the compiler that built it.

        Raises:
            MachineError: it is not installed, or of another release.
        """
        return (self._quantized if engine.backend == self._quantized.name else self._floats).load(engine, threads)

    def _of(self, precision: str) -> OpenVino | OnnxRuntime:
        return self._quantized if precision in QUANTIZED else self._floats
