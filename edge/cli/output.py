"""What every command ends in: a result on stdout, messages on stderr, an exit code."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.cli.terminal import Terminal

PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Output:
    """Where results and messages go: JSON or text on stdout, all else on stderr, and all of that to a file too."""

    as_json: bool
    quiet: bool
    verbose: bool
    log_file: str | None = None

    def terminal(self) -> Terminal:
        """Progress and messages, on stderr."""
        from edge.cli.terminal import Terminal

        return Terminal(quiet=self.quiet, verbose=self.verbose, log_file=self.log_file)

    def show(self, document: Any, text: str) -> None:
        """The result, on stdout: as one JSON document where asked for, otherwise as text."""
        if self.as_json:
            write_out(json.dumps(document, indent=1, allow_nan=False))
        elif not self.quiet:
            write_out(text)


def write_out(text: str) -> None:
    """One text and a line end on stdout."""
    print(text, flush=True)


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


def quiet_libraries() -> None:
    """Have libraries keep to themselves what they log of a file: a refusal is one sentence.

    Without any handler the logging module prints warnings itself, with whatever text the file holds.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())


class _Unbreakable(io.FileIO):
    """A file that swallows what goes to a pipe whose reader has gone."""

    def write(self, data: Any) -> int | None:
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
