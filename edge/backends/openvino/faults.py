"""OpenVINO's exceptions as this package's errors: the graph's fault, or the machine's."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import Iterator

from ...errors import EdgeError, InputError, machine_fault
from ...safety.watchdog import native_call

# Lines of a chained exception that say where it was raised and what was tried, never why.
_FRAMES = re.compile(
    r"Exception from|Check '|FrontEnd|Model wasn't|While validating|Summary:|To facilitate|"
    r"-- \S+ with a message|-- Conversion is failed|$"
)
_UNKNOWN = re.compile(r"^-- No conversion rule found for operations: (.+)$", re.MULTILINE)
_CONSEQUENCE = "rank has to be known"  # said of whatever reads what was not converted
_PLACE = re.compile(r"^\[?\S*\.(?:cpp|hpp|h):\d+\]?:?\s*")
_LONGEST = 240


@contextmanager
def openvino_faults(where: str, asked_seconds: float = 0.0) -> Iterator[None]:
    """Run OpenVINO's code over a file within the limit of seconds, and turn what it raises into one sentence.

    Args:
        where: the file or graph at hand, first in the sentence.
        asked_seconds: see :func:`edge.safety.watchdog.native_call`.

    Raises:
        InputError: OpenVINO refuses the graph.
        MachineError: the disk is full, or memory is.
    """
    try:
        with native_call(where, "OpenVINO", asked_seconds):
            yield
    except RuntimeError as error:
        raise as_edge_error(where, error) from error


def as_edge_error(where: str, error: RuntimeError) -> EdgeError:
    """The error to raise instead of one of OpenVINO's."""
    text = str(error)
    why = reason(text) or type(error).__name__
    return machine_fault(where, text) or InputError(
        f"{where}: OpenVINO refuses the graph ({why}); export the model again"
    )


def reason(text: str) -> str:
    """The line of a chain of exceptions that says why."""
    if found := _UNKNOWN.search(text):
        return f"it has no {found[1]}"[:_LONGEST]
    lines = [_PLACE.sub("", line.strip()) for line in text.splitlines()]
    telling = [line for line in lines if not _FRAMES.match(line)] or [line for line in lines if line] or [""]
    telling = [line for line in telling if _CONSEQUENCE not in line] or telling
    told = telling[0][3:] if telling[0].startswith("-- ") else telling[0]
    return told.rstrip(":.")[:_LONGEST]
