"""Reads ``task.toml``."""

from __future__ import annotations

from pathlib import Path

from edge.errors import InputError
from edge.files import read_toml
from edge.task.task import SegmentationTask


def load_task(path: Path) -> SegmentationTask:
    """Read ``task.toml``: a file with one ``[task]`` table.

    Raises:
        InputError: the file is missing, is not TOML, or its task is wrong.
    """
    document = read_toml(path)
    if "task" not in document:
        raise InputError(f"{path}: no [task] table; edge init MODEL > task.toml to start from")
    return SegmentationTask.from_table(document["task"], path)
