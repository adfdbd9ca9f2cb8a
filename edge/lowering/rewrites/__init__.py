"""The decompositions, in the order they run."""

from __future__ import annotations

from edge.graph.rewrite import Rewrite
from edge.lowering.conditions import Needed
from edge.lowering.rewrites import (
    axis_of_scales,
    col2im_as_transpose,
    gelu_as_erf,
    grid_sample_modes,
    group_norm_as_instance_norm,
    layer_norm_as_reductions,
    mish_as_softplus,
    pad_all_axes,
    reduce_axes_as_attribute,
    resize_all_axes,
    split_sizes,
    swish_as_sigmoid,
    weights_through_quantize,
)

REWRITES: tuple[Rewrite[Needed], ...] = tuple(
    module.REWRITE
    for module in (
        col2im_as_transpose,
        gelu_as_erf,
        layer_norm_as_reductions,
        group_norm_as_instance_norm,
        mish_as_softplus,
        swish_as_sigmoid,
        reduce_axes_as_attribute,
        resize_all_axes,
        split_sizes,
        grid_sample_modes,
        pad_all_axes,
        axis_of_scales,
        weights_through_quantize,
    )
)
