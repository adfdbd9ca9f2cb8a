"""Slopes of PRelu: one for each channel, stored as a row, gets the axes that ONNX needs to read it so.

MXNet and its descendants write ``[C]``, which ONNX lines up with the columns of a map: no runtime takes the file. In
such a file a map as wide as it has channels is no exception, though a runtime would take its slopes for those of
columns.
"""

from __future__ import annotations

import numpy as np
import onnx

from edge.loading.normalize.edit import array_of, fresh, inferred
from edge.loading.normalize.step import Change, Draft, Step, value_dims


def _apply(draft: Draft) -> Change | None:
    found = [one for one in draft.proto.graph.node if one.op_type == "PRelu" and not one.domain]
    if draft.task is None or not found:
        return None
    proto = inferred(draft.copy())
    shapes = value_dims(proto)
    changed, certain = [], False
    for one in [each for each in proto.graph.node if each.op_type == "PRelu" and not each.domain]:
        dims, slopes = shapes.get(one.input[0]), array_of(proto, one.input[1])
        if dims is None or slopes is None or slopes.ndim != 1 or len(dims) < 3 or slopes.size == 1:
            continue
        if slopes.size == dims[1]:
            certain |= slopes.size != dims[-1]
            name = fresh(proto, f"{one.input[1]}_of_channels")
            array = np.ascontiguousarray(slopes.reshape(-1, *(1,) * (len(dims) - 2)))
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
            one.input[1] = name
            changed.append(one.name)
    if not certain:  # a file that runtimes take as it is
        return None
    note = f"{draft.where}: {len(changed)} PRelu ({changed[0]}, ...) have a slope for each channel, and are read so"
    return Change(draft.with_proto(inferred(proto)), note)


STEP = Step("slopes of PRelu", _apply)
