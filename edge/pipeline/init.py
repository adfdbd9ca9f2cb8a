"""``edge init``: finds out what a model says of itself, whatever kind of model it is."""

from __future__ import annotations

from pathlib import Path

from edge.errors import InputError
from edge.graph.model import carries_task
from edge.images.image_set import ImageSet
from edge.loading.doors import find_door
from edge.loading.doors.parts import NoTaskError
from edge.loading.facts import NetworkFacts, module_facts, onnx_facts
from edge.pipeline.starter import Starter, given, image_facts, starter
from edge.task.task import SegmentationTask


def starter_task(model: str, images: ImageSet | None) -> Starter:
    """The model's own task where it has one, else a starter from what it and the images say.

    Args:
        model: as the user wrote it.
        images: a set to look at.

    Raises:
        InputError: no such model, or an image that does not decode.
    """
    task = _own_task(Path(model)) or _task_behind_a_door(model)
    if task is not None:
        return given(task, model)
    return starter(_facts(model), image_facts(images) if images is not None else None, model)


def _task_behind_a_door(model: str) -> SegmentationTask | None:
    """What a folder of another framework says; None where it is no such folder, or says it in no task's words."""
    door = find_door(model)
    if door is None:
        return None
    load, named = door
    try:
        return load(named, None, None).task
    except NoTaskError:
        return None


def _own_task(path: Path) -> SegmentationTask | None:
    if (path / "model.toml").is_file():
        from edge.loading.folder import read_folder

        return read_folder(path).task
    if path.suffix == ".onnx" and path.is_file():
        from edge.graph.model import identified
        from edge.loading.onnx_file import read_onnx

        proto = read_onnx(path)
        return identified(proto, path).task if carries_task(proto) else None
    return None


def _facts(model: str) -> NetworkFacts:
    path = Path(model)
    if path.suffix == ".onnx" or path.is_file():
        return onnx_facts(path)
    if find_door(model) is not None:
        return NetworkFacts()
    if ":" in model:
        from edge.loading.callable import build_callable

        return module_facts(build_callable(model))
    raise InputError(f"{model}: no such model; give a file.onnx, a model folder, or package.module:callable")
