"""An exact rewrite of a graph: what fusion and lowering consist of, one file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import onnx_ir as ir

from edge.graph.editor import Editor

Condition = TypeVar("Condition")

Apply = Callable[[Editor, ir.Node], "bool | None"]
"""Edits a graph around one node; False where it left the graph as it was."""


@dataclass(frozen=True)
class Rewrite(Generic[Condition]):
    """One exact rewrite.

    Attributes:
        name: for commands and reports: the file's stem with dashes.
        when: where it runs, in the words of the stage: :data:`edge.fusion.registry.Kind` or
            :data:`edge.lowering.conditions.Needed`.
        sweep: edits the graph wherever the rewrite applies and returns how often it did.
    """

    name: str
    when: Condition
    sweep: Callable[[Editor], int]


def rewrite(module: str, when: Condition, op_types: tuple[str, ...], apply: Apply) -> Rewrite[Condition]:
    """A rewrite that looks at every node of some types.

    Args:
        module: the file's ``__name__``.
        when: see :class:`Rewrite`.
        op_types: nodes to look at.
        apply: called with each.
    """

    def sweep(editor: Editor) -> int:
        return sum(apply(editor, node) is not False for node in editor.nodes(*op_types))

    return Rewrite(rewrite_name(module), when, sweep)


def rewrite_name(module: str) -> str:
    """``edge.fusion.rewrites.fold_batch_norm`` to ``fold-batch-norm``."""
    return module.rsplit(".", 1)[-1].replace("_", "-")
