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


def _sums(exact: Model, other: Model, tensor: str, kind: int) -> list[float]:
    graph = side_by_side(exact, other, {tensor: kind})
    assert graph.sums == SideBySide.names(tensor)
    values = Intermediates(graph.model, graph.sums, optimize=False).run(images(1)[0])
    return [float(values[name]) for name in graph.sums]


def test_sums_are_of_what_each_network_makes() -> None:
    model, image = small_unet(), images(1)[0]
    half, tensor = to_half(model), model.proto.graph.node[4].output[0]
    wanted, actual = (Intermediates(one, [tensor], optimize=False).run(image)[tensor] for one in (model, half))
    assert actual.dtype == np.float16
    signal, noise, own = _sums(model, half, tensor, onnx.TensorProto.FLOAT16)
    assert signal == pytest.approx(float(np.square(wanted, dtype=np.float64).sum()), rel=1e-4)
    assert noise == pytest.approx(float(np.square(actual.astype(np.float64) - wanted).sum()), rel=1e-4)
    assert 0 < own <= noise * 1.5


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
