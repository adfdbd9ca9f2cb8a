from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.errors import InputError
from edge.graph.model import Model, read_model, tensors
from edge.task.task import METADATA_KEY, SegmentationTask

TASK = SegmentationTask(size=(8, 8))


def make(
    weight: np.ndarray | None = None,
    shape: tuple[object, ...] = (1, 3, 8, 8),
    out: tuple[object, ...] = (1, 1, 8, 8),
    kind: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("output",),
) -> onnx.ModelProto:
    """A 1x1 convolution from 3 channels to 1."""
    if weight is None:
        weight = np.ones((1, 3, 1, 1), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], [name]) for name in outputs],
        "g",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info(name, kind, out) for name in outputs],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def store(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_saved_model_describes_itself(tmp_path: Path) -> None:
    task = replace(TASK, threshold=0.4, mean=(0.1, 0.2, 0.3))
    model = Model(make(), task, "tiny", "tiny.py", {"parameters": 3})
    back = read_model(model.save(tmp_path / "m.onnx"))
    assert back.task == task
    assert back.name == "tiny"
    assert back.facts == {"parameters": 3}
    assert back.sha256 == model.sha256
    assert (back.input_name, back.output_name, back.opset) == ("image", "output", 20)
    assert back.save(tmp_path / "again.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()


def test_hash_follows_the_graph_and_not_the_metadata(tmp_path: Path) -> None:
    model = Model(make(), TASK, "a")
    assert replace(model, task=replace(TASK, threshold=0.9)).sha256 == model.sha256
    assert Model(make(np.zeros((1, 3, 1, 1), np.float32)), TASK, "a").sha256 != model.sha256


def test_editing_a_copy_leaves_the_model(tmp_path: Path) -> None:
    model = Model(make(), TASK, "a")
    before = model.sha256
    graph = model.to_ir()
    graph.graph.node(0).name = "renamed"
    edited = model.with_ir(graph)
    assert edited.proto.graph.node[0].name == "renamed"
    assert Model(model.proto, TASK, "a").sha256 == before
    assert edited.task is model.task


def test_a_given_task_overrides_the_files(tmp_path: Path) -> None:
    path = Model(make(), TASK, "a").save(tmp_path / "m.onnx")
    assert read_model(path, replace(TASK, threshold=0.7)).task.threshold == 0.7


def test_a_default_task_is_for_files_without_one(tmp_path: Path) -> None:
    default = replace(TASK, threshold=0.7)
    path = Model(make(), TASK, "a").save(tmp_path / "m.onnx")
    assert read_model(path, default=default).task.threshold == TASK.threshold
    assert read_model(store(tmp_path / "silent.onnx", make()), default=default).task == default


def test_weights_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    proto = make()
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (1, 3, 1, 1)))
    assert read_model(store(tmp_path / "m.onnx", proto), TASK).input_name == "image"


# ------------------------------------------------------------------------------------------------------ bad files


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.onnx: no such file"):
        read_model(tmp_path / "m.onnx", TASK)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"m\.onnx: is empty; export the model again"):
        read_model(tmp_path / "m.onnx", TASK)


@pytest.mark.parametrize(
    "content", [b"def build(): ...\n" * 9, b"\x08\n", b"PK\x03\x04zip", bytes(64), b'{"graph": {}}']
)
def test_anything_else_than_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx: is not a sound ONNX file \(.*\); export the model again"):
        read_model(tmp_path / "m.onnx", TASK)


def test_every_truncation_is_refused_in_one_sentence(tmp_path: Path) -> None:
    whole = make(np.ones((1, 3, 1, 1), np.float32)).SerializeToString()
    for length in range(1, len(whole)):
        (tmp_path / "m.onnx").write_bytes(whole[:length])
        try:
            read_model(tmp_path / "m.onnx", TASK)
        except InputError as error:
            assert "m.onnx: " in str(error)
            assert "\n" not in str(error)
            continue
        # Only what follows the graph (the operator set) may be cut without harm, and then nothing is missing.
        assert length > 0.9 * len(whole)


def test_no_task_and_a_damaged_one(tmp_path: Path) -> None:
    proto = make()
    with pytest.raises(InputError, match=r"says nothing about its task; add --task task\.toml"):
        read_model(store(tmp_path / "m.onnx", proto))
    for text in ("{", "[1]", "null"):
        helper.set_model_props(proto, {METADATA_KEY: text})
        with pytest.raises(InputError, match=r"metadata 'segedge\.task' is damaged"):
            read_model(store(tmp_path / "m.onnx", proto))
    helper.set_model_props(proto, {METADATA_KEY: '{"size": [8, 8], "colour": "rgb"}'})
    with pytest.raises(InputError, match="unknown task key 'colour'"):
        read_model(store(tmp_path / "m.onnx", proto))
    helper.set_model_props(proto, {METADATA_KEY: TASK.to_json(), "segedge.facts": "["})
    with pytest.raises(InputError, match=r"metadata 'segedge\.facts' is damaged"):
        read_model(store(tmp_path / "m.onnx", proto))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    weight = np.ones((1, 3, 1, 1), np.float32)
    weight[0, 1] = bad
    with pytest.raises(InputError, match="weight 'w' holds NaN or infinity; train or export it again"):
        read_model(store(tmp_path / "m.onnx", make(weight)), TASK)


def test_a_constant_that_is_not_finite(tmp_path: Path) -> None:
    proto = make()
    value = numpy_helper.from_array(np.array([np.nan], np.float32), "scale")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=value))
    with pytest.raises(InputError, match="weight 'scale' holds NaN"):
        read_model(store(tmp_path / "m.onnx", proto), TASK)


