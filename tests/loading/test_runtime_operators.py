"""Operators of ONNX Runtime's own: what it optimized computes what it did, in operators that every compiler takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import onnxruntime
import pytest
from onnx import TensorProto

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.loading import load_model
from edge.loading.normalize.proof import run
from edge.task.noise import noise_batch
from tests.fixtures.command import edge
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.doors import load

GENERATOR = np.random.default_rng(0)
WEIGHTS = {
    "w": GENERATOR.normal(size=(8, 3, 3, 3)).astype(np.float32),
    "b": GENERATOR.normal(size=8).astype(np.float32),
    "z": GENERATOR.normal(size=(1, 8, 32, 32)).astype(np.float32),
    "one": GENERATOR.normal(size=(1, 8, 1, 1)).astype(np.float32),
    "square": GENERATOR.normal(size=(32, 32)).astype(np.float32) / 6,
    "row": GENERATOR.normal(size=32).astype(np.float32),
    "gain": GENERATOR.normal(size=32).astype(np.float32),
    "skip": GENERATOR.normal(size=(1, 32, 32)).astype(np.float32),
    "packed": GENERATOR.normal(size=(32, 96)).astype(np.float32) / 6,
    "packed_bias": GENERATOR.normal(size=96).astype(np.float32),
    "as_tokens": np.array([1, 96, 32]),
    "as_rows": np.array([96, 32]),
    "as_heads": np.array([1, 3, 32, 32]),
    "as_image": np.array([1, 3, 32, 32]),
    "first": np.array([0]),
    "next": np.array([1]),
    "channel": np.array([1]),
}


def graph(nodes: list[onnx.NodeProto], opset: int, **weights: np.ndarray) -> onnx.ModelProto:
    """``image`` to ``output`` with those of the weights that the nodes read."""
    read = {name for node in nodes for name in node.input}
    held = [onnx.numpy_helper.from_array(array, n) for n, array in {**WEIGHTS, **weights}.items() if n in read]
    ends = [oh.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 32, 32]) for n, c in (("image", 3), ("output", 1))]
    domains = [oh.make_opsetid("", opset), oh.make_opsetid("com.microsoft", 1)]
    return oh.make_model(oh.make_graph(nodes, "g", ends[:1], ends[1:], held), opset_imports=domains, ir_version=8)


def own(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    """A node in ONNX Runtime's domain."""
    return oh.make_node(op, inputs, outputs, f"the/{op}", domain="com.microsoft", **attributes)


def over_channels(value: str) -> list[onnx.NodeProto]:
    """Eight channels to the output by a 1x1 convolution."""
    return [oh.make_node("Conv", [value, "one"], ["output"], "head")]


def on_tokens(*nodes: onnx.NodeProto, shape: str = "as_tokens") -> list[onnx.NodeProto]:
    """``tokens`` of the image through nodes to ``made`` and back, the channels summed."""
    return [
        oh.make_node("Reshape", ["image", shape], ["tokens"], "to_tokens"),
        *nodes,
        oh.make_node("Reshape", ["made", "as_image"], ["back"], "to_image"),
        oh.make_node("ReduceSum", ["back", "channel"], ["output"], "sum"),
    ]


def convolution(*inputs: str, activation: str = "Relu", **attributes: Any) -> list[onnx.NodeProto]:
    options = {"activation": activation, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], **attributes}
    return [own("FusedConv", ["image", "w", *inputs], ["y"], **options), *over_channels("y")]


def gemm(activation: str, **attributes: Any) -> list[onnx.NodeProto]:
    node = own("FusedGemm", ["tokens", "square", "row"], ["made"], activation=activation, **attributes)
    return on_tokens(node, shape="as_rows")


def product(**attributes: Any) -> list[onnx.NodeProto]:
    """The image's channels as heads: each times itself turned as asked for."""
    return on_tokens(own("FusedMatMul", ["tokens", "tokens"], ["made"], **attributes), shape="as_heads")


