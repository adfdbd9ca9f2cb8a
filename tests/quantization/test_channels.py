"""A step for each channel: what is chosen, that dividing is exact, and that it is dropped where it does not help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edge.accuracy.attribution import attribute
from edge.accuracy.sqnr import sqnr_db
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.quantization.calibrate import calibrate
from edge.quantization.channels import LEAST, LEAST_REACH, MOST, ChannelSamples, fitted_divisors, reached_divisors
from edge.quantization.divide import divisors_of
from edge.quantization.grid import grid_for
from edge.quantization.placement import on_operands
from edge.quantization.ranges import Clip, Ranges, TensorRange, read_ranges
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.quantization.write import quantize
from tests.fixtures.small_unet import images, small_litenext, small_unet


def test_a_channel_of_small_values_gets_a_small_step() -> None:
    generator = np.random.default_rng(0)
    samples = generator.uniform(-1, 1, (3, 4000)).astype(np.float32) * np.array([[1.0], [0.5], [0.01]], np.float32)
    divisors = fitted_divisors(samples, grid_for("int8", -1.0, 1.0, 1.0))
    assert divisors[0] == pytest.approx(1.0, abs=0.06)
    assert divisors[1] == pytest.approx(0.5, abs=0.04)
    assert divisors[2] == pytest.approx(LEAST, abs=0.05)
    assert all(0.95 * LEAST <= value <= 1.05 * MOST for value in divisors)


def test_a_channel_reaches_the_end_of_its_grid_and_no_further() -> None:
    extremes = np.array([[-1.0, -0.5, -0.01, -0.2], [0.3, 0.1, 0.02, 9.0]], np.float32)
    assert reached_divisors(extremes, grid_for("int8", -1.0, 9.0, 1.0)) == pytest.approx((1.0, 0.5, LEAST_REACH, 1.0))
    # from -0.5 to 8: the negative side of a lopsided tensor decides where a channel comes nearer to that end
    lopsided = reached_divisors(extremes, grid_for("uint8-range", -0.5, 8.0, 8.0))
    assert lopsided == pytest.approx((1.0, 1.0, LEAST_REACH, 1.0))
    halves = np.array([[-0.3, 0.0], [1.0, 4.0]], np.float32)
    assert reached_divisors(halves, grid_for("uint8-range", -0.5, 8.0, 8.0)) == pytest.approx((0.6, 0.5), rel=0.03)
    assert reached_divisors(np.zeros((2, 0), np.float32), grid_for("int8", -1.0, 1.0, 1.0)) == ()


@pytest.mark.parametrize("axis", [1, -1])
def test_extremes_are_those_of_every_position(axis: int) -> None:
    values = np.zeros((1, 4, 16, 64) if axis == 1 else (1, 16, 64, 4), np.float32)
    samples = ChannelSamples(axis)
    samples.offer(values)
    for channel, value in enumerate((3.0, -2.0, 0.5)):  # each at one position, of another image
        spoken = values.copy()
        spoken[(0, channel, 7, 11) if axis == 1 else (0, 7, 11, channel)] = value
        samples.offer(spoken)
    assert samples.extremes.tolist() == [[0.0, -2.0, 0.0, 0.0], [3.0, 0.0, 0.5, 0.0]]


def test_samples_are_bounded_and_repeat() -> None:
    def sampled() -> np.ndarray:
        samples, generator = ChannelSamples(1), np.random.default_rng(3)
        for _ in range(200):
            samples.offer(generator.standard_normal((1, 4, 16, 16), dtype=np.float32))
        return samples.values()

    assert sampled().shape[0] == 4 and sampled().shape[1] <= 32 * 32
    assert np.array_equal(sampled(), sampled())


def test_nothing_is_chosen_without_samples() -> None:
    assert fitted_divisors(np.zeros((0, 0), np.float32), grid_for("int8", -1.0, 1.0, 1.0)) == ()


def _halved(ranges: Ranges, channels: dict[str, int]) -> Ranges:
    """Every second channel gets half the magnitude of the others, twice as large as before: nothing is clipped."""

    def stepped(name: str, found: TensorRange) -> TensorRange:
        pattern = tuple(1.0 if index % 2 else 2.0 for index in range(channels[name]))
        coarse, fine = (replace(clip, channels=pattern) for clip in (found.coarse, found.fine))
        return replace(found, coarse=coarse, fine=fine)

    return replace(ranges, tensors={name: stepped(name, found) for name, found in ranges.tensors.items()})


@pytest.mark.parametrize("scheme", ["openvino", "openvino-identical", "tensorrt"])
@pytest.mark.parametrize("network", [small_unet, small_litenext])
@pytest.mark.slow
def test_a_divided_graph_means_the_same(network: object, scheme: str) -> None:
    from edge.backends.onnxruntime import Intermediates

    model, rules = network(), SCHEMES[scheme]  # type: ignore[operator]
    ranges = calibrate(model, images(3), method="min-max")
    values = Intermediates(model, list(ranges.tensors)).run(images(1)[0])
    stepped = _halved(ranges, {name: value.shape[1 if value.ndim == 4 else -1] for name, value in values.items()})
    plan = plan_int8(model, rules)
    plain, divided = (quantize(model, found, plan, rules) for found in (ranges, stepped))
    assert any(node.name.endswith("_divided") for node in divided.proto.graph.node) or scheme == "tensorrt"
    batch = np.concatenate(images(4, "val"))
    exact, *found = (reference(graph).run(batch) for graph in (model, plain, divided))
    assert min(sqnr_db(exact, output) for output in found) > 15.0  # a division that the weights do not undo: under 5
    assert sqnr_db(exact, found[1]) > sqnr_db(exact, found[0]) - 10.0  # steps twice as large


def test_what_divided_channels_lose_is_told_of_layers_that_both_graphs_have() -> None:
    from edge.backends.onnxruntime import Intermediates

    model, rules = small_unet(), SCHEMES["openvino"]
    ranges = calibrate(model, images(3), method="min-max")
    values = Intermediates(model, list(ranges.tensors)).run(images(1)[0])
    stepped = _halved(ranges, {name: value.shape[1] for name, value in values.items()})
    graph = quantize(model, stepped, plan_int8(model, rules), rules)
    rows = {row.name: row for row in attribute(model, graph, images(2))}
    assert not {"pool/max_pool2d", "decoder.0/cat"} & set(rows)  # they hold divided channels
    assert {"encoder.1.0/Conv", "decoder.0.conv.0/Conv", "head/Conv"} <= set(rows)
    assert min(row.own_db for row in rows.values()) > 25.0  # float channels given to multiplied weights: 1
    assert {"pool/max_pool2d", "decoder.0/cat"} <= {
        row.name for row in attribute(model, quantize(model, ranges, plan_int8(model, rules), rules), images(1))
    }


@pytest.mark.slow
def test_steps_are_kept_only_where_held_out_images_gain(tmp_path: Path) -> None:
    model, scheme = small_litenext(), SCHEMES["openvino"]
    assert not any(
        found.coarse.channels or found.fine.channels for found in calibrate(model, images(8)).tensors.values()
    )
    ranges = calibrate(model, images(16), scheme=scheme)
    assert ranges == calibrate(model, images(16), scheme=scheme)
    assert read_ranges(ranges.save(tmp_path / "ranges.json")) == ranges
    batch, plan = np.concatenate(images(6, "val")), plan_int8(model, scheme)
    exact = reference(model).run(batch)
    kept, uniform = (
        sqnr_db(exact, reference(quantize(model, found, plan, scheme)).run(batch))
        for found in (ranges, ranges.uniform(127).uniform(255))
    )
    assert kept > uniform - 0.5


def test_a_damaged_magnitude_is_refused(tmp_path: Path) -> None:
    ranges = calibrate(small_unet(), images(2), tensors=["relu"], method="min-max")
    found = ranges["relu"]
    damaged = replace(ranges, tensors={"relu": replace(found, coarse=replace(found.coarse, channels=(1.0, -1.0)))})
    with pytest.raises(InputError, match="calibrate again"):
        read_ranges(damaged.save(tmp_path / "ranges.json"))


def test_a_product_with_a_transposed_input_is_not_divided() -> None:
    """Its channels lie along the other axis."""
    weight = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)

    def divided(**attributes: int) -> dict[str, np.ndarray]:
        value = ir.Value(name="x", shape=ir.Shape((8, 8)), type=ir.TensorType(ir.DataType.FLOAT))
        tensor = ir.tensor(weight, name="w")
        constant = ir.Value(name="w", shape=ir.Shape((8, 8)), type=ir.TensorType(tensor.dtype), const_value=tensor)
        made = ir.node("Relu", [value], outputs=[ir.Value(name="y", shape=value.shape, type=value.type)])
        ir.node("Gemm", [made.outputs[0], constant], attributes, name="product")
        clip = Clip(1.0, "min-max", channels=(0.5,) * 8)
        return divisors_of(on_operands([made.outputs[0]])[0], [clip], {"product"}, SCHEMES["openvino"])

    assert set(divided()) == set(divided(transB=1)) == {"y"}
    assert divided(transA=1) == {}
