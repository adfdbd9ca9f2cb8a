"""Whether a step for each channel helps a network, measured at its output on images that did not choose the steps.

Fitted steps gain 2 to 7 dB on LiteNeXt and cost a U-Net or LANet as much, since what is rare in a channel is clipped.
Steps that reach as far as the channel does gain 2.4 dB on LANet in TensorRT's signed grids, 1 dB on a U-Net and
LightAWNet in OpenVINO's, and cost LiteNeXt up to 25 dB on an image whose channels reach further.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.quantization.output_error import OutputError
from edge.quantization.ranges import COARSE, FINE, Ranges


def drop_what_does_not_help(proposals: Sequence[Ranges], output: OutputError) -> Ranges:
    """Ranges with a step for each channel on signed grids, unsigned ones, both or none: what disturbs the output least.

    Args:
        proposals: the same ranges with other magnitudes for channels.
        output: on images that chose none of the steps.
    """
    best = _kept(proposals[0], signed=False, unsigned=False)
    least = output.db(best)
    for ranges in proposals:
        for signed, unsigned in ((False, True), (True, False), (True, True)):
            tried = _kept(ranges, signed, unsigned)
            found = output.gained(tried, least)
            if found is not None:
                best, least = tried, found
    return best


def _kept(ranges: Ranges, signed: bool, unsigned: bool) -> Ranges:
    for steps, wanted in ((COARSE, signed), (FINE, unsigned)):
        ranges = ranges if wanted else ranges.uniform(steps)
    return ranges