CASES: dict[str, tuple[list[onnx.NodeProto], set[str]]] = {
    "conv-relu": (convolution("b"), {"Conv", "Relu"}),
    "conv-sum": (convolution("b", "z"), {"Conv", "Add", "Relu"}),
    "conv-sum-no-bias": (convolution("", "z"), {"Conv", "Add", "Relu"}),
    "conv-leaky": (convolution("b", activation="LeakyRelu", activation_params=[0.3]), {"Conv", "LeakyRelu"}),
    "conv-clip": (convolution("b", activation="Clip", activation_params=[-0.5, 2.0]), {"Conv", "Clip"}),
    "conv-hard": (
        convolution("b", activation="HardSigmoid", activation_params=[0.1, 0.4]),
        {"Conv", "HardSigmoid"},
    ),
    "conv-tanh": (convolution("b", activation="Tanh"), {"Conv", "Tanh"}),
    "gemm-relu": (gemm("Relu", alpha=0.5, transB=1), {"Gemm", "Relu"}),
    "gemm-leaky": (gemm("LeakyRelu", activation_alpha=0.2), {"Gemm", "LeakyRelu"}),
    "gemm-elu": (gemm("Elu", activation_alpha=0.7), {"Gemm", "Elu"}),
    "product": (product(alpha=0.25), {"Mul", "MatMul"}),
    "product-turned": (product(alpha=0.25, transB=1), {"Transpose", "Mul", "MatMul"}),
    "product-left": (product(transA=1), {"Transpose", "MatMul"}),
    "gelu": (on_tokens(own("Gelu", ["tokens"], ["made"])), {"Erf", "Mul", "Add"}),
    "bias-gelu": (on_tokens(own("BiasGelu", ["tokens", "row"], ["made"])), {"Erf", "Mul", "Add"}),
    "fast-gelu": (on_tokens(own("FastGelu", ["tokens"], ["made"])), {"Tanh", "Mul", "Add"}),
    "fast-gelu-bias": (on_tokens(own("FastGelu", ["tokens", "row"], ["made"])), {"Tanh", "Mul", "Add"}),
    "quick-gelu": (on_tokens(own("QuickGelu", ["tokens"], ["made"], alpha=1.5)), {"Sigmoid", "Mul"}),
    "skip-norm": (
        on_tokens(own("SkipLayerNormalization", ["tokens", "tokens", "gain", "row"], ["made"], epsilon=1e-5)),
        {"Add", "LayerNormalization"},
    ),
    "skip-norm-bias-sum": (
        on_tokens(
            own("SkipLayerNormalization", ["tokens", "tokens", "gain", "row", "row"], ["n", "", "", "total"]),
            oh.make_node("Mul", ["n", "total"], ["made"], "both"),
        ),
        {"Add", "LayerNormalization", "Mul"},
    ),
    "skip-root-mean-square": (
        on_tokens(own("SkipSimplifiedLayerNormalization", ["tokens", "tokens", "gain"], ["made"], epsilon=1e-5)),
        {"Add", "Mul", "ReduceMean", "Sqrt", "Div"},
    ),
    "root-mean-square": (
        on_tokens(oh.make_node("SimplifiedLayerNormalization", ["tokens", "gain"], ["made"], "norm", axis=-1)),
        {"Add", "Mul", "ReduceMean", "Sqrt", "Div"},
    ),
    "attention": (
        on_tokens(own("Attention", ["tokens", "packed", "packed_bias"], ["made"], num_heads=4)),
        {"MatMul", "Add", "Split", "Reshape", "Transpose", "Mul", "Softmax"},
    ),
    "heads": (
        on_tokens(own("MultiHeadAttention", ["tokens", "tokens", "tokens"], ["made"], num_heads=2, scale=0.3)),
        {"MatMul", "Reshape", "Transpose", "Mul", "Softmax"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("case", CASES)
def test_each_operator_becomes_standard_ones_that_compute_the_same(case: str, opset: int, tmp_path: Path) -> None:
    nodes, kinds = CASES[case]
    proto = graph(nodes, opset)
    image = noise_batch(TASK)
    before = run(proto, image)["output"]
    model = load(proto, tmp_path)
    found = {node.op_type for node in model.proto.graph.node} - {"Gather"}
    if "gelu" in case and opset >= 20 and "quick" not in case:
        kinds = {"Gelu", *({"Add"} if "bias" in case else ())}
    ends = {"ReduceSum", "Reshape"} if any(node.name == "to_tokens" for node in nodes) else set()
    assert found == kinds | ends and not {node.domain for node in model.proto.graph.node} - {""}
    np.testing.assert_allclose(reference(model).run(image), before, atol=2e-5 * np.abs(before).max())
    assert len(model.notes) == 1 and "operators of ONNX Runtime's own (1 " in model.notes[0]
    assert "not proven" not in model.notes[0]


@pytest.mark.parametrize("matrix", [0, 1])
@pytest.mark.parametrize("side", ["A", "B"])
def test_the_batch_axes_of_a_product_are_turned(side: str, matrix: int, tmp_path: Path) -> None:
    turn = oh.make_node("Transpose", ["tokens"], ["turned"], "turn", perm=[1, 0, 2] if not matrix else [2, 0, 1])
    factors = ["turned", "tokens"] if side == "A" else ["tokens", "turned"]
    node = own("FusedMatMul", factors, ["made"], **{f"transBatch{side}": 1, f"trans{side}": matrix})
    shape = {"as_tokens": np.array([3, 32, 32])}
    proto = graph(on_tokens(turn, node), 17, **shape)
    image = noise_batch(TASK)
    before = run(proto, image)["output"]
    np.testing.assert_allclose(reference(load(proto, tmp_path)).run(image), before, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize("op", ["NhwcFusedConv", "NhwcConv"])
def test_channels_last_convolutions_are_turned(op: str, tmp_path: Path) -> None:
    """ONNX Runtime has no such kernels on this processor, so the convolution itself says what is right: NhwcConv reads
    weights whose channels stand last too, NhwcFusedConv does not."""
    activation = {"activation": "Relu"} if op == "NhwcFusedConv" else {}
    weights = WEIGHTS["w"] if op == "NhwcFusedConv" else WEIGHTS["w"].transpose(0, 2, 3, 1)
    nodes = [
        oh.make_node("Transpose", ["image"], ["last"], "there", perm=[0, 2, 3, 1]),
        own(op, ["last", "w", "b"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], **activation),
        oh.make_node("Transpose", ["y"], ["first_again"], "back", perm=[0, 3, 1, 2]),
        *over_channels("first_again"),
    ]
    model = load(graph(nodes, 17, w=weights), tmp_path)
    image = noise_batch(TASK)
    plain = reference(load(graph(convolution("b", activation="Relu" if activation else ""), 17), tmp_path)).run(image)
    np.testing.assert_allclose(reference(model).run(image), plain, atol=1e-5)
    assert "not proven" in model.notes[0]


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize(
    "case", ["conv-clip", "quick-gelu", "fast-gelu", "skip-root-mean-square", "root-mean-square", "attention"]
)
def test_a_half_precision_graph_is_written_out_once_it_is_computed_in_float32(
    case: str, opset: int, tmp_path: Path
) -> None:
    proto = graph(CASES[case][0], opset)
    exact = run(proto, noise_batch(TASK))["output"]
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            halved = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(halved, tensor.name))
    for end in (proto.graph.input[0], proto.graph.output[0]):
        end.type.tensor_type.elem_type = TensorProto.FLOAT16
    model = load(proto, tmp_path)
    assert not {node.domain for node in model.proto.graph.node} - {""}
    np.testing.assert_allclose(reference(model).run(noise_batch(TASK)), exact, atol=5e-3 * np.abs(exact).max())


@pytest.mark.parametrize("asked", ["causal", "keys and values"])
def test_what_is_not_written_here_stays_as_it_is(asked: str, tmp_path: Path) -> None:
    outputs, mask = (["made"], 1) if asked == "causal" else (["mixed", "present"], 0)
    nodes = [own("Attention", ["tokens", "packed", "packed_bias"], outputs, num_heads=4, unidirectional=mask)]
    if len(outputs) > 1:
        nodes += [oh.make_node("ReduceMean", ["present"], ["mean"], "mean", keepdims=0)]
        nodes += [oh.make_node("Add", ["mixed", "mean"], ["made"], "shift")]
    model = load(graph(on_tokens(*nodes), 17), tmp_path)
    assert [n.op_type for n in model.proto.graph.node if n.domain] == ["Attention"] and model.notes == ()


def test_a_node_keeps_its_name_and_others_are_named_after_it(tmp_path: Path) -> None:
    names = {node.op_type: node.name for node in load(graph(convolution("b"), 17), tmp_path).proto.graph.node}
    assert names["Relu"] == "the/FusedConv/Relu"
    assert {node.name for node in load(graph(convolution("b"), 17), tmp_path).proto.graph.node} >= {"the/FusedConv"}


def optimized(source: Path, level: str) -> Path:
    """What ONNX Runtime saves of a graph that it optimized."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(source.with_name(f"{level.lower()}.onnx"))
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return Path(options.optimized_model_filepath)


@pytest.mark.parametrize("opset", [13, 17])
def test_a_transformer_that_onnx_runtime_optimized(opset: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.norm = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16)
            self.query, self.wide, self.narrow = nn.Linear(16, 16), nn.Linear(16, 32), nn.Linear(32, 16)
            self.head = nn.ConvTranspose2d(16, 1, 4, 4)

        def forward(self, image: Any) -> Any:
            tokens = self.patches(image).flatten(2).transpose(1, 2)
            normed = self.norm(tokens)
            weights = torch.softmax(self.query(normed) @ normed.transpose(1, 2) / 4, -1)
            tokens = tokens + weights @ normed
            tokens = tokens + self.narrow(nn.functional.gelu(self.wide(self.norm(tokens))))
            return self.head(tokens.transpose(1, 2).reshape(1, 16, 8, 8))

    torch.manual_seed(0)
    plain = tmp_path / "plain.onnx"
    ends = {"input_names": ["image"], "output_names": ["output"]}
    torch.onnx.export(Block().eval(), torch.zeros(1, 3, 32, 32), str(plain), opset_version=opset, dynamo=False, **ends)
    saved = optimized(plain, "EXTENDED")
    kinds = {node.op_type for node in onnx.load(saved).graph.node if node.domain}
    assert {"FusedMatMul", "Gelu"} <= kinds
    model, image = load_model(saved, task=TASK), noise_batch(TASK)
    exact = run(onnx.load(plain), image)["output"]
    np.testing.assert_allclose(reference(model).run(image), exact, atol=1e-5 * np.abs(exact).max())
    assert not {node.domain for node in model.proto.graph.node} - {""}


def test_the_command_takes_an_optimized_file_and_quantizes_its_convolutions(tmp_path: Path) -> None:
    data = write_discs(tmp_path / "discs", {"train": 3, "val": 3, "test": 20})
    saved = optimized(disc_network().save(tmp_path / "plain.onnx"), "EXTENDED")
    assert [node.op_type for node in onnx.load(saved).graph.node if node.domain] == ["FusedConv"] * 2
    (tmp_path / "task.toml").write_text("[task]\nsize = [32, 32]\n")
    options = ("--task", tmp_path / "task.toml", "--data", data, "--target", "cpu", "--precision", "int8")
    said = edge("build", saved, *options, "--out", tmp_path / "int8")
    assert said.returncode == 0, said.stderr
    assert "(2 FusedConv) are written in standard ones" in said.stderr
    assert json.loads((tmp_path / "int8" / "engine.json").read_text())["convs"]["int8"] == 3


def test_a_graph_laid_out_for_one_processor_is_told_the_level_to_save_at(tmp_path: Path) -> None:
    proto = graph(convolution("b"), 17)
    proto.graph.node[0].domain = "com.microsoft.nchwc"
    with pytest.raises(InputError, match="save it with ORT_ENABLE_EXTENDED at most"):
        load(proto, tmp_path)
