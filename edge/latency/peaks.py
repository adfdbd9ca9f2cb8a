"""This machine's own peaks, measured: a large convolution in OpenVINO for arithmetic, a copy for memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.latency.estimate import Peaks
from edge.targets.target import find_target

_CHANNELS, _SIZE = 128, 64
_TRIES = 7
_COPY_BYTES = 16 << 20  # beyond the second-level cache, as a network's activations are
_KINDS = ("fp32", "bf16", "int8")


def measure_peaks(threads: int) -> Peaks:
    """Best of several tries of a 3x3 convolution in fp32, bf16 and int8, and of a copy in memory. A few seconds.

    A CPU without BF16 arithmetic has no bf16 peak: OpenVINO would silently measure FP32.

    Args:
        threads: that the convolution may use.

    Raises:
        MachineError: OpenVINO is not installed.
    """
    from edge.backends.openvino.backend import OpenVino

    macs = _CHANNELS * _CHANNELS * 9 * _SIZE * _SIZE
    cpu = find_target("cpu")
    kinds = [name for name in _KINDS if OpenVino().refusal(name, cpu) is None]
    operations = {name: 2.0 * macs / _best(_convolution(name, threads)) for name in kinds}
    # Where the rest of a quantized network runs in half, this CPU's half is bf16.
    if "bf16" in operations:
        operations["fp16"] = operations["bf16"]
    source = np.ones(_COPY_BYTES, np.uint8)
    target = np.empty_like(source)
    copied = _best(lambda: np.copyto(target, source))
    return Peaks(operations, 2.0 * _COPY_BYTES / copied, f"measured here: a convolution on {threads} threads, a copy")


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest try, after one that does not count."""
    work()
    seconds = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _convolution(precision: str, threads: int) -> Callable[[], object]:
    from edge.backends.openvino.network import compile_network, core

    network = core().read_model(_graph(quantized=precision == "int8").SerializeToString())
    rest = "fp32" if precision == "int8" else precision
    request = compile_network(network, rest, threads).create_infer_request()
    image = np.random.default_rng(0).standard_normal((1, _CHANNELS, _SIZE, _SIZE)).astype(np.float32)
    return lambda: request.infer({0: image}, share_inputs=True, share_outputs=True)


def _graph(quantized: bool) -> onnx.ModelProto:
    """One 3x3 convolution, its input and weights on an INT8 grid where asked."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32)
    nodes, weights = [], []

    def constant(name: str, array: NDArray[np.generic]) -> str:
        weights.append(numpy_helper.from_array(array, name))
        return name

    conv = ["image", "w"]
    if quantized:
        grid = [constant("scale", np.array(0.03, np.float32)), constant("zero", np.array(128, np.uint8))]
        fine = [constant("w_scale", np.array(0.03, np.float32)), constant("w_zero", np.array(0, np.int8))]
        levels = constant("w_levels", np.clip(np.round(weight / 0.03), -127, 127).astype(np.int8))
        nodes = [
            helper.make_node("QuantizeLinear", ["image", *grid], ["image_q"]),
            helper.make_node("DequantizeLinear", ["image_q", *grid], ["image_dq"]),
            helper.make_node("DequantizeLinear", [levels, *fine], ["w_dq"]),
        ]
        conv = ["image_dq", "w_dq"]
    else:
        constant("w", weight)
    nodes.append(helper.make_node("Conv", conv, ["output"], pads=[1, 1, 1, 1]))
    shape = (1, _CHANNELS, _SIZE, _SIZE)
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
