"""Dataclasses to JSON values and back, by their annotations.

Reading is lenient in one direction: unknown keys are ignored and missing ones are empty, so that reports of other
versions (and of devices, which write less) can be read. What must be there is the schema's business.
"""

from __future__ import annotations

import collections.abc
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Mapping, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")


def encode(value: Any, where: str = "report") -> Any:
    """A dataclass (or plain values, numpy included) to what ``json`` writes.

    NaN and infinity, which JSON lacks, become null: undefined.

    Raises:
        TypeError: a value that JSON cannot hold; the message names where it sits.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        return encode(value.tolist(), where)
    if isinstance(value, np.generic):
        return encode(value.item(), where)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise TypeError(f"{where}: {type(value).__name__} has no form in JSON")


def decode(kind: type[T], table: Any, where: str = "report") -> T:
    """Build a dataclass from what :func:`encode` gave.

    Raises:
        ValueError: a value is of another kind, or a table is missing; the message names where.
    """
    return _decode(kind, table, where)


@lru_cache(maxsize=None)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _decode(next(a for a in arguments if a is not type(None)), value, where)
    if is_dataclass(kind) and isinstance(kind, type):
        return _decode_fields(kind, value, where)
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is not None and isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        _require(isinstance(value, dict), where, "a table", value)
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float:
        if value is None:
            return math.nan
        _require(isinstance(value, (int, float)) and not isinstance(value, bool), where, "a number", value)
        return float(value)
    if isinstance(kind, type):
        exact = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        _require(exact, where, f"of type {kind.__name__}", value)
    return value


def _decode_fields(kind: type, value: Any, where: str) -> Any:
    _require(isinstance(value, dict), where, "a table", value)
    given = {}
    for f in fields(kind):
        if f.name in value:
            given[f.name] = _decode(_hints(kind)[f.name], value[f.name], f"{where}.{f.name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            given[f.name] = _empty(_hints(kind)[f.name], f"{where}.{f.name}")
    return kind(**given)


def _empty(kind: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or (origin in (Union, types.UnionType) and type(None) in arguments):
        return None
    if kind is float:
        return math.nan
    if kind in (int, str, bool):
        return kind()
    if origin is tuple:
        variadic = len(arguments) == 2 and arguments[1] is Ellipsis
        return () if variadic else tuple(_empty(argument, where) for argument in arguments)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return {}
    raise ValueError(f"{where}: is missing")


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _require(isinstance(value, list), where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    _require(len(value) == len(arguments), where, f"a list of {len(arguments)}", value)
    return tuple(_decode(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(arguments, value)))


def _require(holds: bool, where: str, wanted: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{where}: {value!r:.60} is not {wanted}")
