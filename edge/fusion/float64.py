"""Running a float32 graph in float64, for proofs. Slow: the ONNX reference implementation with faster kernels.

A kernel that does not know an attribute raises ``NotImplementedError``: the proof is then not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]


def run_float64(graph: onnx.ModelProto, inputs: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """First output for each input, every weight and every product in float64.

    Raises:
        NotImplementedError: an attribute that is not known here.
    """
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(_widened(graph), new_ops=_fast_kernels())
    name = next(i.name for i in graph.graph.input if i.name not in {t.name for t in graph.graph.initializer})
    output = graph.graph.output[0].name
    return [np.asarray(_first(evaluator.run([output], {name: batch.astype(np.float64)}))) for batch in inputs]


def _first(outputs: Any) -> Any:
    return outputs[0]


def _widened(graph: onnx.ModelProto) -> onnx.ModelProto:
    wide = onnx.ModelProto()
    wide.CopyFrom(graph)
    single, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
    del wide.graph.value_info[:]
    resizes = {name for n in wide.graph.node if n.op_type == "Resize" for name in n.input[1:]}
    for tensor in wide.graph.initializer:
        if tensor.data_type == single and tensor.name not in resizes:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type == single:
            value.type.tensor_type.elem_type = double
    for node in wide.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == single:
                attribute.i = double
            if attribute.HasField("t") and attribute.t.data_type == single:
                array = onnx.numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(array, attribute.t.name))
    return wide


def _fast_kernels() -> list[type]:
    """The reference's per-pixel loops, replaced by matrix products."""
    from onnx.reference.op_run import OpRun

    class Conv(OpRun):
        def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
            return (convolve(x, w, b, attributes),)

    class Resize(OpRun):
        def _run(self, x: Array, roi: Any = None, scales: Any = None, sizes: Any = None, **kw: Any) -> tuple[Array]:
            return (_resize(x, scales, sizes, kw),)

    class MaxPool(OpRun):
        def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
            return (_pool(x, attributes, -np.inf).max(axis=(-2, -1)),)

    class ConvTranspose(OpRun):
        def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
            groups = attributes.get("group") or 1
            parts = zip(np.split(x, groups, axis=1), np.split(w, groups, axis=0), strict=True)
            y = np.concatenate([_transposed(part, kernel, attributes) for part, kernel in parts], axis=1)
            return (y if b is None else y + b[None, :, None, None],)

    for kernel in (Conv, Resize, MaxPool, ConvTranspose):
        kernel.op_domain = ""
    return [Conv, Resize, MaxPool, ConvTranspose]


