"""What every command ends in: a result on stdout, messages on stderr, an exit code."""

from __future__ import annotations

import json
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
    """One text and a line end on stdout. A reader that has gone away (``| head -1``) does not change the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Make stdout and stderr take any text: what their encoding lacks is replaced, and closed ones swallow it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it lives as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
