"""Nodes that together take the place of one, appended as they are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from edge.loading.normalize.edit import fresh, keep, node


class Replacement:
    """What a node is written out as.

    Args:
        proto: edited in place.
        old: a node of one output.
    """

    def __init__(self, proto: onnx.ModelProto, old: onnx.NodeProto) -> None:
        self._proto, self._old, self._count = proto, old, 0

    def constant(self, array: object) -> str:
        """Name of a new initializer."""
        name = fresh(self._proto, f"{self._old.output[0]}_constant")
        self._proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], **attributes: object) -> str:
        """Name of what a new node makes."""
        output = fresh(self._proto, f"{self._old.output[0]}_{kind.lower()}")
        self._proto.graph.node.append(node(self._proto, kind, inputs, output, attributes))  # the next name is another
        self._count += 1
        return output

    def put_in_place(self) -> None:
        """Move the new nodes to where the old one stands; the last takes its output and name."""
        nodes = list(self._proto.graph.node)
        others, new = nodes[: -self._count], nodes[-self._count :]
        at = next(index for index, one in enumerate(others) if self._old.output[0] in one.output)
        new[-1].output[0], new[-1].name = self._old.output[0], self._old.name
        keep(self._proto.graph.node, [*others[:at], *new, *others[at + 1 :]])
