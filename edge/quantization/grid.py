"""8-bit grids: the scale and zero point that a range comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GridKind = Literal["int8", "uint8", "uint8-128", "uint8-range"]

_LEAST_SCALE = 2.0**-100  # a dead tensor still needs a scale that no float32 arithmetic turns into 0

WEIGHT_STEPS = 127
"""Largest level of a weight in int8; -128 is never needed."""


@dataclass(frozen=True)
class Grid:
    """``x = (q - zero) * scale`` for ``q`` of ``dtype``.

    Attributes:
        dtype: int8 or uint8.
        scale: step, > 0.
        zero: level of 0.0.
    """

    dtype: str
    scale: float
    zero: int


def grid_for(kind: str, low: float, high: float, amax: float) -> Grid:
    """The grid of one kind over a range.

    ============ ============================================================ ==============================
    kind         levels                                                       for
    ============ ============================================================ ==============================
    int8         -127..127 around 0; -128 is never needed                     TensorRT, OpenVINO
    uint8        0..255 over [0, amax]                                        OpenVINO, tensors never < 0
    uint8-128    1..255 around 128: the int8 grid, level by level             OpenVINO, beside a Concat
    uint8-range  0..255 over [max(low, -amax), min(high, amax)], 0 on a level OpenVINO, lopsided tensors
    ============ ============================================================ ==============================

    Args:
        low, high: extremes seen.
        amax: magnitude to clip at.
    """
    if kind == "int8":
        return Grid("int8", max(amax / 127.0, _LEAST_SCALE), 0)
    if kind == "uint8-128":
        return Grid("uint8", max(amax / 127.0, _LEAST_SCALE), 128)
    bottom = 0.0 if kind == "uint8" else min(max(low, -amax), 0.0)
    top = max(min(high, amax), 0.0) if kind == "uint8-range" else amax
    scale = max((top - bottom) / 255.0, _LEAST_SCALE)
    return Grid("uint8", scale, round(-bottom / scale))


def quantize_weight(
    weight: NDArray[np.float32], axis: int | None, steps: int = WEIGHT_STEPS
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a weight to int8, one scale a channel.

    Args:
        weight: any shape.
        axis: of output channels; None for one scale over all.
        steps: largest level.

    Returns:
        The weight as int8 and its scales, ``[channels]`` or scalar, float32, with ``scale = max|w| / steps``.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    amax = np.abs(weight).max(axis=others if axis is not None else None, keepdims=True)
    scale = (amax / np.float32(steps)).astype(np.float32)
    scale[scale < _LEAST_SCALE] = 1.0  # a dead channel: every level is 0
    levels = np.clip(np.rint(weight / scale), -steps, steps).astype(np.int8)
    return levels, scale.reshape(-1) if axis is not None else scale.reshape(())
