"""Torch-TensorRT: from the PyTorch module straight to a plan, on a GPU host (``torch_tensorrt.dynamo``).

It starts from the model folder that the candidate names, not from its graph, so our rewrites and Q/DQ are not in it:
FP32 and FP16 only. The plan is run, checked and timed like any other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.backends.engine import Candidate, Engine
from edge.backends.tensorrt.backend import import_tensorrt, require_gpu
from edge.backends.tensorrt.build import CompiledPlan
from edge.backends.tensorrt.engine import audit, load_plan, write_engine
from edge.backends.tensorrt.runner import PlanRunner
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.safety.watchdog import native_call
from edge.targets.target import Target

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Pair:
    """A Torch-TensorRT release and what it was built against.

    Attributes:
        release, torch, tensorrt: versions, as prefixes.
        python: oldest.
        typed: whether precision comes from the module's own types by default.
    """

    release: str
    torch: str
    tensorrt: str
    python: tuple[int, int]
    typed: bool


# Each release's dev_dep_versions.yml, pyproject.toml and setup.py; the last from NVIDIA's own index, with the TensorRT
# of JetPack 6.
PAIRS: tuple[Pair, ...] = (
    Pair("2.8", "2.8", "10.12", (3, 9), False),
    Pair("2.9", "2.9", "10.13", (3, 9), False),
    Pair("2.10", "2.10", "10.14", (3, 10), True),
    Pair("2.11", "2.11", "10.15", (3, 10), True),
    Pair("2.12", "2.12", "10.16", (3, 10), True),
    Pair("2.13", "2.13", "11.0", (3, 10), True),
    Pair("2.14", "2.14", "11.1", (3, 10), True),
    Pair("2.8", "2.8", "10.3", (3, 9), False),
)
_NEWEST = max(PAIRS, key=lambda pair: tuple(map(int, pair.release.split("."))))


class TorchTensorRt:
    """Backend over ``torch_tensorrt``."""

    name = "torch_tensorrt"

    def refusal(self, precision: str, target: Target) -> str | None:
        """It compiles the module as PyTorch has it, which knows nothing of our Q/DQ."""
        if precision in ("fp32", "fp16"):
            return None
        return f"{precision} is written into the graph, and torch-tensorrt compiles the module; use backend tensorrt"

    def build(self, candidate: Candidate, target: Target, folder: Path) -> Engine:
        """Compile the candidate's module on this machine's GPU.

        Raises:
            MachineError: packages missing or not a pair, or this machine's GPU is not the target's.
            InputError: no model folder behind the candidate, or a precision it has not.
        """
        refused = self.refusal(candidate.precision, target)
        if refused:
            raise InputError(f"{candidate.model.name}: {refused}")
        pair = require_pair(installed())
        trt, sm = import_tensorrt(), require_gpu(target)
        network = load_network(candidate.model)
        start = time.perf_counter()
        plan = compile_module(network, candidate.model, candidate.rest, pair)
        built = CompiledPlan(plan, None, time.perf_counter() - start, ())
        versions = {"torch_tensorrt": version("torch_tensorrt"), "tensorrt": str(trt.__version__)}
        runs_on = {"sm": sm, "tensorrt": str(trt.__version__)}
        # Its layers carry names of its own, so the graph's convolutions cannot be told apart: unknown.
        return write_engine(folder, candidate, target, self.name, built, audit((), candidate.model), versions, runs_on)

    def load(self, engine: Engine, threads: int | None = None) -> PlanRunner:
        """Load on this machine's GPU.

        Raises:
            MachineError: no GPU here, or the engine is for another GPU or another TensorRT.
        """
        return load_plan(import_tensorrt(), engine)


def installed() -> Mapping[str, str]:
    """Versions of the three packages; those that are missing are left out."""
    found = {}
    for name in ("torch_tensorrt", "torch", "tensorrt"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def require_pair(found: Mapping[str, str]) -> Pair:
    """The row of the table that these versions are.

    Raises:
        MachineError: a package is missing, or the versions do not fit each other; with the line that installs them.
    """
    missing = [name for name in ("torch", "torch_tensorrt", "tensorrt") if name not in found]
    torch = found.get("torch", "")
    fitting = next((pair for pair in PAIRS if _is(torch, pair.torch)), _NEWEST)
    line = f"pip install torch=={fitting.torch}.* torch-tensorrt=={fitting.release}.*"
    if missing:
        raise MachineError(f"{', '.join(missing)} not installed; on a machine with an NVIDIA GPU: {line}")
    for pair in PAIRS:
        if (
            _is(found["torch_tensorrt"], pair.release)
            and _is(torch, pair.torch)
            and _is(found["tensorrt"], pair.tensorrt)
        ):
            return pair
    shown = ", ".join(f"{name} {value}" for name, value in found.items())
    raise MachineError(f"{shown} do not fit each other; {line}")


def load_network(model: Model) -> nn.Module:
    """The module behind a model, with its weights, in evaluation mode.

    Raises:
        InputError: the model did not come from a model folder.
    """
    from edge.loading.folder import build_network, read_folder
    from edge.loading.weights import load_weights

    path, _, checkpoint = model.source.partition("@")
    if not Path(path).is_dir():
        raise InputError(f"{model.source or model.name}: torch-tensorrt needs a model folder, not a graph")
    folder = read_folder(Path(path), checkpoint or None)
    network = build_network(folder)
    network.load_state_dict(load_weights(folder.checkpoint, network), strict=True)
    return network.eval()


def compile_module(network: nn.Module, model: Model, rest: str, pair: Pair) -> bytes:
    """A serialized plan of a module, FP32 outside and ``rest`` inside.

    The FP16 comes from the module's own types. Releases that are not typed by default have to be told; newer ones
    have no such option, and ignore ``enabled_precisions`` in silence.
    """
    import torch
    import torch_tensorrt

    wrapped = _cast(network) if rest == "fp16" else network
    shape = (1, model.task.in_channels, *model.task.size)
    example = (torch.zeros(shape, device="cuda"),)
    with native_call(model.source or model.name, "Torch-TensorRT"):
        program = torch.export.export(wrapped.cuda().eval(), example)
        convert: Any = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine
        return bytes(convert(program, arg_inputs=example, **typing_options(pair.release)))


def typing_options(release: str) -> dict[str, bool]:
    """What tells a release to take precision from the module's own types, as newer ones do by themselves."""
    typed = next((pair.typed for pair in PAIRS if _is(release, pair.release)), True)
    return {} if typed else {"use_explicit_typing": True}


def _cast(network: nn.Module) -> nn.Module:
    from torch import Tensor, nn

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.half()

        def forward(self, image: Tensor) -> Tensor:
            output: Tensor = self.network(image.half()).float()
            return output

    return Half()


def _is(found: str, prefix: str) -> bool:
    return found == prefix or found.startswith(f"{prefix}.")
