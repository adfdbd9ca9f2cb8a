"""What can go wrong, by whose fault it is. One flat list; the exit code rides on the class."""

from __future__ import annotations

import errno
import re

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


_LONGEST, _KEPT = 1200, 500  # characters of a message


class EdgeError(Exception):
    """Base of every error with a message meant for the user: the file, the fault, the next step."""

    exit_code = 2

    def __str__(self) -> str:
        """The message; where a file's own text makes it endless, its beginning and its end."""
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[:_KEPT]} ... {text[-_KEPT:]}"


class InputError(EdgeError):
    """The user's arguments or files are at fault (exit code 2)."""

    exit_code = 2


class UselessReferenceError(InputError):
    """The float network itself segments nothing worth keeping, so no engine can be judged by it (exit code 1)."""

    exit_code = 1


class MachineError(EdgeError):
    """This machine lacks something: a package, a device, memory, disk space, a permission (exit code 3)."""

    exit_code = 3


_NATIVE_FAULTS = (
    (
        re.compile(
            r"basic_ios::clear|basic_filebuf|iostream error|No space left|ENOSPC|[Uu]nable to write|File too large|"
            r"Input/output error|Read-only file system|Too many open files"
        ),
        "its files cannot be read or written here; free the disk, or choose another folder",
    ),
    (
        re.compile(r"bad_alloc|bad_array_new_length|[Oo]ut of memory|OutOfMemory|[Cc]an(?:'t|not) allocate"),
        "this machine ran out of memory; close other programs, or use a smaller task size",
    ),
)


def machine_fault(where: object, said: str) -> MachineError | None:
    """The error to raise for a message of native code that says the disk or memory gave out; None for any other.

    Args:
        where: the file or graph at hand, first in the sentence.
        said: the message; native errors have no class of their own.
    """
    return next((MachineError(f"{where}: {meaning}") for sign, meaning in _NATIVE_FAULTS if sign.search(said)), None)


def first_line(error: Exception) -> str:
    """What an error of any kind says, in one line; its type's name where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
