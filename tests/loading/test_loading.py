"""Every door a model comes in through, and every way it can be refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
import pytest

from edge.errors import InputError
from edge.graph.model import Model, read_model
from edge.loading import load_model

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

NETWORK = """
import torch
from torch import nn

class Marker:
    pass

def build(width=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 1))
"""
TOML = """
[model]
name = "tiny"
options = { width = 4 }
checkpoint = "weights.safetensors"

[checkpoints.wide]
file = "wide.safetensors"
options = { width = 8 }

[task]
size = [16, 24]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A folder, and the graph that it becomes: exporting costs more than all else here."""
    path = write_folder(tmp_path_factory.mktemp("exported") / "tiny")
    return path, load_model(str(path))


@pytest.fixture
def model(exported: tuple[Path, Model]) -> Model:
    return exported[1]


def write_folder(path: Path) -> Path:
    path.mkdir()
    (path / "network.py").write_text(NETWORK)
    (path / "model.toml").write_text(TOML)
    scope: dict = {}
    exec(NETWORK, scope)
    save_file(scope["build"](4).state_dict(), path / "weights.safetensors")
    save_file(scope["build"](8).state_dict(), path / "wide.safetensors")
    return path


def test_a_folder_becomes_a_checked_graph(exported: tuple[Path, Model]) -> None:
    folder, model = exported
    assert model.name == "tiny"
    assert model.facts["parameters"] == 3 * 4 * 9 + 4 + 8 + 4 + 1
    assert [i.name for i in model.proto.graph.input] == ["image"]
    dims = model.proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [1, 3, 16, 24]
    assert model.opset == 20
    text = onnx.printer.to_text(model.proto)
    assert str(folder) not in text, "paths of this machine must not travel in the graph"


def test_nodes_carry_module_names(model: Model) -> None:
    names = [n.name for n in model.proto.graph.node if n.op_type == "Conv"]
    assert names[0].startswith("0/") and names[1].startswith("3/")


def test_another_checkpoint_brings_its_options(folder: Path) -> None:
    model = load_model(f"{folder}@wide")
    assert model.name == "tiny@wide"
    assert model.facts["parameters"] == 3 * 8 * 9 + 8 + 16 + 8 + 1
    with pytest.raises(InputError, match="no checkpoint 'narrow'; it has wide"):
        load_model(f"{folder}@narrow")


@pytest.mark.slow
def test_two_folders_never_collide(folder: Path) -> None:
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    (other / "network.py").write_text(NETWORK.replace("nn.ReLU()", "nn.Tanh()"))
    ops = [{n.op_type for n in load_model(str(f)).proto.graph.node} for f in (folder, other)]
    assert "Relu" in ops[0] and "Tanh" in ops[1] and "Tanh" not in ops[0]


def test_a_callable_needs_weights_and_task(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "mynet.py").write_text(NETWORK)
    task = folder.parent / "task.toml"
    task.write_text("[task]\nsize = [16, 16]\n")
    weights = folder / "weights.safetensors"
    assert load_model("mynet:build", weights, task).facts["parameters"] == 125
    with pytest.raises(InputError, match="--task"):
        load_model("mynet:build", weights)
    with pytest.raises(InputError, match="--weights"):
        load_model("mynet:build", None, task)
    with pytest.raises(InputError, match="has no 'nothing'"):
        load_model("mynet:nothing", weights, task)
    with pytest.raises(InputError, match="cannot import nowhere"):
        load_model("nowhere:build", weights, task)
    assert str(folder.parent) not in sys.path


def test_an_onnx_file_round_trips_with_its_task(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "tiny.onnx")
    again = load_model(str(path))
    assert (again.task, again.name, again.facts["parameters"]) == (model.task, "tiny", 125)
    assert again.sha256 == model.sha256
    task = tmp_path / "task.toml"
    task.write_text('[task]\nsize = [16, 24]\nclasses = ["a", "b"]\nactivation = "softmax"\n')
    with pytest.raises(InputError, match="classes"):
        load_model(str(path), task=task)


def test_pickled_weights_are_refused(folder: Path) -> None:
    class Arbitrary:
        pass

    path = folder / "weights.pt"
    globals()["Arbitrary"] = Arbitrary
    Arbitrary.__qualname__ = "Arbitrary"
    torch.save({"state_dict": Arbitrary()}, path)
    with pytest.raises(InputError, match=r"can run code when loaded.*safetensors"):
        load_model(str(folder), weights=path)


def test_plain_torch_weights_are_read(folder: Path, model: Model) -> None:
    from safetensors.torch import load_file

    state = load_file(folder / "weights.safetensors")
    path = folder / "weights.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    assert load_model(str(folder), weights=path).sha256 == model.sha256


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("0.weight"), "another architecture: 1 missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "another architecture: 1 unknown"),
        (lambda state: state.update({"0.weight": torch.zeros(4, 1, 3, 3)}), r"is \[4, 1, 3, 3\], the network's"),
        (lambda state: state["0.weight"].fill_(float("nan")), "NaN"),
    ],
)
def test_wrong_weights_are_named(folder: Path, damage, message: str) -> None:
    from safetensors.torch import load_file

    state = load_file(folder / "weights.safetensors")
    damage(state)
    path = folder / "damaged.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=message):
        load_model(str(folder), weights=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"just some text\n", "not a sound ONNX file"), (None, "no such")],
)
def test_what_is_not_onnx_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_model(str(path))


def test_a_truncated_file_is_refused(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "tiny.onnx")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a sound ONNX file"):
        load_model(str(path))


def test_a_model_without_task_says_so(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "bare.onnx"
    bare = onnx.ModelProto()
    bare.CopyFrom(model.proto)
    del bare.metadata_props[:]
    onnx.save(bare, path)
    with pytest.raises(InputError, match="--task"):
        load_model(str(path))
    assert read_model(path, model.task).task == model.task


def test_export_rejects_what_differs_from_pytorch(folder: Path) -> None:
    random = NETWORK.replace("return nn.Sequential(", "return nn.Sequential(Noise(), ").replace(
        "class Marker:\n    pass",
        "class Noise(nn.Module):\n    def forward(self, x):\n        return x + torch.rand_like(x)",
    )
    (folder / "network.py").write_text(random)
    scope: dict = {}
    exec(random, scope)
    save_file(scope["build"](4).state_dict(), folder / "weights.safetensors")
    with pytest.raises(InputError, match="differs from PyTorch"):
        load_model(str(folder))


def test_nothing_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model"):
        load_model(str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"no model\.toml"):
        load_model(str(tmp_path))


def test_the_network_sees_what_the_task_prepares(model: Model) -> None:
    from edge.backends.onnxruntime import reference

    image = model.task.preprocess(np.full((10, 10, 3), 128, np.uint8))[None]
    scope: dict = {}
    exec(NETWORK, scope)
    with torch.inference_mode():
        expected = scope["build"](4).eval()(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(reference(model).run(image), expected, atol=1e-6)


@pytest.mark.parametrize("source", ["def build(:\n", "raise RuntimeError('no')\n"])
def test_a_network_file_that_does_not_import_is_the_user_s(folder: Path, source: str) -> None:
    (folder / "network.py").write_text(source)
    with pytest.raises(InputError, match=r"network\.py: does not import"):
        load_model(str(folder))


def test_a_mapping_of_outputs_is_several_outputs(folder: Path) -> None:
    wrapped = NETWORK.replace("return nn.Sequential(", "return Named(").replace(
        "class Marker:\n    pass",
        "class Named(nn.Sequential):\n    def forward(self, x):\n        y = super().forward(x)\n"
        "        return {'out': y, 'aux': y * 2}",
    )
    (folder / "network.py").write_text(wrapped)
    with pytest.raises(InputError, match=r"outputs out \[1 x .*\], aux \[1 x .*\]; set output_name"):
        load_model(str(folder))


def test_without_pytorch_the_install_line_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.errors import MachineError

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MachineError, match=r"pip install 'segedge\[torch\]'"):
        load_model(str(folder))


def test_an_onnx_file_of_any_size_takes_the_tasks(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path / "tiny.onnx")
    proto = onnx.load(path)
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, symbol in ((0, "n"), (2, "h"), (3, "w")):
            value.type.tensor_type.shape.dim[axis].dim_param = symbol
    onnx.save(proto, path)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (lambda graph: (*graph.input, *graph.output, *graph.value_info))(load_model(str(path)).proto.graph)
    }
    assert list(shapes.values())[:2] == [[1, 3, 16, 24], [1, 1, 16, 24]]
    assert all(0 not in shape for shape in shapes.values())


def test_an_older_operator_set_is_raised_with_the_same_output(model: Model, tmp_path: Path) -> None:
    from edge.backends.onnxruntime import reference

    path = model.save(tmp_path / "tiny.onnx")
    old = onnx.version_converter.convert_version(onnx.load(path), 17)
    onnx.save(old, path)
    image = np.random.default_rng(3).normal(size=(1, 3, 16, 24)).astype(np.float32)
    raised = load_model(str(path))
    assert (read_model(path).opset, raised.opset) == (17, 19)
    np.testing.assert_allclose(reference(raised).run(image), reference(read_model(path)).run(image), rtol=1e-5)


def test_nodes_without_a_name_of_their_own_can_be_quantized(model: Model, tmp_path: Path) -> None:
    from edge.quantization.calibrate import calibrate
    from edge.quantization.schemes import find_scheme, plan_int8
    from edge.quantization.write import quantize
    from edge.task.noise import noise_batch

    path = model.save(tmp_path / "tiny.onnx")
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.name = "same" if node.op_type == "Conv" else ""
    onnx.save(proto, path)
    nameless = load_model(str(path))
    names = [node.name for node in nameless.proto.graph.node]
    assert all(names) and len(set(names)) == len(names) and names.count("same") == 1
    scheme = find_scheme("openvino")
    plan = plan_int8(nameless, scheme)
    quantized = quantize(nameless, calibrate(nameless, [noise_batch(nameless.task)], method="min-max"), plan, scheme)
    convolutions = [node.op_type for node in nameless.proto.graph.node].count("Conv")
    assert convolutions > 1 and len(plan.int8) >= convolutions
    assert [node.op_type for node in quantized.proto.graph.node].count("DequantizeLinear") > convolutions
