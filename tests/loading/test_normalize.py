"""Graphs in the forms that exporters leave: each is brought to one form and computes what it computed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.loading import load_model
from edge.loading.normalize.proof import run
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask
from tests.fixtures.discs import TASK, disc_network
from tests.fixtures.doors import behind, discs, load, outputs, tensor


def graph(nodes: list[onnx.NodeProto], opset: int, weights: dict[str, np.ndarray] | None = None, maps: int = 1):
    """``image`` to ``output`` at the discs' size."""
    shapes = [("image", 3), ("output", maps)]
    image, output = (oh.make_tensor_value_info(name, TensorProto.FLOAT, [1, c, 32, 32]) for name, c in shapes)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    made = oh.make_graph(nodes, "g", [image], [output], tensors)
    return oh.make_model(made, opset_imports=[oh.make_opsetid("", opset)], ir_version=8)


def test_weights_listed_as_inputs_lifted_constants_and_names(tmp_path: Path) -> None:
    proto = discs()
    first = proto.graph.initializer[0]
    proto.graph.node.insert(0, oh.make_node("Constant", [], [first.name], value=first))
    proto.graph.initializer.remove(first)
    weights = [oh.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in proto.graph.initializer]
    image = onnx.ValueInfoProto.FromString(proto.graph.input[0].SerializeToString())
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


def test_an_input_that_nothing_reads_is_left_out(tmp_path: Path) -> None:
    source = disc_network()
    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("size", onnx.TensorProto.INT64, [2]))
    onnx.save(proto, tmp_path / "m.onnx")
    model = load_model(tmp_path / "m.onnx", task=source.task)
    image = noise_batch(source.task)
    assert [value.name for value in model.proto.graph.input] == [source.input_name]
    np.testing.assert_array_equal(reference(model).run(image), reference(source).run(image))


def test_unsorted_nodes_are_sorted(tmp_path: Path) -> None:
    proto = discs()
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    assert [n.name for n in load(proto, tmp_path).proto.graph.node] == [n.name for n in nodes]


def test_nodes_in_a_circle_are_refused(tmp_path: Path) -> None:
    proto = discs()
    proto.graph.node[0].input[0] = "d"
    with pytest.raises(InputError, match="in a circle"):
        load(proto, tmp_path)


def test_an_ir_number_of_the_newest_onnx_is_lowered_and_one_beyond_is_told(tmp_path: Path) -> None:
    proto = discs()
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
    proto = discs()
    for weight in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(oh.make_tensor(weight.name, kind, array.shape, array.ravel()))
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
    proto = discs()
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


# --------------------------------------------------------------------------------------- what the numbers mean


def channels_last(proto: onnx.ModelProto) -> onnx.ModelProto:
    """As TensorFlow's exporters write it: NHWC outside, NCHW inside."""
    proto.graph.node[0].input[0] = "first"
    proto.graph.node[-1].output[0] = "last"
    proto.graph.node.insert(0, oh.make_node("Transpose", ["image"], ["first"], "pre", perm=[0, 3, 1, 2]))
    proto.graph.node.append(oh.make_node("Transpose", ["last"], ["output"], "post", perm=[0, 2, 3, 1]))
    for value, shape in ((proto.graph.input[0], ["n", 32, 32, 3]), (proto.graph.output[0], ["n", 32, 32, 1])):
        value.CopyFrom(oh.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))
    return proto


def test_channels_last_become_channels_first_without_a_transpose(tmp_path: Path) -> None:
    model = load(channels_last(discs()), tmp_path)
    assert [n.op_type for n in model.proto.graph.node] == [n.op_type for n in disc_network().proto.graph.node]
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))
    assert len(model.notes) == 2 and all("channels last (NHWC)" in note for note in model.notes)


