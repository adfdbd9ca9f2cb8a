"""Bodies of nodes are found whichever attribute holds them, and read by everything that walks a graph."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.graph.bodies import bodies
from edge.graph.model import graphs, tensors
from edge.graph.soundness import written_out
from edge.loading.normalize.order import read_names


def _body(name: str, *inside: onnx.NodeProto) -> onnx.GraphProto:
    """A graph that adds a weight of its own to ``x``, which lies outside."""
    add = helper.make_node("Add", ["x", f"w_{name}"], [f"y_{name}"])
    weight = numpy_helper.from_array(np.zeros(1, np.float32), f"w_{name}")
    output = helper.make_tensor_value_info(f"y_{name}", TensorProto.FLOAT, None)
    return helper.make_graph([*inside, add], name, [], [output], [weight])


def _holder() -> onnx.NodeProto:
    """A node with a graph in each kind of attribute; one of its bodies holds another."""
    node = helper.make_node("Choose", ["which"], ["z"], domain="test", count=2)
    inner = helper.make_node("Inner", [], ["v"], domain="test", body=_body("deep"))
    node.attribute.append(helper.make_attribute("alone", _body("alone", inner)))
    node.attribute.append(helper.make_attribute("listed", [_body("first"), _body("second")]))
    return node


def test_a_node_without_a_graph_has_none() -> None:
    assert not list(bodies(helper.make_node("Add", ["a", "b"], ["c"])))


def test_graphs_alone_and_in_lists_are_found_in_order_and_not_what_is_inside_them() -> None:
    assert [body.name for body in bodies(_holder())] == ["alone", "first", "second"]


def test_all_walks_see_all_bodies() -> None:
    proto = helper.make_model(helper.make_graph([_holder()], "outer", [], []))
    assert [graph.name for graph in graphs(proto.graph)] == ["outer", "alone", "deep", "first", "second"]
    assert sorted(tensor.name for tensor in tensors(proto)) == ["w_alone", "w_deep", "w_first", "w_second"]
    assert written_out(proto, "a.onnx") == 6
    assert {"which", "x", "w_deep", "w_second", "y_first"} <= read_names(_holder())
