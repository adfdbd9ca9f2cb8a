"""A convolution of a nearest upsample, computed on the small map.

::

    x ─ Resize nearest ×s ─ Conv k×k (W, b) ─ y        x ─ Conv k'×k' (s² sums of W, b) ─ DepthToSpace(s) ─ y

Algebra: output pixel (s u + p, s v + q) reads rows ``floor((s u + p + d) / s)`` of ``x``; for each phase (p, q) the
taps that fall on the same source pixel add up. With 3×3 and s = 2 each phase has 2×2 taps, with s > 2 inner phases
have one. Zero padding of the large map is zero padding of the small one wherever whole source pixels fall outside,
which pads below s guarantee.

Phases with equal filters are computed once (s > 2: 9 of s² differ) and copied by a 1×1 convolution of zeros and ones.

Pays always for narrow heads; for wide outputs where the fewer taps outweigh the spread.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge.fusion.conv import Conv, base, conv, pointwise, read_any_conv
from edge.fusion.rewrites._lanes import cost, lanes
from edge.fusion.rewrites._resize import Upsample, read_upsample
from edge.graph.editor import Editor, text
from edge.graph.rewrite import rewrite


def _apply(editor: Editor, node: ir.Node) -> bool:
    found = read_any_conv(editor, node)
    up = read_upsample(editor, editor.own(found.x, "Resize")) if found is not None else None
    shape = editor.shape(found.y) if found is not None else None
    if found is None or up is None or shape is None or not _plain(found, up) or shape[2:] != up.after[2:]:
        return False
    factor = up.after[2] // up.before[2]
    reach = (max(-(-found.pads[0] // factor), 0), max(-(-found.pads[1] // factor), 0))
    bank = _phases(found.bank, factor, (found.pads[0], found.pads[1]))
    first, copy = _distinct(bank) if found.outputs == 1 else ([], [])
    shared = 0 < len(first) < factor * factor
    rows = bank[first] if shared else bank
    kinds, k, o, i, h, w = rows.shape
    small = (shape[0], kinds * o, *up.before[2:])
    if cost(kinds * o, i, h * w) > cost(found.outputs, found.inputs, found.kernel[0] * found.kernel[1]) * factor**2:
        return False
    stacked = np.moveaxis(rows, 0, 1).reshape(k, kinds * o, i, h, w)
    hint = base(node)
    result = conv(
        editor,
        found,
        up.x,
        stacked,
        np.tile(found.bias, kinds),
        shape=small,
        hint=hint,
        pads=[reach[0], reach[1], h - 1 - reach[0], w - 1 - reach[1]],
    )
    if shared:
        chosen = np.eye(kinds)[copy]
        wide = (shape[0], factor**2, *up.before[2:])
        result = pointwise(editor, result, chosen, None, shape=wide, hint=f"{hint}.copies")
    spread = editor.op(
        "DepthToSpace", [result], {"blocksize": factor, "mode": "DCR"}, shape=shape, hint=f"{hint}.spread"
    )
    editor.replace(found.y, spread)
    return True


def _plain(found: Conv, up: Upsample) -> bool:
    """Nearest by a whole factor with block copies, and a stride-1 convolution that keeps the size."""
    factor, other = (after / before for after, before in zip(up.after[2:], up.before[2:], strict=True))
    if factor != other or factor != int(factor) or factor < 2 or text(up.node, "mode", "nearest") != "nearest":
        return False
    place = text(up.node, "coordinate_transformation_mode", "half_pixel")
    rounding = text(up.node, "nearest_mode", "round_prefer_floor")
    copies = (place == "asymmetric" and rounding == "floor") or (place == "half_pixel" and rounding.startswith("round"))
    same = all(pad < factor for pad in found.pads)
    plain = found.groups == 1 and found.strides == (1, 1) and found.dilations == (1, 1)
    return copies and same and plain and lanes(found.outputs) > 0


def _phases(bank: NDArray[np.float64], s: int, pads: tuple[int, int]) -> NDArray[np.float64]:
    """``[K, o, i, h, w]`` to ``[s·s, K, o, i, h', w']``: filters on the small map, one per phase."""
    k, o, i, h, w = bank.shape
    rows, columns = _taps(h, s, pads[0]), _taps(w, s, pads[1])
    phases = np.einsum("pah,qbw,koihw->pqkoiab", rows, columns, bank)
    return phases.reshape(s * s, k, o, i, rows.shape[1], columns.shape[1])


def _distinct(bank: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Where each kind of equal filters occurs first, and which kind each phase's are."""
    kinds: dict[bytes, int] = {}
    copy = [kinds.setdefault(filters.tobytes(), len(kinds)) for filters in bank.round(15) + 0.0]
    return [copy.index(kind) for kind in range(len(kinds))], copy


def _taps(size: int, s: int, pad: int) -> NDArray[np.float64]:
    """``[s, taps, size]``: 1 where phase p's filter element d reads small tap t."""
    low = -(-pad // s)
    source = (np.arange(s)[:, None] + np.arange(size)[None, :] - pad) // s + low
    return (source[:, None, :] == np.arange(source.max() + 1)[None, :, None]).astype(np.float64)


REWRITE = rewrite(__name__, "optional", ("Conv",), _apply)
