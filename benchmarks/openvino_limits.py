"""What OpenVINO's CPU plugin does not do with INT8 graphs, each as the smallest graph that shows it.

``python -m benchmarks.openvino_limits --out benchmarks/results/openvino_limits.json`` compiles every graph, reads from
the compiled model which kernel runs the node in question, and compares the output with ONNX Runtime's of the same
graph. A table goes beside the JSON; ``--write DIR`` leaves the graphs as ``.onnx`` files, to be attached to a report.
Nothing is timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

from edge.accuracy.sqnr import sqnr_db
from edge.backends.openvino.network import compile_network, read_network
from edge.files import write_json, write_text
from edge.loading.normalize.proof import run
from edge.machine.cores import physical_cores
from edge.machine.environment import environment

SCHEMA = "edge.openvino_limits/1"
_CHANNELS, _SIZE = 16, 32
_HEAD = '<ir_version: 8, opset_import: ["" : 20]> graph (float[1,16,32,32] x) => (float[n,c,h,w] y)'
_SAME = "<pads = [1, 1, 1, 1]>"

Array = NDArray[Any]


@dataclass(frozen=True)
class Limit:
    """One thing that is not done.

    Attributes:
        name: short.
        text: the graph's body in ONNX's textual form; ``x`` in, ``y`` out.
        node: output of the node whose kernel is asked for; "" where the numbers are the point.
        wished: what one would wish for.
        cost: which network of ``models/`` pays, and what is done about it.
        constants: beside those of :func:`constants`.
    """

    name: str
    text: str
    node: str
    wished: str
    cost: str
    constants: Mapping[str, Array] = field(default_factory=dict)

    def graph(self) -> onnx.ModelProto:
        """The graph, checked, with the constants that it reads."""
        proto = onnx.parser.parse_model(f"{_HEAD} {{ {self.text} }}")
        read = {name for node in proto.graph.node for name in node.input}
        for name, value in {**constants(), **self.constants}.items():
            if name in read:
                proto.graph.initializer.append(numpy_helper.from_array(value, name))
        for node in proto.graph.node:
            node.name = node.output[0]
        onnx.checker.check_model(proto)
        return proto


def constants() -> dict[str, Array]:
    """Scales, zero points and weights that the graphs share."""
    rng = np.random.default_rng(0)
    levels = [rng.integers(-127, 127, (_CHANNELS, _CHANNELS, 3, 3), np.int8) for _ in range(2)]
    return {
        "step": np.float32(0.03),
        "middle": np.uint8(128),
        "bottom": np.uint8(0),
        "signed": np.int8(0),
        "weight_step": np.float32(0.01),
        "first": levels[0],
        "second": levels[1],
        "both": np.concatenate(levels, 1),
        "up": rng.integers(-127, 127, (_CHANNELS, _CHANNELS, 2, 2), np.int8),
        "twice": np.array([1, 1, 2, 2], np.float32),
        "steps": np.linspace(0.02, 0.04, _CHANNELS).astype(np.float32),
        "middles": np.full(_CHANNELS, 128, np.uint8),
        "kernel": rng.standard_normal((1, _CHANNELS, 3, 3), np.float32),
        "kernel_shape": np.array([_CHANNELS, 1, 3, 3], np.int64),
    }


def rounded(value: str, out: str, zero: str = "middle") -> str:
    """A Q/DQ pair."""
    return f"{out}_q = QuantizeLinear ({value}, step, {zero})\n{out} = DequantizeLinear ({out}_q, step, {zero})\n"


def conv(value: str, out: str, levels: str) -> str:
    """A convolution with 8-bit weights."""
    return f"{out}_w = DequantizeLinear ({levels}, weight_step, signed)\n{out} = Conv {_SAME} ({value}, {out}_w)\n"


LIMITS = (
    Limit(
        "signed-concat",
        rounded("x", "a", "signed")
        + conv("a", "b", "first")
        + rounded("b", "c", "signed")
        + "j = Concat <axis = 1> (a, c)\n"
        + conv("j", "y", "both"),
        "",
        "the numbers of the graph",
        "wrong numbers; uint8 around 128 is written instead, level by level the same grid",
    ),
    Limit(
        "average-of-levels",
        rounded("x", "a")
        + "p = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (a)\n"
        + rounded("p", "c")
        + conv("c", "y", "first"),
        "",
        "the average rounded once",
        "an average of 8-bit levels loses accuracy; pools read what comes before rounding instead",
    ),
    Limit(
        "residual-add",
        rounded("x", "a")
        + conv("a", "b", "first")
        + rounded("b", "c")
        + conv("c", "d", "second")
        + "r = Relu (d)\n"
        + rounded("r", "e", "bottom")
        + conv("e", "f", "first")
        + "s = Add (f, c)\n"
        + rounded("s", "g")
        + conv("g", "y", "second"),
        "g_q",
        "the add inside the convolution before it, as in float",
        "LANet: a pass over memory for each residual; with the branch rounded as well it is fused, for more noise",
    ),
    Limit(
        "residual-add-in-float",
        "one = Cast <to = 1> (first)\ntwo = Cast <to = 1> (second)\n"
        + f"b = Conv {_SAME} (x, one)\nd = Conv {_SAME} (b, two)\nr = Relu (d)\nf = Conv {_SAME} (r, one)\n"
        + f"s = Add (f, b)\ny = Conv {_SAME} (s, two)\n",
        "s",
        "for comparison",
        "",
    ),
    Limit(
        "steps-for-channels",
        "a_q = QuantizeLinear <axis = 1> (x, steps, middles)\na = DequantizeLinear <axis = 1> (a_q, steps, middles)\n"
        + conv("a", "y", "first"),
        "y",
        "a convolution in INT8 whose weights take the steps in",
        "all: channels are divided before the pair, and the weights multiplied, here (edge/quantization/divide.py)",
    ),
    Limit(
        "transposed-conv-around-128",
        rounded("x", "a")
        + "w = DequantizeLinear (up, weight_step, signed)\ny = ConvTranspose <strides = [2, 2]> (a, w)\n",
        "y",
        "INT8, as with zero point 0",
        "U-Nets: written as a point-wise convolution and a shuffle where that is faster",
    ),
    Limit(
        "computed-kernel",
        "g = GlobalAveragePool (x)\nk = Mul (g, kernel)\nf = Reshape (k, kernel_shape)\n"
        + rounded("x", "a")
        + rounded("f", "kq", "middle")
        + f"y = Conv <pads = [1, 1, 1, 1], group = {_CHANNELS}> (a, kq)\n",
        "y",
        "INT8",
        "LightAWNet: its dynamic kernels stay float",
    ),
    Limit(
        "computed-product",
        rounded("x", "a") + "t = Transpose <perm = [0, 1, 3, 2]> (x)\n" + rounded("t", "b") + "y = MatMul (a, b)\n",
        "y",
        "INT8",
        "LANet: products of two computed operands (attention) stay float",
    ),
    Limit(
        "bilinear-resize",
        rounded("x", "a")
        + conv("a", "b", "first")
        + "r = Relu (b)\n"
        + rounded("r", "c", "bottom")
        + 'u = Resize <mode = "linear"> (c, , twice)\n'
        + rounded("u", "v", "bottom")
        + conv("v", "y", "second"),
        "u",
        "8-bit in and out, as for nearest",
        "LANet, LiteNeXt: resizes move four times the bytes; moved below point-wise convolutions where that is exact",
    ),
)


def found(limit: Limit) -> dict[str, Any]:
    """The kernels of one graph, and how near the output is to ONNX Runtime's."""
    proto = limit.graph()
    names = [node.name for node in proto.graph.node]
    compiled = compile_network(read_network(proto.SerializeToString(), nodes=names), "fp32", physical_cores())
    image = np.random.default_rng(1).standard_normal((1, _CHANNELS, _SIZE, _SIZE)).astype(np.float32)
    kernels = {}
    for operation in compiled.get_runtime_model().get_ops():
        told = {key: str(operation.get_rt_info()[key].astype(str)) for key in ("layerType", "primitiveType")}
        kernels[operation.get_friendly_name()] = f"{told['layerType']} {told['primitiveType']}"
    return {
        "kernel": kernels.get(limit.node, "none of its own") if limit.node else None,
        "parity_db": round(float(sqnr_db(run(proto, image)["y"], compiled([image])[0])), 1),
        "kernels": list(kernels.values()),
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| graph | one would wish | kernel of the node | against ONNX Runtime, dB | cost |", "| --- " * 5 + "|"]
    lines += [
        f"| `{name}` | {row['wished']} | {row['kernel'] or ''} | {row['parity_db']} | {row['cost']} |"
        for name, row in rows.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", type=Path, metavar="DIR", help="leave the graphs there")
    arguments = parser.parse_args()
    rows = {}
    for limit in LIMITS:
        rows[limit.name] = {**found(limit), "wished": limit.wished, "cost": limit.cost}
        if arguments.write:
            arguments.write.mkdir(parents=True, exist_ok=True)
            onnx.save(limit.graph(), arguments.write / f"{limit.name}.onnx")
    write_json(arguments.out, {"schema": SCHEMA, "limits": rows, "environment": environment()})
    write_text(arguments.out.with_suffix(".md"), table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