def test_integer_pixels_with_the_scaling_inside(tmp_path: Path) -> None:
    task = SegmentationTask(size=(32, 32), scale=255.0, mean=(0.5,), std=(0.25,))
    proto = discs()
    proto.graph.node[0].input[0] = "scaled"
    for index, node in enumerate(
        (
            oh.make_node("Cast", ["image"], ["levels"], "cast", to=TensorProto.FLOAT),
            oh.make_node("Div", ["levels", "255"], ["unit"], "unit"),
            oh.make_node("Sub", ["unit", "0.5"], ["centred"], "centre"),
            oh.make_node("Div", ["centred", "0.25"], ["scaled"], "scale"),
        )
    ):
        proto.graph.node.insert(index, node)
    proto.graph.initializer.extend(tensor(np.float32(name), name) for name in ("255", "0.5", "0.25"))
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model = load(proto, tmp_path, task)
    assert "Cast" not in {n.op_type for n in model.proto.graph.node}
    assert (model.task.scale, model.task.mean, model.task.std) == (1.0, (0.0,), (1.0,))
    assert "takes uint8 pixels" in model.notes[0] and "normalisation is dropped" in model.notes[0]
    np.testing.assert_allclose(outputs(model, model.task), outputs(disc_network(), task), atol=1e-4)


TWO = SegmentationTask(size=(32, 32), classes=("background", "disc"), activation="softmax")


