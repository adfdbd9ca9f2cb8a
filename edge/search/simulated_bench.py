"""The bench of a device that is not at hand: what can be known of it here, and nothing that cannot.

The very graphs that the device will compile are scored in ONNX Runtime (graph optimizations off), and TensorRT for RTX
says whether they build and in which precision their convolutions run; where it is the target's own compiler, its plans
are the engines. Profiles are estimates from the device's table: they order layers in a search, and are written nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.accuracy.check import Standard, check
from edge.accuracy.checked import Checked
from edge.backends.engine import MANIFEST, Backend, Candidate, ConvCounts, Engine, Layer
from edge.backends.onnxruntime import OnnxRuntimeRunner, optimized
from edge.backends.onnxruntime import reference as exact_runner
from edge.backends.tensorrt.kernels import built_kernels, predict_kernels
from edge.backends.tensorrt.plan import rtx_layers
from edge.backends.tensorrt.rtx import Attempt, TensorRtRtx, plan_precisions
from edge.errors import InputError, MachineError
from edge.files import replaced_folder
from edge.latency.estimate import Peaks, target_peaks
from edge.latency.quantized import estimate_quantized
from edge.machine.environment import environment, versions
from edge.machine.here import installed
from edge.search.bench import (
    Advance,
    Array,
    Bench,
    Effort,
    PixelRoute,
    Profile,
    Refusal,
    Timed,
    silent,
)
from edge.search.build import GRAPH, build_engine
from edge.search.dialect import Dialect, PlainDialect
from edge.targets.target import Target

NOT_HERE = "accuracy simulated in ONNX Runtime on the device's own graph; latency is measured on the device"
_CARRIED = "engines are plans of TensorRT for RTX {}, built here for {}: carry them there, edge check and edge profile"
_NO_RTX = "buildability not checked: tensorrt_rtx is not installed (pip install 'segedge[tensorrt-rtx]')"
_PREDICTED = (
    "the search predicts each convolution's precision and what else its kernel computes; precisions shown are audited "
    "in the plans, which agree with both predictions for {} of {} convolutions ({})"
)
_PRECISIONS_PREDICTED = (
    "the search predicts each convolution's precision, and that pointwise layers join the kernel before them, which no "
    "plan built here can show; precisions shown are audited in plans for {}, which agree with that precision for {} of "
    "{} convolutions ({})"
)
_ARITHMETIC_ONLY = "its table has no memory rate: arithmetic alone, INT8 taken as twice as fast as {}"
_MEMORY_ONLY = "its table has no rate of INT8 beside one of {}: the time to move data alone"


@dataclass(frozen=True)
class _Kept:
    """What is known of a candidate that was built.

    Attributes:
        precisions: convolution to the precision the plan gives it.
        fault: why the nearest GPU's compiler refuses it, or "".
        as_predicted: how many convolutions' precision in the plan is that which the search reckons with, and where the
            plan is the target's own their kernel as well; None where no plan was built.
    """

    precisions: Mapping[str, str]
    fault: str
    as_predicted: int | None = None


class SimulatedBench(Bench):
    """What can be said of a device's engines without the device.

    A trial's accuracy is that of the FP32 graph with Q/DQ, run by ONNX Runtime with its optimizations on, several times
    as fast as off; where these compute something else the parity check says so. What FP16 adds (60 dB and more against
    INT8's 30) is left to the graphs that are built, which are scored exactly.

    Args:
        backend: the device's compiler; only asked what it refuses, and to build where it can without the device.
        target: the device.
        dialect: of the compiler that the device has.
        tensorrt: version that the device has.
        written_for: the same in words, for the reader.
        threads: CPU threads, None for all usable cores.
    """

    measured = False

    def __init__(
        self,
        backend: Backend,
        target: Target,
        dialect: Dialect,
        tensorrt: str,
        written_for: str,
        threads: int | None = None,
    ) -> None:
        self.dialect = dialect
        self.trial_dialect = PlainDialect(dialect.scheme, dialect.rest)
        self._backend, self._target, self._threads = backend, target, threads
        self._tensorrt, self._written_for = tensorrt, written_for
        self._rtx = TensorRtRtx()
        self._tried: str | None = None
        self._kept: dict[str, _Kept] = {}

    def refusal(self, precision: str) -> str | None:
        """See :class:`~edge.search.bench.Bench`."""
        return self._backend.refusal(precision, self._target)

    def build(self, candidate: Candidate, folder: Path) -> Engine | Refusal:
        """A plan where the target's compiler builds without the target; else the graph, for the device to compile."""
        if not self._builds_here:
            return self._keep_graph(candidate, folder)
        try:
            engine = build_engine(self._backend, candidate, self._target, folder)
        except InputError as error:
            return Refusal(candidate.name, candidate.precision, str(error))
        plan = (engine.folder / engine.artefact).read_bytes()
        built, predicted = built_kernels(rtx_layers(plan), candidate.model), predict_kernels(candidate.model)
        agreeing = sum(built[name] == kernel for name, kernel in predicted.items())
        self._kept[candidate.name] = _Kept(plan_precisions(plan, candidate.model), "", agreeing)
        return engine

    def check(self, candidate: Candidate, standard: Standard, advance: Advance = silent) -> Checked | Refusal:
        """What was built is scored exactly, so there is no parity to show; a trial is scored fast, and shows it."""
        kept = self._kept.get(candidate.name)
        try:
            checked = check(
                exact_runner(candidate.simulated) if kept else self._fast(candidate),
                candidate.model.task,
                None if kept else candidate.model,
                candidate.precision,
                candidate.rest if kept else "fp32",
                standard,
                advance,
            )
        except InputError as error:
            return Refusal(candidate.name, candidate.precision, str(error))
        if kept is None or not kept.fault:
            return checked
        verdict = checked.verdict
        return replace(checked, verdict=replace(verdict, passed=False, reasons=(*verdict.reasons, kept.fault)))

    def times(
        self,
        candidates: Sequence[Candidate],
        inputs: Sequence[Array],
        effort: Effort,
        pixels: PixelRoute | None = None,
        advance: Advance = silent,
    ) -> list[Timed | Refusal] | None:
        """Unknown: the device is not here."""
        return None

    def outputs(self, candidate: Candidate, inputs: Sequence[Array]) -> Array | Refusal:
        """See :class:`~edge.search.bench.Bench`."""
        try:
            runner = self._fast(candidate)
        except InputError as error:
            return Refusal(candidate.name, candidate.precision, str(error))
        return np.concatenate([runner.run(x) for x in inputs])

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile] | Refusal]:
        """One table of estimates for each: an estimate does not vary."""
        return [[self._estimates(candidate)] for candidate in candidates]

    def layers(self, candidate: Candidate) -> Profile:
        """What the plan built here says of each convolution (the device's own builder may choose otherwise), and why
        each further layer is left float; in which float precision, nobody built here says."""
        built = self._kept[candidate.name].precisions
        operators = {node.name: node.op_type for node in candidate.model.proto.graph.node}
        rows = {name: ("Convolution", precision) for name, precision in built.items()}
        rows.update({name: (operators.get(name, ""), "unknown") for name in candidate.reasons if name not in built})
        return tuple(
            Layer(name, op, precision, None, candidate.reasons.get(name, "")) for name, (op, precision) in rows.items()
        )

    def identity(self) -> Mapping[str, Any]:
        """See :class:`~edge.search.bench.Bench`."""
        tables = {rest: asdict(plan_peaks(self._target, rest)) for rest in ("fp32", "fp16")}
        return {"compiler": versions(("onnxruntime",)), "peaks": tables}

    def environment(self) -> dict[str, Any]:
        """This machine's."""
        return environment()

    def basis(self) -> str:
        """See :class:`~edge.search.bench.Bench`."""
        return f"times are estimates ({plan_peaks(self._target, self.dialect.rest).source})"

    def notes(self) -> tuple[str, ...]:
        """How the device was stood in for."""
        return (NOT_HERE, self._written_for, self._how_built(), *self._how_predicted())

    def close(self) -> None:
        """See :class:`~edge.search.bench.Bench`."""
        self._kept.clear()

    @property
    def _builds_here(self) -> bool:
        return self._backend.name == self._rtx.name and installed("tensorrt_rtx")

    def _keep_graph(self, candidate: Candidate, folder: Path) -> Engine:
        attempt = self._attempt(candidate)
        self._kept[candidate.name] = _Kept({}, "") if attempt is None else _tried(candidate, attempt)
        with replaced_folder(folder, MANIFEST) as fresh:
            candidate.model.save(fresh / GRAPH)
            engine = Engine.for_candidate(
                candidate,
                self._target,
                fresh,
                backend=self._serving(candidate),
                artefacts=(GRAPH,),
                build_seconds=attempt.seconds if attempt else 0.0,
                convs=attempt.convs if attempt else ConvCounts(),
                versions=self._versions(),
                runs_on={**self._home(), "built": False},
            )
        return replace(engine, folder=folder)

    def _serving(self, candidate: Candidate) -> str:
        """Name of the compiler that will build it there."""
        return self._target.backend

    def _versions(self) -> dict[str, str]:
        """Of the compilers that the graphs were written for."""
        return {"tensorrt": self._tensorrt}

    def _home(self) -> dict[str, Any]:
        """Where the engines may run."""
        return {"sm": self._target.fact("sm"), "tensorrt": self._tensorrt}

    def _attempt(self, candidate: Candidate) -> Attempt | None:
        """Whether the nearest GPU that TensorRT for RTX knows takes the graph; None where it is not installed."""
        try:
            attempt = self._rtx.try_build(candidate, str(self._target.fact("sm")))
        except MachineError:
            return None
        self._tried = attempt.capability
        return attempt

    def _fast(self, candidate: Candidate) -> OnnxRuntimeRunner:
        return optimized(candidate.plain, self._threads)

    def _estimates(self, candidate: Candidate) -> Profile:
        kernels = predict_kernels(candidate.plain) if self._backend.name == self._rtx.name else None
        rows = estimate_quantized(candidate.plain, candidate.rest, plan_peaks(self._target, candidate.rest), kernels)
        return tuple(Layer(row.name, row.op, row.precision, row.ms) for row in rows)

    def _how_built(self) -> str:
        sm = self._target.fact("sm")
        if self._builds_here:
            return _CARRIED.format(versions(("tensorrt-rtx",)).get("tensorrt-rtx", ""), f"compute capability {sm}")
        if self._tried is None:
            return _NO_RTX
        return (
            f"buildability and precisions from TensorRT for RTX for {self._tried}, "
            f"{self._target.title} is compute capability {sm}"
        )

    def _how_predicted(self) -> tuple[str, ...]:
        """Whether the kernels that the search reckons with are those of the plans; nothing where no plan was built."""
        audited = {name: kept for name, kept in self._kept.items() if kept.as_predicted is not None}
        if not audited:
            return ()
        agreeing = sum(kept.as_predicted or 0 for kept in audited.values())
        counts = (agreeing, sum(len(kept.precisions) for kept in audited.values()), ", ".join(audited))
        if self._builds_here:
            return (_PREDICTED.format(*counts),)
        return (_PRECISIONS_PREDICTED.format(self._tried, *counts),)


def _tried(candidate: Candidate, attempt: Attempt) -> _Kept:
    """What a plan for another GPU tells of a candidate."""
    if not attempt.builds:
        return _Kept(attempt.precisions, attempt.reason)
    predicted = predict_kernels(candidate.typed or candidate.model)
    agreeing = sum(predicted[name].precision == precision for name, precision in attempt.precisions.items())
    return _Kept(attempt.precisions, "", agreeing)


def plan_peaks(target: Target, rest: str) -> Peaks:
    """A target's peaks, for comparing INT8 with a float precision.

    A rate that the table has of one of the two only would favour the other, and is left out. Where the table says
    nothing of memory, what every tensor core has in common is taken: INT8 at twice the rate of FP16.
    """
    try:
        peaks = target_peaks(target)
    except InputError:
        return Peaks({"int8": 2e12, rest: 1e12}, math.inf, _ARITHMETIC_ONLY.format(rest.upper()))
    if "int8" in peaks.operations and rest in peaks.operations:
        return peaks
    return Peaks({}, peaks.bytes_per_second, _MEMORY_ONLY.format(rest.upper()))
