"""How a command that fails ends: exit code and sentence of an error, on a workstation and on a board.

Portable: it travels to boards (Python 3.8, standard library).
"""

from __future__ import annotations

import errno

from ..errors import MACHINE_FAULTS, EdgeError
from .guard import printable

OUR_BUG = 70


def ending(error: Exception) -> tuple[int, str] | None:
    """Exit code and sentence for an error that a command ended in; None where it is a bug of ours.

    The sentence holds no control characters, whatever the file's name or contents.
    """
    found = _found(error)
    return None if found is None else (found[0], printable(found[1]))


def _found(error: Exception) -> tuple[int, str] | None:
    if isinstance(error, EdgeError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return 3, "this machine ran out of memory; close other programs or use a smaller task size"
    if isinstance(error, OSError):
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return 2, f"{str(error.filename)[:200]}: {error.strerror}; check the path"
        if error.errno in MACHINE_FAULTS or "temporary directory" in str(error):
            return 3, f"{error.filename or 'disk'}: {error.strerror}; free space or permissions there"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib's before Python 3.13
        return 2, f"{error}; check the path"
    return None
