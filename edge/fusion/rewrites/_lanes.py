"""A rough cost of convolutions on vector units, to tell which of two forms to propose; measurement decides."""

from __future__ import annotations

# Output channels are computed in vectors of 16 (AVX-512 and most accelerators): a lone channel costs as much as 16.
LANES = 16


def lanes(channels: int) -> int:
    """Channels rounded up to whole vectors."""
    return -(-channels // LANES) * LANES


def cost(outputs: int, inputs: int, taps: int, pixels: int = 1) -> int:
    """Multiplications issued by an ungrouped convolution, idle lanes included."""
    return lanes(outputs) * inputs * taps * pixels