@pytest.mark.parametrize(
    ("proto", "task", "fault"),
    [
        (
            make(),
            replace(TASK, channels="grey"),
            "input 'image' is 1x3x8x8, but the task says .x1x8x8; correct channels",
        ),
        (make(), replace(TASK, size=(8, 16)), "input 'image' is 1x3x8x8, but the task says .x3x8x16"),
        (
            make(),
            replace(TASK, classes=("a", "b"), activation="softmax"),
            "output 'output' is 1x1x8x8, but the task says .x2x.x.; correct classes in the task: "
            "it has one map, so name one class",
        ),
        (make(), replace(TASK, output_name="o_f"), r"no output 'o_f' in the graph \(it has output\)"),
        (make(outputs=("x", "y")), TASK, r"has outputs x \[1 x .*\], y \[1 x .*\]; set output_name in the task"),
        (make(shape=(4, 3, 8, 8), out=(4, 1, 8, 8)), TASK, "input 'image' has batch 4; export it with batch 1"),
        (make(np.ones((1, 3, 1, 1), np.float16), kind=TensorProto.FLOAT16), TASK, "is float16; export it with float32"),
    ],
)
def test_a_task_that_contradicts_the_graph(tmp_path: Path, proto: onnx.ModelProto, task, fault: str) -> None:
    with pytest.raises(InputError, match=rf"m\.onnx: .*{fault}"):
        read_model(store(tmp_path / "m.onnx", proto), task)


def test_dynamic_dimensions_and_a_named_output_are_fine(tmp_path: Path) -> None:
    proto = make(shape=("n", 3, "h", "w"), out=("n", 1, None, None), outputs=("x", "y"))
    assert read_model(store(tmp_path / "m.onnx", proto), replace(TASK, output_name="y")).output_name == "y"


def test_two_images_in(tmp_path: Path) -> None:
    proto = make()
    proto.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, (1, 1, 8, 8)))
    with pytest.raises(InputError, match=r"the graph has 2 inputs \(image, depth\)"):
        read_model(store(tmp_path / "m.onnx", proto), TASK)


# ------------------------------------------------------------------------------------------- external data


def outside(tensor: onnx.TensorProto, location: str) -> onnx.TensorProto:
    """The same tensor with its bytes elsewhere."""
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="12")
    return tensor


def in_weight(location: str) -> onnx.ModelProto:
    proto = make()
    outside(proto.graph.initializer[0], location)
    return proto


def in_constant(location: str) -> onnx.ModelProto:
    proto = make()
    tensor = outside(numpy_helper.from_array(np.ones(3, np.float32), "c"), location)
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))
    return proto


def branch(name: str, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, (3,))
    return helper.make_graph(nodes, name, [], [out], weights)


def in_branch(location: str, as_weight: bool) -> onnx.ModelProto:
    proto = make()
    tensor = outside(numpy_helper.from_array(np.ones(3, np.float32), "c"), location)
    inner = (
        branch("then", [helper.make_node("Identity", ["c"], ["then"])], [tensor])
        if as_weight
        else branch("then", [helper.make_node("Constant", [], ["then"], value=tensor)], [])
    )
    plain = numpy_helper.from_array(np.ones(3, np.float32), "d")
    other = branch("else", [helper.make_node("Constant", [], ["else"], value=plain)], [])
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    proto.graph.node.insert(0, helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=other))
    return proto


def in_function(location: str) -> onnx.ModelProto:
    proto = make()
    tensor = outside(numpy_helper.from_array(np.ones(3, np.float32), "c"), location)
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    proto.functions.append(helper.make_function("mine", "F", [], ["y"], [constant], [helper.make_opsetid("", 20)]))
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    proto.graph.node.insert(0, helper.make_node("F", [], ["unused"], domain="mine"))
    return proto


HIDING_PLACES = {
    "weight": in_weight,
    "constant": in_constant,
    "branch weight": lambda location: in_branch(location, True),
    "branch constant": lambda location: in_branch(location, False),
    "function": in_function,
}


@pytest.mark.parametrize("place", HIDING_PLACES)
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "sub/../../secret.bin", "link.bin", "linked/x"])
def test_external_data_cannot_leave_the_folder(tmp_path: Path, place: str, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(np.ones(3, np.float32).tobytes())
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "linked").symlink_to(tmp_path)
    path = store(folder / "m.onnx", HIDING_PLACES[place](location))
    with pytest.raises(
        InputError, match=rf"external data '{location}' lies outside the model's folder; move it inside"
    ):
        read_model(path, TASK)


@pytest.mark.parametrize("place", ["weight", "constant", "branch weight", "branch constant"])
def test_external_data_inside_the_folder_is_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/w.bin").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    model = read_model(store(tmp_path / "m.onnx", HIDING_PLACES[place]("sub/w.bin")), TASK)
    values = [numpy_helper.to_array(t).ravel().tolist() for t in tensors(model.proto)]
    assert [1.0, 2.0, 3.0] in values
    back = read_model(model.save(tmp_path / "whole.onnx"))
    assert [1.0, 2.0, 3.0] in [numpy_helper.to_array(t).ravel().tolist() for t in tensors(back.proto)]


def test_external_data_that_is_missing_or_short(tmp_path: Path) -> None:
    path = store(tmp_path / "m.onnx", in_weight("w.bin"))
    with pytest.raises(InputError, match=r"external data 'w\.bin' is missing; copy it beside the model"):
        read_model(path, TASK)
    (tmp_path / "w.bin").write_bytes(b"1234")
    with pytest.raises(InputError, match=r"m\.onnx: is not a sound ONNX file"):
        read_model(path, TASK)


def test_tensors_finds_them_all() -> None:
    proto = in_branch("x", True)
    assert sorted(t.name for t in tensors(proto)) == ["c", "d", "w", "yes"]
