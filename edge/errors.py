"""What can go wrong, by whose fault it is. One flat list; the exit code rides on the class."""

from __future__ import annotations

import errno

MACHINE_FAULTS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)
"""System errors that are the machine's: disk full or failing, no memory, no permission, read-only, no more files."""


_MACHINE_SIGNS = (
    "bad_alloc",
    "bad allocation",
    "basic_ios::clear",
    "cannot allocate",
    "can't allocate",
    "failed to allocate",
    "file too large",
    "input/output error",
    "iostream error",
    "no space left",
    "not enough memory",
    "out of memory",
    "permission denied",
    "read-only file system",
    "too many open files",
)


class EdgeError(Exception):
    """Base of every error with a message meant for the user: the file, the fault, the next step."""

    exit_code = 2


class InputError(EdgeError):
    """The user's arguments or files are at fault (exit code 2)."""

    exit_code = 2


class MachineError(EdgeError):
    """This machine lacks something: a package, a device, memory, disk space, a permission (exit code 3)."""

    exit_code = 3


def blames_machine(error: Exception) -> bool:
    """Whether a native library's error, which has no class of its own, says that memory or the disk gave out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _MACHINE_SIGNS)


def first_line(error: Exception) -> str:
    """What an error of any kind says, in one line; its type's name where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
