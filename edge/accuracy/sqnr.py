"""Signal to quantization noise in decibels: how far two outputs are apart where Dice may not show it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task.task import SegmentationTask

    Array = NDArray[np.float32]

CEILING_DB = 200.0
"""Reported for equal outputs, where the ratio is infinite; the negative for outputs that are not finite at all."""

LOGIT_CLIP = 6.0
"""Logits beyond this are decided (probability under 0.25 %); their error changes no mask."""


def sqnr_db(signal: Array | Sequence[Array], noisy: Array | Sequence[Array], clip: float | None = None) -> float:
    """``10 log10(sum signal^2 / sum (signal - noisy)^2)`` over all elements, summed in float64.

    Args:
        signal, noisy: arrays of equal shape, or sequences of such; read along the first axis, so memory stays small.
        clip: limit both to ``[-clip, clip]`` first.

    Returns:
        Decibels in ``[-CEILING_DB, CEILING_DB]``; the ceiling for equal arrays, its negative where either array
        holds NaN or infinity, or the signal is zero and the other is not.

    Raises:
        ValueError: the shapes differ.
    """
    power = noise = 0.0
    if len(signal) != len(noisy):
        raise ValueError(f"{len(signal)} and {len(noisy)} outputs cannot be compared")
    for a, b in zip(signal, noisy):
        if np.shape(a) != np.shape(b):
            raise ValueError(f"outputs of shape {np.shape(a)} and {np.shape(b)} cannot be compared")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return -CEILING_DB
        first, second = (np.asarray(v, np.float64) for v in (a, b))
        if clip is not None:
            first, second = (v.clip(-clip, clip) for v in (first, second))
        power += float(np.square(first).sum())
        noise += float(np.square(first - second).sum())
    if noise == 0.0:
        return CEILING_DB
    if power == 0.0:
        return -CEILING_DB
    return min(max(10.0 * math.log10(power / noise), -CEILING_DB), CEILING_DB)


def clipped_sqnr_db(reference: Array, outputs: Array, task: SegmentationTask) -> float:
    """SQNR against the float source: logits clipped to [-6, 6], probabilities as they are.

    Args:
        reference, outputs: ``[n, maps, height, width]`` float32.
        task: says whether the graph returns logits.
    """
    return sqnr_db(reference, outputs, clip=LOGIT_CLIP if task.output == "logits" else None)


def parity_db(reference: Array | Sequence[Array], outputs: Array | Sequence[Array]) -> float:
    """SQNR on raw outputs against ONNX Runtime (optimizations off) on the *same* graph.

    It says whether the compiler kept the graph's meaning, whatever the graph's own accuracy.
    """
    return sqnr_db(reference, outputs)
