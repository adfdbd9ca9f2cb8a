"""Graphs in the forms that exporters leave: each is brought to one form and computes what it computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.graph.model import Model
from edge.loading import load_model
from edge.loading.normalize.proof import run
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask
from tests.fixtures.discs import TASK, disc_network


def copy_of(proto: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    return made


def load(proto: onnx.ModelProto, folder: Path, task: SegmentationTask = TASK) -> Model:
    """Through the door, as a file without metadata and a task file."""
    path = folder / "net.onnx"
    onnx.save(proto, path)
    table = "".join(f"{k} = {str(v).lower() if isinstance(v, bool) else v!r}\n" for k, v in task.to_table().items())
    (folder / "task.toml").write_text(f"[task]\n{table}")
    return load_model(str(path), task=folder / "task.toml")


def graph(nodes: list[onnx.NodeProto], opset: int, weights: dict[str, np.ndarray] | None = None, maps: int = 1):
    """``image`` to ``output`` at the discs' size."""
    shapes = [("image", 3), ("output", maps)]
    image, output = (oh.make_tensor_value_info(name, TensorProto.FLOAT, [1, c, 32, 32]) for name, c in shapes)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    made = oh.make_graph(nodes, "g", [image], [output], tensors)
    return oh.make_model(made, opset_imports=[oh.make_opsetid("", opset)], ir_version=8)


def test_weights_listed_as_inputs_lifted_constants_and_names(tmp_path: Path) -> None:
    proto = copy_of(disc_network().proto)
    first = proto.graph.initializer[0]
    proto.graph.node.insert(0, oh.make_node("Constant", [], [first.name], value=first))
    proto.graph.initializer.remove(first)
    weights = [oh.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in proto.graph.initializer]
    image = copy_of(proto).graph.input[0]
    del proto.graph.input[:]
    proto.graph.input.extend([*weights, image])
    for node in proto.graph.node:
        node.name = "op"
    proto.ir_version = 3
    proto.opset_import[0].version = 13
    model = load(proto, tmp_path)
    assert [i.name for i in model.proto.graph.input] == ["image"]
    assert len({n.name for n in model.proto.graph.node}) == 5 and len(model.proto.graph.initializer) == 4
    assert model.proto.ir_version >= 4 and model.opset == 19
    image = noise_batch(TASK)
    np.testing.assert_array_equal(reference(model).run(image), reference(disc_network()).run(image))
    assert model.notes == ()


def test_unsorted_nodes_are_sorted(tmp_path: Path) -> None:
    proto = copy_of(disc_network().proto)
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    assert [n.name for n in load(proto, tmp_path).proto.graph.node] == [n.name for n in nodes]


def test_nodes_in_a_circle_are_refused(tmp_path: Path) -> None:
    proto = copy_of(disc_network().proto)
    proto.graph.node[0].input[0] = "d"
    with pytest.raises(InputError, match="in a circle"):
        load(proto, tmp_path)


def test_an_ir_number_of_the_newest_onnx_is_lowered_and_one_beyond_is_told(tmp_path: Path) -> None:
    proto = copy_of(disc_network().proto)
    proto.ir_version = onnx.IR_VERSION
    assert load(proto, tmp_path).proto.ir_version == 10
    proto.ir_version = onnx.IR_VERSION + 1
    with pytest.raises(InputError, match=r"written by a newer onnx .*upgrade onnx .* ir_version 10"):
        load(proto, tmp_path)


