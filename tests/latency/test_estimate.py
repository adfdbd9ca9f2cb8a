from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto

import edge
from edge.errors import InputError
from edge.graph.macs import count_macs
from edge.graph.model import Model, carries_task
from edge.latency.estimate import Peaks, estimate, target_peaks
from edge.targets.target import UNKNOWN, find_target, targets
from tests.fixtures.discs import disc_network
from tests.fixtures.small_unet import small_unet

ORIN = "jetson-orin-nano-8gb"
SLOW = Peaks({"fp32": 1e9, "fp16": 2e9, "int8": 4e9}, 1e15, "made up")
NARROW = Peaks({"fp32": 1e18, "fp16": 1e18, "int8": 1e18}, 1e9, "made up")


@pytest.mark.slow
def test_a_target_without_memory_limits_takes_its_arithmetic() -> None:
    found = estimate(small_unet(), find_target(ORIN), "fp32", SLOW)
    assert sum(layer.macs for layer in found.layers) == count_macs(small_unet())
    # Two operations a multiply-accumulate at 1e9 a second.
    assert found.ms == pytest.approx(2e3 * count_macs(small_unet()) / 1e9, rel=1e-3)
    assert {layer.bound for layer in found.layers if layer.op == "Conv"} == {"compute"}


def test_a_target_without_arithmetic_limits_takes_its_traffic_by_hand() -> None:
    found = estimate(small_unet(), find_target(ORIN), "fp32", NARROW)
    rows = {layer.name: layer for layer in found.layers}
    # 3 channels of 64x64 in, 8 out, 8x3x3x3 weights and 8 biases; the ReLU after it is computed with it.
    assert rows["encoder.0.0/Conv"].bytes == 4 * (3 * 4096 + 8 * 4096 + 216 + 8)
    assert rows["encoder.0.0/Conv"].ms == pytest.approx(1e3 * rows["encoder.0.0/Conv"].bytes / 1e9)
    assert "encoder.0.2/relu" not in rows
    assert "decoder.1/cat_1" not in rows  # its parts are written in place
    assert {layer.bound for layer in found.layers} == {"memory"}
    assert found.ms == pytest.approx(sum(layer.ms for layer in found.layers))


def test_lower_precision_moves_fewer_bytes_and_leaves_the_rest_in_half() -> None:
    single, half, whole = (estimate(small_unet(), find_target(ORIN), p, NARROW) for p in ("fp32", "fp16", "int8"))
    assert single.ms == pytest.approx(2 * half.ms)
    assert half.ms > whole.ms > half.ms / 2
    assert {layer.precision for layer in whole.layers if layer.op == "Conv"} == {"int8"}
    assert {layer.precision for layer in whole.layers if layer.op == "MaxPool"} == {"fp16"}


def test_where_there_is_no_half_the_rest_of_int8_is_single() -> None:
    found = estimate(small_unet(), find_target(ORIN), "int8", NARROW, rest="fp32")
    half = estimate(small_unet(), find_target(ORIN), "int8", NARROW)
    assert {layer.precision for layer in found.layers if layer.op == "MaxPool"} == {"fp32"}
    pools = [sum(layer.ms for layer in e.layers if layer.op == "MaxPool") for e in (found, half)]
    assert pools[0] == pytest.approx(2 * pools[1])


def test_it_is_always_labelled_and_says_what_it_assumes() -> None:
    found = estimate(small_unet(), find_target(ORIN), "int8")
    assert found.kind == "estimate"
    assert found.source
    assert any("peak" in sentence for sentence in found.assumptions)
    assert found.error(4 * found.ms) == pytest.approx(-0.75)


def test_a_network_unlike_the_published_ones_is_not_expected_under_its_own_floor() -> None:
    for precision in ("fp16", "int8"):
        alike = estimate(small_unet(), find_target(ORIN), precision)
        assert alike.expected and alike.expected.ms >= alike.ms and alike.unlike == ""
        unlike = estimate(_with_transposes(), find_target(ORIN), precision)
        assert unlike.expected is None and "layers" in unlike.unlike
        moved = sum(layer.ms for layer in unlike.layers if layer.op == "Transpose")
        assert moved > 0.5 * unlike.ms
        assert any(f"needs {moved:.3g} ms less" in sentence for sentence in unlike.assumptions)


