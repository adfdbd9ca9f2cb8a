"""Messages of native code that say the machine is at fault, not the graph: a full disk, exhausted memory."""

from __future__ import annotations

import re

from edge.errors import MachineError

_MEANINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"basic_ios::clear|basic_filebuf|iostream error|No space left|ENOSPC|[Uu]nable to write"),
        "the compiler cannot write its files; free the disk, or choose another folder",
    ),
    (
        re.compile(r"bad_alloc|bad_array_new_length|[Oo]ut of memory|OutOfMemory|Cannot allocate memory"),
        "this machine ran out of memory in the compiler; close other programs, or use a smaller task size",
    ),
)


def machine_fault(where: str, text: str) -> MachineError | None:
    """The error to raise for a native message, None where it does not blame the machine.

    Args:
        where: the file or graph at hand, first in the sentence.
        text: what the native code said.
    """
    return next((MachineError(f"{where}: {meaning}") for pattern, meaning in _MEANINGS if pattern.search(text)), None)
