"""What every command ends in: a result on stdout, messages on stderr, an exit code."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.cli.terminal import Terminal

PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Output:
    """Where results and messages go: JSON or text on stdout, all else on stderr."""

    as_json: bool
    quiet: bool
    verbose: bool

    def terminal(self) -> Terminal:
        """Progress and messages, on stderr."""
        from edge.cli.terminal import Terminal

        return Terminal(quiet=self.quiet, verbose=self.verbose)

    def show(self, document: Any, text: str) -> None:
        """The result, on stdout: as one JSON document where asked for, otherwise as text."""
        if self.as_json:
            print(json.dumps(document, indent=1, allow_nan=False))
        elif not self.quiet:
            print(text)


def command_line() -> str:
    """The words that started this process, for reports."""
    return shlex.join(["edge", *sys.argv[1:]])
