"""``package.module:callable``: any callable that returns an ``nn.Module``, looked up from the working directory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError, first_line
from edge.graph.model import Model
from edge.loading.module import call_builder, load_module, require_torch
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn


def load_callable(spec: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """Import the module, call the callable without arguments, load the weights and export.

    Raises:
        InputError: no such module or callable, or weights or task missing.
    """
    name = spec.partition(":")[2]
    if task is None:
        raise InputError(
            f"{spec}: says nothing about its task; add --task task.toml (edge init {spec} > task.toml to start from)"
        )
    if weights is None:
        raise InputError(f"{spec}: comes without weights; add --weights FILE")
    with _importable(Path.cwd()):  # while the network is built and run, too: it may import only then
        return load_module(_built(spec), weights, task, name, spec)


def build_callable(spec: str) -> nn.Module:
    """Import the module and call the builder, for what the network says of itself.

    Raises:
        InputError: no such module or callable.
    """
    with _importable(Path.cwd()):
        return _built(spec)


def _built(spec: str) -> nn.Module:
    module_name, _, name = spec.partition(":")
    if not module_name or not name or module_name.startswith("."):
        raise InputError(f"{spec}: is not package.module:callable; write both, without a leading dot")
    require_torch()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(f"{spec}: cannot import {error.name}; run from the folder that holds it") from None
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{spec}: does not import ({first_line(error)}); correct it") from error
    builder = getattr(module, name, None)
    if builder is None:
        raise InputError(f"{spec}: module {module_name} has no {name!r}; check the name")
    return call_builder(builder, {}, spec)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported for a while."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
