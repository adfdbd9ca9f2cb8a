"""``package.module:callable``: any callable that returns an ``nn.Module``, looked up from the working directory."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from edge.errors import InputError
from edge.loading.module import call_builder, load_module
from edge.model import Model
from edge.task import SegmentationTask


def load_callable(spec: str, weights: Path | None, task: SegmentationTask | None) -> Model:
    """Import the module, call the callable without arguments, load the weights and export.

    Raises:
        InputError: no such module or callable, or weights or task missing.
    """
    module_name, _, name = spec.partition(":")
    if task is None:
        raise InputError(f"{spec}: says nothing about its task; add --task task.toml")
    if weights is None:
        raise InputError(f"{spec}: comes without weights; add --weights FILE")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        builder = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise InputError(f"{spec}: cannot import {error.name}; run from the folder that holds it") from None
    except AttributeError:
        raise InputError(f"{spec}: module {module_name} has no {name!r}; check the name") from None
    finally:
        sys.path.remove(here)
    return load_module(call_builder(builder, {}, spec), weights, task, name, spec)
