"""Makes a command of a public function: its signature says the arguments and options, a shower what is printed.

==============================  ============================================================
parameter                       on the command line
==============================  ============================================================
marked ``Argument``             by position; a sequence takes all that are left
marked ``Option``               ``--its-name``
a bool, false by default        a flag
a bool, true by default         ``--no-NAME``
a sequence                      with commas, or by repeating the option
unmarked (``progress``)         not there
==============================  ============================================================
"""

from __future__ import annotations

import collections.abc
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from edge.api.options import Argument, Option
from edge.cli.output import PASSED, Output

COMMON: Mapping[str, tuple[Any, Any]] = {
    "as_json": (
        Annotated[bool, typer.Option("--json", help="one JSON document on stdout, nothing else there")],
        False,
    ),
    "quiet": (
        Annotated[bool, typer.Option("--quiet", help="no progress, no messages, no tables: files and the exit code")],
        False,
    ),
    "verbose": (Annotated[bool, typer.Option("-v", "--verbose", help="say more; a traceback with every error")], False),
    "log_file": (
        Annotated[str | None, typer.Option("--log-file", metavar="FILE", help="write progress and messages there too")],
        None,
    ),
}
"""What every command takes: name to annotation and default."""


@dataclass(frozen=True)
class _Parameter:
    """One parameter of a public function, as the command line takes it.

    Attributes:
        name: in the function.
        shown: on the command line, with underscores.
        annotation: for typer.
        default: ``inspect.Parameter.empty`` where it has to be given.
    """

    name: str
    shown: str
    annotation: Any
    default: Any

    def value(self, given: Any) -> Any:
        """What the function takes for what the command line gave."""
        return given if self.shown == self.name else not given


def make_command(verb: Callable[..., Any], show: Callable[..., int | None]) -> Callable[..., None]:
    """A command that calls the function and shows what it returns.

    Args:
        verb: a public function.
        show: called with the result, the output, those of the function's arguments that it has a parameter for, and
            its own options (further parameters marked ``Option``); returns the exit code, None for 0.
    """
    taken, own = tuple(_parameters(verb)), tuple(_parameters(show))
    listens = "progress" in inspect.signature(verb).parameters
    also = {p.name for p in taken} & set(inspect.signature(show).parameters) - {p.name for p in own}

    def command(**given: Any) -> None:
        output = Output(**{name: given[name] for name in COMMON})
        with output.terminal() as terminal:
            arguments = {p.name: p.value(given[p.shown]) for p in taken}
            result = verb(**arguments, **({"progress": terminal} if listens else {}))
        options = {p.name: p.value(given[p.shown]) for p in own}
        repeated = {name: arguments[name] for name in also}
        raise typer.Exit(show(result, output, **repeated, **options) or PASSED)

    shown = {p.shown: (p.annotation, p.default) for p in (*taken, *own)} | dict(COMMON)
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in shown.items()
        ]
    )
    command.__annotations__ = {name: annotation for name, (annotation, _) in shown.items()}
    command.__name__ = verb.__name__
    command.__doc__ = (inspect.getdoc(verb) or "").partition("\n\nArgs:")[0].partition("\n\nReturns:")[0]
    return command


def _parameters(function: Callable[..., Any]) -> Iterator[_Parameter]:
    for parameter in inspect.signature(function).parameters.values():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(mark, Argument | Option):
                yield _parameter(parameter, mark)


def _parameter(parameter: inspect.Parameter, mark: Argument | Option) -> _Parameter:
    kinds = _kinds(get_args(parameter.annotation)[0])
    kind: Any = _kind(kinds, mark)
    default = parameter.default
    if isinstance(mark, Argument):
        annotated = Annotated[kind, typer.Argument(metavar=mark.metavar, help=mark.help)]
        return _Parameter(parameter.name, parameter.name, annotated, inspect.Parameter.empty)
    shown = f"no_{parameter.name}" if kind is bool and default is True else parameter.name
    option = typer.Option(
        f"--{shown.replace('_', '-')}",
        metavar=mark.metavar,
        help=mark.help,
        min=mark.least,
        autocompletion=_completion(mark),
    )
    if mark.required:
        default = inspect.Parameter.empty
    elif shown != parameter.name:
        default = False
    if default is None and kind is not bool:
        kind = kind | None
    return _Parameter(parameter.name, shown, Annotated[kind, option], default)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the one type."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _kind(kinds: tuple[Any, ...], mark: Argument | Option) -> Any:
    """What the command line reads: a number, a flag, several texts or one."""
    for simple in (bool, int, float):
        if simple in kinds:
            return simple
    several = any(get_origin(kind) is collections.abc.Sequence for kind in kinds)
    takes_all = isinstance(mark, Argument) or mark.repeats
    return list[str] if several and takes_all else str


def _completion(mark: Option) -> Callable[[str], list[str]] | None:
    """Names that start as typed, after the last comma."""
    values = mark.values
    if values is None:
        return None

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{value}" for value in values() if value.startswith(last)]

    return complete
