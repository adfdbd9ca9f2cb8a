"""Our whole half of TensorRT against the double of every version: build, load, run, time, profile and free."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest

from edge.accuracy.sqnr import sqnr_db
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.backends.tensorrt.build import build_plan
from edge.backends.tensorrt.engine import wish_for
from edge.backends.tensorrt.plan import inspector_layers, rtx_layers
from edge.backends.tensorrt.run import TensorRtRunner
from edge.backends.tensorrt.settings import ENTERPRISE, RTX, find_settings
from edge.errors import InputError, MachineError
from edge.machine.cuda import open_cuda
from edge.quantization.calibrate import calibrate
from edge.targets.target import find_target
from tests.fixtures.bundle_example import SIZE, tiny_unet
from tests.fixtures.networks import NAMES, calibrated, inputs
from tests.fixtures.networks import tensorrt_candidates as candidates
from tests.fixtures.tensorrt.api import recorded_versions
from tests.fixtures.tensorrt.install import installed

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

# Version of the double to a target and JetPack whose graphs are made for its parser.
TARGETS = {
    "8.5.2.2": ("jetson-xavier-nx", "5.1"),
    "8.5.3.1": ("jetson-agx-orin-64gb", "5.1"),
    "8.6.0": ("jetson-agx-orin-64gb", "6.0"),
    "8.6.1": ("jetson-orin-nano-8gb", "6.0"),
    "10.3.0": ("jetson-orin-nano-8gb", "6.2"),
    "10.12.0.36": ("jetson-orin-nano-8gb", "6.2"),
    "10.13.3.9": ("jetson-agx-thor", "7.1"),
    "10.14.1.48.post1": ("jetson-agx-thor", "7.1"),
    "10.15.1.29": ("jetson-agx-thor", "7.1"),
    "10.16.1.11": ("jetson-agx-orin-64gb", "7.2.1"),
    "11.0.0.114": ("jetson-agx-orin-64gb", "7.2.2"),
    "11.1.0.106": ("h200", None),
    "11.4.0.106": ("h200", None),
    "rtx-1.7.1.116": ("rtx-ampere", None),
}


@cache
def graphs(version: str, name: str = "tiny") -> tuple[Candidate, ...]:
    """FP32, FP16, INT8 and INT8 over FP16 for one version's parser."""
    target, jetpack = TARGETS[version]
    if name == "tiny":
        model = tiny_unet()
        ranges = calibrate(model, [images() for _ in range(2)])
    else:
        model, ranges = calibrated(name)
    return candidates(model, ranges, find_target(target), jetpack)


def images() -> np.ndarray:
    return np.random.default_rng(7).random((1, 3, *SIZE), dtype=np.float32)


# The first of each generation; the others run in the whole suite only.
FIRST = ("8.5.2.2", "8.6.1", "10.3.0", "10.16.1.11", "11.0.0.114", "rtx-1.7.1.116")
EACH = [pytest.param(version, marks=() if version in FIRST else pytest.mark.slow) for version in TARGETS]


def test_every_recorded_version_is_tried() -> None:
    assert tuple(TARGETS) == recorded_versions()


@pytest.mark.parametrize("pycuda", [False, True], ids=["cudart", "pycuda"])
@pytest.mark.parametrize("version", EACH)
@pytest.mark.slow
def test_engines_compute_what_their_graphs_do(version: str, pycuda: bool) -> None:
    with installed(version, pycuda=pycuda) as (trt, gpu):
        cuda, live = open_cuda(), gpu.live
        assert cuda.name == ("pycuda" if pycuda else "cudart")
        assert (cuda.bus_id(), cuda.capability()) == ("0000:65:00.0", (8, 7)) and 0 < cuda.memory()[0] <= cuda.memory()[
            1
        ]
        for candidate in graphs(version):
            plan = _build(trt, version, candidate)
            runner = TensorRtRunner(trt, plan, cuda)
            assert runner.uses_graph == (not pycuda)
            image = images()
            outputs = [runner.run({"image": image})["output"] for _ in range(2)]
            expected = reference(candidate.model).run(image)
            assert sqnr_db([expected], [outputs[0]]) > 60 and (outputs[0] == outputs[1]).all()
            times = runner.time({"image": image})
            assert times.host > 0 and set(times.parts) == {"h2d", "gpu", "d2h"} and min(times.parts.values()) >= 0
            named = dict(runner.layer_times())
            assert {"enc1", "enc2", "dec", "head"} <= set(named) and all(ms >= 0 for ms in named.values())
            runner.close()
        del runner
        assert gpu.live == live


