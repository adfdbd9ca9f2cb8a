"""What published measurements make one expect of a network on a Jetson, with the spread that they leave.

A data sheet's peaks alone are off by up to thirteen times. Over the networks of ``published.toml`` the time follows
``k * C^a * M^b`` much closer: C is the time that the convolutions' arithmetic takes at the device's peak, M the time
that their inputs, outputs and weights take at the memory's. ``k``, ``a`` and ``b`` are fitted in logarithms; the
interval is what the fit without a network says of that network, network by network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.files import read_toml
from edge.targets.target import targets

TABLE = Path(__file__).with_name("published.toml")
PRECISION = "fp16"
SHARE = 0.9
"""Of the networks left out, this share lies in the interval."""

_BYTES = 2
_BANDWIDTH, _ARITHMETIC = "bandwidth_gbs", "fp16_tflops_dense"


@dataclass(frozen=True)
class Measurement:
    """One published latency.

    Attributes:
        network, device: names.
        height, width: of the input.
        ms: of one image, TensorRT, FP16.
        compute_ms, memory_ms: of its convolutions at the device's peaks.
        source: title and address of where it was published.
        how: what was timed.
    """

    network: str
    device: str
    height: int
    width: int
    ms: float
    compute_ms: float
    memory_ms: float
    source: str
    how: str


@dataclass(frozen=True)
class Expected:
    """What one expects of a network.

    Attributes:
        ms: the fit's.
        low, high: nine of ten published networks, each left out of the fit, lie in such an interval.
        left_out_error: root mean square of what the fit without a network is off for it, as a factor.
        worst_error: the largest of these, as a factor.
        measurements, networks: how many there are.
        caution: where this lies beyond what they cover; "" where it does not.
    """

    ms: float
    low: float
    high: float
    left_out_error: float
    worst_error: float
    measurements: int
    networks: int
    caution: str = ""


@cache
def measurements() -> tuple[Measurement, ...]:
    """Every row of the table."""
    table = read_toml(TABLE)
    counts = {(name, height, width): (macs, size) for name, height, width, macs, size in table["counts"]}
    peaks = {name: (t.fact(_ARITHMETIC), t.fact(_BANDWIDTH)) for name, t in targets().items()}
    peaks.update({name: (row[_ARITHMETIC], row[_BANDWIDTH]) for name, row in table["devices"].items()})
    rows = []
    for name, height, width, device, ms, source in table["measurements"]:
        macs, elements = counts[name, height, width]
        tflops, bandwidth = peaks[device]
        compute, memory = 2e3 * macs / (1e12 * tflops), 1e3 * _BYTES * elements / (1e9 * bandwidth)
        origin = table["sources"][source]
        title = f"{origin['title']} ({origin['url']}, {origin['revision'][:12]})"
        rows.append(Measurement(name, device, height, width, float(ms), compute, memory, title, origin["how"]))
    return tuple(rows)


def expect(compute_ms: float, memory_ms: float, precision: str, device: str) -> Expected:
    """What the published measurements make one expect.

    Args:
        compute_ms: of all convolutions and matrix products at the device's peak; more than 0.
        memory_ms: of their inputs, outputs and weights at the memory's peak; more than 0.
        precision: that they run in.
        device: name of the target.
    """
    rows = measurements()
    ms = math.exp(float(_terms([(compute_ms, memory_ms)])[0] @ _fit(rows)))
    errors = np.array(left_out_errors())
    below, above = np.quantile(errors, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    beyond = [f"measurements in {PRECISION} are all there are, not in {precision}"] if precision != PRECISION else []
    if device not in {row.device for row in rows}:
        beyond.append(f"none is of {device}")
    return Expected(
        ms,
        ms * math.exp(float(below)),
        ms * math.exp(float(above)),
        math.exp(math.sqrt(float(np.mean(errors**2)))),
        math.exp(float(np.abs(errors).max())),
        len(rows),
        len({row.network for row in rows}),
        "; ".join(beyond),
    )


@cache
def left_out_errors() -> tuple[float, ...]:
    """Logarithm of measured / expected of every row, by the fit to the rows of all other networks."""
    rows, found = measurements(), []
    for name in sorted({row.network for row in rows}):
        law = _fit([row for row in rows if row.network != name])
        for row in rows:
            if row.network == name:
                found.append(math.log(row.ms) - float(_terms([(row.compute_ms, row.memory_ms)])[0] @ law))
    return tuple(found)


def _fit(rows: Sequence[Measurement]) -> NDArray[np.float64]:
    """``log k, a, b``."""
    terms = _terms([(row.compute_ms, row.memory_ms) for row in rows])
    return np.asarray(np.linalg.lstsq(terms, np.log([row.ms for row in rows]), rcond=None)[0], np.float64)


def _terms(times: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    logs = np.log(np.array(times, np.float64))
    return np.column_stack([np.ones(len(logs)), logs])
