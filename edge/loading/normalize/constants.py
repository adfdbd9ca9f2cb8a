"""Constants: what a Constant node holds becomes an initializer, where every rewrite looks for weights."""

from __future__ import annotations

import numpy as np
import onnx

from edge.loading.normalize.step import Change, Draft, Step

_PLAIN = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _apply(draft: Draft) -> Change | None:
    lifted = {node.output[0]: tensor for node in draft.proto.graph.node if (tensor := _tensor(node)) is not None}
    returned = {output.name for output in draft.proto.graph.output}
    lifted = {name: tensor for name, tensor in lifted.items() if name not in returned}
    if not lifted:
        return None
    proto = draft.copy()
    kept = [node for node in proto.graph.node if not (node.op_type == "Constant" and node.output[0] in lifted)]
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    for name, tensor in lifted.items():
        proto.graph.initializer.add().CopyFrom(tensor)
        proto.graph.initializer[-1].name = name
    return Change(draft.with_proto(proto))


def _tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """What a Constant node holds; None for other nodes, strings and sparse tensors."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    held = node.attribute[0]
    if held.name == "value":
        return held.t
    if held.name in _PLAIN:
        values = np.asarray(onnx.helper.get_attribute_value(held), _PLAIN[held.name])
        return onnx.numpy_helper.from_array(values)
    return None


STEP = Step("constants in nodes", _apply)
