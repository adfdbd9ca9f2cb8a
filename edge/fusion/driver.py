"""Running rewrites to a fixed point, proving each step, and keeping the account."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edge.errors import InputError
from edge.fusion.proof import Prover
from edge.fusion.registry import REWRITES
from edge.fusion.rewrites.clean import keep_output
from edge.graph.editor import Editor
from edge.graph.macs import graph_macs, static_shapes
from edge.graph.model import Model
from edge.notebook.shown import Shown, Table

# A rewrite that keeps finding work after so many rounds is undoing another one's.
_MOST_ROUNDS = 20
_MOST_SWEEPS = 100
_CLEAN = "clean"


@dataclass(frozen=True)
class Applied:
    """One rewrite's share of a fusion.

    Attributes:
        rewrite: its name.
        times: how often it applied.
        nodes, macs, bytes: saved, before minus after. ``bytes`` counts every float32 map once per write and once per
            read.
    """

    rewrite: str
    times: int
    nodes: int
    macs: int
    bytes: int


@dataclass(frozen=True)
class Refused:
    """A rewrite whose proof failed; its edits were undone.

    Attributes:
        rewrite: its name.
        relative_error: largest difference over the largest value.
    """

    rewrite: str
    relative_error: float


@dataclass(frozen=True, repr=False)
class Fused(Shown):
    """A rewritten model and the account.

    Attributes:
        model: the graph after all rewrites.
        applied: in the order of first application.
        max_error: largest absolute difference to the source's output on the given inputs, float32.
        refused: rewrites undone because their proof failed.
        milliseconds: measured time per set of rewrites, where :func:`edge.search.choice.choose` measured.
        tried: the sets that it measured, in the order that the graph alone gives.
        untried: the end of that list, which no time was left for.
    """

    model: Model
    applied: tuple[Applied, ...]
    max_error: float
    refused: tuple[Refused, ...] = ()
    milliseconds: tuple[tuple[tuple[str, ...], float], ...] = ()
    tried: tuple[tuple[str, ...], ...] = ()
    untried: tuple[tuple[str, ...], ...] = ()

    def __repr__(self) -> str:
        done = ", ".join(f"{one.rewrite} {one.times}x" for one in self.applied) or "nothing to rewrite"
        return f"<Fused {self.model.name}: {done}; largest difference {self.max_error:.1g}>"

    def _table(self) -> Table:
        undone = [(one.rewrite, "undone", f"off by {one.relative_error:.1g}", "", "") for one in self.refused]
        done = [(one.rewrite, one.times, one.nodes, one.macs, one.bytes) for one in self.applied]
        return ("rewrite", "times", "nodes saved", "MACs saved", "bytes saved"), [*done, *undone]


def safe_rewrites() -> tuple[str, ...]:
    """Names of the rewrites that never add work; run where nothing is known of the target."""
    return tuple(name for name, rewrite in REWRITES.items() if rewrite.when == "safe")


def fuse(model: Model, rewrites: Sequence[str] | None, inputs: Sequence[NDArray[np.float32]]) -> Fused:
    """Rewrite a model to a fixed point, proven on the inputs; a rewrite that breaks the proof is undone.

    All rewrites are proven at once, against the source. Only where that fails is each step proven by itself, which
    finds the one to undo, in as many proofs as there are steps (DRRMSAN: 24 s of 44 s, on a loaded machine).

    Args:
        model: static shapes, batch 1.
        rewrites: names from ``REWRITES``; None takes the always-safe ones. ``clean`` always runs.
        inputs: a few real and random batches ``[1, channels, height, width]`` float32.

    Raises:
        InputError: unknown rewrite names, or no inputs to prove on.
    """
    names = ordered(safe_rewrites() if rewrites is None else rewrites)
    if not inputs:
        raise InputError(f"{model.name}: no inputs to prove the rewrites on; give at least one batch")
    source = _own_output(model)
    fusion = _Fusion(source, None).run(names)
    if not fusion.account:
        return Fused(model.with_ir(ir.from_proto(fusion.proto)), (), 0.0)
    prover = Prover(source, inputs)
    proof = prover.check(fusion.proto)
    if not proof.holds:
        fusion = _Fusion(source, inputs).run(names)
        proof = prover.check(fusion.proto)
    fused = model.with_ir(ir.from_proto(fusion.proto))
    error = proof.error if fusion.account else 0.0
    return Fused(fused, fusion.applied(), error, tuple(fusion.refused.values()))


def rewritten(model: Model, names: Sequence[str]) -> tuple[Model, tuple[str, ...]]:
    """Apply rewrites without proof, for trials that are thrown away; see :func:`fuse`.

    Returns:
        The rewritten model and the names that applied.
    """
    graph = ir.from_proto(_own_output(model))
    editor = Editor(graph)
    editor.sweep_up()
    applied: list[str] = []

    def step(name: str) -> int:
        times = _exhaust(editor, name)
        if times and name not in applied:
            applied.append(name)
        return times

    _to_fixed_point(ordered(names), step)
    return model.with_ir(graph), tuple(applied)


def applies(model: Model, name: str) -> bool:
    """Whether a rewrite finds anything in a graph as it is."""
    editor = Editor(model.to_ir())
    editor.sweep_up()
    return REWRITES[name].sweep(editor) > 0


def _stages(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """What is run to a fixed point, one after another: another form of a node waits until nobody wants the node."""
    first = tuple(name for name in names if REWRITES[name].when != "alternative")
    return (names,) if first == names else (first, names)


def _to_fixed_point(names: tuple[str, ...], step: Callable[[str], int]) -> None:
    """Take steps in turn until none finds anything more; a step returns how often its rewrite applied."""
    for stage in _stages(names):
        for _ in range(_MOST_ROUNDS):
            if not sum([step(name) for name in stage]):
                break


def _exhaust(editor: Editor, name: str) -> int:
    times = 0
    for _ in range(_MOST_SWEEPS):
        count = REWRITES[name].sweep(editor)
        times += count
        if not count:
            break
        editor.sweep_up()
    return times


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Names in the registry's order, ``clean`` first, each once.

    Raises:
        InputError: a name that is not a rewrite.
    """
    unknown = sorted(set(names) - set(REWRITES))
    if unknown:
        raise InputError(f"rewrite {unknown[0]!r}: unknown; known rewrites are {', '.join(REWRITES)}")
    return tuple(name for name in REWRITES if name == _CLEAN or name in names)


