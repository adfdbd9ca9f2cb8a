"""What this GPU can do at best: operations per second in FP32, FP16 and INT8, bytes per second from memory.

``python -m benchmarks.gpu.floors`` builds one large convolution in each precision and one ReLU over a large map with
the installed TensorRT, and prints the best of many runs as JSON. No engine of the same precision is faster than its
graph's operations at this rate or its bytes at this bandwidth.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.backends.engine import Candidate
from edge.backends.tensorrt.build import build_plan
from edge.backends.tensorrt.engine import wish_for
from edge.backends.tensorrt.run import TensorRtRunner
from edge.backends.tensorrt.settings import ENTERPRISE, RTX, find_settings
from edge.errors import EdgeError
from edge.graph.model import Model
from edge.lowering import find_parser
from edge.machine.cuda import Cuda, open_cuda
from edge.task.task import SegmentationTask

_CHANNELS, _SIZE = 256, 128
_MAP = (1, 64, 512, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing for each")
    parser.add_argument("--small", action="store_true", help="a hundredth of the work, to rehearse without a GPU")
    arguments = parser.parse_args()
    trt, flavour = _installed()
    cuda, divide = open_cuda(), 8 if arguments.small else 1
    found: dict[str, Any] = {}
    for precision in ("fp32", "fp16", "int8"):
        channels, size = _CHANNELS // divide, _SIZE // divide
        try:
            graph = convolution(channels, size, precision, _typed(trt, flavour))
            milliseconds = _best(trt, flavour, cuda, graph, precision, arguments.seconds)
        except EdgeError as error:
            found[precision] = {"tops": None, "reason": str(error)}
            continue
        found[precision] = {"tops": 2e-9 * channels * channels * 9 * size * size / milliseconds, "ms": milliseconds}
    shape = (1, _MAP[1] // divide, _MAP[2] // divide, _MAP[3] // divide)
    milliseconds = _best(trt, flavour, cuda, relu(shape), "fp32", arguments.seconds)
    found["memory"] = {"gbs": 2e-6 * 4 * float(np.prod(shape)) / milliseconds, "ms": milliseconds}
    print(json.dumps(found))


def convolution(channels: int, size: int, precision: str, typed: bool) -> onnx.ModelProto:
    """One 3x3 convolution; INT8 by Q/DQ on data and weights, FP16 by types where TensorRT is strongly typed."""
    half = typed and precision == "fp16"
    kind, weight_type = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    shape = [1, channels, size, size]
    weights = np.random.default_rng(0).normal(0, 0.05, (channels, channels, 3, 3)).astype(weight_type)
    constants, nodes, data, filters = [numpy_helper.from_array(weights, "w")], [], "x", "w"
    if precision == "int8":
        constants += [numpy_helper.from_array(np.float32(0.02), "s"), numpy_helper.from_array(np.int8(0), "z")]
        for name in ("x", "w"):
            nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}q"], f"{name}_quantize"))
            nodes.append(
                helper.make_node("DequantizeLinear", [f"{name}q", "s", "z"], [f"{name}d"], f"{name}_dequantize")
            )
        data, filters = "xd", "wd"
    nodes.append(helper.make_node("Conv", [data, filters], ["y"], "conv", pads=[1, 1, 1, 1]))
    return _model(nodes, shape, shape, constants, kind)


def relu(shape: tuple[int, ...]) -> onnx.ModelProto:
    """Reads and writes every element once."""
    return _model([helper.make_node("Relu", ["x"], ["y"], "relu")], list(shape), list(shape), [], TensorProto.FLOAT)


def _model(nodes: list, inputs: list[int], outputs: list[int], constants: list, kind: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "floor",
        [helper.make_tensor_value_info("x", kind, inputs)],
        [helper.make_tensor_value_info("y", kind, outputs)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _best(trt: Any, flavour: str, cuda: Cuda, graph: onnx.ModelProto, precision: str, seconds: float) -> float:
    """Least milliseconds of the GPU's own clock."""
    task = SegmentationTask(size=(8, 8))
    rest = "fp16" if precision == "fp16" else "fp32"
    candidate = Candidate(precision, precision, rest, Model(graph, task, "floor", "floor"))
    settings = find_settings(str(trt.__version__), wish_for(candidate), flavour)
    runner = TensorRtRunner(trt, build_plan(trt, graph.SerializeToString(), settings).plan, cuda)
    shape = runner.inputs["x"]
    image, best, end = (
        np.random.default_rng(1).random(shape, dtype=np.float32),
        float("inf"),
        time.monotonic() + seconds,
    )
    while time.monotonic() < end or best == float("inf"):
        best = min(best, runner.time({"x": image}).parts["gpu"])
    runner.close()
    return max(best, 1e-6)


def _installed() -> tuple[Any, str]:
    try:
        import tensorrt

        return tensorrt, ENTERPRISE
    except ImportError:
        import tensorrt_rtx

        return tensorrt_rtx, RTX


def _typed(trt: Any, flavour: str) -> bool:
    return flavour == RTX or find_parser(".".join(str(trt.__version__).split(".")[:3])).typed


if __name__ == "__main__":
    main()
