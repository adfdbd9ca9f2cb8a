"""OpenVINO: what is built is what is said, precision is never silent, and a folder is complete by itself."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import onnx.helper as oh
import pytest
from onnx import TensorProto

from edge.accuracy.sqnr import sqnr_db
from edge.backends import find_backend
from edge.backends.engine import Candidate, ConvCounts, read_engine
from edge.backends.onnxruntime import reference
from edge.backends.openvino.backend import OpenVino
from edge.backends.openvino.runner import capabilities
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.machine.cores import physical_cores
from edge.targets.target import find_target
from edge.task.noise import noise_batch, noise_pixels
from tests.fixtures.discs import TASK, disc_network
from tests.fixtures.doors import behind, discs, load, outputs, tensor
from tests.fixtures.small_unet import images, small_unet

CPU = find_target("cpu")
HAS_BF16 = "BF16" in capabilities()


def test_fp32_engine_round_trip(tmp_path: Path) -> None:
    model, backend = small_unet(), find_backend("openvino")
    built = backend.build(Candidate("fp32", "fp32", "fp32", model), CPU, tmp_path)
    engine = read_engine(tmp_path)
    assert engine.convs == built.convs == ConvCounts(fp32=13)
    assert set(engine.artefact_sha256) == {"model.xml", "model.bin"} and engine.graph_sha256 == model.sha256
    runner = backend.load(engine, threads=1)
    batch = np.concatenate(images(3, "val"))
    outputs = runner.run(batch)
    assert outputs.shape == (3, 1, 64, 64) and outputs.dtype == np.float32
    assert sqnr_db(reference(model).run(batch), outputs) > 90.0
    conditions = runner.conditions()
    assert (conditions["precision_hint"], conditions["threads"], conditions["streams"]) == ("f32", 1, 1)
    first = runner.run(batch[:1])
    runner.run(batch[1:2])
    assert np.array_equal(first, outputs[:1])  # not a view that the next run overwrites
    runner.close()


@pytest.mark.parametrize("ran", [False, True])
def test_a_closed_runner_says_so(ran: bool, tmp_path: Path) -> None:
    backend = OpenVino()
    engine = backend.build(Candidate("fp32", "fp32", "fp32", disc_network()), CPU, tmp_path)
    runner, pixels, batch = backend.load(engine), backend.load_pixels(engine), noise_batch(TASK)
    if ran:
        runner.run(batch)
        runner.layers()
    runner.close()
    pixels.close()
    for ask in (
        partial(runner.run, batch), partial(runner.run, np.concatenate([batch] * 2)), partial(runner.time, batch),
        runner.layers, runner.conditions, partial(pixels.run, noise_pixels(TASK)), pixels.conditions,
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"^the engine: was closed.*; load it again$"):
            ask()


def test_layers_are_executed_ones_with_times(tmp_path: Path) -> None:
    engine = OpenVino().build(Candidate("fp32", "fp32", "fp32", small_unet()), CPU, tmp_path)
    layers = OpenVino().load(engine).layers()
    assert sum(layer.op == "Convolution" for layer in layers) == 11
    assert {layer.precision for layer in layers if layer.op in ("Convolution", "Deconvolution")} == {"fp32"}
    assert all(layer.ms is not None and layer.ms >= 0 for layer in layers)
    assert any("encoder.0.0" in layer.name or "encoder.0.1" in layer.name for layer in layers)


def test_a_branch_on_a_boolean_is_no_int8_layer(tmp_path: Path) -> None:
    ways = [
        oh.make_graph(
            [oh.make_node("Mul", ["raw", f"times{times}"], [f"way{times}"])],
            f"way{times}",
            [],
            [oh.make_tensor_value_info(f"way{times}", TensorProto.FLOAT, None)],
            [tensor(np.float32(times), f"times{times}")],
        )
        for times in (1, 2)
    ]
    proto = behind(
        discs(),
        oh.make_node("ReduceMax", ["raw"], ["most"], "most", keepdims=0),
        oh.make_node("Greater", ["most", "lowest"], ["asked"], "asked"),
        oh.make_node("If", ["asked"], ["output"], "branch", then_branch=ways[0], else_branch=ways[1]),
    )
    proto.graph.initializer.append(tensor(np.float32(-1e9), "lowest"))
    model = load(proto, tmp_path)
    engine = OpenVino().build(Candidate("fp32", "fp32", "fp32", model), find_target("cpu"), tmp_path / "engine")
    with closing(OpenVino().load(engine)) as runner:
        layers = {layer.op: layer.precision for layer in runner.layers()}
        np.testing.assert_allclose(runner.run(noise_batch(TASK)), outputs(disc_network()), atol=1e-4)
    assert layers["If"] == "unknown" and layers["Convolution"] == "fp32"


@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no BF16")
def test_bf16_runs_as_bf16(tmp_path: Path) -> None:
    engine = OpenVino().build(Candidate("bf16", "bf16", "bf16", small_unet()), CPU, tmp_path)
    assert engine.convs == ConvCounts(bf16=13)
    assert OpenVino().load(engine).conditions()["precision_hint"] == "bf16"


def test_precisions_that_would_run_silently_otherwise_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("backend", "runner"):
        monkeypatch.setattr(
            f"edge.backends.openvino.{module}.capabilities", lambda: frozenset({"FP32", "INT8", "BF16"})
        )
    assert OpenVino().refusal("fp16", CPU) == "this CPU has no FP16 arithmetic: OpenVINO would silently run BF16"
    assert [OpenVino().refusal(p, CPU) for p in ("fp32", "bf16", "int8", "mixed")] == [None] * 4
    for module in ("backend", "runner"):
        monkeypatch.setattr(f"edge.backends.openvino.{module}.capabilities", lambda: frozenset({"FP32", "INT8"}))
    assert "silently run FP32" in str(OpenVino().refusal("bf16", CPU))
    with pytest.raises(MachineError, match="no BF16"):
        OpenVino().build(Candidate("bf16", "bf16", "bf16", small_unet()), CPU, tmp_path)


def test_a_graph_it_cannot_read_is_one_sentence(tmp_path: Path) -> None:
    model = small_unet()
    proto = type(model.proto).FromString(model.proto.SerializeToString())
    proto.graph.node[0].op_type = "NoSuchOperator"
    broken = Model(proto, model.task, "broken", "broken.onnx")
    with pytest.raises(InputError, match=r"^broken.onnx: OpenVINO refuses the graph \(.+\); ") as caught:
        OpenVino().build(Candidate("fp32", "fp32", "fp32", broken), CPU, tmp_path)
    assert "\n" not in str(caught.value)


def test_threads_default_to_physical_cores(tmp_path: Path) -> None:
    for cpu, siblings in ((0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    quota = tmp_path / "sys/fs/cgroup/cpu.max"
    quota.parent.mkdir(parents=True)
    quota.write_text("100000 100000")
    assert physical_cores(tmp_path) == 1
    assert physical_cores() >= 1
