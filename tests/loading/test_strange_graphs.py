"""Graphs that strangers bring: taken as what they are, or refused in a sentence that names fault and next step."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto

from edge.errors import InputError
from edge.task.task import SegmentationTask
from tests.fixtures.command import edge
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.doors import behind, discs, load, outputs, tensor
from tests.loading.test_normalize import TWO, two_maps

U8, FLOAT, INT64 = TensorProto.UINT8, TensorProto.FLOAT, TensorProto.INT64
SOFT = oh.make_node("Sigmoid", ["raw"], ["soft"], "soft")
OVER = oh.make_node("Greater", ["raw", "zero"], ["mask"], "over")


def painted(*nodes: onnx.NodeProto, kind: int) -> onnx.ModelProto:
    """The disc network with nodes behind its map that make a picture of 0 and 255."""
    proto = behind(discs(), *nodes, kind=kind)
    constants = {"zero": np.float32(0), "white": np.float32(255), "black": np.float32(0), "white8": np.uint8(255)}
    proto.graph.initializer.extend(tensor(value, name) for name, value in constants.items())
    return proto


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        ((OVER, oh.make_node("Where", ["mask", "white", "black"], ["output"], "where")), FLOAT),
        (
            (
                OVER,
                oh.make_node("Cast", ["mask"], ["level"], "cast", to=FLOAT),
                oh.make_node("Mul", ["level", "white"], ["output"], "scale"),
            ),
            FLOAT,
        ),
        (
            (
                OVER,
                oh.make_node("Cast", ["mask"], ["level"], "cast", to=U8),
                oh.make_node("Mul", ["white8", "level"], ["output"], "scale"),
            ),
            U8,
        ),
    ],
    ids=["where", "float", "uint8"],
)
def test_a_mask_painted_in_0_and_255_is_cut_back_to_its_map(
    nodes: tuple[onnx.NodeProto, ...], kind: int, tmp_path: Path
) -> None:
    model = load(painted(*nodes, kind=kind), tmp_path)
    assert "levels of 0 and 255" in model.notes[0] and "threshold" in model.notes[1]
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


@pytest.mark.parametrize("kind", [FLOAT, U8])
def test_probabilities_in_levels_are_probabilities_again(kind: int, tmp_path: Path) -> None:
    scale = oh.make_node("Mul", ["soft", "white"], ["levels"], "scale")
    model = load(
        painted(SOFT, scale, oh.make_node("Cast", ["levels"], ["output"], "cast", to=kind), kind=kind), tmp_path
    )
    assert model.task.output == "probabilities" and "levels of 0 to 255" in model.notes[0]
    np.testing.assert_allclose(outputs(model), 1 / (1 + np.exp(-outputs(disc_network()))), atol=1e-6)


def test_class_indices_times_255_are_cut_back_to_maps(tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.append(oh.make_node("ArgMax", ["maps"], ["index"], "argmax", axis=1))
    proto.graph.node.append(oh.make_node("Mul", ["index", "white"], ["output"], "scale"))
    proto.graph.initializer.append(tensor(np.int64(255), "white"))
    proto.graph.output[0].type.tensor_type.elem_type = INT64
    model = load(proto, tmp_path, TWO)
    np.testing.assert_array_equal(outputs(model)[:, 1:], outputs(disc_network()))


def test_a_picture_from_a_graph_that_hides_its_map_is_told(tmp_path: Path) -> None:
    sign = oh.make_node("Sign", ["raw"], ["sign"], "sign")  # -1 and 1
    level = oh.make_node("Mul", ["sign", "white"], ["high"], "level")
    proto = painted(sign, level, oh.make_node("Relu", ["high"], ["output"], "relu"), kind=FLOAT)
    load(proto, tmp_path)
    data = write_discs(tmp_path / "set", {"train": 3, "val": 3, "test": 20})
    said = edge("check", tmp_path / "net.onnx", "--task", tmp_path / "task.toml", "--data", data)
    assert said.returncode == 1
    assert "its outputs are 0 and 255 alone, a mask that it decided itself: export the map" in said.stderr


def test_levels_read_as_class_indices_are_told() -> None:
    task = SegmentationTask(size=(2, 2), output="labels")
    with pytest.raises(InputError, match=r"returned level 255, a mask as a picture .* export the map"):
        task.decide(np.array([[[0, 255], [0, 0]]], np.float32))
    with pytest.raises(InputError, match=r"class index 3, but the task names 1 classes"):
        task.decide(np.array([[[0, 3], [0, 0]]], np.float32))


def test_class_indices_that_were_enlarged_stay_class_indices(tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.extend(
        [
            oh.make_node("ArgMax", ["maps"], ["index"], "argmax", axis=1),
            oh.make_node("Cast", ["index"], ["level"], "cast", to=FLOAT),
            oh.make_node("Resize", ["level", "", "scales"], ["output"], "up", mode="nearest"),
        ]
    )
    proto.graph.initializer.append(tensor(np.array([1, 1, 2, 2], np.float32), "scales"))
    proto.graph.output[0].CopyFrom(oh.make_tensor_value_info("output", FLOAT, [1, 1, 64, 64]))
    model = load(proto, tmp_path, TWO)
    assert model.task.output == "labels"
    wanted = (outputs(disc_network()) > 0).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(outputs(model), wanted)


# ----------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("shape", [[1, 1024], [1024, 1], [32, 32], [1, 32, 32], [1, 1, 1, 32, 32]])
def test_one_map_of_any_axes_is_read_as_rows_and_columns(shape: list[int], tmp_path: Path) -> None:
    proto = behind(discs(), oh.make_node("Reshape", ["raw", "shape"], ["output"], "shape"))
    proto.graph.initializer.append(tensor(np.array(shape), "shape"))
    model = load(proto, tmp_path)
    assert f"returns its maps as {'x'.join(map(str, shape))}" in model.notes[0]
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


@pytest.mark.parametrize(("order", "shape"), [((0, 1, 2, 3), [2, 32, 32]), ((0, 2, 3, 1), [1, 1024, 2])])
def test_two_maps_of_other_axes_are_read_as_maps(order: tuple[int, ...], shape: list[int], tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.append(oh.make_node("Transpose", ["maps"], ["turned"], "turn", perm=order))
    proto.graph.node.append(oh.make_node("Reshape", ["turned", "shape"], ["output"], "shape"))
    proto.graph.initializer.append(tensor(np.array(shape), "shape"))
    found = outputs(load(proto, tmp_path, TWO))
    assert found.shape == (1, 2, 32, 32)
    np.testing.assert_array_equal(found[:, 1:], outputs(disc_network()))


def test_a_sigmoid_in_front_of_a_reshape_is_cut_where_the_task_says_logits(tmp_path: Path) -> None:
    proto = behind(discs(), SOFT, oh.make_node("Reshape", ["soft", "shape"], ["output"], "shape"))
    proto.graph.initializer.append(tensor(np.array([1, 1024]), "shape"))
    np.testing.assert_array_equal(outputs(load(proto, tmp_path)), outputs(disc_network()))


@pytest.mark.parametrize("last", [False, True])
def test_an_image_without_a_batch_gets_one(last: bool, tmp_path: Path) -> None:
    proto = discs()
    proto.graph.node[0].input[0] = "batch"
    way = [oh.make_node("Transpose", ["image"], ["first"], "turn", perm=[2, 0, 1])] if last else []
    way.append(oh.make_node("Unsqueeze", ["first" if last else "image", "zero"], ["batch"], "batch"))
    for index, node in enumerate(way):
        proto.graph.node.insert(index, node)
    proto.graph.initializer.append(tensor(np.array([0]), "zero"))
    shape = [32, 32, 3] if last else [3, 32, 32]
    proto.graph.input[0].CopyFrom(oh.make_tensor_value_info("image", FLOAT, shape))
    model = load(proto, tmp_path)
    assert any("without a batch axis" in note and "not proven" not in note for note in model.notes)
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


def test_a_graph_for_four_images_at_a_time_takes_one(tmp_path: Path) -> None:
    proto = discs()
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    model = load(proto, tmp_path)
    assert "exported for 4 images at a time" in model.notes[0]
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


def test_the_stride_that_is_told_is_the_graphs_own(tmp_path: Path) -> None:
    """100 goes to 112 by multiples of 14 and of 16; only one of them is what the network needs."""
    nodes = [
        oh.make_node("ReduceMean", ["image"], ["gray"], "gray", axes=[1]),
        oh.make_node("MaxPool", ["gray"], ["small"], "pool", kernel_shape=[16, 16], strides=[16, 16]),
        oh.make_node("Resize", ["small", "", "scales"], ["up"], "up", mode="nearest"),
        oh.make_node("Add", ["gray", "up"], ["output"], "skip"),
    ]
    ends = [oh.make_tensor_value_info(n, FLOAT, [1, c, "h", "w"]) for n, c in (("image", 3), ("output", 1))]
    weights = [tensor(np.array([1, 1, 16, 16], np.float32), "scales")]
    made = oh.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    proto = oh.make_model(made, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(InputError, match=r"multiples of 16 \(100 -> 112\); set size = \[112, 112\]"):
        load(proto, tmp_path, SegmentationTask(size=(100, 100)))


# -------------------------------------------------------------------------------------------------- sentences


def of_channels(channels: int) -> onnx.ModelProto:
    """The disc network with another number of channels in."""
    proto = discs()
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = channels
    first = next(weight for weight in proto.graph.initializer if weight.name == "first.w")
    first.CopyFrom(tensor(np.zeros((8, channels, 3, 3), np.float32), "first.w"))
    return proto


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        (1, 'correct channels or size in the task: it takes one channel, so set channels = "grey"'),
        (4, 'it takes 4 channels, so name them in the network\'s order, channels = ["...", ...]'),
    ],
)
def test_another_number_of_channels_is_told_with_the_key_to_set(channels: int, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        load(of_channels(channels), tmp_path)


def test_another_size_is_told_with_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("it takes images of 32 x 32, so set size = [32, 32]")):
        load(discs(), tmp_path, SegmentationTask(size=(48, 48)))


@pytest.mark.parametrize(
    ("op", "domain", "told"),
    [
        ("Blend", "my.ops", "node 'blend' is my.ops::Blend, an operator of one library's own"),
        ("Conv", "com.microsoft.nchwc", "is com.microsoft.nchwc::Conv: ONNX Runtime saved the graph optimized for one"),
        ("NMS_plugin_TRT", "", "node 'blend' is NMS_plugin_TRT, an operator of one library's own"),
        ("Attention", "", "node 'blend' is Attention, which operator set 20 does not have (it came with 23)"),
    ],
)
def test_an_operator_that_nobody_knows_is_named_with_what_to_do(
    op: str, domain: str, told: str, tmp_path: Path
) -> None:
    proto = behind(discs(), oh.make_node(op, ["raw"], ["output"], "blend", domain=domain))
    if domain:
        proto.opset_import.append(oh.make_opsetid(domain, 1))
    onnx.save(proto, tmp_path / "net.onnx")
    data = write_discs(tmp_path / "set", {"train": 3, "val": 3, "test": 20})
    (tmp_path / "task.toml").write_text("[task]\nsize = [32, 32]\n")
    said = edge("check", tmp_path / "net.onnx", "--task", tmp_path / "task.toml", "--data", data)
    assert said.returncode == 2 and told in said.stderr
    steps = ("export the network with that layer", "export the model again at 23", "the file from before that")
    assert any(step in said.stderr for step in steps)


def test_probabilities_out_of_range_are_told_as_what_they_are(tmp_path: Path) -> None:
    softened = [SOFT, oh.make_node("Add", ["soft", "little"], ["more"], "more")]  # hides the Sigmoid from the door
    proto = painted(*softened, oh.make_node("Mul", ["more", "white"], ["output"], "scale"), kind=FLOAT)
    proto.graph.initializer.append(tensor(np.float32(-1e-4), "little"))
    proto.graph.node.append(oh.make_node("Relu", ["output"], ["rectified"], "relu"))
    proto.graph.output[0].name = "rectified"
    load(proto, tmp_path, SegmentationTask(size=(32, 32), output="probabilities"))
    data = write_discs(tmp_path / "set", {"train": 3, "val": 3, "test": 20})
    said = edge("check", tmp_path / "net.onnx", "--task", tmp_path / "task.toml", "--data", data)
    assert said.returncode == 2
    assert "probabilities times 255? export the map in front of the scaling" in said.stderr
