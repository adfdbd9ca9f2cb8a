"""The bench of a CPU that is not at hand: its graphs scored here, built and timed there."""

from __future__ import annotations

from typing import Any

from edge.backends.arm.compiler import serving
from edge.backends.engine import Backend, Candidate
from edge.backends.tensorrt.rtx import Attempt
from edge.machine.environment import versions
from edge.search.dialect import Dialect
from edge.search.simulated_bench import SimulatedBench
from edge.targets.target import Target

_HOW = (
    "graphs with INT8 go to ONNX Runtime there, since OpenVINO runs INT8 convolutions in FP32 on ARM; float ones go to "
    "OpenVINO"
)


class SimulatedCpuBench(SimulatedBench):
    """What can be said of an ARM CPU's engines without one.

    Whether that CPU has FP16 is asked when the engines are built there.

    Args:
        backend, target, dialect, threads: see :class:`~edge.search.simulated_bench.SimulatedBench`.
    """

    def __init__(self, backend: Backend, target: Target, dialect: Dialect, threads: int | None = None) -> None:
        super().__init__(backend, target, dialect, "", f"graphs written for {target.title}", threads)

    def refusal(self, precision: str) -> str | None:
        """BF16 is what no ARM CPU has in OpenVINO; all else is up to the machine."""
        return "OpenVINO computes no BF16 on ARM" if precision == "bf16" else None

    def _serving(self, candidate: Candidate) -> str:
        return serving(candidate.precision)

    def _versions(self) -> dict[str, str]:
        return versions(("openvino", "onnxruntime"))

    def _home(self) -> dict[str, Any]:
        return {"device": "CPU", "architecture": str(self._target.fact("architecture"))}

    def _attempt(self, candidate: Candidate) -> Attempt | None:
        return None

    def _how_built(self) -> str:
        return _HOW
