"""Arguments as users give them, paths or objects, to what the pipeline takes; the argument at fault is named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError

if TYPE_CHECKING:
    from edge.api.options import DataLike, EngineLike, ModelLike, PathLike, TaskLike
    from edge.boards.address import Address
    from edge.images.image_set import ImageSet
    from edge.loading import TaskSource
    from edge.pipeline.model_request import ModelRequest


def as_path(name: str, given: PathLike) -> Path:
    """A path.

    Raises:
        InputError: something else.
    """
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{name}: is a {type(given).__name__}; give a path")
    return Path(given)


def as_optional_path(name: str, given: PathLike | None) -> Path | None:
    """A path, or None."""
    return None if given is None else as_path(name, given)


def as_paths(name: str, given: PathLike | Sequence[PathLike]) -> tuple[Path, ...]:
    """One path or several.

    Raises:
        InputError: none at all, or something else.
    """
    many = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not many:
        raise InputError(f"{name}: is empty; give one path at least")
    return tuple(as_path(name, path) for path in many)


def as_address(given: str | None) -> Address | None:
    """Where a board is, by its name in ``boards.toml`` or its address; None stays.

    Raises:
        InputError: neither.
    """
    from edge.boards.registry import find_board

    if given is None:
        return None
    if not isinstance(given, str):
        raise InputError(f"on: is a {type(given).__name__}; give user@host")
    return find_board(given)


def as_boards(given: str | Sequence[str] | None) -> dict[str, Address]:
    """Name of each board, as it was given, to where it is.

    Raises:
        InputError: not of the form ``user@host:port``, or one board twice.
    """
    from edge.boards.registry import find_board

    found = {name: find_board(name) for name in as_names("on", given) or ()}
    places = [str(address) for address in found.values()]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice is not None:
        raise InputError(f"on: {twice} is named twice; name each board once")
    return found


def as_names(name: str, given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names from a sequence, or from one text with commas; None stays.

    Raises:
        InputError: something else, or none in it.
    """
    if given is None:
        return None
    if not isinstance(given, Iterable):
        raise InputError(f"{name}: is a {type(given).__name__}; give names")
    names = tuple(part.strip() for part in (given.split(",") if isinstance(given, str) else given))
    if not all(names) or not names:
        raise InputError(f"{name}: names nothing; give names, or leave it out")
    return names


def as_data(given: DataLike) -> Path | ImageSet:
    """A folder, or a set; arrays become a set.

    Raises:
        InputError: something else.
    """
    from edge.images.arrays import array_set
    from edge.images.image_set import ImageSet

    if isinstance(given, ImageSet):
        return given
    if isinstance(given, str | os.PathLike):
        return Path(given)
    if not isinstance(given, Iterable):
        raise InputError(f"data: is a {type(given).__name__}; give a folder, an ImageSet or (image, mask) tuples")
    return array_set(given)


def as_task(given: TaskLike | None) -> TaskSource | None:
    """A file, or a task; a table becomes a task.

    Raises:
        InputError: something else, or a table at fault.
    """
    from edge.task.task import SegmentationTask

    if given is None or isinstance(given, SegmentationTask):
        return given
    if isinstance(given, Mapping):
        table: Any = given.get("task", given)
        return SegmentationTask.from_table(table, "task")
    return as_path("task", given)


def as_source(
    model: ModelLike, weights: PathLike | None, task: TaskLike | None, dequantize: bool = False
) -> ModelRequest:
    """A network, with its checkpoint and task as :func:`as_task` takes it.

    Raises:
        InputError: a checkpoint that is no path, or no such task.
    """
    from edge.pipeline.model_request import ModelRequest

    return ModelRequest(model, as_optional_path("weights", weights), as_task(task), dequantize)


def engine_folder(name: str, given: EngineLike) -> Path:
    """The engine's folder; of a run, its chosen engine's.

    Raises:
        InputError: something else, or a run that chose none; the message lists its engines.
    """
    return _engine_in(_named(name, given))


def _engine_in(folder: Path) -> Path:
    """A folder that was given, or the engine that its run chose.

    Raises:
        InputError: there is no such folder, or its run chose no engine.
    """
    from edge.api.run import chosen_engine

    if not os.path.lexists(folder):
        raise InputError(f"{folder}: no such engine or run; check the path, or make one with edge deploy")
    if (folder / "engine.json").is_file() or not (folder / "report.json").is_file():
        return folder
    return chosen_engine(folder)


def _named(name: str, given: EngineLike) -> Path:
    """The folder that was given itself: an engine's, or a run's."""
    from edge.api.engine import LoadedEngine
    from edge.api.run import Run
    from edge.backends.engine import Engine

    return given.folder if isinstance(given, LoadedEngine | Engine | Run) else as_path(name, given)


def trusted_engine(name: str, given: EngineLike, keys: PathLike | Sequence[PathLike]) -> tuple[Path, str]:
    """The engine's folder, as :func:`engine_folder`, once it is known who made it, and of a run who chose it.

    Args:
        keys: public keys that are trusted besides those configured for this user.

    Returns:
        The folder; and who vouches for it, or that nobody does, "" for a folder that holds no engine.

    Raises:
        InputError: some key is trusted here, and none has signed the engine as it is now, or the run that chose it.
    """
    from edge.trust.signature import vouched

    named = _named(name, given)
    folder, known = _engine_in(named), as_paths("trusted_key", keys) if keys else ()
    if not (folder / "engine.json").is_file():  # whoever opens it says what it lacks
        return folder, ""
    if named != folder:
        vouched(named, known)
    return folder, vouched(folder, known).says
