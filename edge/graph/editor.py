"""A thin editor over an ``onnx_ir`` graph: what every rewrite needs, and nothing about any of them.

Shapes are static (batch 1). New nodes are appended and the graph is sorted after each sweep, so a rewrite need not
care where its nodes stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.graph.names import unique_name
from edge.graph.native import infer_shapes

Shape = tuple[int, ...]


class Editor:
    """Reads and edits one graph in place.

    Args:
        model: the graph. Constants must be initializers (see the ``clean`` rewrite).
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.graph = model.graph
        self._names = {node.name for node in self.graph} | {
            v.name for v in (*self.graph.inputs, *self.graph.initializers.values())
        }
        self._names |= {output.name for node in self.graph for output in node.outputs}

    def nodes(self, *op_types: str) -> Iterator[ir.Node]:
        """Nodes of these types that are still in the graph, in order, safe against edits on the way."""
        for node in list(self.graph):
            if node.op_type in op_types and node.graph is self.graph and node.domain in ("", "ai.onnx"):
                yield node

    # ----------------------------------------------------------------------------------------------- reading

    def array(self, value: ir.Value | None) -> NDArray[Any] | None:
        """The constant behind a value, None where it is computed."""
        if value is None or value.const_value is None:
            return None
        return value.const_value.numpy()

    def scalar(self, value: ir.Value | None) -> float | None:
        """The constant behind a value as a number, None where it is computed or has several elements."""
        array = self.array(value)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def shape(self, value: ir.Value | None) -> Shape | None:
        """Static shape, None where any part is unknown."""
        if value is None or value.shape is None:
            return None
        dims = tuple(value.shape)
        known = tuple(d for d in dims if isinstance(d, int))
        return known if len(known) == len(dims) else None

    def user(self, value: ir.Value) -> ir.Node | None:
        """The only node that reads a value; None if there are several or the graph returns it."""
        uses = tuple(value.uses())
        return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None

    def producer(self, value: ir.Value | None, *op_types: str) -> ir.Node | None:
        """The node that makes a value, if it is of one of these types."""
        node = value.producer() if value is not None else None
        return node if node is not None and node.op_type in op_types and node.domain in ("", "ai.onnx") else None

    def own(self, value: ir.Value | None, *op_types: str) -> ir.Node | None:
        """:meth:`producer`, only where nothing else reads the value."""
        node = self.producer(value, *op_types)
        return node if node is not None and value is not None and self.user(value) is not None else None

    # ----------------------------------------------------------------------------------------------- editing

    def weight(self, array: NDArray[Any], hint: str) -> ir.Value:
        """Register a constant; floating point is stored as float32."""
        data = np.ascontiguousarray(array, dtype=np.float32 if array.dtype.kind == "f" else array.dtype)
        return add_weight(self.graph, data, self._fresh(hint))

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        shape: Sequence[int] | None,
        hint: str,
    ) -> ir.Value:
        """Append a node with one float32 output and return that output.

        Args:
            shape: of the output; None leaves it to shape inference after the sweep.
            hint: start of its name; source nodes stay recognisable in layer tables.
        """
        output = ir.Value(
            name=self._fresh(f"{hint}_out"),
            shape=None if shape is None else ir.Shape(tuple(int(d) for d in shape)),
            type=ir.TensorType(ir.DataType.FLOAT),
        )
        self.graph.append(ir.node(op_type, inputs, attributes or {}, outputs=[output], name=self._fresh(hint)))
        return output

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Let every reader of ``old`` read ``new``; the graph's outputs keep their names."""
        if old.is_graph_output():
            name, old.name = old.name, self._fresh(f"{old.name}_old")
            if new.is_graph_output() or new.is_initializer() or new.producer() is None:
                new = self.op("Identity", [new], shape=self.shape(new), hint=f"{name}_copy")
            new.name = name
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)

    def sweep_up(self) -> None:
        """Drop what nothing reads, sort, and infer shapes again."""
        import onnx_ir.passes.common as passes

        self.graph.sort()  # first: the pass below goes backwards once, so readers must stand behind makers
        passes.RemoveUnusedNodesPass()(self.model)
        infer_shapes(self.model)

    def _fresh(self, hint: str) -> str:
        return unique_name(hint, self._names, "_")


def add_weight(graph: ir.Graph, array: NDArray[Any], name: str) -> ir.Value:
    """Register a constant under a name that is free, of the array's own type."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def ints(node: ir.Node, name: str, default: Sequence[int]) -> tuple[int, ...]:
    """A list-of-integers attribute."""
    return tuple(node.attributes.get_ints(name, default))


def integer(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    return node.attributes.get_int(name, default)


def number(node: ir.Node, name: str, default: float) -> float:
    """A float attribute."""
    return node.attributes.get_float(name, default)


def text(node: ir.Node, name: str, default: str) -> str:
    """A string attribute."""
    return node.attributes.get_string(name, default)
