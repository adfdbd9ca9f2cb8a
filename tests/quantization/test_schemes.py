"""Every dialect: products of a single row stay float, because one grid cannot hold a pooled vector."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.accuracy.sqnr import parity_db, sqnr_db
from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.fusion.driver import rewritten
from edge.graph.model import Model
from edge.quantization.calibrate import calibrate
from edge.quantization.graph import is_nonnegative
from edge.quantization.plan import FLOAT, INT8, PrecisionPlan
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network
from tests.fixtures.graph_builder import Builder

CHANNELS = 16


def gated() -> tuple[Model, list[str]]:
    """A gate from a pooled vector of which one channel is 500 times the others; the names of its two convolutions."""
    b = Builder(CHANNELS)
    loud = np.eye(CHANNELS, dtype=np.float32)
    loud[0, 0] = 500.0
    deaf = b.rng.uniform(-2, 2, (CHANNELS, CHANNELS)).astype(np.float32)
    deaf[:, 0] = 0.0
    pooled = b.op("GlobalAveragePool", b.op("Relu", b.conv("x", CHANNELS, CHANNELS, 3)))
    vector = b.op("Conv", pooled, b.weight(loud[:, :, None, None]))
    gate = b.op("Sigmoid", b.op("Conv", vector, b.weight(deaf[:, :, None, None])))
    model = b.model(b.conv(b.op("Mul", "x", gate), CHANNELS, 1, 3))
    names = [n.name for n in model.proto.graph.node if n.op_type == "Conv"]
    return model, names[1:3]


@pytest.mark.parametrize("name", ["openvino", "openvino-identical", "tensorrt"])
def test_products_of_one_row_stay_float_with_the_reason(name: str) -> None:
    model, rows = gated()
    plan = plan_int8(model, SCHEMES[name])
    assert not plan.int8 & set(rows)
    assert all("one row" in plan.reasons[row] for row in rows)
    assert plan.int8, "the convolutions over the image are in INT8"


def test_rounding_a_pooled_vector_would_cost_most_of_the_signal() -> None:
    model, rows = gated()
    images = [np.random.default_rng(seed).random((1, CHANNELS, 16, 16), np.float32) for seed in (1, 2)]
    ranges, scheme = calibrate(model, images), SCHEMES["openvino"]
    plan = plan_int8(model, scheme)
    rounded = PrecisionPlan({**plan.nodes, **dict.fromkeys(rows, INT8)})
    exact = np.concatenate([reference(model).run(image) for image in images])
    kept, lost = (
        sqnr_db(exact, np.concatenate([reference(quantize(model, ranges, p, scheme)).run(image) for image in images]))
        for p in (plan, rounded)
    )
    assert kept > 30.0 and lost < kept - 10.0, (kept, lost)


def normed() -> tuple[Model, str]:
    """A layer norm over channels whose variance is a convolution of squares; most pixels vary little, a few much."""
    b = Builder(CHANNELS)
    ones = np.full((1, CHANNELS, 1, 1), 1.0 / CHANNELS, np.float32)
    centred = b.op("Sub", "x", b.op("ReduceMean", "x", b.weight([1], np.int64), keepdims=1))
    variance = b.op("Conv", b.op("Mul", centred, centred), b.weight(ones))
    deviation = b.op("Sqrt", b.op("Add", variance, b.weight([1e-5])))
    model = b.model(b.conv(b.op("Div", centred, deviation), CHANNELS, 1, 3))
    return model, next(n.name for n in model.proto.graph.node if n.op_type == "Conv")


@pytest.mark.parametrize("name", ["openvino", "openvino-identical", "tensorrt"])
def test_a_variance_stays_float_and_rounding_it_would_cost_the_signal(name: str) -> None:
    model, variance = normed()
    draw = np.random.default_rng(3)
    images = [draw.random((1, CHANNELS, 16, 16), np.float32) * 0.02 for _ in range(2)]
    for image in images:
        image[:, :, :2, :2] *= 200.0
    scheme = SCHEMES[name]
    ranges = calibrate(model, images, method="min-max")
    plan = plan_int8(model, scheme)
    assert variance not in plan.int8
    kept, lost = (
        sqnr_db(
            np.concatenate([reference(model).run(image) for image in images]),
            np.concatenate([reference(quantize(model, ranges, p, scheme)).run(image) for image in images]),
        )
        for p in (plan, PrecisionPlan({**plan.nodes, variance: INT8}))
    )
    assert kept > lost + 10.0, (kept, lost)
    assert name == "tensorrt" or "squares" in plan.reasons[variance]


def resized() -> tuple[Model, str]:
    """A network whose two maps a convolution of each map by itself upsamples at the end."""
    b = Builder(CHANNELS)
    maps = b.conv(b.op("Relu", b.conv("x", CHANNELS, CHANNELS, 3)), CHANNELS, 2, 3)
    kernel = b.rng.uniform(0, 0.25, (8, 1, 3, 3)).astype(np.float32)
    grown = b.op("Conv", maps, b.weight(kernel), group=2, pads=[1, 1, 1, 1])
    model = b.model(b.op("DepthToSpace", grown, blocksize=2, mode="CRD"))
    return model, next(n.name for n in model.proto.graph.node if n.output[0] == grown)


@pytest.mark.parametrize("name", ["openvino", "openvino-avx2", "openvino-identical"])
def test_upsampling_the_maps_stays_float_and_rounding_them_would_cost_most(name: str) -> None:
    model, upsampling = resized()
    images = [np.random.default_rng(seed).normal(size=(1, CHANNELS, 16, 16)).astype(np.float32) for seed in (1, 2)]
    scheme = SCHEMES[name]
    ranges, plan = calibrate(model, images), plan_int8(model, scheme)
    assert "resizes the maps" in plan.reasons[upsampling]
    assert len(plan.int8) == 2
    alone = PrecisionPlan({**dict.fromkeys(plan.nodes, FLOAT), upsampling: INT8})
    exact = np.concatenate([reference(model).run(image) for image in images])
    cost = sqnr_db(
        exact, np.concatenate([reference(quantize(model, ranges, alone, scheme)).run(image) for image in images])
    )
    assert cost < 50.0


def blurred() -> tuple[Model, str]:
    """A network with an upsample inside, written as a nearest one and a blur; the blur's name."""
    b = Builder(CHANNELS)
    grown = b.resize(b.op("LeakyRelu", b.conv("x", CHANNELS, CHANNELS, 3)), 2)
    model = b.model(b.conv(b.op("LeakyRelu", b.conv(grown, CHANNELS, CHANNELS, 3)), CHANNELS, 2, 3))
    written, _ = rewritten(model, ["bilinear-as-blur"])
    nodes = {n.output[0]: n for n in written.proto.graph.node}
    return written, next(
        n.name for n in nodes.values() if n.op_type == "Conv" and nodes.get(n.input[0], n).op_type == "Pad"
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_a_blur_inside_stays_float_and_rounding_for_it_would_cost_decibels(name: str) -> None:
    model, blur = blurred()
    images = [np.random.default_rng(seed).normal(size=(1, CHANNELS, 16, 16)).astype(np.float32) for seed in (1, 2)]
    scheme = SCHEMES[name]
    ranges, plan = calibrate(model, images), plan_int8(model, scheme)
    assert ("depthwise" if name == "tensorrt" else "interpolates") in plan.reasons[blur] and len(plan.int8) == 3
    exact = np.concatenate([reference(model).run(image) for image in images])
    kept, lost = (
        sqnr_db(exact, np.concatenate([reference(quantize(model, ranges, p, scheme)).run(image) for image in images]))
        for p in (plan, PrecisionPlan({**plan.nodes, blur: INT8}))
    )
    assert kept > lost + 0.5, (kept, lost)


def test_a_depthwise_convolution_that_was_learned_runs_in_int8_in_openvino() -> None:
    """As does a fixed one that makes the map smaller."""
    b = Builder(CHANNELS)
    kernel = b.weight(np.full((CHANNELS, 1, 3, 3), 1 / 9))
    pooled = b.op("Conv", b.conv("x", CHANNELS, CHANNELS, 3, group=CHANNELS), kernel, group=CHANNELS, strides=[2, 2])
    model = b.model(b.conv(pooled, CHANNELS, 2, 3))
    assert len(plan_int8(model, SCHEMES["openvino"]).int8) == 3


def test_an_average_of_what_is_never_negative_is_not_either() -> None:
    b = Builder(CHANNELS)
    up = b.resize(b.op("Relu", b.conv("x", CHANNELS, CHANNELS, 3)), 2)
    shifted = b.op("Conv", up, b.random(CHANNELS, CHANNELS, 1, 1, low=0.0), b.random(CHANNELS))
    model, _ = rewritten(b.model(b.conv(b.op("Add", up, shifted), CHANNELS, 2, 3)), ["bilinear-as-blur"])
    readers = {node.op_type: node for node in model.to_ir().graph}
    average, sum_ = readers["Add"].inputs
    assert is_nonnegative(average, model.task) and not is_nonnegative(sum_, model.task)


def test_inputs_below_zero_are_kept_even_where_the_task_has_none() -> None:
    model, scheme = disc_network(), SCHEMES["openvino"]
    images = [np.random.default_rng(seed).standard_normal((1, 3, 32, 32), np.float32) for seed in range(4)]
    rounded = quantize(model, calibrate(model, images), plan_int8(model, scheme), scheme)
    exact, kept = (np.concatenate([reference(m).run(image) for image in images]) for m in (model, rounded))
    assert sqnr_db(exact, kept) > 20.0  # 4 dB where the negative half is cut off


def scaled() -> tuple[Model, str]:
    """A grey image scaled by small weights in front of an instance norm, as the skip of UNETR's first block."""
    b = Builder(1)
    weight = b.weight(np.array([0.04, -0.05, 0.06, 0.3], np.float32).reshape(4, 1, 1, 1))
    grey = b.op("Conv", "x", weight, kernel_shape=[1, 1])
    ones, zeros = b.weight(np.ones(4)), b.weight(np.zeros(4))
    normed = b.op("InstanceNormalization", grey, ones, zeros, epsilon=1e-5)
    model = b.model(b.conv(normed, 4, 2, 3))
    return model, next(n.name for n in model.proto.graph.node if n.output[0] == grey)


@pytest.mark.parametrize("name", ["openvino", "openvino-avx2", "openvino-identical"])
def test_scaling_a_channel_stays_float(name: str) -> None:
    model, scaling = scaled()
    plan = plan_int8(model, SCHEMES[name])
    assert "it scales channels" in plan.reasons[scaling] and len(plan.int8) == 1


def column_products(behind: str) -> tuple[Model, str]:
    """A product with weights of a map's columns, each of its own size, and what mixes columns behind it."""
    b = Builder(CHANNELS)
    weights = b.rng.normal(size=(16, 16)) * np.exp(b.rng.normal(size=16))
    made = b.op("MatMul", b.op("Relu", b.conv("x", CHANNELS, CHANNELS, 3)), b.weight(weights))
    if behind == "nearest":
        mixed = b.resize(made, 0.5, "nearest")
    else:
        mixed = b.op(behind, made, kernel_shape=[2, 2], strides=[2, 2])
    model = b.model(b.conv(mixed, CHANNELS, 2, 3))
    return model, next(n.name for n in model.proto.graph.node if n.output[0] == made)


@pytest.mark.parametrize("name", ["openvino", "openvino-avx2", "openvino-identical"])
@pytest.mark.parametrize("behind", ["nearest", "MaxPool", "AveragePool"])
def test_openvino_computes_what_mixes_columns_behind_a_product(name: str, behind: str, tmp_path: Path) -> None:
    """With the product in INT8 it refuses the first two, and gives other numbers for the third."""
    model, product = column_products(behind)
    images = [np.random.default_rng(seed).normal(size=(1, CHANNELS, 16, 16)).astype(np.float32) for seed in (1, 2)]
    scheme = SCHEMES[name]
    plan = plan_int8(model, scheme)
    assert "the columns of a map" in plan.reasons[product] and len(plan.int8) == 2
    rounded = quantize(model, calibrate(model, images), plan, scheme)
    backend = find_backend("openvino")
    engine = backend.build(Candidate("int8", "int8", "fp32", rounded), find_target("cpu"), tmp_path)
    with closing(backend.load(engine)) as runner:
        assert parity_db(reference(rounded).run(images[0]), runner.run(images[0])) > 30.0


def test_a_linear_layer_of_channels_that_lie_last_runs_in_int8() -> None:
    b = Builder(CHANNELS)
    last = b.op("Transpose", "x", perm=[0, 2, 3, 1])
    mixed = b.op("MatMul", last, b.random(CHANNELS, CHANNELS))
    first = b.op("Transpose", b.op("Relu", mixed), perm=[0, 3, 1, 2])
    model = b.model(b.conv(b.resize(first, 2.0, "nearest"), CHANNELS, 2, 3))
    product = next(n.name for n in model.proto.graph.node if n.output[0] == mixed)
    assert all(product in plan_int8(model, scheme).int8 for scheme in SCHEMES.values())
