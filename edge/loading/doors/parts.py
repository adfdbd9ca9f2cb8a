"""What every door needs: the framework imported or its install line, a JSON file, a folder, a task put together."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from edge.errors import InputError, MachineError, first_line
from edge.files import read_json
from edge.task.task import SegmentationTask


class NoTaskError(InputError):
    """What a network sees is not said in a way that a task can say; the user gives one."""


def no_task(spec: str, fault: str) -> NoTaskError:
    """The error, which names the command that begins a task.

    Args:
        spec: the model as the user names it.
        fault: what is not said.
    """
    return NoTaskError(f"{spec}: {fault}; add --task task.toml (edge init {spec} > task.toml to start from)")


def framework(module: str, extra: str) -> Any:
    """Import a framework.

    Raises:
        MachineError: it is not installed; names the install line.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MachineError(
            f"{module.partition('.')[0]} is not installed here ({first_line(error)}); pip install 'segedge[{extra}]'"
        ) from None


def table(path: Path, what: str) -> dict[str, Any]:
    """A JSON file that a folder must have.

    Raises:
        InputError: it is missing or no table.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: is no {what} (no {path.name}); check the path")
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no table; save it again")
    return found


def first_file(folder: Path, names: tuple[str, ...], what: str) -> Path:
    """The first of several files that is there.

    Raises:
        InputError: none is.
    """
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise InputError(f"{folder}: has no {what} ({' or '.join(names)}); give it with --weights FILE")
    return found


def task_of(values: dict[str, Any], where: Path) -> SegmentationTask:
    """A task of what a folder says; one class takes a sigmoid, more take softmax."""
    values.setdefault("activation", "sigmoid" if len(values["classes"]) == 1 else "softmax")
    return SegmentationTask.from_table(values, where)
