"""Lowering: what each TensorRT's parser takes, what is refused, and that decompositions compute the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.graph.model import Model
from edge.lowering import find_parser, lower, require_supported, unsupported
from edge.lowering.parsers import parse_version
from edge.task.task import SegmentationTask

VERSIONS = ("8.5", "8.6", "10.3", "10.9", "10.13", "10.16", "11.1")


def model(body: str, opset: int = 20, **weights: np.ndarray) -> Model:
    header = f'<ir_version: 10, opset_import: ["" : {opset}]> net (float[1,4,8,8] image) => (float[1,M,H,W] output)'
    proto = onnx.parser.parse_model(f"{header} {{ {body} }}")
    for count, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}{count}"
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in weights.items())
    onnx.checker.check_model(proto)
    return Model(proto, SegmentationTask(size=(8, 8)), "net")


def run(graph: Model) -> np.ndarray:
    image = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    return reference(graph).run(image)


def ops(graph: Model) -> set[str]:
    return {node.op_type for node in graph.proto.graph.node}


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


GAMMA, BETA = np.linspace(0.5, 2, 8, dtype=np.float32), np.linspace(-1, 1, 8, dtype=np.float32)
DECOMPOSED = {
    "gelu": ("output = Gelu(image)", {}, "Gelu", {"8.5", "8.6"}),
    "gelu_tanh": ('output = Gelu<approximate="tanh">(image)', {}, "Gelu", {"8.5", "8.6"}),
    "layer_norm": ("output = LayerNormalization<axis=-1, epsilon=0.01>(image, g, b)", {"g": GAMMA, "b": BETA},
                   "LayerNormalization", {"8.5"}),
    "layer_norm_two_axes": ("output = LayerNormalization<axis=2>(image, g)", {"g": np.outer(GAMMA, GAMMA)},
                            "LayerNormalization", {"8.5"}),
    "mish": ("output = Mish(image)", {}, "Mish", {"8.5", "8.6"}),
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", DECOMPOSED)
def test_decompositions_compute_the_same(case: str, version: str) -> None:
    body, weights, op, lacking = DECOMPOSED[case]
    source = model(body, **weights)
    lowered = lower(source, version)
    assert (op in ops(lowered)) == (version not in lacking)
    assert lowered.opset == min(20, find_parser(version).opset)
    np.testing.assert_allclose(run(lowered), run(source), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("opset", "gamma"), [(21, (0.5, 1, 2, 3)), (20, (0.5, 2))])
def test_group_norm_lowers_from_both_forms(opset: int, gamma: tuple[float, ...]) -> None:
    beta = tuple(value - 1 for value in gamma)
    source = model("output = Relu(image)", opset, g=vector(*gamma), b=vector(*beta))
    source.proto.graph.node[0].CopyFrom(  # the checker calls opset 18's form deprecated, and files with it exist
        onnx.helper.make_node("GroupNormalization", ["image", "g", "b"], ["output"], "norm", num_groups=2)
    )
    image = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    groups = image.reshape(1, 2, -1)
    normed = (groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)
    scale, shift = (np.repeat(vector(*v), 4 // len(v)).reshape(1, 4, 1, 1) for v in (gamma, beta))
    for version in ("8.6", "10.3", "10.13", "10.16"):
        lowered = lower(source, version)
        assert ("GroupNormalization" in ops(lowered)) == (opset == 21 and version == "10.16"), version
        np.testing.assert_allclose(run(lowered), normed.reshape(1, 4, 8, 8) * scale + shift, rtol=2e-5, atol=2e-5)


def test_swish_lowers_to_a_gate() -> None:
    proto = model("output = Relu(image)", 20).proto
    proto.opset_import[0].version = 24
    del proto.graph.node[:]
    proto.graph.node.append(onnx.helper.make_node("Swish", ["image"], ["output"], "Swish0", alpha=1.5))
    lowered = lower(Model(proto, SegmentationTask(size=(8, 8)), "net"), "10.16")
    assert ops(lowered) == {"Mul", "Sigmoid"}
    image = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    lowered.proto.opset_import[0].version = 20  # onnxruntime may not know opset 24 yet; these three are unchanged
    np.testing.assert_allclose(run(lowered), image / (1 + np.exp(-1.5 * image)), rtol=1e-5, atol=1e-6)


OLD_FORMS = {
    "reduce": ("output = ReduceMean<keepdims=1>(image, a)", {"a": np.array([2, 3])}),
    "reduce_all": ("output = ReduceMax<keepdims=1>(image)", {}),
    "reduce_chain": ("m = ReduceL2<keepdims=1>(image, a) output = ReduceSum<keepdims=1>(m, b)",
                     {"a": np.array([1]), "b": np.array([2])}),
    "split": ("a, b, c = Split<axis=3, num_outputs=3>(image) output = Concat<axis=3>(c, b, a)", {}),
    "pad": ("output = Pad(image, p, , x)", {"p": np.array([1, 2, 3, 4]), "x": np.array([2, 3])}),
    "resize": ('output = Resize<mode="linear", axes=[2,3]>(image, , s)', {"s": vector(2, 2)}),
    "resize_sizes": ('output = Resize<mode="linear", axes=[3]>(image, , , s)', {"s": np.array([16])}),
    "resize_plain": ('output = Resize<mode="nearest", antialias=0, keep_aspect_ratio_policy="stretch">(image, , s)',
                     {"s": vector(1, 1, 2, 2)}),
    "pool": ("output = AveragePool<kernel_shape=[2,2], strides=[2,2], dilations=[1,1]>(image)", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", OLD_FORMS)
def test_new_forms_are_written_in_the_old_one(case: str) -> None:
    body, weights = OLD_FORMS[case]
    source = model(body, **weights)
    lowered = lower(source, "8.5")
    assert lowered.opset == 17 and lowered.proto.ir_version == 8
    for node in lowered.proto.graph.node:
        names = {a.name for a in node.attribute}
        assert not names & {"antialias", "keep_aspect_ratio_policy", "num_outputs", "noop_with_empty_axes"}
        assert node.op_type not in ("ReduceMean", "ReduceL2", "ReduceMax") or len(node.input) == 1
    np.testing.assert_allclose(run(lowered), run(source), rtol=1e-6, atol=1e-6)
    assert lower(source, "10.3").opset == 20


REFUSED = {
    "an unlisted operator": ("output = Hardmax(image)", {}, "8.5", "operator Hardmax"),
    "dilated pooling": ("output = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(image)", {}, "11.1", "dilated pooling"),
    "pooling indices":
        ("o, i = MaxPool<kernel_shape=[2,2]>(image) f = Cast<to=1>(i) output = Add(o, f)", {}, "11.1", "second output"),
    "antialias": ('output = Resize<mode="linear", antialias=1>(image, , s)', {"s": vector(1, 1, 0.5, 0.5)}, "10.3",
                  "antialiasing"),
    "antialias, old": ('output = Resize<mode="linear", antialias=1>(image, , s)', {"s": vector(1, 1, 0.5, 0.5)}, "8.6",
                       "uses antialias, new after opset 17"),
    "asymmetric levels": ("q = QuantizeLinear(image, s, z) output = DequantizeLinear(q, s, z)",
                          {"s": np.float32(0.1), "z": np.int8(3)}, "11.1", "not 0"),
    "unsigned levels": ("q = QuantizeLinear(image, s, z) output = DequantizeLinear(q, s, z)",
                        {"s": np.float32(0.1), "z": np.uint8(0)}, "8.6", "uint8 levels"),
    "wrapping pads": ('output = Pad<mode="wrap">(image, p)', {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, "8.6",
                      "mode wrap"),
    "an ellipsis": ('output = Einsum<equation="...ij->...ji">(image)', {}, "10.3", "ellipsis"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_parser_lacks_is_refused(case: str) -> None:
    body, weights, version, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        lower(model(body, **weights), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operator_outside_the_table_is_refused(version: str) -> None:
    parser = find_parser(version)
    source = model("output = Relu(image)")
    for name in sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain}):
        source.proto.graph.node[0].op_type = name
        refused = any(f"operator {name} " in fault for fault in unsupported(source, version))
        assert refused == (name not in parser.operators), name


@pytest.mark.parametrize("version", VERSIONS)
def test_an_opset_above_the_table_is_refused(version: str) -> None:
    highest = find_parser(version).opset
    require_supported(model("output = Relu(image)", highest), version)
    with pytest.raises(InputError, match=f"opset {highest + 1}"):
        require_supported(model("output = Relu(image)", highest + 1), version)


def test_a_reduction_that_8x_would_misread_is_refused_as_it_stands() -> None:
    source = model("output = ReduceMean<keepdims=1>(image, a)", 18, a=np.array([2, 3]))
    with pytest.raises(InputError, match=r"TensorRT 8\.6 does not take opset 18 \(at most 17\)"):
        require_supported(source, "8.6")


def test_half_tensors_and_scales_are_refused_before_strong_typing() -> None:
    body = "c = Cast<to=10>(image) q = QuantizeLinear(c, s, z) d = DequantizeLinear(q, s, z) output = Cast<to=1>(d)"
    typed = model(body, s=np.float16(0.1), z=np.int8(0))
    with pytest.raises(InputError, match="FP16 tensors"):
        lower(typed, "8.6")
    assert "float16 scales (it reads their bytes as float32)" in " ".join(unsupported(typed, "8.6"))
    assert ops(lower(typed, "10.3")) == ops(typed)


def test_int8_weights_go_through_a_quantize_node_on_8x() -> None:
    levels = np.random.default_rng(1).integers(-127, 128, (4, 4, 1, 1)).astype(np.int8)
    source = model(
        "q = QuantizeLinear(image, s, z) d = DequantizeLinear(q, s, z) w = DequantizeLinear<axis=0>(l, ws, wz)"
        " output = Conv(d, w)",
        s=np.float32(0.02), z=np.int8(0), l=levels, ws=vector(0.01, 0.3, 2e-4, 7), wz=np.zeros(4, np.int8),
    )  # fmt: skip
    for version, count in (("8.5", 2), ("8.6", 2), ("10.3", 1), ("11.1", 1)):
        lowered = lower(source, version)
        assert [n.op_type for n in lowered.proto.graph.node].count("QuantizeLinear") == count, version
        np.testing.assert_array_equal(run(lowered), run(source))


def test_scales_get_their_axis() -> None:
    source = model(
        "q = QuantizeLinear(image, s, z) output = DequantizeLinear(q, s, z)",
        s=vector(1, 2, 3, 4),
        z=np.zeros(4, np.int8),
    )
    axes = [a.i for n in lower(source, "10.3").proto.graph.node for a in n.attribute if a.name == "axis"]
    assert axes == [1, 1]


def test_tensors_keep_their_names() -> None:
    source = model("g = Gelu(image) output = Relu(g)")
    names = {name for node in lower(source, "8.5").proto.graph.node for name in node.output}
    assert {"g", "output"} <= names


@pytest.mark.parametrize("text", ["8.4", "9.0", "12.0", "7.1.3"])
def test_versions_outside_the_table_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="not in the table"):
        find_parser(text)


def test_versions_are_parsed() -> None:
    assert (
        parse_version("10.16.2") == (10, 16) == parse_version("10.16.1.11.post1") and find_parser("8.5.2").opset == 17
    )
    assert find_parser("10.7").operators.keys() == find_parser("10.3").operators.keys()
    with pytest.raises(InputError, match="not a version"):
        parse_version("newest")


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_samples_on_a_grid(version: str, mode: str) -> None:
    grid = np.random.default_rng(0).uniform(-1, 1, (1, 6, 5, 2)).astype(np.float32)
    source = model(f'output = GridSample<mode="{mode}", padding_mode="border">(image, grid)', grid=grid)
    lowered = lower(source, version)
    assert ops(lowered) == {"GridSample"}
    np.testing.assert_allclose(run(lowered), run(source), atol=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_blocks_that_do_not_overlap_are_put_together_by_a_transpose(version: str) -> None:
    """Three channels of blocks of 2 x 4, placed by hand."""
    body = "rows = Reshape(image, s) t = Slice(rows, z, n, a) output = Col2Im<strides=[2,4]>(t, size, block)"
    weights = {"s": [1, 32, 8], "z": [0], "n": [24], "a": [1], "size": [4, 16], "block": [2, 4]}
    source = model(body, **{name: np.array(value) for name, value in weights.items()})
    lowered = lower(source, version)
    assert "Col2Im" not in ops(lowered)
    image = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    wanted = np.zeros((1, 3, 4, 16), np.float32)
    for c, y, x, i, j in np.ndindex(3, 2, 4, 2, 4):
        wanted[0, c, 2 * y + i, 4 * x + j] = image.reshape(32, 8)[c * 8 + i * 4 + j, y * 4 + x]
    np.testing.assert_array_equal(run(lowered), wanted)
    np.testing.assert_array_equal(run(source), wanted)


def test_blocks_that_overlap_are_refused_by_name() -> None:
    body = "rows = Reshape(image, s) output = Col2Im(rows, size, block)"
    weights = {"s": [1, 16, 16], "size": [5, 5], "block": [2, 2]}
    with pytest.raises(InputError, match="does not take operator Col2Im"):
        lower(model(body, **{name: np.array(value) for name, value in weights.items()}), "10.16")
