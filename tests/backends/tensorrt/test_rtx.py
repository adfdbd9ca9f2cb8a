"""TensorRT for RTX really builds the five networks here, in every precision, without a GPU."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge.backends.engine import Candidate, read_engine
from edge.backends.tensorrt.build import build_plan
from edge.backends.tensorrt.engine import convolutions
from edge.backends.tensorrt.rtx import TensorRtRtx
from edge.backends.tensorrt.settings import RTX, BuildRequest, find_settings
from edge.errors import InputError, MachineError
from edge.quantization.plan import PrecisionPlan
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.targets.target import find_target
from tests.fixtures.networks import NAMES, calibrated
from tests.fixtures.networks import tensorrt_candidates as candidates

trt = pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
ORDER = ("fp32", "fp16", "int8", "int8-fp16")
REST = {"fp32": "fp32", "fp16": "fp16", "int8": "fp32", "int8-fp16": "fp16"}
TARGETS = ("rtx-ampere", "rtx-blackwell")
EVERY = [pytest.param(name, marks=() if name == "unet" else pytest.mark.slow) for name in NAMES]


@cache
def made(name: str) -> tuple[PrecisionPlan, dict[str, Candidate]]:
    model, ranges = calibrated(name)
    found = candidates(model, ranges, find_target("rtx-ampere"))
    return plan_int8(model, SCHEMES["tensorrt"]), {candidate.name: candidate for candidate in found}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", EVERY)
def test_every_precision_builds_and_runs_what_the_plan_says(name: str, target: str, tmp_path: Path) -> None:
    plan, graphs = made(name)
    assert tuple(graphs) == ORDER
    for label, candidate in graphs.items():
        sm = find_target(target).fact("sm")
        attempt = TensorRtRtx().try_build(candidate, sm)
        assert attempt.builds, f"{label}: {attempt.reason}"
        assert attempt.capability == f"SM{sm.replace('.', '')}"
        wanted = dict.fromkeys(convolutions(candidate.model), REST[label])
        if candidate.precision == "int8":
            wanted.update((node, "int8") for node in plan.int8 if node in wanted)
            assert sum(p == "int8" for p in wanted.values()) > 0
        # A node kept FP32 inside an FP16 graph is named in the reasons; everything else is as asked.
        wanted.update(
            (node, "fp32")
            for node in candidate.reasons
            if "FP16" in candidate.reasons[node] and wanted.get(node) == "fp16"
        )
        assert attempt.precisions == wanted, label


def test_an_engine_folder_is_complete_and_says_where_it_runs(tmp_path: Path) -> None:
    candidate = made("unet")[1]["int8-fp16"]
    engine = TensorRtRtx().build(candidate, find_target("rtx-ampere"), tmp_path)
    assert read_engine(tmp_path) == engine
    assert engine.runs_on["sm"] == "8.6" and engine.versions["tensorrt_rtx"] == trt.__version__
    assert (engine.convs.int8, engine.convs.fp16, engine.convs.unknown) == (14, 4, 0)
    assert engine.bytes == (tmp_path / "model.plan").stat().st_size > 100_000


def test_running_without_a_gpu_is_the_machine_s_fault(tmp_path: Path) -> None:
    engine = TensorRtRtx().build(made("unet")[1]["fp16"], find_target("rtx-ampere"), tmp_path)
    try:
        runner = TensorRtRtx().load(engine)
    except MachineError as error:
        assert "driver" in str(error) or "GPU" in str(error) or "libcudart" in str(error)
        return
    runner.close()


def test_a_jetson_gpu_is_checked_on_the_nearest_and_never_built_for(tmp_path: Path) -> None:
    candidate, nano = made("unet")[1]["fp16"], find_target("jetson-orin-nano-8gb")
    attempt = TensorRtRtx().try_build(candidate, nano.fact("sm"))
    assert attempt.builds and attempt.capability == "SM86" and attempt.convs.fp16 == 18
    assert "8.7" in str(TensorRtRtx().refusal("fp16", nano))
    xavier = TensorRtRtx().try_build(made("unet")[1]["int8-fp16"], "7.2")  # TensorRT has INT8 kernels there
    assert xavier.capability == "SM86" and xavier.convs.int8 == 14
    with pytest.raises(InputError, match="build on the device"):
        TensorRtRtx().build(candidate, nano, tmp_path)
    with pytest.raises(InputError, match="knows nothing near it"):
        TensorRtRtx().try_build(candidate, "5.3")


def test_what_the_parser_refuses_is_a_reason(tmp_path: Path) -> None:
    source = made("unet")[1]["int8"]
    model = source.model.with_ir(source.model.to_ir())
    zero = next(t for t in model.proto.graph.initializer if t.data_type == 3 and len(t.dims) == 0)
    zero.CopyFrom(type(zero).FromString(zero.SerializeToString()))
    zero.raw_data = np.array(3, np.int8).tobytes()
    attempt = TensorRtRtx().try_build(Candidate("int8", "int8", "fp32", model), "8.6")
    assert not attempt.builds and "cannot read the graph" in attempt.reason
    assert set(attempt.precisions.values()) == {"unknown"}


def test_dynamic_inputs_are_refused() -> None:
    from edge.errors import InputError

    graph = made("unet")[1]["fp32"].model.to_ir()
    from onnx_ir import Shape, to_proto

    graph.graph.inputs[0].shape = Shape([1, 3, "height", "width"])
    for value in graph.graph:
        for output in value.outputs:
            output.shape = None
    proto = to_proto(graph)
    settings = find_settings(trt.__version__, BuildRequest(False, False, False, 1 << 28), RTX)
    with pytest.raises(InputError, match="export static shapes"):
        build_plan(trt, proto.SerializeToString(), settings, capabilities=("SM86",))
