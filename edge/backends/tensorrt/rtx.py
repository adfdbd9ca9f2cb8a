"""TensorRT for RTX: builds plans for NVIDIA GPUs on a machine that has none.

Always strongly typed. It serves desktop GPUs from Turing on; for a Jetson, whose GPUs it does not know, it is still the
check that TensorRT takes the graph (:meth:`TensorRtRtx.try_build`), built for the nearest GPU it does know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.backends.engine import Candidate, ConvCounts, Engine
from edge.backends.tensorrt.compiler import import_flavour
from edge.backends.tensorrt.engine import audit, compile_plan, load_plan, write_engine
from edge.backends.tensorrt.plan import count_precisions, rtx_layers
from edge.backends.tensorrt.runner import PlanRunner
from edge.backends.tensorrt.settings import RTX
from edge.errors import InputError
from edge.graph.model import Model
from edge.targets.target import Target

_INSTALL = "pip install 'segedge[tensorrt-rtx]'"
_CAPABILITIES: Mapping[str, str] = {
    "7.5": "SM75", "8.0": "SM80", "8.6": "SM86", "8.9": "SM89", "12.0": "SM120", "12.1": "SM121",
}  # fmt: skip
# Where it has no INT8 kernels: its support matrix says so, and its plans dequantize and compute in float.
_NO_INT8 = frozenset(("7.5",))
# GPUs that it does not build for, or not as TensorRT does, and the one whose kernels come nearest.
_NEAREST: Mapping[str, str] = {"7.2": "SM86", "7.5": "SM86", "8.7": "SM86", "9.0": "SM89", "11.0": "SM120"}


@dataclass(frozen=True)
class Attempt:
    """Whether TensorRT for RTX builds a graph.

    Attributes:
        builds: it does.
        reason: why not, or "".
        capability: GPU it was built for; the nearest it knows where the target is another.
        precisions: convolution to the precision the plan gives it.
        bytes: size of the plan.
        seconds: wall time of the builder.
    """

    builds: bool
    reason: str
    capability: str
    precisions: Mapping[str, str]
    bytes: int = 0
    seconds: float = 0.0

    @property
    def convs(self) -> ConvCounts:
        """How many convolutions run in which precision."""
        return ConvCounts(**count_precisions(self.precisions.values()))


class TensorRtRtx:
    """Backend over ``tensorrt_rtx``."""

    name = "tensorrt_rtx"

    def refusal(self, precision: str, target: Target) -> str | None:
        """What the GPU has no arithmetic for."""
        sm = str(target.fact("sm"))
        if sm not in _CAPABILITIES:
            return f"TensorRT for RTX does not build for compute capability {sm}"
        if precision == "bf16":
            return "bf16 is not written for TensorRT: FP16 is as fast there and more precise"
        if precision in ("int8", "mixed") and sm in _NO_INT8:
            return f"TensorRT for RTX has no INT8 kernels for compute capability {sm}: it would compute in float"
        return None

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile for the target's GPU; none is needed here.

        Raises:
            MachineError: ``tensorrt_rtx`` is not installed.
            InputError: it refuses the graph, or does not know the target's GPU.
        """
        sm = str(target.fact("sm"))
        if sm not in _CAPABILITIES:
            raise InputError(
                f"--target {target.name}: {self.refusal(candidate.precision, target)}; build on the device"
            )
        trt = import_rtx()
        built = compile_plan(trt, RTX, candidate, (_CAPABILITIES[sm],))
        precisions = plan_precisions(built.plan, candidate.model)
        versions = {"tensorrt_rtx": str(trt.__version__)}
        runs_on = {"sm": sm, "tensorrt_rtx": str(trt.__version__)}
        return write_engine(folder, candidate, target, self.name, built, precisions, versions, runs_on)

    def try_build(self, candidate: Candidate, sm: str) -> Attempt:
        """Build without keeping the plan, to learn whether TensorRT takes the graph.

        What is asked for is TensorRT itself on such a GPU, whose INT8 kernels TensorRT for RTX may not have.

        Args:
            candidate: typed graph; an FP32 graph whose FP16 comes from flags is built as FP32.
            sm: compute capability of the target, such as ``8.7``.

        Raises:
            MachineError: ``tensorrt_rtx`` is not installed.
            InputError: a GPU that is neither known nor near one that is.
        """
        capability = _NEAREST.get(sm) or _CAPABILITIES.get(sm)
        if capability is None:
            raise InputError(f"compute capability {sm}: TensorRT for RTX knows nothing near it")
        typed = candidate
        if candidate.typed is not None:
            typed = Candidate(candidate.name, candidate.precision, candidate.rest, candidate.typed)
        try:
            built = compile_plan(import_rtx(), RTX, typed, (capability,))
        except InputError as error:
            return Attempt(False, str(error), capability, audit((), typed.model))
        precisions = plan_precisions(built.plan, typed.model)
        return Attempt(True, "", capability, precisions, len(built.plan), built.seconds)

    def load(self, engine: Engine, threads: int | None = None) -> PlanRunner:
        """Load on this machine's GPU; TensorRT for RTX compiles its kernels for it now.

        Raises:
            MachineError: no GPU here, or the plan is of another version.
        """
        return load_plan(import_rtx(), engine)


def plan_precisions(plan: bytes, model: Model) -> Mapping[str, str]:
    """Each convolution of a graph to the precision that a plan gives it."""
    return audit(rtx_layers(plan), model)


def import_rtx() -> Any:
    """The ``tensorrt_rtx`` module.

    Raises:
        MachineError: not installed.
    """
    return import_flavour(RTX, "TensorRT for RTX", _INSTALL)