@pytest.mark.parametrize("version", EACH)
def test_the_inspector_of_every_generation_is_read(version: str) -> None:
    with installed(version) as (trt, _):
        for candidate in graphs(version):
            plan = _build(trt, version, candidate)
            if version.startswith("rtx"):
                layers = rtx_layers(plan)
            else:
                runner = TensorRtRunner(trt, plan, open_cuda())
                layers = runner.describe()
                runner.close()
            found = {layer.precision for layer in layers if layer.op == "conv"}
            wanted = "int8" if candidate.precision == "int8" else candidate.rest
            assert len([layer for layer in layers if layer.op == "conv"]) >= 4 and wanted in found, (
                candidate.name,
                found,
            )


@pytest.mark.slow
@pytest.mark.parametrize("version", ["8.5.2.2", "10.3.0"])
def test_the_double_takes_what_we_write_for_the_five_networks(version: str) -> None:
    """Two tables of operators, ours and the double's, written apart: where they differ, one of them is wrong."""
    with installed(version) as (trt, _):
        for name in NAMES:
            for candidate in graphs(version, name):
                runner = TensorRtRunner(trt, _build(trt, version, candidate), open_cuda())
                (image,) = inputs(candidate.model)
                outputs = runner.run({next(iter(runner.inputs)): image})
                assert all(np.isfinite(output).all() for output in outputs.values())
                runner.close()


def test_a_plan_of_another_version_or_gpu_or_a_damaged_one_is_refused() -> None:
    candidate = graphs("10.3.0")[0]
    with installed("10.3.0") as (trt, _):
        plan = _build(trt, "10.3.0", candidate)
        damaged = plan[:200] + bytes([plan[200] ^ 1]) + plan[201:]
        with pytest.raises(MachineError, match=r"the plan is damaged.*build it again here"):
            TensorRtRunner(trt, damaged, open_cuda())
    with (
        installed("10.16.1.11") as (trt, _),
        pytest.raises(MachineError, match=r"TensorRT 10\.3\.0\.0, this is 10\.16"),
    ):
        TensorRtRunner(trt, plan, open_cuda())
    with (
        installed("10.3.0", sm="8.6") as (trt, _),
        pytest.raises(MachineError, match=r"compute capability 8\.7, not 8\.6"),
    ):
        TensorRtRunner(trt, plan, open_cuda())


@pytest.mark.parametrize("version", ["8.5.2.2", "8.6.0", "11.4.0.106"])
def test_a_machine_without_a_driver_is_one_sentence(version: str) -> None:
    candidate = graphs(version)[0]
    with installed(version) as (trt, _):
        plan = _build(trt, version, candidate)
    with installed(version, devices=0) as (trt, gpu):
        with pytest.raises(
            MachineError, match="cannot start on this machine: CUDA initialization failure with error: 35"
        ):
            _build(trt, version, candidate)
        with pytest.raises(MachineError, match="cannot start on this machine: CUDA initialization failure"):
            TensorRtRunner(trt, plan, gpu)


def test_graphs_of_one_generation_are_refused_by_another() -> None:
    typed = next(c for c in graphs("11.4.0.106") if c.name == "fp16")
    with installed("8.6.1") as (trt, _), pytest.raises(InputError, match="not strongly typed"):
        _build(trt, "8.6.1", typed)
    flagged = next(c for c in graphs("8.6.1") if c.name == "fp16")
    with installed("11.4.0.106") as (trt, _), pytest.raises(InputError, match="no FP16 flag"):
        _build(trt, "11.4.0.106", flagged)


def test_the_timing_cache_goes_from_one_build_to_the_next() -> None:
    candidate = graphs("10.3.0")[0]
    with installed("10.3.0") as (trt, _):
        settings = find_settings(trt.__version__, wish_for(candidate), ENTERPRISE)
        graph = candidate.model.proto.SerializeToString()
        first = build_plan(trt, graph, settings)
        again = build_plan(trt, graph, settings, first.timing_cache or b"")
        assert first.timing_cache and again.timing_cache == first.timing_cache
        assert inspector_layers("") == ()


def _build(trt: object, version: str, candidate: Candidate) -> bytes:
    flavour = RTX if version.startswith("rtx") else ENTERPRISE
    settings = find_settings(version.removeprefix("rtx-"), wish_for(candidate), flavour)
    return build_plan(trt, candidate.model.proto.SerializeToString(), settings).plan
