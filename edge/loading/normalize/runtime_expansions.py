"""Operators of ONNX Runtime's own, each written in standard ones by its definition in ``ContribOperators.md``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

from edge.graph.editor import add_weight, integer, ints, number, text
from edge.graph.names import unique_name

_DOMAIN = "com.microsoft"
_GELU = 20  # the operator set that has Gelu
_CUBIC = 0.044715


class Left(Exception):
    """An operator that stays as it is, for now: a rank is not known, or what it asks for is not written here."""


class Site:
    """Where one operator stands: its inputs and attributes, and what is written in its place."""

    def __init__(self, graph: ir.Graph, node: ir.Node, version: int, names: set[str | None]) -> None:
        self.node, self.version = node, version
        self.tape = Tape()
        self._graph, self._names = graph, names

    def input(self, index: int) -> ir.Value | None:
        """None where it is left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def needs(self, index: int) -> ir.Value:
        """An input that the operator cannot do without."""
        found = self.input(index)
        if found is None:
            raise Left
        return found

    def without(self, first: int) -> None:
        """Leave the operator as it is where it has any input from this one on."""
        if any(value is not None for value in self.node.inputs[first:]):
            raise Left

    def op(self, kind: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Write a node beside the operator's core."""
        name = unique_name(f"{self.node.name}/{kind}", self._names)
        return self.tape.op(kind, inputs, attributes, name=name)

    def core(self, kind: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Write the node that does the work, under the name that the operator has."""
        return self.tape.op(kind, inputs, attributes, name=self.node.name)

    def constant(self, value: float | Sequence[int]) -> ir.Value:
        """A float32 number or a list of integers."""
        kind = np.float32 if isinstance(value, float) else np.int64
        return add_weight(self._graph, np.asarray(value, kind), unique_name(f"{self.node.name}/constant", self._names))

    def apart(self, value: ir.Value, sizes: Sequence[int]) -> Sequence[ir.Value]:
        """Parts of these sizes of the last axis."""
        inputs, name = [value, self.constant(sizes)], unique_name(f"{self.node.name}/Split", self._names)
        return self.tape.op_multi_out("Split", inputs, {"axis": -1}, num_outputs=len(sizes), name=name)

    def given(self, *names: str) -> dict[str, ir.Attr]:
        """Those of the attributes that the operator has."""
        return {name: self.node.attributes[name] for name in names if name in self.node.attributes}

    def plus(self, value: ir.Value, other: ir.Value | None) -> ir.Value:
        """The sum, where there is something to add."""
        return value if other is None else self.op("Add", value, other)


_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # axes of an image, its channels to where Conv reads them and back
_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "Softplus": (),
    "Softsign": (),
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Selu": ("alpha", "gamma"),
}
"""What may be fused behind a convolution or Gemm, with the attributes that its parameters are."""


def _activated(site: Site, value: ir.Value, parameters: Sequence[float]) -> ir.Value:
    kind = text(site.node, "activation", "")
    if not kind:
        return value
    if kind == "Clip":
        return site.op("Clip", value, *(site.constant(float(bound)) for bound in parameters))
    if kind not in _ACTIVATIONS:
        raise Left
    return site.op(kind, value, **dict(zip(_ACTIVATIONS[kind], map(float, parameters), strict=False)))


def _parameters(site: Site) -> Sequence[float]:
    return site.node.attributes.get_floats("activation_params", ())


def _fused_conv(site: Site) -> ir.Value:
    made = site.core("Conv", site.needs(0), site.needs(1), site.input(2), **site.given(*_CONV))
    return _activated(site, site.plus(made, site.input(3)), _parameters(site))


def _nhwc_fused_conv(site: Site) -> ir.Value:
    """Channels stand last in the image and in what is added, but not in the weights."""
    return _channels_last(site, site.needs(1))


def _nhwc_conv(site: Site) -> ir.Value:
    """Channels stand last in the weights too: ``[M, kH, kW, C / group]``."""
    return _channels_last(site, site.op("Transpose", site.needs(1), perm=_FIRST))


def _channels_last(site: Site, weights: ir.Value) -> ir.Value:
    image = site.op("Transpose", site.needs(0), perm=_FIRST)
    other = site.input(3)
    other = None if other is None else site.op("Transpose", other, perm=_FIRST)
    made = site.core("Conv", image, weights, site.input(2), **site.given(*_CONV))
    return site.op("Transpose", _activated(site, site.plus(made, other), _parameters(site)), perm=_LAST)


def _fused_gemm(site: Site) -> ir.Value:
    attributes = site.given("alpha", "beta", "transA", "transB")
    made = site.core("Gemm", site.needs(0), site.needs(1), site.input(2), **attributes)
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    kind = text(site.node, "activation", "")
    wanted = [f"activation_{name}" for name in _ACTIVATIONS.get(kind, ())] or names
    return _activated(site, made, [number(site.node, n, 0.0) for n in wanted if n in site.node.attributes])


def _fused_mat_mul(site: Site) -> ir.Value:
    sides = []
    for index, side in enumerate("AB"):
        value = site.needs(index)
        order = _order(value, integer(site.node, f"transBatch{side}", 0), integer(site.node, f"trans{side}", 0))
        sides.append(value if order is None else site.op("Transpose", value, perm=order))
    alpha = number(site.node, "alpha", 1.0)
    if alpha != 1.0:  # on the left side: smaller than the product where that is an attention
        sides[0] = site.op("Mul", sides[0], site.constant(alpha))
    return site.core("MatMul", *sides)


def _order(value: ir.Value, batches: int, matrix: int) -> tuple[int, ...] | None:
    """Axes of a factor as MatMul reads them, where its first axis is the rows'; None where it already stands so."""
    if not (batches or matrix):
        return None
    order = list(range(_rank(value)))
    if len(order) < 2:
        return None
    if batches:
        order = [*order[1:-1], 0, order[-1]]
    if matrix:
        order[-2:] = order[:-3:-1]
    return tuple(order)


def _rank(value: ir.Value) -> int:
    if value.shape is None:
        raise Left
    return len(value.shape)


def _last(value: ir.Value) -> int:
    """The last dimension of a value."""
    size = None if value.shape is None else value.shape[-1]
    if not isinstance(size, int):
        raise Left
    return size


def _gelu(site: Site) -> ir.Value:
    return _erf_gelu(site, site.plus(site.needs(0), site.input(1)))


def _erf_gelu(site: Site, x: ir.Value) -> ir.Value:
    if site.version >= _GELU:
        return site.core("Gelu", x)
    inner = site.op("Erf", site.op("Mul", x, site.constant(math.sqrt(0.5))))
    return _half_gated(site, x, inner)


def _fast_gelu(site: Site) -> ir.Value:
    x = site.plus(site.needs(0), site.input(1))
    if site.version >= _GELU:
        return site.core("Gelu", x, approximate="tanh")
    cubic = site.plus(site.op("Mul", site.op("Mul", x, x), site.constant(_CUBIC)), site.constant(1.0))
    angle = site.op("Mul", site.op("Mul", x, cubic), site.constant(math.sqrt(2 / math.pi)))
    return _half_gated(site, x, site.op("Tanh", angle))


def _half_gated(site: Site, x: ir.Value, inner: ir.Value) -> ir.Value:
    gate = site.op("Add", inner, site.constant(1.0))
    return site.op("Mul", site.op("Mul", x, gate), site.constant(0.5))


def _quick_gelu(site: Site) -> ir.Value:
    x, alpha = site.needs(0), number(site.node, "alpha", 1.702)
    scaled = x if alpha == 1.0 else site.op("Mul", x, site.constant(alpha))
    return site.op("Mul", x, site.op("Sigmoid", scaled))


def _skip_layer_norm(site: Site) -> list[ir.Value | None]:
    total = site.plus(site.op("Add", site.needs(0), site.needs(1)), site.input(4))
    epsilon = number(site.node, "epsilon", 1e-12)
    gamma, beta = site.needs(2), site.input(3)
    return [site.core("LayerNormalization", total, gamma, beta, axis=-1, epsilon=epsilon), None, None, total]


def _skip_root_mean_square(site: Site) -> list[ir.Value | None]:
    total = site.plus(site.op("Add", site.needs(0), site.needs(1)), site.input(3))
    return [_over_root_mean_square(site, total, site.needs(2), [-1], 1e-12), None, None, total]


def _root_mean_square(site: Site) -> ir.Value:
    x, axis = site.needs(0), integer(site.node, "axis", -1)
    axes = list(range(axis, 0)) if axis < 0 else list(range(axis, _rank(x)))
    return _over_root_mean_square(site, x, site.needs(1), axes, 1e-5)


def _over_root_mean_square(site: Site, x: ir.Value, scale: ir.Value, axes: list[int], default: float) -> ir.Value:
    mean = site.op("ReduceMean", site.op("Mul", x, x), site.constant(axes), keepdims=1)
    root = site.op("Sqrt", site.op("Add", mean, site.constant(number(site.node, "epsilon", default))))
    return site.op("Mul", site.op("Div", x, root), scale)


def _attention(site: Site) -> ir.Value:
    site.without(3)
    if any(integer(site.node, flag, 0) for flag in ("unidirectional", "do_rotary")):
        raise Left
    parts = ints(site.node, "qkv_hidden_sizes", ()) or (_last(site.needs(1)) // 3,) * 3
    projected = site.plus(site.core("MatMul", site.needs(0), site.needs(1)), site.input(2))
    query, key, value = site.apart(projected, parts)
    return _heads(site, query, key, value, parts[0])


def _multi_head_attention(site: Site) -> ir.Value:
    site.without(3)
    query, key, value = (site.needs(index) for index in range(3))
    if integer(site.node, "unidirectional", 0) or any(_rank(one) != 3 for one in (query, key, value)):
        raise Left
    return _heads(site, query, key, value, _last(query))


def _heads(site: Site, query: ir.Value, key: ir.Value, value: ir.Value, width: int) -> ir.Value:
    """Scaled dot-product attention of ``[batch, tokens, width]`` in several heads."""
    heads = integer(site.node, "num_heads", 1)
    scale = number(site.node, "scale", 0.0) or 1 / math.sqrt(width / heads)

    def split(tokens: ir.Value, order: tuple[int, ...]) -> ir.Value:
        return site.op("Transpose", site.op("Reshape", tokens, site.constant([0, 0, heads, -1])), perm=order)

    q, k, v = split(query, (0, 2, 1, 3)), split(key, (0, 2, 3, 1)), split(value, (0, 2, 1, 3))
    weights = site.op("Softmax", site.op("MatMul", site.op("Mul", q, site.constant(scale)), k), axis=-1)
    mixed = site.op("Transpose", site.op("MatMul", weights, v), perm=(0, 2, 1, 3))
    return site.op("Reshape", mixed, site.constant([0, 0, -1]))


Expansion = Callable[[Site], "ir.Value | Sequence[ir.Value | None]"]

EXPANSIONS: Mapping[tuple[str, str], Expansion] = {
    (_DOMAIN, "FusedConv"): _fused_conv,
    (_DOMAIN, "NhwcFusedConv"): _nhwc_fused_conv,
    (_DOMAIN, "NhwcConv"): _nhwc_conv,
    (_DOMAIN, "FusedGemm"): _fused_gemm,
    (_DOMAIN, "FusedMatMul"): _fused_mat_mul,
    (_DOMAIN, "TransposeMatMul"): _fused_mat_mul,
    (_DOMAIN, "Gelu"): _gelu,
    (_DOMAIN, "BiasGelu"): _gelu,
    (_DOMAIN, "FastGelu"): _fast_gelu,
    (_DOMAIN, "QuickGelu"): _quick_gelu,
    (_DOMAIN, "SkipLayerNormalization"): _skip_layer_norm,
    (_DOMAIN, "SkipSimplifiedLayerNormalization"): _skip_root_mean_square,
    (_DOMAIN, "Attention"): _attention,
    (_DOMAIN, "MultiHeadAttention"): _multi_head_attention,
    ("", "SimplifiedLayerNormalization"): _root_mean_square,
}
"""Operator to what writes it in standard ones: its outputs, None for one that only training reads."""
