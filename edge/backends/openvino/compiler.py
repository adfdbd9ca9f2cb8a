"""OpenVINO on an x86 edge box, with the settings of SegEdge's own backend: the precision is always said (the default is
BF16 where a CPU has it), one stream, latency mode, one thread for each physical core."""

from __future__ import annotations

import math
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np

from ...errors import InputError, MachineError
from ...machine.machine import ROOT, affinity, read_machine, text
from ..compiler import Built, Identity, Runner, Timing, Toolkit, no_convs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...device.manifest import Candidate

_ARTEFACT, _WEIGHTS = "model.xml", "model.bin"
_HINTS = {"fp32": ("f32", "FP32"), "bf16": ("bf16", "BF16"), "fp16": ("f16", "FP16")}
_PRECISIONS = {"i8": "int8", "u8": "int8", "f16": "fp16", "bf16": "bf16", "f32": "fp32"}
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_PROFILED_RUNS, _UNPROFILED_RUNS = 15, 3


class OpenVinoToolkit(Toolkit):
    """OpenVINO's CPU plugin."""

    def __init__(self) -> None:
        self._core: Any = None

    def identity(self) -> Identity:
        core = self._open()
        import openvino

        machine = read_machine(ROOT)
        capabilities = " ".join(sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")))
        return Identity("OpenVINO", openvino.get_version().split("-")[0], machine.model, capabilities)

    def build(self, candidate: Candidate, graph: Path, folder: Path, cache: Path, workspace: int) -> Built:
        core = self._open()
        import openvino

        _require(core, candidate.rest)
        start = time.perf_counter()
        try:
            network = core.read_model(str(graph))
            compiled = _compile(core, network, candidate.rest)
            openvino.save_model(network, str(folder / _ARTEFACT), compress_to_fp16=False)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise InputError(f"OpenVINO refuses graph {candidate.name} ({lines[-1][:200]})") from None
        seconds = time.perf_counter() - start
        counts = no_convs()
        for node in _nodes(compiled):
            if node["kind"] in _CONVOLUTIONS:
                counts[node["precision"]] += 1
        return Built(_ARTEFACT, (_ARTEFACT, _WEIGHTS), seconds, counts)

    def load(self, candidate: Candidate, folder: Path, built: Built, output: str | None) -> Runner:
        core = self._open()
        _require(core, candidate.rest)
        network = core.read_model(str(folder / built.artefact))
        return _OpenVinoRunner(core, network, candidate.rest, output, candidate.reasons)

    def _open(self) -> Any:
        if self._core is None:
            try:
                import openvino
            except ImportError:
                raise MachineError("OpenVINO is not installed; pip install openvino numpy") from None
            self._core = openvino.Core()
        return self._core


class _OpenVinoRunner(Runner):
    def __init__(self, core: Any, network: Any, rest: str, output: str | None, reasons: Mapping[str, str]) -> None:
        self._core, self._network, self._rest, self._reasons = core, network, rest, reasons
        self._compiled = _compile(core, network, rest)
        self._port = self._compiled.output(output) if output else self._compiled.output(0)
        self._request = self._compiled.create_infer_request()

    def run(self, image: NDArray[Any]) -> NDArray[Any]:
        self._request.infer({0: image}, share_inputs=True, share_outputs=True)
        return np.array(self._request.get_tensor(self._port).data, np.float32)

    def time(self, image: NDArray[Any]) -> Timing:
        start = time.perf_counter()
        self._request.infer({0: image}, share_inputs=True, share_outputs=True)
        return Timing(1e3 * (time.perf_counter() - start))

    def layers(self) -> list[dict[str, Any]]:
        compiled = _compile(self._core, self._network, self._rest, profile=True)
        image = np.random.default_rng(0).standard_normal(tuple(compiled.input(0).shape)).astype(np.float32)
        request = compiled.create_infer_request()
        times: dict[str, list[float]] = {}
        for run in range(_UNPROFILED_RUNS + _PROFILED_RUNS):
            request.infer({0: image})
            for entry in request.get_profiling_info() if run >= _UNPROFILED_RUNS else ():
                if entry.status == entry.Status.EXECUTED:
                    times.setdefault(entry.node_name, []).append(entry.real_time.total_seconds() * 1e3)
        rows = {node["name"]: node for node in _nodes(compiled)}
        return [
            {
                "name": rows[name]["sources"] or name,
                "op": rows[name]["kind"],
                "precision": rows[name]["precision"],
                "ms": statistics.median(samples),
                "reason": self._reasons.get(rows[name]["sources"] or name, ""),
            }
            for name, samples in times.items()
            if name in rows
        ]

    def conditions(self) -> dict[str, Any]:
        get = self._compiled.get_property
        hint = get("INFERENCE_PRECISION_HINT")
        return {
            "threads": int(get("INFERENCE_NUM_THREADS")),
            "precision_hint": hint.get_type_name() if hasattr(hint, "get_type_name") else str(hint),
            "streams": int(get("NUM_STREAMS")),
            "affinity": affinity(),
            "batch": 1,
            "timed_region": "infer on a preprocessed image; no copies, no pre- or post-processing",
        }

    def close(self) -> None:
        self._request = self._compiled = None


def _compile(core: Any, network: Any, rest: str, profile: bool = False) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[rest][0],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(physical_cores()),
        "PERF_COUNT": "YES" if profile else "NO",
    }
    return core.compile_model(network, "CPU", settings)


def _require(core: Any, rest: str) -> None:
    wanted = _HINTS[rest][1]
    if wanted not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise MachineError(f"this CPU has no {wanted} arithmetic: OpenVINO would silently run another precision")


def _nodes(compiled: Any) -> Iterator[dict[str, str]]:
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        sources, kind, precision = (
            info[key].astype(str) for key in ("originalLayersNames", "layerType", "runtimePrecision")
        )
        yield {
            "name": node.get_friendly_name(),
            "sources": sources.replace(",", ", "),
            "kind": kind,
            "precision": _PRECISIONS.get(precision, "unknown"),
        }


def physical_cores(root: Path = ROOT) -> int:
    """Physical cores within the process's affinity mask and CPU quota; at least 1."""
    pattern = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    cores = {text(root / pattern.format(cpu)).strip() or f"only {cpu}" for cpu in affinity()}
    limit, _, period = text(root / "sys/fs/cgroup/cpu.max").strip().partition(" ")
    digits = limit.isdigit() and period.isdigit()
    quota = math.ceil(int(limit) / int(period)) if digits else os.cpu_count() or 1
    return max(1, min(len(cores), quota))
