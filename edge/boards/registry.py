"""``boards.toml``: names for boards, so that ``--on nano1,agx`` says it all.

::

    [nano1]
    on = "jetson@10.0.0.5"
    python = "python3.10"      # optional: the interpreter to start there
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge.boards.address import Address, parse_address
from edge.errors import InputError
from edge.files import read_toml, write_text

FILE = Path(".config") / "segedge" / "boards.toml"
"""Below the user's home folder."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_KEYS = {"on", "python"}


def boards_file() -> Path:
    """Where the user's boards are named."""
    return Path.home() / FILE


def known_boards(path: Path | None = None) -> dict[str, Address]:
    """Every named board; empty where there is no file.

    Args:
        path: None takes :func:`boards_file`.

    Raises:
        InputError: not such a file; the message names the board.
    """
    path = path or boards_file()
    if not path.exists():
        return {}
    return {name: _address(path, name, row) for name, row in read_toml(path).items()}


def find_board(text: str) -> Address:
    """A board by its name in ``boards.toml``, else ``user@host:port`` or a ``Host`` of ``~/.ssh/config``.

    Raises:
        InputError: neither.
    """
    return known_boards().get(text) or parse_address(text)


def add_board(name: str, address: Address, path: Path | None = None) -> Path:
    """Name a board; an earlier one of the name is replaced.

    Returns:
        The file.

    Raises:
        InputError: a name of other characters.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name}: is no name for a board; take letters, digits, - and _")
    path = path or boards_file()
    boards = {**known_boards(path), name: address}
    write_text(path, "\n".join(_rows(boards)))
    return path


def _rows(boards: Mapping[str, Address]) -> list[str]:
    rows = []
    for name, address in sorted(boards.items()):
        rows += [f"[{name}]", f"on = {json.dumps(str(address))}"]
        rows += [f"python = {json.dumps(address.python)}"] if address.python != Address.python else []
        rows.append("")
    return rows


def _address(path: Path, name: str, row: object) -> Address:
    if not isinstance(row, dict) or not isinstance(row.get("on"), str) or not set(row) <= _KEYS:
        raise InputError(f'{path}: [{name}] needs on = "user@host" and takes python beside it; correct it')
    python = row.get("python", Address.python)
    if not isinstance(python, str) or not _NAME.match(name):
        raise InputError(f"{path}: [{name}] has a name or a python that is none; correct it")
    return replace(parse_address(row["on"]), python=python)
