"""When a lowering rewrite runs: what the parser that will read the graph lacks."""

from __future__ import annotations

from collections.abc import Callable

from edge.lowering.parsers import Parser

Needed = Callable[[Parser, int], bool]
"""Whether a parser needs the rewrite, given the opset that the graph came with."""


def always(parser: Parser, opset: int) -> bool:
    """Needed by every parser."""
    return True


def where_lacking(op_type: str) -> Needed:
    """Needed by parsers whose table lacks an operator."""

    def needed(parser: Parser, opset: int) -> bool:
        return op_type not in parser.operators

    return needed


def where_opset_below(first: int) -> Needed:
    """Needed where the graph's opset has a form that came with ``first`` and the parser's has not."""

    def needed(parser: Parser, opset: int) -> bool:
        return parser.opset < first <= opset

    return needed