def _with_transposes() -> Model:
    """A small convolution between two large copies."""
    nodes = [
        oh.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
        oh.make_node("Conv", ["t", "w"], ["c"], strides=[32, 32], kernel_shape=[1, 1]),
        oh.make_node("Transpose", ["x"], ["u"], perm=[0, 1, 3, 2]),
        oh.make_node("ReduceMean", ["u"], ["m"], axes=[2, 3]),
        oh.make_node("Add", ["c", "m"], ["y"]),
    ]
    taken = oh.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 2048, 2048])
    given = oh.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 64, 64])
    weights = onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32)[..., None, None], "w")
    graph = oh.make_graph(nodes, "copies", [taken], [given], [weights])
    proto = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 13)])
    return replace(disc_network(), proto=proto)


def test_a_module_with_more_memory_rate_takes_less_time() -> None:
    nano, agx = (estimate(small_unet(), find_target(name), "int8") for name in (ORIN, "jetson-agx-orin-64gb"))
    assert agx.ms < nano.ms


@pytest.mark.parametrize("name", targets())
def test_a_table_without_figures_is_not_guessed_at(name: str) -> None:
    target = find_target(name)
    if target.fact("bandwidth_gbs") == UNKNOWN:
        with pytest.raises(InputError, match=f"--target {name}: its table has no memory rate"):
            estimate(small_unet(), target, "fp16")
        return
    assert target_peaks(target).bytes_per_second == 1e9 * target.fact("bandwidth_gbs")
    found = estimate(small_unet(), target, "fp16")
    silent = target.fact("fp16_tflops_dense") == UNKNOWN
    assert silent == any("no fp16 peak" in sentence for sentence in found.assumptions)
    if silent:
        assert {layer.bound for layer in found.layers} == {"memory"}


def test_a_precision_that_there_is_no_estimate_for() -> None:
    with pytest.raises(InputError, match="no estimate for it; choose fp32, fp16, bf16, int8"):
        estimate(small_unet(), find_target(ORIN), "mixed")


def test_an_onnx_file_needs_no_task_where_its_size_is_its_own(tmp_path: Path) -> None:
    """``edge estimate net.onnx``: the shape is all that is asked."""
    bare, told = onnx.ModelProto(), disc_network()
    bare.CopyFrom(told.proto)
    onnx.save(bare, tmp_path / "bare.onnx")
    told.save(tmp_path / "told.onnx")
    assert not carries_task(bare)
    ms = [edge.estimate(tmp_path / name, "jetson-orin-nano-8gb").ms for name in ("bare.onnx", "told.onnx")]
    assert ms[0] == ms[1] == edge.estimate(bare, "jetson-orin-nano-8gb").ms > 0
    for value in (bare.graph.input[0], bare.graph.output[0]):
        value.type.tensor_type.shape.dim[2].dim_param = "h"
    onnx.save(bare, tmp_path / "open.onnx")
    with pytest.raises(edge.InputError, match=r"add --task task\.toml"):
        edge.estimate(tmp_path / "open.onnx", "jetson-orin-nano-8gb")


def test_this_machines_own_peaks() -> None:
    from edge.backends.openvino.backend import OpenVino
    from edge.latency.peaks import measure_peaks

    peaks = measure_peaks(1)
    # A CPU without BF16 arithmetic has no peak for it: OpenVINO would silently measure FP32.
    half = {"bf16", "fp16"} if OpenVino().refusal("bf16", find_target("cpu")) is None else set()
    assert set(peaks.operations) == {"fp32", "int8"} | half
    assert all(1e8 < value < 1e15 for value in (*peaks.operations.values(), peaks.bytes_per_second))
    assert estimate(small_unet(), find_target("cpu"), "fp32", peaks).ms > 0