def two_maps() -> onnx.ModelProto:
    """The disc network with a background map, whose logit is the disc's mirrored; returned as ``raw``."""
    proto = behind(discs(), oh.make_node("Neg", ["raw"], ["mirrored"], "mirror"))
    proto.graph.node.append(oh.make_node("Concat", ["mirrored", "raw"], ["maps"], "concat", axis=1))
    return proto


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT64])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("task", [TASK, TWO], ids=["one-class", "two-classes"])
def test_class_indices_are_cut_back_to_maps(kind: int, keep: int, task: SegmentationTask, tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.append(oh.make_node("ArgMax", ["maps"], ["index"], "argmax", axis=1, keepdims=keep))
    proto.graph.node.append(oh.make_node("Cast", ["index"], ["output"], "cast", to=kind))
    proto.graph.output[0].type.tensor_type.elem_type = kind
    model = load(proto, tmp_path, task)
    assert model.task.maps == 2 and model.task.output == "logits"
    assert "ArgMax" not in {n.op_type for n in model.proto.graph.node}
    found, exact = outputs(model)[0], outputs(disc_network())[0]
    np.testing.assert_array_equal(model.task.decide(found), TASK.decide(exact))
    assert "class indices (ArgMax)" in model.notes[0]


def test_class_indices_of_softmax_with_channels_last(tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.extend(
        [
            oh.make_node("Transpose", ["maps"], ["last"], "last", perm=[0, 2, 3, 1]),
            oh.make_node("Softmax", ["last"], ["soft"], "softmax", axis=-1),
            oh.make_node("ArgMax", ["soft"], ["output"], "argmax", axis=3, keepdims=0),
        ]
    )
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    model = load(proto, tmp_path, TWO)
    assert [n.op_type for n in model.proto.graph.node][-2:] == ["Neg", "Concat"]
    np.testing.assert_allclose(outputs(model)[0, 1], outputs(disc_network())[0, 0], atol=1e-4)


def test_more_classes_in_the_graph_than_in_the_task_are_told(tmp_path: Path) -> None:
    proto = two_maps()
    proto.graph.node.append(oh.make_node("Concat", ["maps", "raw"], ["three"], "three", axis=1))
    proto.graph.node.append(oh.make_node("ArgMax", ["three"], ["output"], "argmax", axis=1))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(InputError, match=r"chooses among 3 classes and the task names 2 .*; name all 3"):
        load(proto, tmp_path, TWO)


def test_a_mask_is_cut_back_to_the_map_it_was_decided_from(tmp_path: Path) -> None:
    proto = behind(
        discs(),
        oh.make_node("Sigmoid", ["raw"], ["soft"], "soft"),
        oh.make_node("Greater", ["soft", "level"], ["mask"], "mask"),
        oh.make_node("Cast", ["mask"], ["output"], "cast", to=TensorProto.UINT8),
        kind=TensorProto.UINT8,
    )
    proto.graph.initializer.append(tensor(np.float32(0.7), "level"))
    model = load(proto, tmp_path)
    assert model.task.threshold == pytest.approx(0.7)
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


@pytest.mark.parametrize("op", ["Sigmoid", "Softmax"])
def test_a_last_activation_is_cut_off_where_the_task_says_logits(op: str, tmp_path: Path) -> None:
    if op == "Sigmoid":
        proto, task = behind(discs(), oh.make_node(op, ["raw"], ["output"], "last")), TASK
    else:
        proto, task = two_maps(), TWO
        proto.graph.node.append(oh.make_node(op, ["maps"], ["output"], "last", axis=1))
    model = load(proto, tmp_path, task)
    assert op not in {n.op_type for n in model.proto.graph.node} and f"ends in {op}" in model.notes[0]
    np.testing.assert_allclose(outputs(model)[0, -1], outputs(disc_network())[0, 0], atol=1e-4)
    kept = load(proto, tmp_path, dataclasses.replace(task, output="probabilities"))
    assert op in {n.op_type for n in kept.proto.graph.node} and kept.notes == ()


def quarter(*last: onnx.NodeProto) -> onnx.ModelProto:
    """The disc network's map at a quarter of its size; further nodes read ``small``."""
    pool = oh.make_node("AveragePool", ["raw"], ["small"], "pool", kernel_shape=[4, 4], strides=[4, 4])
    return behind(discs(), pool, *(last or (oh.make_node("Identity", ["small"], ["output"], "out"),)))


def test_small_maps_are_enlarged_bilinearly_inside_the_graph(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = load(quarter(), tmp_path)
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(outputs(disc_network())), 4)
    wanted = torch.nn.functional.interpolate(small, (32, 32), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(outputs(model), wanted.numpy(), atol=1e-4)
    assert "returns 8 x 8 maps for a 32 x 32 input; they are enlarged inside the engine" in model.notes[0]


def test_small_probabilities_are_enlarged_as_logits(tmp_path: Path) -> None:
    task = dataclasses.replace(TASK, output="probabilities")
    model = load(quarter(oh.make_node("Sigmoid", ["small"], ["output"], "last")), tmp_path, task)
    logits = outputs(load(quarter(), tmp_path))
    assert [n.op_type for n in model.proto.graph.node][-2:] == ["Resize", "Sigmoid"]
    np.testing.assert_allclose(outputs(model), 1 / (1 + np.exp(-logits)), atol=1e-5)


def heads(*shapes: tuple[str, list[int]]) -> onnx.ModelProto:
    """The disc network with further outputs: its map pooled by 2, or its map again."""
    proto = discs()
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    for name, shape in shapes:
        node = oh.make_node("AveragePool", ["output"], [name], name, kernel_shape=[2, 2], strides=[2, 2])
        if shape[-1] == 32:
            node = oh.make_node("Identity", ["output"], [name], name)
        proto.graph.node.append(node)
        proto.graph.output.insert(0, oh.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return proto


def test_of_several_outputs_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    model = load(heads(("deep", [1, 1, 16, 16])), tmp_path)
    assert [o.name for o in model.proto.graph.output] == ["output"] and model.output_name == "output"
    assert "of its outputs output [1 x 1 x 32 x 32] is taken; left out: deep [1 x 1 x 16 x 16]" in model.notes[0]
    np.testing.assert_array_equal(outputs(model), outputs(disc_network()))


def test_several_outputs_that_fit_must_be_named(tmp_path: Path) -> None:
    proto = heads(("aux", [1, 1, 32, 32]))
    with pytest.raises(InputError, match=r"outputs aux \[1 x 1 x 32 x 32\], output \[.*; set output_name"):
        load(proto, tmp_path)
    model = load(proto, tmp_path, dataclasses.replace(TASK, output_name="output"))
    assert model.output_name == "output" and model.notes == ()


def test_gather_by_a_table_becomes_one_by_a_list(tmp_path: Path) -> None:
    nodes = [
        oh.make_node("Gather", ["image", "table"], ["six"], "gather", axis=1),
        oh.make_node("ReduceMean", ["six"], ["one"], "mean", axes=[1], keepdims=0),
        oh.make_node("Slice", ["one", "from", "to", "axis"], ["output"], "slice"),
    ]
    weights = {
        "table": np.array([[0, 1], [2, 0]]), "from": np.array([0]), "to": np.array([1]), "axis": np.array([1]),
    }  # fmt: skip
    model = load(graph(nodes, 17, weights), tmp_path)
    assert [n.op_type for n in model.proto.graph.node][:2] == ["Gather", "Reshape"]
    image = noise_batch(TASK)
    wanted = (image[:, 0:1] + image[:, 2:3]) / 2
    np.testing.assert_allclose(reference(model).run(image), wanted, atol=1e-6)


def by_queries(queries: int = 5, kinds: int = 4, names: tuple[str, str] = ("class_queries_logits", "masks")):
    """``[1, queries, kinds]`` class scores and ``[1, queries, 8, 8]`` masks, as mask transformers return them."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(queries, 3, 4, 4)).astype(np.float32),
        "k": rng.normal(size=(64, kinds)).astype(np.float32) / 8,
        "rows": np.array([1, queries, 64]),
    }
    nodes = [
        oh.make_node("Conv", ["image", "w"], [names[1]], "masks", kernel_shape=[4, 4], strides=[4, 4]),
        oh.make_node("Reshape", [names[1], "rows"], ["flat"], "flatten"),
        oh.make_node("MatMul", ["flat", "k"], [names[0]], "classes"),
    ]
    proto = graph(nodes, 17, weights)
    del proto.graph.output[:]
    shapes = {names[0]: [1, queries, kinds], names[1]: [1, queries, 8, 8]}
    proto.graph.output.extend(oh.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items())
    return proto


@pytest.mark.parametrize("masks", ["masks_queries_logits", "pred_masks"])
def test_classes_and_masks_of_queries_become_one_map_a_class(masks: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    task = dataclasses.replace(TASK, classes=("ground", "road", "tree"), activation="softmax")
    proto = by_queries(names=("class_queries_logits", masks))
    model = load(proto, tmp_path, task)
    image = noise_batch(task)
    found = {name: torch.from_numpy(array) for name, array in run(proto, image).items()}
    large = torch.nn.functional.interpolate(found[masks], size=(32, 32), mode="bilinear", align_corners=False).sigmoid()
    scores = found["class_queries_logits"].softmax(dim=-1)[..., :-1]
    expected = torch.einsum("bqc, bqhw -> bchw", scores, large).numpy()
    np.testing.assert_allclose(reference(model).run(image), expected, atol=1e-5)
    assert "finds its classes by 5 masks" in model.notes[0] and "not proven" not in model.notes[0]


@pytest.mark.parametrize(("classes", "kinds"), [(("ground", "road"), 4), (("road",), 3)], ids=["too few", "one"])
def test_classes_by_queries_that_the_task_does_not_name_are_told(
    classes: tuple[str, ...], kinds: int, tmp_path: Path
) -> None:
    task = dataclasses.replace(TASK, classes=classes, activation="softmax" if len(classes) > 1 else "sigmoid")
    with pytest.raises(
        InputError, match=rf"finds {kinds - 1} classes by 5 masks .* the task names {len(classes)}; name"
    ):
        load(by_queries(kinds=kinds), tmp_path, task)


@pytest.mark.parametrize("classes", [("road",), ("ground", "road")], ids=["one", "two"])
def test_one_class_by_queries_has_no_background_and_is_told_so(classes: tuple[str, ...], tmp_path: Path) -> None:
    task = dataclasses.replace(TASK, classes=classes, activation="softmax" if len(classes) > 1 else "sigmoid")
    with pytest.raises(
        InputError, match=r"finds one class by 5 masks .* no background .* makes every pixel that class; train"
    ):
        load(by_queries(kinds=2), tmp_path, task)


def test_tokens_and_features_beside_a_map_are_no_queries(tmp_path: Path) -> None:
    proto = by_queries(kinds=2, names=("tokens", "features"))
    proto.graph.node.append(oh.make_node("Conv", ["image", "head"], ["map"], "head"))
    proto.graph.initializer.append(tensor(np.ones((1, 3, 1, 1), np.float32), "head"))
    proto.graph.output.append(oh.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, 32, 32]))
    model = load(proto, tmp_path)
    image = noise_batch(TASK)
    np.testing.assert_allclose(reference(model).run(image), image.sum(axis=1, keepdims=True), atol=1e-5)
    assert "of its outputs map" in model.notes[0]
