"""Losses that were put into one layer must be found in that layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.accuracy.attribution import LayerLoss, attribute
from edge.accuracy.sqnr import CEILING_DB, sqnr_db
from edge.backends.onnxruntime import reference
from edge.graph.model import Model
from tests.fixtures.small_unet import images, small_unet


def spoiled(model: Model, node_name: str, scale: float) -> Model:
    """The model with a weight's levels rounded to multiples of ``scale`` times its largest."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    weight_name = next(n.input[1] for n in proto.graph.node if n.name == node_name)
    for tensor in proto.graph.initializer:
        if tensor.name == weight_name:
            weight = numpy_helper.to_array(tensor)
            step = scale * np.abs(weight).max()
            tensor.CopyFrom(numpy_helper.from_array((np.round(weight / step) * step).astype(np.float32), weight_name))
    return Model(proto, model.task, model.name)


def by_name(rows: tuple[LayerLoss, ...]) -> dict[str, LayerLoss]:
    return {row.name: row for row in rows}


def test_equal_graphs_lose_nothing() -> None:
    rows = attribute(small_unet(), small_unet(), images(2))
    assert len(rows) == len(small_unet().proto.graph.node)
    assert {row.sqnr_db for row in rows} == {row.own_db for row in rows} == {CEILING_DB}


@pytest.mark.parametrize("node", ["encoder.1.0/Conv", "decoder.0.conv.0/Conv", "head/Conv"])
def test_the_spoiled_layer_is_named_first(node: str) -> None:
    rows = attribute(small_unet(), spoiled(small_unet(), node, 0.5), images(3))
    assert rows[0].name == node
    assert rows[0].op == "Conv"
    assert rows[0].own_db < 20
    assert rows[0].own_db == pytest.approx(rows[0].sqnr_db, abs=0.1)  # what arrives is exact
    assert all(row.own_db > 100 for row in rows[1:])


def test_layers_before_the_loss_are_exact_and_layers_after_carry_it() -> None:
    rows = by_name(attribute(small_unet(), spoiled(small_unet(), "encoder.2.0/Conv", 0.5), images(3)))
    assert rows["encoder.1.3/Conv"].sqnr_db > 100
    assert rows["encoder.2.0/Conv"].sqnr_db < 25
    assert rows["decoder.0.conv.0/Conv"].sqnr_db < 45
    assert rows["decoder.0.conv.0/Conv"].own_db > 100


def test_the_last_layer_agrees_with_the_outputs() -> None:
    model, other = small_unet(), spoiled(small_unet(), "encoder.0.0/Conv", 0.25)
    rows = by_name(attribute(model, other, images(3)))
    batch = np.concatenate(images(3))
    expected = sqnr_db(reference(model).run(batch), reference(other).run(batch))
    assert rows["head/Conv"].sqnr_db == pytest.approx(expected, abs=0.01)


def test_real_int8_graph_in_source_names() -> None:
    from edge.quantization.calibrate import calibrate
    from edge.quantization.schemes import SCHEMES, plan_int8
    from edge.quantization.write import quantize

    model, scheme = small_unet(), SCHEMES["openvino"]
    quantized = quantize(model, calibrate(model, images()), plan_int8(model, scheme), scheme)
    rows = attribute(model, quantized, images(3, "val"))
    assert {row.name for row in rows} == {node.name for node in model.proto.graph.node}
    assert all(15 < row.sqnr_db < 60 for row in rows if row.op == "Conv")
    # With exact inputs, only a layer that is quantized itself, or rounded for (Concat, MaxPool), can lose anything.
    assert all(row.own_db < 60 for row in rows if row.op in ("Conv", "ConvTranspose"))
    assert all(row.own_db >= 60 for row in rows if row.op not in ("Conv", "ConvTranspose", "Concat", "MaxPool"))
    assert all(row.own_db >= row.sqnr_db - 0.5 for row in rows if row.op == "Conv")


def test_half_precision_graph() -> None:
    from edge.quantization.half import to_half

    rows = attribute(small_unet(), to_half(small_unet()), images(2))
    assert len(rows) >= len(small_unet().proto.graph.node) - 1  # the output's tensor is renamed by the last cast
    assert all(45 < row.sqnr_db < 100 for row in rows)


def test_a_broken_layer_is_blamed_and_those_after_it_are_not() -> None:
    broken = spoiled(small_unet(), "encoder.0.3/Conv", 0.5)
    for tensor in broken.proto.graph.initializer:
        if tensor.name == "encoder.0.3.weight":
            bad = numpy_helper.to_array(tensor).copy()
            bad[0] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(bad, tensor.name))
    rows = attribute(small_unet(), broken, images(1))
    assert rows[0].name == "encoder.0.3/Conv"
    assert rows[0].sqnr_db == rows[0].own_db == -CEILING_DB
    assert by_name(rows)["head/Conv"].sqnr_db == -CEILING_DB
    assert by_name(rows)["head/Conv"].own_db > 100


def test_a_graph_that_was_quantized_in_a_later_operator_set() -> None:
    from edge.graph.native import in_opset
    from edge.quantization.calibrate import calibrate
    from edge.quantization.schemes import SCHEMES, plan_int8
    from edge.quantization.write import quantize

    model, scheme = small_unet(), SCHEMES["openvino"]
    older = replace(model, proto=in_opset(model.proto, 17))
    quantized = quantize(model, calibrate(model, images()), plan_int8(model, scheme), scheme)
    assert quantized.opset > older.opset
    expected = by_name(attribute(model, quantized, images(1)))
    for name, row in by_name(attribute(older, quantized, images(1))).items():
        assert row.own_db == pytest.approx(expected[name].own_db, abs=0.1)
