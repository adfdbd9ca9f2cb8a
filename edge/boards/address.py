"""How a board is reached: ``user@host:port``, or a name that ``boards.toml`` or ``~/.ssh/config`` knows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.errors import InputError

_FORM = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True)
class Address:
    """A board's place.

    Attributes:
        host: name, address, or a ``Host`` of ``~/.ssh/config``.
        user, port: None leaves them to ``~/.ssh/config``, then to this user and port 22.
        python: the interpreter to start there.
    """

    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}" + (f":{self.port}" if self.port else "")

    @property
    def known_as(self) -> str:
        """The host as ``known_hosts`` has it."""
        return f"[{self.host}]:{self.port}" if self.port not in (None, 22) else self.host


def parse_address(text: str) -> Address:
    """``user@host:port``, user and port optional.

    Raises:
        InputError: not of this form.
    """
    found = _FORM.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise InputError(f"--on {text}: is no board; give user@host, user@host:port, or a name of boards.toml")
    return Address(found["host"].strip("[]"), found["user"], port)
