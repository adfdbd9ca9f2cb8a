"""Lets a package of parts be called like the public function of its name.

``edge.report`` is a function to users and a package to us (``edge.report.html``). Importing a part of a package binds
the package to that name, whatever a function was bound to it before, so the package answers to both.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package that passes calls on to ``edge.api.NAME.NAME``."""

    def __call__(self, *positional: Any, **named: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"edge.api.{name}"), name)(*positional, **named)


def make_callable(package: str) -> None:
    """Let the package of this full name be called."""
    sys.modules[package].__class__ = CallablePackage
