"""Every rewrite by name, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal

from edge.graph.rewrite import Rewrite

Kind = Literal["safe", "optional", "alternative"]
"""``safe`` never adds work and runs by default everywhere; ``optional`` pays on some targets only, so it runs where a
measurement or a target's table asks for it; ``alternative`` is another form that is no better to begin with, tried on
top of all others once they find nothing more."""

_ORDER = (
    "clean",
    "fold_batch_norm",
    "fold_affine",
    "dynamic_conv_by_kernel",
    "channel_layer_norm",
    "center_into_conv",
    "center_as_conv",
    "variance_as_conv",
    "norm_scale_into_conv",
    "variance_from_inputs",
    "mean_below_resize",
    "scale_below_resize",
    "concat_below_resize",
    "concat_conv_as_sum",
    "gate_after_pointwise",
    "pointwise_into_conv",
    "sum_of_parallel_convs",
    "pointwise_through_add",
    "pointwise_below_resize",
    "merge_resizes",
    "nearest_upsample_conv",
    "transposed_conv_as_pointwise",
    "bilinear_as_conv",
    "narrow_conv_in_blocks",
    "odd_widths_in_blocks",
    "split_packed_projection",
    "dynamic_conv_by_inputs",
    "bilinear_as_blur",
)


def _load() -> Mapping[str, Rewrite[Kind]]:
    modules = (import_module(f"edge.fusion.rewrites.{stem}") for stem in _ORDER)
    return {module.REWRITE.name: module.REWRITE for module in modules}


REWRITES: Mapping[str, Rewrite[Kind]] = _load()
