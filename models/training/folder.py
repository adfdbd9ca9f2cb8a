"""A model folder as the trainer sees it: what the toolkit reads from it, and its ``[training]`` table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edge.errors import InputError
from edge.files import read_toml
from edge.loading.folder import MANIFEST, ModelFolder, build_network, read_folder


@dataclass(frozen=True)
class TrainingFolder:
    """One network and how it is trained.

    Attributes:
        folder: the toolkit's view: name, options, task.
        recipe: the ``[training]`` table, as written.
    """

    folder: ModelFolder
    recipe: Mapping[str, Any]

    def build(self) -> nn.Module:
        """The untrained network with the folder's options."""
        return build_network(self.folder)


def find_networks(root: Path) -> list[str]:
    """Names of the folders under ``root`` that hold a ``model.toml``, sorted."""
    return sorted(path.parent.name for path in root.glob(f"*/{MANIFEST}"))


def open_network(path: Path, checkpoint: str | None = None) -> TrainingFolder:
    """Read a model folder.

    Args:
        path: the folder.
        checkpoint: a name under ``[checkpoints]``, for its task and options; None for the default's.

    Raises:
        InputError: no such folder or checkpoint; the message lists the networks beside it.
    """
    if not (path / MANIFEST).is_file():
        names = ", ".join(find_networks(path.parent)) or "none"
        raise InputError(f"{path}: no {MANIFEST} there; the networks in {path.parent} are: {names}")
    return TrainingFolder(read_folder(path, checkpoint), read_toml(path / MANIFEST).get("training", {}))
