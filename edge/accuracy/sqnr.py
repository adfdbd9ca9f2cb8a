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


class Noise:
    """Power of a signal and of what another differs from it, added up output by output.

    Args:
        clip: limit both to ``[-clip, clip]`` first.

    Attributes:
        terms: both powers of each output; NaN where it is not finite.
    """

    def __init__(self, clip: float | None = None) -> None:
        self._clip = clip
        self.terms: list[tuple[float, float]] = []

    def add(self, signal: Array, noisy: Array) -> None:
        """One pair of arrays of equal shape, summed in float64.

        Raises:
            ValueError: the shapes differ.
        """
        if np.shape(signal) != np.shape(noisy):
            raise ValueError(f"outputs of shape {np.shape(signal)} and {np.shape(noisy)} cannot be compared")
        if not (np.isfinite(signal).all() and np.isfinite(noisy).all()):
            self.terms.append((math.nan, math.nan))
            return
        first, second = (np.asarray(v, np.float64) for v in (signal, noisy))
        if self._clip is not None:
            first, second = (v.clip(-self._clip, self._clip) for v in (first, second))
        self.terms.append((float(np.square(first).sum()), float(np.square(first - second).sum())))

    @property
    def db(self) -> float:
        """``10 log10(power / noise)``, see :func:`sqnr_db`."""
        power, noise = 0.0, 0.0
        for one in self.terms:  # in their order: the same digits wherever they were computed
            power, noise = power + one[0], noise + one[1]
        if math.isnan(noise):
            return -CEILING_DB
        if noise == 0.0:
            return CEILING_DB
        if power == 0.0:
            return -CEILING_DB
        return min(max(10.0 * math.log10(power / noise), -CEILING_DB), CEILING_DB)


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
    if len(signal) != len(noisy):
        raise ValueError(f"{len(signal)} and {len(noisy)} outputs cannot be compared")
    noise = Noise(clip)
    for a, b in zip(signal, noisy):
        noise.add(a, b)
    return noise.db


def clipped_sqnr_db(
    reference: Array | Sequence[Array], outputs: Array | Sequence[Array], task: SegmentationTask
) -> float:
    """SQNR against the float source: logits clipped to [-6, 6], probabilities as they are.

    Args:
        reference, outputs: ``[n, maps, height, width]`` float32.
        task: says whether the graph returns logits.
    """
    return sqnr_db(reference, outputs, clip=logit_clip(task))


def logit_clip(task: SegmentationTask) -> float | None:
    """What outputs are limited to before they are compared; None for what are no logits."""
    return LOGIT_CLIP if task.output == "logits" else None


def parity_db(reference: Array | Sequence[Array], outputs: Array | Sequence[Array]) -> float:
    """SQNR on raw outputs against ONNX Runtime (optimizations off) on the *same* graph.

    It says whether the compiler kept the graph's meaning, whatever the graph's own accuracy.
    """
    return sqnr_db(reference, outputs)