@pytest.mark.parametrize("opset", [7, 9, 10])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_old_upsampling_keeps_its_asymmetric_arithmetic(opset: int, mode: str, tmp_path: Path) -> None:
    pool = oh.make_node("MaxPool", ["image"], ["small"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    scales = np.array([1, 1, 2, 2], np.float32)
    if opset == 7:
        up = oh.make_node("Upsample", ["small"], ["up"], "up", mode=mode, scales=scales.tolist())
    else:
        up = oh.make_node("Upsample" if opset == 9 else "Resize", ["small", "scales"], ["up"], "up", mode=mode)
    head = oh.make_node("ReduceSum", ["up"], ["output"], "sum", axes=[1])
    proto = graph([pool, up, head], opset, {} if opset == 7 else {"scales": scales})
    image = noise_batch(TASK)
    before = run(proto, image)["output"]
    model = load(proto, tmp_path)
    assert model.opset == 19
    np.testing.assert_allclose(reference(model).run(image), before, atol=1e-5)


def test_an_operator_set_before_7_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="operator set 6 is older than 7"):
        load(graph([oh.make_node("ReduceSum", ["image"], ["output"], "sum", axes=[1])], 6), tmp_path)


def in_type(kind: int) -> onnx.ModelProto:
    """The disc network stored and computed in another float type, its image and map too."""
    proto = copy_of(disc_network().proto)
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(oh.make_tensor(tensor.name, kind, array.shape, array.ravel()))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = kind
    return proto


@pytest.mark.parametrize(
    ("kind", "title", "tolerance"),
    [
        (TensorProto.FLOAT16, "half-precision", 2e-2),
        (TensorProto.BFLOAT16, "bfloat16", 2e-1),
        (TensorProto.DOUBLE, "float64", 1e-5),
    ],
)
def test_other_float_types_become_float32_and_say_so(kind: int, title: str, tolerance: float, tmp_path: Path) -> None:
    model = load(in_type(kind), tmp_path)
    assert {t.data_type for t in model.proto.graph.initializer} == {TensorProto.FLOAT}
    image = noise_batch(TASK)
    exact = reference(disc_network()).run(image)
    np.testing.assert_allclose(reference(model).run(image), exact, atol=tolerance * np.abs(exact).max())
    assert len(model.notes) == 1 and f"a {title} graph, computed in float32" in model.notes[0]


@pytest.mark.parametrize(
    "node",
    [
        oh.make_node("RandomNormalLike", ["sum"], ["noise"], "jitter"),
        oh.make_node("Dropout", ["sum", "ratio", "on"], ["noise"], "jitter"),
    ],
    ids=lambda node: node.op_type,
)
def test_live_randomness_is_refused_by_name(node: onnx.NodeProto, tmp_path: Path) -> None:
    nodes = [
        oh.make_node("ReduceMean", ["image"], ["sum"], "sum", axes=[1]),
        node,
        oh.make_node("Add", ["sum", "noise"], ["output"], "add"),
    ]
    proto = graph(nodes, 17, {"ratio": np.float32(0.5), "on": np.array(True)})
    with pytest.raises(InputError, match=rf"'jitter' \({node.op_type}\) draws random numbers.*evaluation mode"):
        load(proto, tmp_path)


def test_a_size_that_the_halvings_do_not_take_is_told_with_the_next_that_they_do(tmp_path: Path) -> None:
    half = oh.make_node("MaxPool", ["gray"], ["small"], "pool", kernel_shape=[4, 4], strides=[4, 4])
    nodes = [
        oh.make_node("ReduceMean", ["image"], ["gray"], "gray", axes=[1]),
        half,
        oh.make_node("Resize", ["small", "", "scales"], ["up"], "up", mode="nearest"),
        oh.make_node("Add", ["gray", "up"], ["output"], "skip"),
    ]
    proto = graph(nodes, 17, {"scales": np.array([1, 1, 4, 4], np.float32)})
    for value in (*proto.graph.input, *proto.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim[2:], "hw", strict=True):
            dim.dim_param = name
    assert load(proto, tmp_path, SegmentationTask(size=(92, 36))).output_name == "output"
    with pytest.raises(InputError, match=r"multiples of 4 \(90 -> 92\); set size = \[92, 36\]"):
        load(proto, tmp_path, SegmentationTask(size=(90, 36)))


def test_minus_infinity_in_a_mask_is_taken_and_in_a_convolution_refused(tmp_path: Path) -> None:
    proto = copy_of(disc_network().proto)
    mask = np.array([[-np.inf]], np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(mask, "mask"))
    proto.graph.node[1].op_type = "Max"
    proto.graph.node[1].input.append("mask")
    assert load(proto, tmp_path).name == "net"
    kernel = onnx.numpy_helper.to_array(proto.graph.initializer[0]).copy()
    kernel[0, 0, 0, 0] = np.inf
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel, "first.w"))
    with pytest.raises(InputError, match=r"'first.w' holds NaN or infinity"):
        load(proto, tmp_path)
