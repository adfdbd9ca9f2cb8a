"""A convolution with very few outputs, computed for blocks of pixels at a time.

::

    x ─ Conv k×k, out = o ─ y        x ─ Conv (k+s-1)×(k+s-1), stride s, out = o s² ─ DepthToSpace(s) ─ y

Algebra: the outputs of an s×s block of pixels all read the same (k+s-1)² window, each through its own shifted copy of
the filter: ``s²`` filters, mostly zero, with stride s. The same zero padding serves.

Pays where outputs do not fill a vector: a head with one map uses 1 lane of 16; a 4×4 block uses all of them, at
(k+s-1)² / (k² s²) multiplications per lane. Counts more multiply-accumulates, issues fewer.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import base, conv, read_any_conv
from edge.fusion.rewrites._lanes import LANES, cost
from edge.graph.editor import Editor
from edge.graph.rewrite import rewrite

_BLOCKS = (2, 4)
_NARROWEST = 4


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_any_conv(editor, node)
    shape = editor.shape(found.y) if found is not None else None
    if found is None or shape is None or found.groups != 1 or found.strides != (1, 1) or found.dilations != (1, 1):
        return False
    reader = editor.user(found.y)
    if found.kernel == (1, 1) or found.outputs > _NARROWEST or (reader and reader.op_type == "DepthToSpace"):
        return False
    height, width = shape[2:]

    def issued(s: int) -> float:
        taps = (found.kernel[0] + s - 1) * (found.kernel[1] + s - 1)
        return cost(found.outputs * s * s, found.inputs, taps) / (s * s)

    fitting = [s for s in _BLOCKS if height % s == 0 and width % s == 0 and found.outputs * s * s <= LANES]
    block = min(fitting, key=issued, default=1)
    if block == 1 or 2 * issued(block) > issued(1):
        return False
    hint = base(node)
    small = (shape[0], found.outputs * block**2, height // block, width // block)
    bank, bias = _blocked(found.bank, block), np.tile(found.bias, block**2)
    blocks = conv(editor, found, found.x, bank, bias, shape=small, hint=hint, strides=[block, block])
    spread = editor.op(
        "DepthToSpace", [blocks], {"blocksize": block, "mode": "DCR"}, shape=shape, hint=f"{hint}.spread"
    )
    editor.replace(found.y, spread)
    return True


def _blocked(bank: NDArray[np.float64], s: int) -> NDArray[np.float64]:
    """``[K, o, i, h, w]`` to ``[K, s·s·o, i, h+s-1, w+s-1]``: row (p, q) holds the filter shifted by (p, q)."""
    k, o, i, h, w = bank.shape
    wide = np.zeros((k, s, s, o, i, h + s - 1, w + s - 1))
    for p in range(s):
        for q in range(s):
            wide[:, p, q, :, :, p : p + h, q : q + w] = bank
    return wide.reshape(k, s * s * o, i, h + s - 1, w + s - 1)


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
