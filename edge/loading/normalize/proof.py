"""The numeric proof of a step: both graphs in ONNX Runtime (optimizations off) on the same image."""

from __future__ import annotations

import numpy as np
import onnx

from edge.graph.model import graph_inputs
from edge.loading.normalize.step import Array, Change, Draft, static_dims
from edge.safety.watchdog import native_call

_ANY_SIZE = 64  # of an image whose size neither the graph nor a task says


class Prover:
    """Runs drafts on one seeded image, and keeps the last run: a step's result is the next one's start."""

    def __init__(self) -> None:
        self._kept: tuple[onnx.ModelProto, Array, dict[str, Array]] | None = None

    def difference(self, before: Draft, change: Change) -> float | None:
        """Largest difference over the largest value; infinite where shapes differ; None where the graph before the
        step does not run."""
        image = example(before)
        if image is None:
            return None
        name = change.draft.output_name
        same = name if name in {output.name for output in before.proto.graph.output} else before.output_name
        try:
            old = self._run(before, image, same)
        except Exception:  # ONNX Runtime's errors share no public base
            return None
        try:
            new = self._run(change.draft, change.feed(image), name)
        except Exception:
            return float("inf")
        return relative(change.old(old), change.new(new))

    def _run(self, draft: Draft, image: Array, output: str) -> Array:
        kept = self._kept
        if kept is None or kept[0] is not draft.proto or not np.array_equal(kept[1], image):
            kept = self._kept = (draft.proto, image, run(draft.proto, image))
        return kept[2][output]


def example(draft: Draft) -> Array | None:
    """A seeded random image for the graph's input: uint8 levels for integer inputs, else standard normal; None where
    the graph has not one input of rank 4, or of rank 3 without a batch."""
    inputs = graph_inputs(draft.proto)
    dims = static_dims(inputs[0]) if len(inputs) == 1 else None
    if dims is None or len(dims) not in (3, 4):
        return None
    batched = len(dims) == 4
    dims = dims if batched else (1, *dims)
    first, second = draft.task.size if draft.task else (_ANY_SIZE, _ANY_SIZE)
    last = dims[3] in (1, 3) and dims[1] not in (1, 3)
    channels = draft.task.in_channels if draft.task else 3
    guess = (1, first, second, channels) if last else (1, channels, first, second)
    shape = tuple(known or guessed for known, guessed in zip(dims, guess, strict=True))[0 if batched else 1 :]
    generator = np.random.default_rng(0)
    kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(inputs[0].type.tensor_type.elem_type))
    if kind.kind in "iu":
        return generator.integers(0, 256, shape).astype(kind)
    return generator.normal(size=shape).astype(kind)


def run(proto: onnx.ModelProto, image: Array) -> dict[str, Array]:
    """Every output of the graph for one image, exactly as written; raises whatever ONNX Runtime raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    with native_call("the graph", "ONNX Runtime"):
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {graph_inputs(proto)[0].name: image}), strict=True))


def output_shapes(draft: Draft) -> dict[str, tuple[int, ...]]:
    """Shape of every output: as declared, or as seen in a run where a part is symbolic; what neither says is left
    out."""
    declared = {output.name: static_dims(output) for output in draft.proto.graph.output}
    known = {name: dims for name, dims in declared.items() if dims is not None and None not in dims}
    if len(known) < len(declared):
        image = example(draft)
        try:
            seen = {} if image is None else {name: array.shape for name, array in run(draft.proto, image).items()}
        except Exception:  # a graph that does not run is refused where its runtime can say why
            seen = {}
        known = {**seen, **known}
    return {name: tuple(int(size) for size in dims) for name, dims in known.items()}  # type: ignore[arg-type]


def relative(one: Array, two: Array) -> float:
    """Largest difference over the largest value of the first; infinite where shapes or infinities differ."""
    if one.shape != two.shape:
        return float("inf")
    a, b = (np.asarray(array, np.float64) for array in (one, two))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    error = np.abs(np.where(same, 0.0, a - b)).max()
    finite = np.abs(a[np.isfinite(a)])
    return float(error / max(finite.max(initial=0.0), 1e-30)) if np.isfinite(error) else float("inf")
