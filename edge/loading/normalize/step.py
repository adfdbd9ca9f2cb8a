"""What a step of normalisation takes and returns: a draft of a model, and a change to it that can be proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import onnx
from numpy.typing import NDArray

from edge.task.task import SegmentationTask

Array = NDArray[Any]


@dataclass(frozen=True)
class Draft:
    """A graph on its way in. Steps copy what they change; nothing is edited in place.

    Attributes:
        proto: the graph as it is so far.
        where: the file or callable, for messages.
        task: what the graph is for; None where only the file is looked at.
    """

    proto: onnx.ModelProto
    where: str
    task: SegmentationTask | None = None

    def copy(self) -> onnx.ModelProto:
        """The graph, free to edit."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        return proto

    def with_proto(self, proto: onnx.ModelProto) -> Draft:
        """The same draft over an edited graph."""
        return replace(self, proto=proto)

    @property
    def output_name(self) -> str:
        """Name of the output that the task reads; the first where it names none."""
        named = self.task.output_name if self.task else None
        names = [output.name for output in self.proto.graph.output]
        return named if named is not None and named in names else names[0]


def unchanged(array: Array) -> Array:
    """The array itself."""
    return array


@dataclass(frozen=True)
class Change:
    """What a step made of a draft, and how to see that it is right.

    The proof runs both graphs on the same image: ``old(output before)`` must equal ``new(output after)``.

    Attributes:
        draft: afterwards.
        note: one sentence for the user: what was done and why; "" where only the file's form changed.
        tolerance: largest difference over the largest value.
        feed: image of the old graph to that of the new one.
        old, new: outputs to what is compared.
    """

    draft: Draft
    note: str = ""
    tolerance: float = 1e-5
    feed: Callable[[Array], Array] = unchanged
    old: Callable[[Array], Array] = unchanged
    new: Callable[[Array], Array] = unchanged


@dataclass(frozen=True)
class Step:
    """One step of normalisation.

    Attributes:
        name: for messages.
        apply: the changed draft, or None where there is nothing to do. Raises an InputError where the graph cannot be
            used at all.
    """

    name: str
    apply: Callable[[Draft], Change | None]


def static_dims(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """Shape of an input or output, None for what is symbolic; None where not even the rank is known."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)


def value_dims(proto: onnx.ModelProto) -> dict[str, tuple[int | None, ...] | None]:
    """:func:`static_dims` of every input and of every value whose shape was inferred."""
    return {value.name: static_dims(value) for value in (*proto.graph.input, *proto.graph.value_info)}


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Value of a node's attribute."""
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
