"""What can go wrong, by whose fault it is. One flat list; the exit code rides on the class."""

from __future__ import annotations

import errno

MACHINE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""System errors that are the machine's: disk full, no permission, read-only."""


class EdgeError(Exception):
    """Base of every error with a message meant for the user: the file, the fault, the next step."""

    exit_code = 2


class InputError(EdgeError):
    """The user's arguments or files are at fault (exit code 2)."""

    exit_code = 2


class MachineError(EdgeError):
    """This machine lacks something: a package, a device, memory, disk space, a permission (exit code 3)."""

    exit_code = 3


def first_line(error: Exception) -> str:
    """What an error of any kind says, in one line; its type's name where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
