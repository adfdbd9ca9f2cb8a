"""OpenVINO's networks on the CPU: read, written, compiled, counted and timed layer by layer.

Every compilation says its precision and its threads; :mod:`.backend` has why.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping

import numpy as np

from ...errors import MachineError
from ..runner import ConvCounts, Layer

if TYPE_CHECKING:
    import openvino
    from numpy.typing import NDArray

DEVICE = "CPU"
HINTS: Mapping[str, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Our word for a float precision to OpenVINO's."""

_RUNTIME_PRECISIONS: Mapping[str, str] = {
    "i8": "int8",
    "u8": "int8",
    "f16": "fp16",
    "bf16": "bf16",
    "f32": "fp32",
}
_BRANCHES = ("If",)  # its precision is that of its condition, a boolean: what its branches run in is not told
_CONVOLUTIONS = ("Convolution", "Deconvolution")
_PROFILED_RUNS = 15
_LEAST_PROFILED_RUNS = 3
_UNPROFILED_RUNS = 1
_PROFILE_SECONDS = 0.5


@lru_cache(maxsize=None)
def core() -> openvino.Core:
    """OpenVINO's one entry point (loading its plugins takes a moment).

    Raises:
        MachineError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise MachineError("OpenVINO is not installed; pip install openvino numpy") from None
    return openvino.Core()


def version() -> str:
    """The runtime's version, with its commit."""
    import openvino

    return openvino.get_version()


def read_network(graph: bytes, name: str = "", nodes: Iterable[str] = ()) -> openvino.Model:
    """ONNX to OpenVINO's model, through memory, every operation named after the ONNX node it came from.

    Args:
        graph: serialized ONNX.
        name: of the network; "" leaves the graph's own.
        nodes: names of the graph's nodes; operations that the reader left anonymous are named after them.
    """
    network = core().read_model(graph)
    if name:
        network.set_friendly_name(name)
    _name_operations(network, frozenset(nodes))
    return network


def save_network(network: openvino.Model, path: Path) -> None:
    """Write the IR (``.xml`` and ``.bin``) with weights as they are."""
    import openvino

    openvino.save_model(network, str(path), compress_to_fp16=False)


def compile_network(network: openvino.Model, rest: str, threads: int, profile: bool = False) -> openvino.CompiledModel:
    """Compile for one stream in latency mode, with the precision always said.

    Args:
        rest: fp32, bf16 or fp16: what the CPU plugin runs wherever the graph is not quantized.
        profile: count time per layer.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": HINTS[rest],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "PERF_COUNT": "YES" if profile else "NO",
    }
    return core().compile_model(network, DEVICE, settings)


def compiled_conditions(compiled: openvino.CompiledModel) -> dict[str, Any]:
    """Settings that a latency depends on, as the compiled model reports them."""
    get = compiled.get_property
    return {
        "threads": int(get("INFERENCE_NUM_THREADS")),
        "precision_hint": str(get("INFERENCE_PRECISION_HINT").get_type_name()),
        "performance_hint": str(get("PERFORMANCE_HINT")),
        "streams": int(get("NUM_STREAMS")),
        "pinned": bool(get("ENABLE_CPU_PINNING")),
        "batch": 1,
    }


def count_convolutions(compiled: openvino.CompiledModel) -> ConvCounts:
    """Convolutions by the precision that the compiled model's own graph gives them."""
    counts = Counter(row["precision"] for row in _runtime_nodes(compiled) if row["kind"] in _CONVOLUTIONS)
    return ConvCounts(**counts)


class LayerProfiler:
    """A network compiled to count time per layer.

    Args:
        rest: fp32, bf16 or fp16: what runs wherever the graph is not quantized.
        threads: of the one stream.
    """

    def __init__(self, network: openvino.Model, rest: str, threads: int) -> None:
        compiled = compile_network(network, rest, threads, profile=True)
        self._noise = np.random.default_rng(0).standard_normal(tuple(compiled.input(0).shape)).astype(np.float32)
        self._request = compiled.create_infer_request()
        self._rows = {row["name"]: row for row in _runtime_nodes(compiled)}

    def layers(self, image: NDArray[np.float32] | None = None, runs: int = _PROFILED_RUNS) -> tuple[Layer, ...]:
        """Every layer that runs, in order, with the median of its times.

        Args:
            image: input to run on, ``[1, channels, height, width]``; None for seeded noise.
            runs: counted runs, after a few that are not; fewer where they take over half a second.
        """
        times: dict[str, list[float]] = {}
        deadline = time.perf_counter() + _PROFILE_SECONDS
        for run in range(_UNPROFILED_RUNS + runs):
            if run >= _UNPROFILED_RUNS + _LEAST_PROFILED_RUNS and time.perf_counter() > deadline:
                break
            self._request.infer({0: self._noise if image is None else image}, share_inputs=True, share_outputs=True)
            if run < _UNPROFILED_RUNS:
                continue
            for entry in self._request.get_profiling_info():
                if entry.status == entry.Status.EXECUTED:
                    times.setdefault(entry.node_name, []).append(entry.real_time.total_seconds() * 1e3)
        return tuple(
            Layer(row["sources"] or name, row["kind"], row["precision"], statistics.median(samples))
            for name, samples in times.items()
            if (row := self._rows.get(name)) is not None
        )


def _name_operations(network: openvino.Model, known: frozenset[str]) -> None:
    """Name what the reader left anonymous (``ConvolutionBackpropData_69``) after the node that its result goes to."""
    for operation in reversed(network.get_ordered_ops()):
        kind, name = operation.get_type_name(), operation.get_friendly_name()
        if kind in ("Parameter", "Result", "Constant") or name in known or name.rpartition("/")[0] in known:
            continue
        for target in operation.output(0).get_target_inputs():
            label = target.get_node().get_friendly_name()
            root = label if label in known else label.rpartition("/")[0]
            if root in known:
                operation.set_friendly_name(f"{root}/{kind}")
                break


def _runtime_nodes(compiled: openvino.CompiledModel) -> Iterator[dict[str, str]]:
    """Name, source nodes, kind and precision of every node of the graph that will run."""
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        facts = {key: info[key].astype(str) for key in ("originalLayersNames", "layerType", "runtimePrecision")}
        yield {
            "name": node.get_friendly_name(),
            "sources": facts["originalLayersNames"].replace(",", ", "),
            "kind": facts["layerType"],
            "precision": "unknown"
            if facts["layerType"] in _BRANCHES
            else _RUNTIME_PRECISIONS.get(facts["runtimePrecision"], "unknown"),
        }
