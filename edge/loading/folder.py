"""Model folders: ``network.py`` beside ``model.toml`` and its checkpoints."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edge.errors import InputError, first_line
from edge.files import read_toml, sha256_bytes
from edge.graph.model import Model
from edge.loading.module import call_builder, load_module, require_torch
from edge.task.task import SegmentationTask

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "model.toml"


@dataclass(frozen=True)
class ModelFolder:
    """What ``model.toml`` says.

    Attributes:
        folder: where it lies.
        name: the network's name.
        options: keyword arguments of ``build``.
        checkpoint: weights file, inside the folder.
        task: pre- and post-processing the checkpoint was trained for.
        paper: published facts, for tables.
    """

    folder: Path
    name: str
    options: Mapping[str, Any]
    checkpoint: Path
    task: SegmentationTask
    paper: Mapping[str, Any]


def read_folder(folder: Path, checkpoint: str | None = None) -> ModelFolder:
    """Read ``model.toml``, with one of its ``[checkpoints]`` in place of the default where named.

    Raises:
        InputError: the file is missing or wrong, or there is no such checkpoint.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise InputError(f"{folder}: is not a model folder (no {MANIFEST}); see models/README.md for the layout")
    table = read_toml(manifest)
    for section in ("model", "task"):
        if not isinstance(table.get(section), dict):
            raise InputError(f"{manifest}: no [{section}] table; see models/README.md for the layout")
    model, task = table["model"], dict(table["task"])
    options, file = dict(model.get("options", {})), model.get("checkpoint", "weights.safetensors")
    if checkpoint is not None:
        known = table.get("checkpoints", {})
        if checkpoint not in known:
            raise InputError(f"{manifest}: no checkpoint {checkpoint!r}; it has {', '.join(known) or 'none'}")
        if "file" not in known[checkpoint]:
            raise InputError(f"{manifest}: [checkpoints.{checkpoint}] names no file; add one")
        file = known[checkpoint]["file"]
        options.update(known[checkpoint].get("options", {}))
        task.update(known[checkpoint].get("task", {}))
    return ModelFolder(
        folder=folder,
        name=model.get("name", folder.name) + (f"@{checkpoint}" if checkpoint else ""),
        options=options,
        checkpoint=folder / file,
        task=SegmentationTask.from_table(task, manifest),
        paper=table.get("paper", {}),
    )


def build_network(folder: ModelFolder) -> nn.Module:
    """Import ``network.py`` under a name of its own and call ``build(**options)``.

    Raises:
        InputError: no ``network.py``, no ``build``, or options it does not take.
    """
    require_torch()
    module = import_network(folder.folder)
    builder = getattr(module, "build", None)
    if builder is None:
        raise InputError(f"{folder.folder / 'network.py'}: has no build(**options); add one that returns the network")
    return call_builder(builder, folder.options, folder.folder / "network.py")


def import_network(folder: Path) -> ModuleType:
    """Import ``network.py`` as part of a uniquely named package, so that two of them never collide."""
    path = (folder / "network.py").resolve()
    if not path.is_file():
        raise InputError(f"{path}: no such file; a model folder needs network.py with build(**options)")
    package = f"_segedge_model_{sha256_bytes(str(path.parent).encode())[:12]}"
    name = f"{package}.network"
    if name in sys.modules:
        return sys.modules[name]
    root = ModuleType(package)
    root.__path__ = [str(path.parent)]
    sys.modules[package] = root
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        del sys.modules[name], sys.modules[package]
        raise InputError(f"{path}: does not import ({first_line(error)}); correct it") from error
    return module


def load_folder(
    folder: Path, checkpoint: str | None = None, weights: Path | None = None, task: SegmentationTask | None = None
) -> Model:
    """Build, load the checkpoint and export.

    Args:
        folder: the model folder.
        checkpoint: a name under ``[checkpoints]``.
        weights: overrides the checkpoint's file.
        task: overrides the folder's task.
    """
    described = read_folder(folder, checkpoint)
    network = build_network(described)
    return load_module(
        network,
        weights or described.checkpoint,
        task or described.task,
        described.name,
        str(folder) + (f"@{checkpoint}" if checkpoint else ""),
    )
