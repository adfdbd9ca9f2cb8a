"""Whether the clips that trials chose serve the network, or least-squares clips do, measured at its output.

A trial judges a tensor by the outputs of its readers alone. What these lose may be what the network needs: on LANet and
a U-Net in TensorRT's signed grids the least-squares clip of every tensor leaves less error at the output than the
tensors' own choices do, on others more.
"""

from __future__ import annotations

from dataclasses import replace

from edge.quantization.output_error import OutputError
from edge.quantization.ranges import Ranges, TensorRange

LEAST_SQUARES = "mse"


def better_clips(ranges: Ranges, output: OutputError) -> Ranges:
    """The ranges as they are, or clipped by least squares throughout: what disturbs the output least.

    Args:
        ranges: one magnitude for all channels of a tensor, with each method's candidate.
        output: on images that chose none of the clips.
    """
    tried = clipped_by(ranges, LEAST_SQUARES)
    return ranges if output.gained(tried, output.db(ranges)) is None else tried


def clipped_by(ranges: Ranges, method: str) -> Ranges:
    """Every tensor clipped where one method proposes; a tensor of zeros as it is."""

    def tensor(old: TensorRange) -> TensorRange:
        return replace(old, coarse=old.coarse.by(method), fine=old.fine.by(method))

    return replace(ranges, tensors={name: tensor(found) for name, found in ranges.tensors.items()})
