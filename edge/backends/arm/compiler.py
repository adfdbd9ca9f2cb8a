"""Which compiler serves which graph on an ARM CPU, and both as one compiler of a board.

OpenVINO's ARM plugin has kernels of FP32 and FP16, and runs the convolutions of an INT8 graph in FP32; ONNX Runtime has
INT8 kernels (NEON), and computes FP16 in FP32. So graphs with INT8 are ONNX Runtime's and float ones OpenVINO's, and
which is the fastest is measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import AbstractSet

from ...errors import MachineError
from ..compiler import BoardCandidate, Built, Compiler, Identity
from ..openvino.compiler import OpenVinoCompiler
from ..openvino.network import version as openvino_version
from ..openvino.runner import missing_arithmetic
from ..runner import Runner
from ..session import ARTEFACT, OnnxRuntimeCompiler
from ..session import version as onnxruntime_version

QUANTIZED = ("int8", "mixed")
ONNXRUNTIME = "ONNXRUNTIME"
"""Stands among the capabilities of a CPU where ONNX Runtime is installed."""
_NO_INT8 = (
    "OpenVINO runs INT8 convolutions in FP32 on ARM, and ONNX Runtime, which has INT8 kernels for it, is not installed "
    "there (pip install onnxruntime)"
)


def serving(precision: str) -> str:
    """Backend that serves a precision."""
    return "onnxruntime" if precision in QUANTIZED else "openvino"


def missing(precision: str, able: AbstractSet[str]) -> str | None:
    """Why a precision would not really run on an ARM CPU; None where it would.

    Args:
        precision: of an engine.
        able: what OpenVINO lists, and :data:`ONNXRUNTIME`.
    """
    if precision in QUANTIZED:
        return None if ONNXRUNTIME in able else _NO_INT8
    return missing_arithmetic(precision, able)


def has_onnxruntime() -> bool:
    """Whether ONNX Runtime can be imported."""
    try:
        onnxruntime_version()
    except MachineError:
        return False
    return True


class ArmCpuCompiler(Compiler):
    """OpenVINO and ONNX Runtime on this ARM CPU."""

    def __init__(self) -> None:
        self._floats, self._quantized = OpenVinoCompiler(), OnnxRuntimeCompiler()

    def identity(self) -> Identity:
        """OpenVINO's, with ONNX Runtime where it is installed."""
        floats = self._floats.identity()
        if not has_onnxruntime():
            return floats
        both = f"{floats.version}+onnxruntime-{onnxruntime_version()}"
        return replace(floats, title="OpenVINO and ONNX Runtime", version=both, sm=f"{floats.sm} {ONNXRUNTIME}")

    def build(self, candidate: BoardCandidate, graph: Path, folder: Path, timings: Path, workspace: int) -> Built:
        """By the compiler that serves the precision.

        Raises:
            MachineError: a graph with INT8, and no ONNX Runtime.
        """
        if candidate.precision not in QUANTIZED:
            built = self._floats.build(candidate, graph, folder, timings, workspace)
            return replace(built, backend="openvino", version=openvino_version())
        if not has_onnxruntime():
            raise MachineError(f"{candidate.name}: {_NO_INT8}")
        return self._quantized.build(candidate, graph, folder, timings, workspace)

    def load(self, candidate: BoardCandidate, folder: Path, built: Built, output: str | None) -> Runner:
        """By the compiler that built it."""
        compiler: Compiler = self._quantized if built.artefact == ARTEFACT else self._floats
        return compiler.load(candidate, folder, built, output)