def _windows(x: Array, kernel: Sequence[int], attributes: dict[str, Any], fill: float) -> Array:
    sh, sw = attributes.get("strides") or (1, 1)
    dh, dw = attributes.get("dilations") or (1, 1)
    (top, bottom), (left, right) = (
        _padding(x.shape[axis + 2], kernel[axis], step, spread, axis, attributes)
        for axis, (step, spread) in enumerate(((sh, dh), (sw, dw)))
    )
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    reach = (dh * (kernel[0] - 1) + 1, dw * (kernel[1] - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    return windows[:, :, ::sh, ::sw, ::dh, ::dw]


def _padding(
    length: int, kernel: int, stride: int, dilation: int, axis: int, attributes: dict[str, Any]
) -> tuple[int, int]:
    """Zeros before and after one axis."""
    automatic = attributes.get("auto_pad") or "NOTSET"
    if automatic == "NOTSET":
        pads = attributes.get("pads") or (0, 0, 0, 0)
        return int(pads[axis]), int(pads[axis + 2])
    if automatic == "VALID":
        return 0, 0
    total = max(0, (-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1 - length)
    less, more = total // 2, total - total // 2
    return (less, more) if automatic == "SAME_UPPER" else (more, less)


def _pool(x: Array, attributes: dict[str, Any], fill: float) -> Array:
    if attributes.get("ceil_mode"):
        raise NotImplementedError("MaxPool with ceil_mode in float64")
    return _windows(x, attributes["kernel_shape"], attributes, fill)


def convolve(x: Array, w: Array, b: Array | None, attributes: dict[str, Any]) -> Array:
    """``Conv`` on ``[N, C, H, W]`` or ``[N, C, W]``."""
    if x.ndim == 3:
        pads = attributes.get("pads") or (0, 0)
        flat = {
            "pads": (0, pads[0], 0, pads[1]),
            "strides": (1, *(attributes.get("strides") or (1,))),
            "dilations": (1, *(attributes.get("dilations") or (1,))),
            "group": attributes.get("group"),
            "auto_pad": attributes.get("auto_pad"),
        }
        return convolve(x[:, :, None], w[:, :, None], b, flat)[:, :, 0]
    groups = attributes.get("group") or 1
    windows = _windows(x, w.shape[2:], attributes, 0.0)
    n, _, oh, ow = windows.shape[:4]
    if groups == x.shape[1] and w.shape[1] == 1:
        repeated = np.repeat(windows, w.shape[0] // groups, axis=1)
        y = np.einsum("nchwij,cij->nchw", repeated, w[:, 0])
    else:
        parts = zip(np.split(windows, groups, axis=1), np.split(w, groups, axis=0), strict=True)
        y = np.concatenate(
            [np.moveaxis(np.tensordot(v, k, axes=((1, 4, 5), (1, 2, 3))), 3, 1) for v, k in parts], axis=1
        )
    y = y.reshape(n, w.shape[0], oh, ow)
    return y if b is None else y + b[None, :, None, None]


def _transposed(x: Array, w: Array, attributes: dict[str, Any]) -> Array:
    dilated = any(d != 1 for d in attributes.get("dilations") or (1, 1))
    if dilated or attributes.get("output_shape") or (attributes.get("auto_pad") or "NOTSET") != "NOTSET":
        raise NotImplementedError("dilated or automatically padded ConvTranspose in float64")
    sh, sw = attributes.get("strides") or (1, 1)
    kh, kw = w.shape[2:]
    n, _, h, width = x.shape
    pads = attributes.get("pads") or (0, 0, 0, 0)
    extra = attributes.get("output_padding") or (0, 0)
    y = np.zeros((n, w.shape[1], (h - 1) * sh + kh + extra[0], (width - 1) * sw + kw + extra[1]))
    for i in range(kh):
        for j in range(kw):
            part = np.einsum("nchw,co->nohw", x, w[:, :, i, j])
            y[:, :, i : i + sh * h : sh, j : j + sw * width : sw][:, :, :h, :width] += part
    return y[:, :, pads[0] : y.shape[2] - pads[2], pads[1] : y.shape[3] - pads[3]]


def _resize(x: Array, scales: Any, sizes: Any, attributes: dict[str, Any]) -> Array:
    if attributes.get("axes") or attributes.get("antialias"):
        raise NotImplementedError("Resize of some axes, or with antialias, in float64")
    size = [int(s) for s in sizes] if sizes is not None and len(sizes) else None
    factors = [float(s) for s in scales] if size is None else [o / i for o, i in zip(size, x.shape, strict=True)]
    for axis, factor in enumerate(factors):
        if factor != 1.0:
            length = size[axis] if size is not None else int(np.floor(x.shape[axis] * factor))
            matrix = resize_matrix(x.shape[axis], length, factor, attributes)
            x = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    return x


def resize_matrix(before: int, after: int, factor: float, attributes: dict[str, Any]) -> Array:
    """``[after, before]``: one axis of ``Resize`` as a matrix.

    Raises:
        NotImplementedError: neither nearest nor linear, or coordinates that are not known here.
    """
    out = np.arange(after, dtype=np.float64)
    place = attributes.get("coordinate_transformation_mode") or "half_pixel"
    centres: Mapping[str, Callable[[], Array]] = {
        "half_pixel": lambda: (out + 0.5) / factor - 0.5,
        "pytorch_half_pixel": lambda: (out + 0.5) / factor - 0.5 if after > 1 else out * 0,
        "asymmetric": lambda: out / factor,
        "align_corners": lambda: out * (before - 1) / max(after - 1, 1),
    }
    mode = attributes.get("mode") or "nearest"
    if mode not in ("nearest", "linear") or place not in centres:
        raise NotImplementedError(f"Resize {mode} with {place} in float64")
    at = centres[place]()
    matrix = np.zeros((after, before))
    rows = np.arange(after)
    if mode == "linear":
        low = np.floor(at).astype(int)
        share = at - low
        np.add.at(matrix, (rows, np.clip(low, 0, before - 1)), 1.0 - share)
        np.add.at(matrix, (rows, np.clip(low + 1, 0, before - 1)), share)
        return matrix
    roundings: Mapping[str, Callable[[Array], Array]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    }
    rounding = roundings[attributes.get("nearest_mode") or "round_prefer_floor"]
    matrix[rows, np.clip(rounding(at).astype(int), 0, before - 1)] = 1.0
    return matrix
