"""Small graphs for the tests of rewrites: built with ``onnx.parser``-like brevity, run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx.helper as oh
from numpy.typing import NDArray
from onnx import TensorProto

from edge.fusion import Fused, fuse
from edge.model import Model
from edge.task import SegmentationTask


class Builder:
    """Collects nodes and random weights; the input is ``x``."""

    def __init__(self, channels: int, size: int = 16, seed: int = 0) -> None:
        self.shape = [1, channels, size, size]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    def weight(self, array: NDArray[np.generic] | Sequence[float], dtype: type = np.float32) -> str:
        """Register a constant."""
        name = f"w{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def random(self, *shape: int, low: float = -1.0, high: float = 1.0) -> str:
        """Register a random constant."""
        return self.weight(self.rng.uniform(low, high, shape))

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """Append a node, return its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(oh.make_node(op_type, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def conv(
        self, x: str, i: int, o: int, k: int = 1, *, pad: int | None = None, group: int = 1, stride: int = 1
    ) -> str:
        """A convolution with random weights and bias."""
        p = k // 2 if pad is None else pad
        weight = self.random(o, i // group, k, k)
        return self.op(
            "Conv", x, weight, self.random(o), kernel_shape=[k, k], pads=[p] * 4, group=group, strides=[stride, stride]
        )

    def norm(self, x: str, channels: int) -> str:
        """Batch norm with random statistics."""
        tables = [self.random(channels, low=0.5, high=1.5), self.random(channels), self.random(channels)]
        return self.op("BatchNormalization", x, *tables, self.random(channels, low=0.5, high=1.5), epsilon=1e-3)

    def resize(self, x: str, scale: float, mode: str = "linear") -> str:
        """A half-pixel upsample."""
        sizes = self.weight([1.0, 1.0, scale, scale])
        extra = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else {}
        return self.op("Resize", x, "", sizes, mode=mode, **extra)

    def model(self, y: str) -> Model:
        """The graph that returns ``y``, with a task that fits it."""
        graph = oh.make_graph(
            self.nodes,
            "g",
            [oh.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [oh.make_tensor_value_info(y, TensorProto.FLOAT, None)],
            self.weights,
        )
        proto = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 20)], ir_version=10)
        proto = onnx.shape_inference.infer_shapes(proto)
        maps = proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        classes = ("foreground",) if maps == 1 else tuple(f"class{i}" for i in range(maps))
        task = SegmentationTask(
            size=(self.shape[2], self.shape[3]),
            channels="grey" if self.shape[1] == 1 else "rgb",
            classes=classes,
            activation="sigmoid" if maps == 1 else "softmax",
        )
        return Model(proto, task, "small")

    def inputs(self) -> list[NDArray[np.float32]]:
        """Two random batches."""
        return [self.rng.normal(size=self.shape).astype(np.float32) for _ in range(2)]


def fused(builder: Builder, y: str, *rewrites: str) -> Fused:
    """Fuse the graph that returns ``y`` with these rewrites; the driver proves each step."""
    result = fuse(builder.model(y), rewrites, builder.inputs())
    onnx.checker.check_model(result.model.proto, full_check=True)
    assert not result.refused, result.refused
    return result


def ops(result: Fused) -> list[str]:
    """Types of the nodes, in order."""
    return [node.op_type for node in result.model.proto.graph.node]


def times(result: Fused, name: str) -> int:
    """How often a rewrite applied."""
    return next((a.times for a in result.applied if a.rewrite == name), 0)
