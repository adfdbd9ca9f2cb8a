"""Tables of results: what is escaped, how a number reads, and where a long table is cut."""

from __future__ import annotations

from edge.notebook.shown import MOST_ROWS, Shown, Table


class Sums(Shown):
    def __init__(self, count: int) -> None:
        self.count = count

    def __repr__(self) -> str:
        return f"<Sums {self.count}>"

    def _table(self) -> Table:
        return ("a & b", "third"), [(f"<{row}>", row / 3) for row in range(self.count)]


def test_a_table_has_the_line_over_escaped_cells() -> None:
    assert Sums(2)._repr_html_() == (
        "<table><caption>&lt;Sums 2&gt;</caption><thead><tr><th>a &amp; b</th><th>third</th></tr></thead><tbody>"
        "<tr><td>&lt;0&gt;</td><td>0</td></tr><tr><td>&lt;1&gt;</td><td>0.3333</td></tr></tbody></table>"
    )


def test_a_long_table_says_how_many_rows_are_left_out() -> None:
    assert "more" not in Sums(MOST_ROWS)._repr_html_()
    html = Sums(MOST_ROWS + 7)._repr_html_()
    assert html.count("<td>&lt;") == MOST_ROWS and '<td colspan="2">… 7 more</td>' in html
