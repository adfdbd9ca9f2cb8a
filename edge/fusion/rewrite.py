"""What a rewrite is. Each lives in a file of its own under ``rewrites/`` and calls :func:`rewrite` once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from edge.graph.editor import Editor

Kind = Literal["safe", "optional", "alternative"]


@dataclass(frozen=True)
class Rewrite:
    """One exact rewrite.

    Attributes:
        name: the API string: the file's stem with dashes.
        kind: ``safe`` never adds work and runs by default everywhere; ``optional`` pays on some targets only, so it
            runs where a measurement or a target's table asks for it; ``alternative`` is another form that is no
            better to begin with, tried on top of the fastest set.
        sweep: edits the graph wherever the rewrite applies and returns how often it did.
    """

    name: str
    kind: Kind
    sweep: Callable[[Editor], int]


def rewrite(
    module: str,
    kind: Kind,
    op_types: tuple[str, ...],
    apply: Callable[[Editor, ir.Node], bool],
) -> Rewrite:
    """A rewrite that looks at every node of some types.

    Args:
        module: the file's ``__name__``.
        kind: see :class:`Rewrite`.
        op_types: nodes to look at.
        apply: edits around one node; returns whether it did.
    """

    def sweep(editor: Editor) -> int:
        return sum(apply(editor, node) for node in editor.nodes(*op_types))

    return Rewrite(rewrite_name(module), kind, sweep)


def rewrite_name(module: str) -> str:
    """``edge.fusion.rewrites.fold_batch_norm`` to ``fold-batch-norm``."""
    return module.rsplit(".", 1)[-1].replace("_", "-")
