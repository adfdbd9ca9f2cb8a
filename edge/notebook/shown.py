"""What the public functions return, in a line for ``repr`` and as a small HTML table in a notebook."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import Iterable, Sequence, Tuple

Table = Tuple[Sequence[str], Iterable[Sequence[object]]]
"""A header, and rows of as many cells."""

MOST_ROWS = 60
"""Rows of a table in a notebook; how many more there are is said below them."""


class Shown:
    """A result: ``repr`` is a line of text, and a notebook shows that line over a table.

    A class of results gives the line as ``__repr__`` and the table, a header and rows, as ``_table``.
    """

    def _table(self) -> Table:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        header, rows = self._table()
        return html_table(repr(self), header, rows)


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a title, every cell escaped, cut after :data:`MOST_ROWS`."""
    left = iter(rows)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in islice(left, MOST_ROWS))
    more = sum(1 for _ in left)
    if more:
        body += f'<tr><td colspan="{len(header)}">… {more} more</td></tr>'
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"<td>{escape(text)}</td>"
