"""What names the workstation is gone from a graph wherever it stands, in the bodies of nodes too."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest
from onnx import helper

from edge.bundle.stripped import stripped
from tests.fixtures.bundle_example import SECRET
from tests.fixtures.small_unet import small_unet


def _body(name: str, *inside: onnx.NodeProto) -> onnx.GraphProto:
    said = f"File /home/{SECRET}/network.py"
    node = helper.make_node("Identity", ["x"], [f"{name}_y"], doc_string=said)
    return helper.make_graph([*inside, node], name, [], [helper.make_empty_tensor_value_info(f"{name}_y")], [], said)


@pytest.mark.parametrize("held", [_body("alone"), [_body("first"), _body("second")]], ids=["one graph", "a list"])
def test_bodies_of_nodes_are_cleared_at_any_depth(held: onnx.GraphProto | list[onnx.GraphProto]) -> None:
    inner = helper.make_node("Inner", [], ["z"], domain="test", held=held)
    model = small_unet()
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.node.append(helper.make_node("Outer", [], ["w"], domain="test", body=_body("outer", inner)))
    said = replace(model, proto=proto)
    assert SECRET.encode() in said.proto.SerializeToString()
    assert SECRET.encode() not in stripped(said).proto.SerializeToString()
    assert SECRET.encode() in said.proto.SerializeToString(), "the model itself stays as it was"
