"""Whether a step for each channel helps a network, measured at its output on images that did not choose the steps.

It gains 4 to 7 dB on LiteNeXt and LightAWNet and nothing on U-Net, where what the weights lose outweighs it.
"""

from __future__ import annotations

from edge.quantization.output_error import OutputError, gains
from edge.quantization.ranges import COARSE, FINE, Ranges


def drop_what_does_not_help(ranges: Ranges, output: OutputError) -> Ranges:
    """Ranges with a step for each channel on signed grids, unsigned ones, both or none: what disturbs the output least.

    Args:
        ranges: with magnitudes for channels.
        output: on images that chose none of the steps.
    """
    best = _kept(ranges, signed=False, unsigned=False)
    least = output.db(best)
    for signed, unsigned in ((False, True), (True, False), (True, True)):
        tried = _kept(ranges, signed, unsigned)
        found = output.db(tried)
        if gains(found, least):
            best, least = tried, found
    return best


def _kept(ranges: Ranges, signed: bool, unsigned: bool) -> Ranges:
    for steps, wanted in ((COARSE, signed), (FINE, unsigned)):
        ranges = ranges if wanted else ranges.uniform(steps)
    return ranges