def activation_bytes(proto: onnx.ModelProto) -> int:
    """Bytes of all maps at float32, counted once per write and once per read: a floor of memory traffic."""
    shapes = static_shapes(proto)
    weights = {tensor.name for tensor in proto.graph.initializer}
    names = [n for node in proto.graph.node for n in (*node.input, *node.output) if n and n not in weights]
    return 4 * sum(math.prod(shapes[name]) for name in names if name in shapes)


def _size(proto: onnx.ModelProto) -> tuple[int, int, int]:
    """Nodes, multiply-accumulates and bytes of maps, as an account has them."""
    return len(proto.graph.node), graph_macs(proto), activation_bytes(proto)


class _Fusion:
    """The state of one run: the graph so far, its proofs and its account.

    The graph stays open from step to step: most steps find nothing, and parsing it and inferring its shapes takes far
    longer than looking. Only a rewrite that is refused makes it be opened again as it was before.

    Args:
        proto: the source.
        inputs: prove each step on; None proves none.
    """

    def __init__(self, proto: onnx.ModelProto, inputs: Sequence[NDArray[np.float32]] | None) -> None:
        self.proto = proto
        self.prover = None if inputs is None else Prover(proto, inputs)
        self.account: dict[str, list[int]] = {}
        self.refused: dict[str, Refused] = {}
        self._size = _size(proto)
        self._open()

    def run(self, names: tuple[str, ...]) -> _Fusion:
        """Apply rewrites in turn until none finds anything more."""
        _to_fixed_point(names, self.step)
        return self

    def step(self, name: str) -> int:
        """Apply one rewrite until it finds nothing more; returns how often it applied."""
        if name in self.refused:
            return 0
        times = _exhaust(self._editor, name)
        if not times:
            return 0
        after = ir.to_proto(self._graph)
        proof = None if self.prover is None else self.prover.check(after)
        if proof is not None and not proof.holds:
            self.refused[name] = Refused(name, proof.relative)
            self._open()
            return 0
        before, self._size = self._size, _size(after)
        row = self.account.setdefault(name, [0, 0, 0, 0])
        saved = (times, *(b - a for b, a in zip(before, self._size, strict=True)))
        self.account[name] = [a + b for a, b in zip(row, saved, strict=True)]
        self.proto = after
        return times

    def _open(self) -> None:
        self._graph = ir.from_proto(self.proto)
        self._editor = Editor(self._graph)
        self._editor.sweep_up()

    def applied(self) -> tuple[Applied, ...]:
        return tuple(Applied(name, *row) for name, row in self.account.items())


def _own_output(model: Model) -> onnx.ModelProto:
    graph = model.to_ir()
    keep_output(graph, model.output_name)
    return ir.to_proto(graph)
