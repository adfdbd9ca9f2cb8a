"""The TensorRT and Torch-TensorRT backends where they cannot run: what they refuse, and with which next step."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.tensorrt.backend import TensorRt
from edge.backends.tensorrt.torch import PAIRS, TorchTensorRt, load_network, require_pair
from edge.errors import InputError, MachineError
from edge.graph.model import Model
from edge.machine.cuda import open_cuda
from edge.targets.local import resolve
from edge.targets.target import find_target
from edge.task.task import SegmentationTask


def _model(source: str = "net.onnx") -> Model:
    import onnx

    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> net (float[1,3,8,8] image) => (float[1,3,8,8] output)'
        " { output = Relu(image) }"
    )
    return Model(proto, SegmentationTask(size=(8, 8), classes=("a", "b", "c"), activation="softmax"), "net", source)


def _no_gpu() -> str:
    try:
        open_cuda()
    except MachineError as fault:
        return str(fault)
    return ""


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_a_missing_tensorrt_names_the_install_line(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"TensorRT is not installed .*pip install 'segedge\[tensorrt\]'"):
        find_backend("tensorrt").build(Candidate("fp32", "fp32", "fp32", _model()), find_target("h200"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_bf16_is_not_offered() -> None:
    assert TensorRt().refusal("fp16", find_target("h200")) is None
    assert TensorRt().refusal("int8", find_target("jetson-orin-nano-8gb")) is None
    assert "bf16" in str(TensorRt().refusal("bf16", find_target("h200")))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.release)
def test_each_pair_of_the_table_is_taken(pair) -> None:  # type: ignore[no-untyped-def]
    found = {"torch": f"{pair.torch}.1+cu130", "torch_tensorrt": f"{pair.release}.0", "tensorrt": f"{pair.tensorrt}.9"}
    assert require_pair(found) is pair
    with pytest.raises(MachineError, match=rf"do not fit each other; pip install torch=={pair.torch}\.\*"):
        require_pair({**found, "tensorrt": "10.2.0"})


def test_jetpack_6_has_a_pair_of_its_own() -> None:
    assert require_pair({"torch": "2.8.0", "torch_tensorrt": "2.8.0", "tensorrt": "10.3.0"}).tensorrt == "10.3"


def test_a_missing_torch_tensorrt_names_the_install_line() -> None:
    with pytest.raises(MachineError, match=r"torch_tensorrt, tensorrt not installed.*torch-tensorrt==2\.13\.\*"):
        require_pair({"torch": "2.13.0+cpu"})


def test_torch_tensorrt_takes_modules_not_graphs(tmp_path: Path) -> None:
    backend = TorchTensorRt()
    assert backend.refusal("fp16", find_target("h200")) is None
    with pytest.raises(InputError, match="int8 is written into the graph"):
        backend.build(Candidate("int8", "int8", "fp32", _model()), find_target("h200"), tmp_path)
    with pytest.raises(InputError, match="needs a model folder, not a graph"):
        load_network(_model())


@pytest.mark.needs_gpu
def test_an_engine_is_built_and_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt", reason="needs TensorRT")
    missing = _no_gpu()
    if missing:
        pytest.skip(missing)
    from edge.backends.onnxruntime import reference

    candidate = Candidate("fp32", "fp32", "fp32", _model())
    target = resolve(find_target("gpu"))
    engine = TensorRt().build(candidate, target, tmp_path)
    runner = TensorRt().load(engine)
    image = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(runner.run(image), reference(candidate.model).run(image), rtol=1e-5, atol=1e-6)
    assert runner.time(image[:1]).parts["gpu"] > 0
    runner.close()
