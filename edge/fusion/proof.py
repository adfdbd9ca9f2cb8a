"""The numeric proof: a rewritten graph must return what it returned before, on given inputs.

Both graphs run in ONNX Runtime with its own optimizations off. Where float32 rounding alone could explain a
difference, they run again in float64 (``float64.py``), where a true rewrite agrees to the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.backends.session import open_session, running
from edge.graph.model import MULTIPLIES

# Largest difference over largest value. A wrong rewrite is off by far more than either.
_FLOAT32_ROUNDING = 5e-6
_FLOAT64_ROUNDING = 1e-7  # weights are stored in float32 after folding: one rounding each, 6e-8
_HOPELESS = 1e-2


@dataclass(frozen=True)
class Proof:
    """What a comparison found.

    Attributes:
        holds: whether the graphs agree.
        error: largest absolute difference in float32.
        relative: largest difference over the largest value, of the run that decided.
        bits: 32 or 64: which run decided.
    """

    holds: bool
    error: float
    relative: float
    bits: int


class Prover:
    """Holds a graph's outputs so that several successors can be compared to it.

    Args:
        graph: the graph to agree with.
        inputs: batches ``[1, channels, height, width]`` float32 of its one input; the first output is compared.
    """

    def __init__(self, graph: onnx.ModelProto, inputs: Sequence[NDArray[np.float32]]) -> None:
        self.graph = graph
        self.inputs = inputs
        self.outputs = run_float32(graph, inputs)
        self.precise: list[NDArray[np.float64]] | None = None

    def check(self, after: onnx.ModelProto) -> Proof:
        """Compare a successor."""
        outputs = run_float32(after, self.inputs)
        error, relative = _difference(self.outputs, outputs)
        if relative <= _FLOAT32_ROUNDING:
            return Proof(True, error, relative, 32)
        if not relative <= _HOPELESS:  # NaN too
            return Proof(False, error, relative, 32)
        from edge.fusion.float64 import run_float64

        few = self.inputs[:1]
        try:
            if self.precise is None:
                self.precise = run_float64(self.graph, few)
            precise = run_float64(after, few)
        except NotImplementedError:  # nothing is proven by a kernel that does not know an attribute
            return Proof(False, error, relative, 32)
        _, relative = _difference(self.precise, precise)
        return Proof(relative <= _FLOAT64_ROUNDING * _depth(after), error, relative, 64)


def run_float32(graph: onnx.ModelProto, inputs: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """First output of ONNX Runtime with graph optimizations off, for each input."""
    session = open_session(graph.SerializeToString(), None, optimize=False)
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name
    with running("the graph"):
        return [session.run([output], {name: batch})[0] for batch in inputs]


def _depth(graph: onnx.ModelProto) -> int:
    # Rounded weights add up along the graph; the number of layers with weights bounds how often.
    return max(1, sum(node.op_type in MULTIPLIES for node in graph.graph.node))


def _difference(one: Sequence[NDArray[np.floating]], two: Sequence[NDArray[np.floating]]) -> tuple[float, float]:
    errors = [float(np.abs(a - b).max()) if a.shape == b.shape else float("inf") for a, b in zip(one, two, strict=True)]
    largest = max(float(np.abs(a).max()) for a in one)
    error = max(errors) if not any(np.isnan(errors)) else float("nan")
    return error, error / max(largest, 1e-30)
