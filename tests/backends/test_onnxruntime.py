"""ONNX Runtime: the reference does what the graph says, the backend counts what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.backends import find_backend
from edge.backends.engine import Candidate, ConvCounts, read_engine
from edge.backends.onnxruntime import Intermediates, OnnxRuntime, reference
from edge.backends.session import count_convolutions
from edge.errors import InputError
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from tests.fixtures.small_unet import images, small_unet

CPU = find_target("cpu")


def test_engine_round_trip(tmp_path: Path) -> None:
    model, backend = small_unet(), find_backend("onnxruntime")
    backend.build(Candidate("fp32", "fp32", "fp32", model), CPU, tmp_path)
    engine = read_engine(tmp_path)
    assert engine.convs == ConvCounts(fp32=13)
    runner = backend.load(engine, threads=1)
    batch = np.concatenate(images(2, "val"))
    assert np.abs(runner.run(batch) - reference(model).run(batch)).max() < 1e-4
    assert runner.conditions()["graph_optimization"] == "all"


def test_convolutions_are_counted_as_they_run() -> None:
    model = small_unet()
    scheme = SCHEMES["openvino-identical"]
    graph = quantize(model, calibrate(model, images(2), method="min-max"), plan_int8(model, scheme), scheme)
    # It fuses an INT8 convolution only where the bias is int32 as well; these have float ones and run in FP32.
    assert count_convolutions(graph.proto.SerializeToString()) == ConvCounts(fp32=13)


def test_the_reference_is_not_optimized_and_names_its_output() -> None:
    runner = reference(small_unet())
    assert runner.conditions()["graph_optimization"] == "off"
    assert runner.run(images(1)[0]).shape == (1, 1, 64, 64)


def test_intermediate_tensors() -> None:
    values = Intermediates(small_unet(), ["relu", "image"]).run(images(1)[0])
    assert values["relu"].shape == (1, 8, 64, 64) and values["relu"].min() == 0.0
    assert np.array_equal(values["image"], images(1)[0])


def test_silent_floats_are_refused_and_faults_are_one_sentence() -> None:
    assert OnnxRuntime().refusal("fp16", CPU) and OnnxRuntime().refusal("bf16", CPU)
    assert OnnxRuntime().refusal("int8", CPU) is None
    model = small_unet()
    proto = type(model.proto).FromString(model.proto.SerializeToString())
    proto.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(InputError, match=r"^broken.onnx: ONNX Runtime refuses the graph"):
        reference(Model(proto, model.task, "broken", "broken.onnx"))
