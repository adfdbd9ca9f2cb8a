"""FP16 written into a graph: types, names, what stays FP32, and the numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.graph.model import Model
from edge.quantization.half import MIN_SCALE, stays_float, to_half
from edge.task.task import SegmentationTask

TASK = SegmentationTask(size=(8, 8))
HEADER = '<ir_version: 9, opset_import: ["" : 20]> net (float[1,3,8,8] image) => (float[1,K,8,8] output)'
RANDOM = np.random.default_rng(0)


def model(body: str, maps: int = 1, opset: int = 20, **weights: np.ndarray) -> Model:
    text = HEADER.replace("20", str(opset)).replace("K", str(maps))
    proto = onnx.parser.parse_model(f"{text} {{ {body} }}")
    for count, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}{count}"
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    onnx.checker.check_model(proto)
    classes = ("a",) if maps == 1 else tuple("abc"[:maps])
    task = SegmentationTask(size=(8, 8), classes=classes, activation="sigmoid" if maps == 1 else "softmax")
    return Model(proto, task, "net")


def conv(*shape: int, scale: float = 0.3) -> np.ndarray:
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


def types(graph: Model) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(graph.proto, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def require_sound(graph: Model) -> None:
    onnx.checker.check_model(graph.proto, full_check=True)
    names = [name for node in graph.proto.graph.node for name in node.output]
    assert len(names) == len(set(names)), "a name is written twice"
    assert len({node.name for node in graph.proto.graph.node}) == len(graph.proto.graph.node)


def run(graph: Model) -> np.ndarray:
    return reference(graph).run(np.random.default_rng(1).random((1, 3, 8, 8), dtype=np.float32))


def test_everything_between_the_ends_is_half() -> None:
    source = model("a = Conv<pads=[1,1,1,1]>(image, w, b) r = Relu(a) output = Conv(r, v)",
                   w=conv(4, 3, 3, 3), b=conv(4), v=conv(1, 4, 1, 1))  # fmt: skip
    half = to_half(source)
    require_sound(half)
    assert [n.op_type for n in half.proto.graph.node] == ["Cast", "Conv", "Relu", "Conv", "Cast"]
    assert {t.data_type for t in half.proto.graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert half.proto.graph.output[0].name == "output" and types(half)["output"] == onnx.TensorProto.FLOAT
    error = np.abs(run(half) - run(source)).max()
    assert 0 < error < 2e-3 * np.abs(run(source)).max()


def test_a_value_with_several_readers_is_cast_once() -> None:
    source = model(
        "a = Conv(image, w) s = Mul(a, a) m = ReduceMean<keepdims=1>(s, axes) q = Sqrt(m) p = Pow(a, two)"
        " e = Add(p, s) f = Sqrt(e) g = Div(f, q) output = Add(g, a)",
        w=conv(1, 3, 1, 1), axes=np.array([1]), two=np.float32(2).reshape(()),
    )  # fmt: skip
    half = to_half(source)
    require_sound(half)
    casts = [node.input[0] for node in half.proto.graph.node if node.op_type == "Cast"]
    assert sorted(casts) == sorted(set(casts)), "one value was cast twice to one type"
    np.testing.assert_allclose(run(half), run(source), rtol=4e-3, atol=4e-3)


def test_an_output_that_is_also_read_inside_keeps_its_name() -> None:
    source = model("output = Conv(image, w) unused = Relu(output)", w=conv(1, 3, 1, 1))
    half = to_half(source)
    require_sound(half)
    assert half.output_name == "output" and types(half)["output"] == onnx.TensorProto.FLOAT


def test_squares_stay_float_up_to_the_root() -> None:
    # 300 squared is beyond FP16; the root of the mean is not.
    source = model(
        "big = Mul(image, k) s = Mul(big, big) m = ReduceMean<keepdims=1>(s, axes) e = Add(m, eps)"
        " d = Sqrt(e) n = Div(big, d) output = Conv(n, w)",
        k=np.float32(900).reshape(()), axes=np.array([1]), eps=np.float32(1e-5).reshape(()), w=conv(1, 3, 1, 1),
    )  # fmt: skip
    assert set(stays_float(source)) == {"Mul1", "ReduceMean2", "Add3", "Sqrt4"}
    assert all("overflow" in reason for reason in stays_float(source).values())
    half = to_half(source)
    require_sound(half)
    np.testing.assert_allclose(run(half), run(source), rtol=5e-3, atol=5e-3)


def test_what_half_cannot_hold_stays_float() -> None:
    source = model("a = Mul(image, huge) b = Mul(a, small) output = Conv(b, w)",
                   huge=np.float32([1e5]), small=np.float32([1e-5]), w=conv(1, 3, 1, 1))  # fmt: skip
    assert stays_float(source) == {"Mul0": "a weight exceeds FP16's largest value"}
    assert stays_float(source, keep={"Mul1"})["Mul1"] == "left FP32 on request"
    np.testing.assert_allclose(run(to_half(source, {"Mul1"})), run(source), rtol=5e-3, atol=5e-3)


def test_sizes_of_a_resize_stay_float() -> None:
    source = model(
        'a = Conv<strides=[2,2]>(image, w) output = Resize<mode="linear">(a, , scales)',
        w=conv(1, 3, 1, 1), scales=np.array([1, 1, 2, 2], np.float32),
    )  # fmt: skip
    half = to_half(source)
    require_sound(half)
    kinds = {t.name: t.data_type for t in half.proto.graph.initializer}
    assert kinds["scales"] == onnx.TensorProto.FLOAT and kinds["w_as_half"] == onnx.TensorProto.FLOAT16
    np.testing.assert_allclose(run(half), run(source), rtol=4e-3, atol=4e-3)


QDQ = (
    "q = QuantizeLinear(image, s, z) d = DequantizeLinear(q, s, z)"
    " dw = DequantizeLinear<axis=0>(w, ws, wz) output = Conv(d, dw)"
)


def quantized(weight_scale: list[float], opset: int = 20) -> Model:
    levels = RANDOM.integers(-127, 128, (2, 3, 1, 1)).astype(np.int8)
    return model(QDQ, 2, opset, s=np.float32(1 / 127).reshape(()), z=np.int8(0).reshape(()), w=levels,
                 ws=np.array(weight_scale, np.float32), wz=np.zeros(2, np.int8))  # fmt: skip


def test_scales_become_half_with_the_rest() -> None:
    source = quantized([0.01, 0.02])
    half = to_half(source)
    require_sound(half)
    kinds = types(half)
    assert kinds["d"] == kinds["dw"] == onnx.TensorProto.FLOAT16
    assert "Cast" not in {n.op_type for n in half.proto.graph.node if n.input[0] in ("d", "dw")}
    np.testing.assert_allclose(run(half), run(source), rtol=1e-2, atol=1e-2)


def test_tiny_scales_are_raised_and_their_weights_rounded_anew() -> None:
    source = quantized([MIN_SCALE / 2, 0.01])
    half = to_half(source)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in half.proto.graph.initializer}
    scale = next(a for a in arrays.values() if a.dtype == np.float16 and a.size == 2)
    assert scale[0] == np.float16(MIN_SCALE)
    old = onnx.numpy_helper.to_array(next(t for t in source.proto.graph.initializer if t.name == "w"))
    new = next(a for a in arrays.values() if a.dtype == np.int8 and a.ndim == 4)
    np.testing.assert_array_equal(new[0], np.rint(old[0] / 2))
    np.testing.assert_array_equal(new[1], old[1])


def test_a_scale_that_half_cannot_hold_keeps_its_node_float() -> None:
    source = quantized([1e-7, 0.01])
    assert stays_float(source)["Conv3"] == "FP16 cannot hold its scale"
    half = to_half(source)
    require_sound(half)
    np.testing.assert_array_equal(run(half), run(source))


def test_a_quantized_node_kept_float_keeps_its_pairs() -> None:
    half = to_half(quantized([0.01, 0.02]), keep={"Conv3"})
    assert [n.op_type for n in half.proto.graph.node].count("Cast") == 0
    require_sound(half)


def test_refusals() -> None:
    with pytest.raises(InputError, match="opset 19"):
        to_half(quantized([0.01, 0.02], opset=17))


def test_a_value_made_in_float32_is_cast_where_it_is_read() -> None:
    source = model(
        "k = ConstantOfShape<value = float[1] {0.25}>(shape) a = Conv(image, w) output = Mul(a, k)",
        w=conv(1, 3, 1, 1), shape=np.array([1, 1, 8, 8]),
    )  # fmt: skip
    half = to_half(source)
    require_sound(half)
    assert set(stays_float(source)) == {"ConstantOfShape0"}
    np.testing.assert_allclose(run(half), run(source), rtol=4e-3, atol=1e-3)
