"""The command line that does what a call of a public function did: what a report says reproduces it."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.api.options import Argument, Option


def command_line(verb: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """``edge deploy net.onnx --data my-images --gate 99``: arguments that differ from their defaults.

    Args:
        verb: the public function.
        given: parameter to argument; what is in memory is shown as ``<Module>``.
    """
    words, positional = [], []
    for name, parameter in inspect.signature(verb).parameters.items():
        marks = getattr(parameter.annotation, "__metadata__", ())
        value = given.get(name)
        if any(isinstance(mark, Argument) for mark in marks):
            positional += [_shown(item) for item in (value if isinstance(value, list | tuple) else [value])]
        elif any(isinstance(mark, Option) for mark in marks) and value != parameter.default:
            words += _option(name, value)
    return shlex.join(["edge", verb.__name__, *positional, *words])


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value) and not isinstance(value, str):
        value = ",".join(map(_shown, value))
    return [f"--{flag}", _shown(value)]


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, str | Path | int | float) else f"<{type(value).__name__}>"
