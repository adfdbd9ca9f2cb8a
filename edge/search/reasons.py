"""Why a plan was kept or dropped and a group left float, each in one phrase with its number."""

from __future__ import annotations

import numpy as np

from edge.search.sensitivity import Gain, Harm


def versus(ms: float, float_ms: float, rest: str, measured: bool) -> str:
    """A plan's time beside its float engine's."""
    if measured:
        return f"{ms:.2f} ms against {float_ms:.2f} ms in {rest}"
    return f"{100 * ms / float_ms:.0f} % of the time in {rest} by estimate"


def why_slow(rest: str, gain: Gain, measured: bool) -> str:
    """Why a group that does not pay stayed float, in one phrase with its number."""
    if gain.saved_ms > 0:
        return f"INT8 saves only {_saving(gain, measured)}"
    return f"INT8 is {gain.ratio:.1f}x {rest} {'here' if measured else 'by estimate'}"


def why_harmful(gain: Gain, harm: Harm | None, measured: bool) -> str:
    """Why a group that pays stayed float, in one phrase with its number."""
    if harm is None:
        return f"INT8 saves {_saving(gain, measured)}, but there was no time to measure its harm"
    decibels = 0.0 - 10.0 * np.log10(max(harm.noise, 1e-20))
    if harm.estimated:
        return f"INT8 would save {_saving(gain, measured)}; its share of the noise is about {decibels:.0f} dB"
    return f"INT8 alone costs {100 * harm.disagreement:.2f} % agreement ({decibels:.0f} dB)"


def _saving(gain: Gain, measured: bool) -> str:
    if not measured:
        return f"{100 * (1 - 1 / gain.ratio):.0f} % of this layer's time by estimate"
    small = gain.saved_ms < 0.01
    return f"{1e3 * gain.saved_ms:.0f} us here" if small else f"{gain.saved_ms:.2f} ms here"
