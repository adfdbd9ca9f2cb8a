"""OpenVINO with the task compiled in: uint8 pixels in, uint8 class indices out.

::

    uint8 [1, H, W, C] ─ Gather(table) ─ NCHW ─ network ─ >= cut ─ uint8 [1, H, W]        one map
                                                        ─ map1 - map0 ─ >= cut            two softmax maps
                                                        ─ TopK(1)                         more

The artefact stays the float graph that was checked; only what is compiled from it grows, through OpenVINO's own pre-
and post-processing API. Normalisation is the task's, a table of float32 values computed in double precision: looking a
pixel up in it gives the network the very numbers that the task gives it, where multiplying and subtracting would round
once more. ``minmax`` has a row of the table for every span ``max - min`` that an image can have. What is compared is
float32 and in the task's order, so masks are the same to the pixel wherever the compiler leaves the network as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.backends.openvino.faults import openvino_faults
from edge.backends.openvino.network import compile_network, compiled_conditions
from edge.backends.runner import closed
from edge.errors import InputError
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    import openvino

_LEVELS = 256


class OpenVinoPixels:
    """A compiled network from pixels at its own size to class indices; latency mode, one stream, batch 1.

    Args:
        network: OpenVINO's model of the float graph; grown in place.
        rest: precision of whatever is not quantized: fp32, bf16 or fp16.
        threads: of the one stream.
        task: what goes in and what its output means.

    Raises:
        InputError: the network's input or output is not the task's.
    """

    def __init__(self, network: openvino.Model, rest: str, threads: int, task: SegmentationTask) -> None:
        compiled = compile_network(with_task(network, task), rest, threads)
        self._shape = (*task.size, task.in_channels)
        self._port = compiled.output(task.output_name) if task.output_name else compiled.output(0)
        self._request = compiled.create_infer_request()
        self._compiled: openvino.CompiledModel | None = compiled

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``[height, width, channels]`` uint8, as :meth:`SegmentationTask.resized` returns, to ``[height, width]``.

        Raises:
            ValueError: pixels of another shape or type.
            InputError: it was closed.
        """
        if self._request is None:
            raise closed()
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            raise ValueError(f"pixels are {pixels.dtype} {list(pixels.shape)}, not uint8 {list(self._shape)}")
        image = np.ascontiguousarray(pixels)[None]
        with openvino_faults("the engine with its task"):
            results = self._request.infer({0: image}, share_inputs=True, share_outputs=True)
        return np.array(results[self._port][0])  # a copy: the request writes over its own buffer on the next run

    def conditions(self) -> dict[str, Any]:
        """Settings as the compiled model reports them."""
        if self._compiled is None:
            raise closed()
        return compiled_conditions(self._compiled)

    def close(self) -> None:
        """Free the compiled network's memory."""
        self._compiled = self._request = None


def with_task(network: openvino.Model, task: SegmentationTask) -> openvino.Model:
    """Grow a float network by its task: uint8 ``[1, height, width, channels]`` to uint8 ``[1, height, width]``.

    Raises:
        InputError: the network's input or output is not the task's, or the task is one that cannot go in.
    """
    import openvino
    from openvino.preprocess import PrePostProcessor

    _require_levels(task)
    port = network.output(task.output_name) if task.output_name else network.output(0)
    _require_shape("input", network.input(0), (1, task.in_channels, *task.size))
    _require_shape("output", port, (1, task.maps, *task.size))
    processor = PrePostProcessor(network)
    source, result = processor.input(0), processor.output(task.output_name or 0)
    source.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    source.model().set_layout(openvino.Layout("NCHW"))
    source.preprocess().custom(lambda pixels: _normalized(pixels, task))
    source.preprocess().convert_layout(openvino.Layout("NCHW"))
    result.postprocess().custom(lambda maps: _decided(maps, task))
    return processor.build()


def _normalized(pixels: openvino.Output, task: SegmentationTask) -> openvino.Output:
    """Step 3 of the task on ``[1, H, W, C]``: the same float32 values, looked up."""
    from openvino import opset13 as ov

    levels = ov.convert(pixels, "i32")
    if task.normalize == "minmax":
        low, high = (reduce(levels, _integers([0, 1, 2, 3]), True) for reduce in (ov.reduce_min, ov.reduce_max))
        span = ov.subtract(high, low)
        index = ov.add(ov.multiply(span, _integers(_LEVELS)), ov.subtract(levels, low))
    else:
        index = ov.add(levels, _integers(_LEVELS * np.arange(task.in_channels)))
    return ov.gather(ov.constant(_table(task)), index, _integers(0)).output(0)


def _table(task: SegmentationTask) -> NDArray[np.float32]:
    """Flat float32: ``[channels, 256]`` by level, or for minmax ``[256, 256]`` by span and level above the least.

    Taken from the task itself, so that there is one definition.
    """
    if task.normalize == "fixed":
        every = np.broadcast_to(np.arange(_LEVELS, dtype=np.uint8)[:, None, None], (_LEVELS, 1, task.in_channels))
        return np.ascontiguousarray(task.normalized(every)[..., 0]).reshape(-1)
    rows = np.zeros((_LEVELS, _LEVELS), np.float32)
    for span in range(_LEVELS):
        ramp = np.arange(span + 1, dtype=np.uint8)[:, None, None].repeat(task.in_channels, axis=2)
        rows[span, : span + 1] = task.normalized(ramp)[0, :, 0]
    return rows.reshape(-1)


def _decided(maps: openvino.Output, task: SegmentationTask) -> openvino.Output:
    """Step 4 of the task on ``[1, maps, H, W]``."""
    from openvino import opset13 as ov

    axis = _integers(1)
    if task.maps > 2 or (task.maps == 2 and task.activation != "softmax"):
        # Stable: the lowest index on ties.
        best = ov.topk(maps, _integers(1), 1, "max", "value", "i32", stable=True).output(1)
        return ov.convert(ov.squeeze(best, axis), "u8").output(0)
    if task.maps == 2:
        value = ov.subtract(ov.gather(maps, axis, axis), ov.gather(maps, _integers(0), axis))
    else:
        value = ov.squeeze(maps, axis)
    return ov.convert(ov.greater_equal(value, ov.constant(task.cut, np.float32)), "u8").output(0)


def _integers(values: Any) -> openvino.Node:
    from openvino import opset13 as ov

    return ov.constant(np.asarray(values, np.int32))


def _require_levels(task: SegmentationTask) -> None:
    """Refuse what has no table of 256 values, and what is decided outside of one run of the network."""
    reasons = {
        "its pixels are not 8-bit levels": not task.in_levels,
        "its tiles are blended before they are decided": task.fit == "tile",
        "its labels overlap": task.overlapping,
        "the graph decides itself": task.output == "labels",
    }
    for reason, holds in reasons.items():
        if holds:
            raise InputError(f"the task cannot run inside the engine: {reason}; give it float images instead")


def _require_shape(side: str, port: openvino.Output, wanted: tuple[int, ...]) -> None:
    found = port.get_partial_shape()
    if found.is_dynamic or tuple(found.to_shape()) != wanted:
        raise InputError(
            f"the engine's {side} is {found}, not {list(wanted)} as its task says, so the task cannot run inside it; "
            "give it float images instead"
        )
