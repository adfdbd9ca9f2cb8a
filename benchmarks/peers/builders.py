"""The peers: how each makes a callable from the same ``source.onnx``. Imported in worker processes only.

Every peer gets the same graph (PyTorch: the same weights), the same calibration images, the same number of threads,
batch 1 and float32 in and out.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Setting:
    """What a worker is told.

    Attributes:
        peer: a name of ``PEERS``.
        model: model folder as given to ``edge deploy``.
        source: the graph that every peer gets.
        output: name of the output that counts.
        calibration: ``.npy`` of ``[n, channels, height, width]`` float32.
        data: image set, for peers that look at accuracy while they quantize.
        engine: our engine folder.
        scratch: an empty folder of the worker's own.
        threads: CPU threads.
        pythons: interpreter of each peer that needs another environment.
    """

    peer: str
    model: str
    source: Path
    output: str
    calibration: Path
    data: Path
    engine: Path
    scratch: Path
    threads: int
    pythons: Mapping[str, str]


def ours(setting: Setting) -> Run:
    from edge.backends import find_backend
    from edge.backends.engine import read_engine

    engine = read_engine(setting.engine)
    return find_backend(engine.backend).load(engine, setting.threads).run


def torch_eager(setting: Setting) -> Run:
    import torch

    return _torch_run(_torch_network(setting), torch)


def torch_compile(setting: Setting) -> Run:
    import torch

    return _torch_run(torch.compile(_torch_network(setting)), torch)


def onnxruntime_fp32(setting: Setting) -> Run:
    return _onnxruntime(setting, setting.source)


def onnxruntime_int8(setting: Setting) -> Run:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            name = _input_name(setting.source)
            self.rows = iter([{name: image[None]} for image in np.load(setting.calibration)])

        def get_next(self) -> Any:
            return next(self.rows, None)

    prepared, path = setting.scratch / "prepared.onnx", setting.scratch / "int8.onnx"
    # Shapes are static, and the symbolic inference dies on operators that it does not know.
    quant_pre_process(str(setting.source), str(prepared), skip_symbolic_shape=True)
    # ONNX Runtime's advice for x86 with VNNI: U8S8, per channel.
    quantize_static(
        prepared,
        path,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return _onnxruntime(setting, path)


def openvino_fp32(setting: Setting) -> Run:
    return _openvino(setting, setting.source, "f32")


def openvino_bf16(setting: Setting) -> Run:
    return _openvino(setting, setting.source, "bf16")


def nncf_int8_fp32(setting: Setting) -> Run:
    return _openvino(setting, _nncf(setting, "MIXED"), "f32")


def nncf_int8_bf16(setting: Setting) -> Run:
    return _openvino(setting, _nncf(setting, "MIXED"), "bf16")


def nncf_performance(setting: Setting) -> Run:
    return _openvino(setting, _nncf(setting, "PERFORMANCE"), _smallest_float())


def nncf_accuracy_control(setting: Setting) -> Run:
    """NNCF's own search for which layers to leave float, told to lose at most 0.001 of Dice on val."""
    import nncf
    import openvino

    from benchmarks.peers.accuracy import EVALUATIONS, validation

    validate, samples = validation(setting.source, setting.data, setting.scratch / EVALUATIONS)
    quantized = nncf.quantize_with_accuracy_control(
        openvino.Core().read_model(setting.source),
        calibration_dataset=_nncf_dataset(setting),
        validation_dataset=nncf.Dataset(samples),
        validation_fn=validate,
        max_drop=0.001,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(np.load(setting.calibration)),
    )
    path = setting.scratch / "nncf.xml"
    openvino.save_model(quantized, path, compress_to_fp16=False)
    return _openvino(setting, path, _smallest_float())


def modelopt(setting: Setting) -> Run:
    """NVIDIA ModelOpt's Q/DQ graph, run by OpenVINO. ModelOpt has its own environment."""
    python = setting.pythons.get("modelopt")
    if python is None:
        raise RuntimeError(
            "needs an environment with benchmarks/peers/requirements-modelopt.txt; name it with --python modelopt=PATH"
        )
    path = setting.scratch / "modelopt.onnx"
    script = Path(__file__).with_name("quantize_modelopt.py")
    command = [python, str(script), str(setting.source), str(setting.calibration), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ModelOpt failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return _openvino(setting, path, _smallest_float())


# In the order in which they are built: accuracy control last, since it takes what time there is.
PEERS: Mapping[str, Callable[[Setting], Run]] = {
    "torch": torch_eager,
    "torch-compile": torch_compile,
    "onnxruntime-fp32": onnxruntime_fp32,
    "onnxruntime-int8": onnxruntime_int8,
    "openvino-fp32": openvino_fp32,
    "openvino-bf16": openvino_bf16,
    "nncf-int8": nncf_int8_fp32,
    "nncf-int8-bf16": nncf_int8_bf16,
    "modelopt-int8": modelopt,
    "nncf-accuracy-control": nncf_accuracy_control,
}
BUILDERS: Mapping[str, Callable[[Setting], Run]] = {"ours": ours, "nncf-performance": nncf_performance, **PEERS}

# Environments that ``--python`` can name, and the builders whose whole worker runs there.
ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {
    "nncf": ("nncf-int8", "nncf-int8-bf16", "nncf-performance", "nncf-accuracy-control"),
    "modelopt": (),  # quantizes there, but has no OpenVINO to run in
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


def _torch_run(network: Any, torch: Any) -> Run:
    def run(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return run


def _onnxruntime(setting: Setting, path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run([setting.output], {name: batch})[0]


def _openvino(setting: Setting, path: Path, precision: str) -> Run:
    import openvino

    core = openvino.Core()
    if precision == "bf16" and not _computes_bf16(core):
        raise RuntimeError("this CPU does not compute in BF16")
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


def _computes_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _smallest_float() -> str:
    """What OpenVINO takes by default for the layers that are not INT8."""
    import openvino

    return "bf16" if _computes_bf16(openvino.Core()) else "f32"


def _nncf_dataset(setting: Setting) -> Any:
    import nncf

    return nncf.Dataset([image[None] for image in np.load(setting.calibration)])


def _nncf(setting: Setting, preset: str) -> Path:
    import nncf
    import openvino

    quantized = nncf.quantize(
        openvino.Core().read_model(setting.source),
        _nncf_dataset(setting),
        preset=nncf.QuantizationPreset[preset],
        subset_size=len(np.load(setting.calibration)),
    )
    path = setting.scratch / "nncf.xml"
    openvino.save_model(quantized, path, compress_to_fp16=False)
    return path


def _input_name(path: Path) -> str:
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return next(value.name for value in graph.input if value.name not in weights)
