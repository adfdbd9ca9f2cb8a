"""ONNX files: read in whatever form exporters left them, brought to the one that every stage works on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from edge.graph.model import Model, identified, read_graph, require_consistent
from edge.loading.normalize import FORM, MEANING, normalize
from edge.loading.normalize.step import Draft
from edge.task.task import SegmentationTask


def load_onnx(path: Path, task: SegmentationTask | None, default: SegmentationTask | None = None) -> Model:
    """Read an ONNX file as every stage expects it: batch 1, the task's size, one float32 image in, one map out.

    Raises:
        InputError: as :func:`edge.graph.model.read_model`, or a graph that no step of :mod:`edge.loading.normalize`
            can bring to that form.
    """
    proto, notes = _formed(path)
    return normalized(replace(identified(proto, path, task, default), notes=notes))


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, its form repaired: names, order, IR version, weights as weights.

    Raises:
        InputError: as :func:`edge.graph.model.read_graph`.
    """
    return _formed(path)[0]


def _formed(path: Path) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The graph in one form, and what was done to it."""
    notes: list[str] = []

    def repair(proto: onnx.ModelProto) -> onnx.ModelProto:
        found = normalize(Draft(proto, str(path)), FORM)
        notes.extend(found.notes)
        return found.draft.proto

    return read_graph(path, repair), tuple(notes)


def normalized(model: Model) -> Model:
    """A model whose graph and task were brought together, checked, with a note for each step to be told.

    Raises:
        InputError: they cannot be brought together.
    """
    found = normalize(Draft(model.proto, model.source, model.task), MEANING)
    assert found.draft.task is not None
    ready = replace(model, proto=found.draft.proto, task=found.draft.task, notes=(*model.notes, *found.notes))
    require_consistent(ready, model.source)
    return ready
