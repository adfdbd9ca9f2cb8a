"""The sums that one graph hands out are those of the tensors that each network makes by itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge.accuracy.side_by_side import SideBySide, side_by_side
from edge.backends.onnxruntime import Intermediates
from edge.graph.model import Model
from edge.quantization.half import to_half
from tests.fixtures.small_unet import images, small_unet


def test_sums_are_of_what_each_network_makes() -> None:
    model, image = small_unet(), images(1)[0]
    half, tensor = to_half(model), model.proto.graph.node[4].output[0]
    wanted, actual = (Intermediates(one, [tensor], optimize=False).run(image)[tensor] for one in (model, half))
    assert actual.dtype == np.float16
    tensors = [node.output[0] for node in model.proto.graph.node[:5]]
    graph = side_by_side(model, half, dict.fromkeys(tensors, onnx.TensorProto.FLOAT16))
    values = Intermediates(graph.model, graph.sums, optimize=False).run(image)
    signal, noise, own = (float(values[name]) for name in SideBySide.names(tensor))
    assert signal == pytest.approx(float(np.square(wanted, dtype=np.float64).sum()), rel=1e-4)
    assert noise == pytest.approx(float(np.square(actual.astype(np.float64) - wanted).sum()), rel=1e-4)
    assert 0 < own < noise


def test_what_a_half_layer_reads_is_rounded_to_half() -> None:
    image = images(1)[0]
    net = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 20]>
        net (float[{",".join(map(str, image.shape))}] image) => (float[1, 3, N, M] output) <float[1] third = {{0.333}}>
        {{ a = Mul(image, third) b = Mul(a, third) output = Mul(b, third) }}"""
    )
    for node in net.graph.node:
        node.name = f"make {node.output[0]}"
    model = Model(net, small_unet().task, "net")
    graph = side_by_side(model, to_half(model), dict.fromkeys(("a", "b"), onnx.TensorProto.FLOAT16))
    values = Intermediates(graph.model, graph.sums, optimize=False).run(image)
    third = np.float32(0.333)
    given = (image * third).astype(np.float16)
    made = (given.astype(np.float32) * np.float32(np.float16(third))).astype(np.float16)
    expected = float(np.square(made.astype(np.float64) - image * third * third).sum())
    assert float(values["own-noise//b"]) == pytest.approx(expected, rel=0.01) and expected > 0


def test_no_activation_waits_for_a_later_layer() -> None:
    """ONNX Runtime walks back from the last node: what the first layers lost has to be asked for last."""
    model = small_unet()
    tensors = [node.output[0] for node in model.proto.graph.node]
    graph = side_by_side(model, model, dict.fromkeys(tensors, onnx.TensorProto.FLOAT)).model.proto.graph
    summed = [node.input[0] for node in graph.node if node.op_type == "ReduceSumSquare" and node.input[0] in tensors]
    assert summed == tensors[::-1]
    assert not graph.value_info and len(graph.input) == 1


def test_an_output_that_is_left_out_and_nodes_without_a_name() -> None:
    net = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20]>
        net (float[1, 4, 8, 8] image) => (float[1, 4, N, M] output) <float most = {0.5}>
        { kept = MaxPool<kernel_shape=[1, 1]>(image) output = Clip(kept, , most) }"""
    )
    net.graph.node[0].output.append("")  # as some exporters write it
    model = Model(net, small_unet().task, "net")
    graph = side_by_side(model, model, dict.fromkeys(("kept", "output"), onnx.TensorProto.FLOAT))
    image = np.random.default_rng(0).random((1, 4, 8, 8), dtype=np.float32)
    values = Intermediates(graph.model, graph.sums, optimize=False).run(image)
    assert float(values["signal//kept"]) == pytest.approx(float(np.square(image).sum()), rel=1e-5)
    assert float(values["noise//output"]) == float(values["own-noise//output"]) == 0.0


def test_weights_that_both_have_are_there_once() -> None:
    model = small_unet()
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    names = [t.name for t in side_by_side(model, model, {}).model.proto.graph.initializer]
    assert sorted(names) == sorted(weights)


def test_a_function_of_the_user_s_leaves_an_operator_of_that_name_alone() -> None:
    net = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20, "my" : 1]>
        net (float[1, 4, 8, 8] image) => (float[1, 4, 8, 8] output)
        { a = Softmax<axis=1>(image) output = my.Softmax(a) }
        <opset_import: ["" : 20], domain: "my"> Softmax (x) => (y) { y = Neg(x) }"""
    )
    model = Model(net, small_unet().task, "net")
    graph = side_by_side(model, model, dict.fromkeys(("a", "output"), onnx.TensorProto.FLOAT))
    image = np.random.default_rng(0).random((1, 4, 8, 8), dtype=np.float32)
    values = Intermediates(graph.model, graph.sums, optimize=False).run(image)
    assert float(values["signal//a"]) == float(values["signal//output"]) > 0 and float(values["noise//output"]) == 0.0
