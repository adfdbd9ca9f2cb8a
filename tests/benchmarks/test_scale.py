"""A deployment's peak memory is its own, not that of whoever measures it."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.scale import usage

MIB = 1 << 20


def test_a_small_command_of_a_large_process_is_small_and_a_large_one_large() -> None:
    held = np.ones(300 * MIB, np.uint8)
    small = usage([sys.executable, "-S", "-c", "print('said')"])
    large = usage([sys.executable, "-S", "-c", f"b'1' * {200 * MIB}"])
    assert held.all() and small.peak_bytes < 100 * MIB and 200 * MIB < large.peak_bytes < 300 * MIB
