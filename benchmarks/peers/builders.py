"""The peers: how each makes a callable from the same ``source.onnx``. Imported in worker processes only.

Every peer gets the same graph (PyTorch: the same weights), the same calibration images, the same number of threads,
batch 1 and float32 in and out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import quantized
from benchmarks.peers.setting import Setting

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Graph:
    """What OpenVINO runs for a contestant.

    Attributes:
        path: ONNX or IR.
        precision: of what is not INT8, in OpenVINO's word: f32 or bf16.
    """

    path: Path
    precision: str


def ours(setting: Setting) -> Run:
    from edge.backends import find_backend
    from edge.backends.engine import read_engine

    engine = read_engine(setting.engine)
    return find_backend(engine.backend).load(engine, setting.threads).run


def torch_eager(setting: Setting) -> Run:
    import torch

    return run_torch(_torch_network(setting), torch)


def torch_compile(setting: Setting) -> Run:
    import torch

    return run_torch(torch.compile(_torch_network(setting)), torch)


def onnxruntime_fp32(setting: Setting) -> Run:
    return run_onnxruntime(setting, setting.source)


def onnxruntime_int8(setting: Setting) -> Run:
    return run_onnxruntime(setting, quantized.by_onnxruntime(setting))


def openvino_fp32(setting: Setting) -> Graph:
    return Graph(setting.source, "f32")


def openvino_bf16(setting: Setting) -> Graph:
    return Graph(setting.source, "bf16")


def nncf_int8_fp32(setting: Setting) -> Graph:
    return Graph(quantized.by_nncf(setting, "MIXED"), "f32")


def nncf_int8_bf16(setting: Setting) -> Graph:
    return Graph(quantized.by_nncf(setting, "MIXED"), "bf16")


def nncf_performance(setting: Setting) -> Graph:
    return Graph(quantized.by_nncf(setting, "PERFORMANCE"), _smallest_float())


def nncf_accuracy_control(setting: Setting) -> Graph:
    """NNCF's own search for which layers to leave float, told to lose at most 0.001 of Dice on val."""
    return Graph(quantized.under_control(setting), _smallest_float())


def modelopt(setting: Setting) -> Graph:
    """NVIDIA ModelOpt's Q/DQ graph, run by OpenVINO. ModelOpt has its own environment."""
    return Graph(quantized.elsewhere(setting, "modelopt"), _smallest_float())


def aimet(setting: Setting) -> Graph:
    """Qualcomm AIMET's Q/DQ graph, run by OpenVINO. AIMET has its own environment."""
    return Graph(quantized.elsewhere(setting, "aimet"), _smallest_float())


# Accuracy control last, since it takes what time there is.
OPENVINO_GRAPHS: Mapping[str, Callable[[Setting], Graph]] = {
    "openvino-fp32": openvino_fp32,
    "openvino-bf16": openvino_bf16,
    "nncf-int8": nncf_int8_fp32,
    "nncf-int8-bf16": nncf_int8_bf16,
    "modelopt-int8": modelopt,
    "aimet-int8": aimet,
    "nncf-performance": nncf_performance,
    "nncf-accuracy-control": nncf_accuracy_control,
}
"""The graph of each contestant that OpenVINO runs."""


def _under_openvino(graph: Callable[[Setting], Graph]) -> Callable[[Setting], Run]:
    def build(setting: Setting) -> Run:
        made = graph(setting)
        return run_openvino(setting, made.path, made.precision)

    return build


BUILDERS: Mapping[str, Callable[[Setting], Run]] = {
    "ours": ours,
    "torch": torch_eager,
    "torch-compile": torch_compile,
    "onnxruntime-fp32": onnxruntime_fp32,
    "onnxruntime-int8": onnxruntime_int8,
    **{name: _under_openvino(graph) for name, graph in OPENVINO_GRAPHS.items()},
}
# In the order in which they are built; NNCF's other preset takes part where it is asked for by name.
PEERS: Mapping[str, Callable[[Setting], Run]] = {
    name: build for name, build in BUILDERS.items() if name not in ("ours", "nncf-performance")
}

# Environments that ``--python`` can name, and the builders whose whole worker runs there.
ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {
    "nncf": ("nncf-int8", "nncf-int8-bf16", "nncf-performance", "nncf-accuracy-control"),
    "modelopt": (),  # quantizes there, but has no OpenVINO to run in
    "aimet": (),  # likewise
}


def interpreter(setting: Setting) -> str:
    """The Python that a worker runs under."""
    return next(
        (
            setting.pythons[name]
            for name, peers in ENVIRONMENTS.items()
            if setting.peer in peers and name in setting.pythons
        ),
        sys.executable,
    )


def _torch_network(setting: Setting) -> Any:
    import torch

    from edge.loading.folder import build_network, read_folder
    from edge.loading.weights import load_weights

    torch.set_num_threads(setting.threads)
    folder, _, checkpoint = setting.model.partition("@")
    described = read_folder(Path(folder), checkpoint or None)
    network = build_network(described)
    network.load_state_dict(load_weights(described.checkpoint, network))
    return network.eval()


def run_torch(network: Any, torch: Any) -> Run:
    """A network under PyTorch; maps smaller than the image are enlarged, as loading does it for everybody else."""

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            maps = network(torch.from_numpy(batch))
            if maps.shape[-2:] != batch.shape[-2:]:
                size = batch.shape[-2:]
                maps = torch.nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
            return maps.numpy()

    return run


def run_onnxruntime(setting: Setting, path: Path) -> Run:
    """A graph under ONNX Runtime, its optimizations on."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run([setting.output], {name: batch})[0]


def run_openvino(setting: Setting, path: Path, precision: str) -> Run:
    """A graph or IR under OpenVINO, what is not INT8 in ``precision``."""
    import openvino

    core = openvino.Core()
    require_precision(core, precision)
    # Without the hint a CPU with BF16 computes in BF16 under the name of FP32.
    properties = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": setting.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(str(path), "CPU", properties)
    request = compiled.create_infer_request()
    output = next((o for o in compiled.outputs if setting.output in o.names), compiled.output(0))

    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer([batch], share_inputs=True)
        return request.get_tensor(output).data

    return run


def require_precision(core: Any, precision: str) -> None:
    """Refuse what OpenVINO would silently run in another precision.

    Raises:
        RuntimeError: this CPU does not compute in BF16.
    """
    if precision == "bf16" and not _computes_bf16(core):
        raise RuntimeError("this CPU does not compute in BF16")


def _computes_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _smallest_float() -> str:
    """What OpenVINO takes by default for the layers that are not INT8."""
    import openvino

    return "bf16" if _computes_bf16(openvino.Core()) else "f32"
