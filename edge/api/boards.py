"""The boards that this user has named, and what each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from edge.api.checked import checked
from edge.api.options import Argument
from edge.api.progress import Listener, Reporter

if TYPE_CHECKING:
    from edge.boards.board import Facts


@dataclass(frozen=True)
class BoardRow:
    """A named board.

    Attributes:
        name: in ``boards.toml``.
        on: ``user@host:port``.
        facts: what it says of itself, where it was asked and answered.
        fault: why it did not.
    """

    name: str
    on: str
    facts: "Facts | None" = None
    fault: str | None = None


@checked
def boards(
    action: Annotated[str | Sequence[str], Argument("list | check | add NAME USER@HOST", "what to do")],
    progress: Listener | None = None,
) -> "tuple[BoardRow, ...]":
    """The boards of boards.toml: list them, check that each answers, or name one. Nothing is installed on any.

    Example: edge boards list

    Args:
        action: ``list``, ``check``, or ``("add", NAME, "user@host")``.
        progress: called with every event.

    Raises:
        InputError: another action, or a file that is none.
    """
    from edge.boards.address import parse_address
    from edge.boards.registry import add_board, known_boards
    from edge.errors import InputError

    words = [action] if isinstance(action, str) else list(action)
    if words[:1] == ["add"] and len(words) == 3:
        add_board(words[1], parse_address(words[2]))
    elif words not in (["list"], ["check"]):
        raise InputError(f"boards {' '.join(words)}: is no action; give list, check, or add NAME USER@HOST")
    rows = [BoardRow(name, str(address)) for name, address in known_boards().items()]
    if words != ["check"]:
        return tuple(rows)
    reporter = Reporter(progress, ("boards",))
    reporter.stage("boards", len(rows))
    return tuple(_checked(row, reporter) for row in rows)


def _checked(row: BoardRow, reporter: Reporter) -> BoardRow:
    from edge.boards.board import Board
    from edge.boards.line import Line
    from edge.boards.registry import known_boards
    from edge.errors import MachineError

    try:
        board = Board(Line(known_boards()[row.name]))
        try:
            return BoardRow(row.name, row.on, board.look())
        finally:
            board.close()
    except MachineError as fault:
        return BoardRow(row.name, row.on, fault=str(fault))
    finally:
        reporter.advance()
