"""TensorRT's dialect: which layers get pairs, on which axis, and the reason for each that does not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.graph.model import Model
from edge.lowering import unsupported
from edge.quantization.calibrate import calibrate
from edge.quantization.plan import INT8, PrecisionPlan
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.task.task import SegmentationTask

SCHEME = SCHEMES["tensorrt"]
RANDOM = np.random.default_rng(0)


def model(body: str, **weights: tuple[int, ...] | list[int]) -> Model:
    """A small graph; a weight is random of a shape (tuple), or these very integers (list)."""
    header = '<ir_version: 9, opset_import: ["" : 20]> net (float[1,16,8,8] image) => (float[1,K,H,W] output)'
    proto = onnx.parser.parse_model(f"{header} {{ {body} }}")
    for node in proto.graph.node:
        node.name = node.output[0]
    for name, given in weights.items():
        random = (RANDOM.standard_normal(given) * 0.3).astype(np.float32) if isinstance(given, tuple) else None
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array(given) if random is None else random, name)
        )
    onnx.checker.check_model(proto)
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    classes = tuple("abcdefghijklmnopqrstuvwxyz"[: _channels(proto)])
    task = SegmentationTask(size=(8, 8), classes=classes, activation="softmax" if len(classes) > 1 else "sigmoid")
    return Model(proto, task, "net")


def _channels(proto: onnx.ModelProto) -> int:
    return max(1, proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def write(source: Model, plan: PrecisionPlan | None = None) -> tuple[onnx.GraphProto, dict[str, np.ndarray]]:
    images = [RANDOM.standard_normal((1, 16, 8, 8)).astype(np.float32) for _ in range(2)]
    graph = quantize(source, calibrate(source, images), plan or plan_int8(source, SCHEME), SCHEME)
    for version in ("10.3", "11.4"):
        assert unsupported(graph, version) == ()
    return graph.proto.graph, {t.name: onnx.numpy_helper.to_array(t) for t in graph.proto.graph.initializer}


REASONS = {
    "three channels in": ("s, r = Split<axis=1>(image, at) output = Conv(s, w)",
                          {"at": [3, 13], "w": (16, 3, 1, 1)}, "fewer than 4"),
    "depthwise": ("output = Conv<group=16>(image, w)", {"w": (16, 1, 3, 3)}, "depthwise gains nothing"),
    "grouped": ("output = Conv<group=4>(image, w)", {"w": (16, 4, 3, 3)}, "grouped convolution"),
    "narrow": ("a = Conv(image, v) output = Conv(a, w)", {"v": (13, 16, 1, 1), "w": (5, 13, 1, 1)}, "fewer than 16"),
    "transposed": ("output = ConvTranspose<strides=[2,2]>(image, w)", {"w": (16, 16, 2, 2)}, "keeps ConvTranspose"),
    "computed kernel": ("k = Reshape(image, to) output = Conv(image, k)", {"to": [4, 16, 4, 4]}, "kernel is computed"),
    "attention": ("t = Transpose<perm=[0,1,3,2]>(image) output = MatMul(image, t)", {}, "both operands are computed"),
    "one row": ("p = GlobalAveragePool(image) f = Flatten(p) g = Gemm(f, w) b = Reshape(g, to) output = Mul(image, b)",
                {"w": (16, 16), "to": [1, 16, 1, 1]}, "one row"),
}  # fmt: skip


@pytest.mark.parametrize("case", REASONS)
def test_each_float_layer_says_why(case: str) -> None:
    body, weights, words = REASONS[case]
    reasons = plan_int8(model(body, **weights), SCHEME).reasons
    assert [words in reason for reason in reasons.values()] == [True], reasons


def test_channels_that_fill_a_tensor_core_run_in_int8() -> None:
    source = model("a = Conv(image, v) output = Conv(a, w)", v=(24, 16, 1, 1), w=(1, 24, 1, 1))
    assert plan_int8(source, SCHEME).nodes == {"a": INT8, "output": INT8}


def test_grids_are_symmetric_with_zero_points_and_axes_written() -> None:
    graph, arrays = write(model("output = Conv<pads=[1,1,1,1]>(image, w, b)", w=(24, 16, 3, 3), b=(24,)))
    pairs = [n for n in graph.node if n.op_type.endswith("Linear")]
    assert [n.op_type for n in pairs].count("QuantizeLinear") == 1
    for node in pairs:
        assert arrays[node.input[2]].dtype == np.int8 and not arrays[node.input[2]].any()
        assert arrays[node.input[1]].size == arrays[node.input[2]].size
    weight = next(n for n in pairs if n.input[0] in arrays)
    assert arrays[weight.input[1]].shape == (24,)
    assert [a.i for a in weight.attribute if a.name == "axis"] == [0]
    conv = next(n for n in graph.node if n.op_type == "Conv")
    assert arrays[conv.input[2]].dtype == np.float32, "a bias stays float"


def test_transposed_weights_are_scaled_along_their_second_axis() -> None:
    source = model("output = ConvTranspose<strides=[2,2]>(image, w)", w=(16, 24, 2, 2))
    graph, arrays = write(source, PrecisionPlan({"output": INT8}))
    weight = next(n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in arrays)
    assert [a.i for a in weight.attribute if a.name == "axis"] == [1] and arrays[weight.input[1]].shape == (24,)


def test_a_concat_has_one_scale_and_its_branches_none() -> None:
    source = model(
        "a = Conv(image, u) c = Concat<axis=1>(a, image) x = Conv(c, v) y = Conv(c, w) output = Concat<axis=1>(x, y)",
        u=(16, 16, 1, 1), v=(8, 32, 1, 1), w=(8, 32, 1, 1),
    )  # fmt: skip
    graph, _ = write(source)
    assert sorted(n.input[0] for n in graph.node if n.op_type == "QuantizeLinear") == ["c", "image"]
    assert {tuple(n.input) for n in graph.node if n.op_type == "Concat"} == {("a", "image"), ("x", "y")}


RESIDUAL = "r = Relu(image) a = Conv(r, u) s = Add(a, r) output = Conv(s, v)"


def test_the_residual_operand_shares_the_pair_of_its_tensor() -> None:
    graph, _ = write(model(RESIDUAL, u=(16, 16, 1, 1), v=(16, 16, 1, 1)))
    add = next(n for n in graph.node if n.op_type == "Add")
    assert list(add.input) == ["a", "r_dequantized"]
    assert sorted(n.input[0] for n in graph.node if n.op_type == "QuantizeLinear") == ["r", "s"]


@pytest.mark.parametrize(
    "body",
    [
        RESIDUAL.replace("Conv(r, u)", "Conv<group=16>(r, w)"),  # the branch is not in INT8
        RESIDUAL.replace("s = Add(a, r)", "b = Relu(a) e = Add(a, r) s = Mul(e, b)"),  # something else reads the branch
    ],
)
def test_a_residual_is_left_where_the_add_would_not_fuse(body: str) -> None:
    shapes = {name: shape for name, shape in {"u": (16, 16, 1, 1), "v": (16, 16, 1, 1), "w": (16, 1, 1, 1)}.items()
              if f", {name})" in body}  # fmt: skip
    graph, _ = write(model(body, **shapes))
    assert list(next(n for n in graph.node if n.op_type == "Add").input) == ["a", "r"]
