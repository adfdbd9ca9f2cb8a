"""Checks the plain options of a public function, numbers, flags and names, by their own declarations."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import wraps
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from edge.api.options import Option
from edge.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

_WANTED = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def checked(verb: Callable[P, R]) -> Callable[P, R]:
    """The verb, which now refuses options of another type or below their least value, each by its name.

    Only options of plain types are looked at; the verb itself takes models, data and paths of any kind. A number is
    taken for a text as it is written, since gates are named by numbers.
    """
    options = dict(_plain(verb))

    @wraps(verb)
    def call(*positional: P.args, **named: P.kwargs) -> R:
        for name, value in inspect.signature(verb).bind(*positional, **named).arguments.items():
            if name in options:
                _require(name, value, *options[name])
            elif name == "progress" and value is not None and not callable(value):
                raise InputError(f"progress: is a {type(value).__name__}; give a function")
        return verb(*positional, **named)

    return call


def _plain(verb: Callable[..., Any]) -> list[tuple[str, tuple[tuple[type, ...], Option]]]:
    """Each option whose types are all plain: its name, and its types and declaration."""
    found = []
    for parameter in inspect.signature(verb).parameters.values():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            kind = get_args(parameter.annotation)[0]
            kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
            if isinstance(mark, Option) and set(kinds) <= {*_WANTED, NoneType}:
                found.append((parameter.name, (kinds, mark)))
    return found


def _require(name: str, value: object, kinds: tuple[type, ...], option: Option) -> None:
    if value is None and NoneType in kinds:
        return
    kind = next(kind for kind in kinds if kind is not NoneType)
    if not _is(value, kind):
        raise InputError(f"{name}: is {value!r:.60}; give {_WANTED[kind]}")
    if isinstance(value, int | float) and option.least is not None and not value >= option.least:
        raise InputError(f"{name}: is {value:g}; give {option.least:g} or more")


def _is(value: object, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is int:
        return hasattr(value, "__index__")
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, str | float)
