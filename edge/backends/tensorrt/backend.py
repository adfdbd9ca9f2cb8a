"""TensorRT 8.5 to 11, on the machine whose GPU the engine is for.

A Jetson's engine is built on that Jetson, by the code in ``edge/device`` that this file also uses. What differs between
versions is one table, :mod:`edge.backends.tensorrt.settings`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.backends.engine import Candidate, Engine
from edge.backends.tensorrt.compiler import import_flavour
from edge.backends.tensorrt.engine import audit, compile_plan, faults, load_plan, write_engine
from edge.backends.tensorrt.run import built_layers
from edge.backends.tensorrt.runner import PlanRunner
from edge.backends.tensorrt.settings import ENTERPRISE
from edge.errors import MachineError
from edge.machine.cuda import open_cuda
from edge.targets.target import UNKNOWN, Target

_INSTALL = "pip install 'segedge[tensorrt]' on a machine with an NVIDIA GPU, or use JetPack's own on a Jetson"


class TensorRt:
    """Backend over the installed ``tensorrt``."""

    name = "tensorrt"

    def refusal(self, precision: str, target: Target) -> str | None:
        """What the GPU has no fast arithmetic for."""
        if precision == "int8" and target.fact("int8") is False:
            return f"{target.title} has no INT8 arithmetic"
        if precision == "bf16":
            return "bf16 is not written for TensorRT: FP16 is as fast there and more precise"
        return None

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile on this machine's GPU.

        Raises:
            MachineError: TensorRT is not installed, or this machine's GPU is not the target's.
            InputError: TensorRT refuses the graph.
        """
        trt, sm = import_tensorrt(), require_gpu(target)
        built = compile_plan(trt, ENTERPRISE, candidate)
        precisions = audit(built_layers(trt, built.plan), candidate.model)
        versions = {"tensorrt": str(trt.__version__)}
        runs_on = {"sm": sm, "tensorrt": str(trt.__version__)}
        return write_engine(folder, candidate, target, self.name, built, precisions, versions, runs_on)

    def load(self, engine: Engine, threads: int | None = None) -> PlanRunner:
        """Load on this machine's GPU.

        Raises:
            MachineError: no GPU here, or the engine is for another GPU or another TensorRT.
        """
        return load_plan(import_tensorrt(), engine)


def import_tensorrt() -> Any:
    """The ``tensorrt`` module.

    Raises:
        MachineError: not installed, or its libraries are missing.
    """
    return import_flavour(ENTERPRISE, "TensorRT", _INSTALL)


def require_gpu(target: Target) -> str:
    """This machine's compute capability, which must be the target's.

    Raises:
        MachineError: no GPU, or another one.
    """
    with faults(f"--target {target.name}"):
        major, minor = open_cuda().capability()
    here, wanted = f"{major}.{minor}", str(target.fact("sm"))
    if wanted not in (UNKNOWN, here):
        raise MachineError(
            f"--target {target.name}: its GPU is of compute capability {wanted}, this machine's of {here}; "
            "build there (edge bundle packs what it needs)"
        )
    return here
