"""What every command ends in: a result on stdout, messages on stderr, an exit code."""

from __future__ import annotations

import json
import logging
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

    def show(self, document: Any, text: str, asked_for: bool = False) -> None:
        """The result, on stdout: as one JSON document where asked for, otherwise as text.

        Args:
            document, text: the result in both forms.
            asked_for: the text is itself what the command makes, so that even a quiet one writes it.
        """
        if self.as_json:
            write_out(json.dumps(document, indent=1, allow_nan=False))
        elif asked_for or not self.quiet:
            write_out(text)


def write_out(text: str) -> None:
    """One text and a line end on stdout."""
    print(text, flush=True)


def quiet_libraries() -> None:
    """Have libraries keep to themselves what they log of a file: a refusal is one sentence.

    Without any handler the logging module prints warnings itself, with whatever text the file holds.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
