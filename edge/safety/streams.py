"""stdout and stderr that take any text and outlive their reader. Portable: it travels to boards."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def prepare_streams() -> None:
    """Make stdout and stderr take any text: what their encoding lacks is replaced, and closed ones swallow it.

    So do those whose reader has gone (``| head -1``): a result that nobody reads changes no exit code.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it lives as long as the process
        elif isinstance(stream, io.TextIOWrapper) and isinstance(_raw(stream), io.FileIO):
            setattr(sys, name, _unbreakable(stream))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


class _Unbreakable(io.FileIO):
    """A file that swallows what goes to a pipe whose reader has gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _raw(stream: io.TextIOWrapper) -> object:
    """What lies below the buffer; with ``python -u`` there is none between."""
    return getattr(stream.buffer, "raw", stream.buffer)


def _unbreakable(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    raw = _Unbreakable(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
