"""A network as the user named it, with what its files leave open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.graph.model import Model
from edge.loading import ModelSource, TaskSource, load_model
from edge.pipeline.progress import Progress
from edge.task.task import SegmentationTask


@dataclass(frozen=True)
class ModelRequest:
    """What :func:`edge.loading.load_model` takes; its fields are described there."""

    model: ModelSource
    weights: Path | None = None
    task: TaskSource | None = None
    dequantize: bool = False

    def open(self, progress: Progress, default: SegmentationTask | None = None) -> Model:
        """Load the model, and tell the user what was changed on loading.

        Raises:
            InputError: see :func:`edge.loading.load_model`.
        """
        model = load_model(self.model, self.weights, self.task, default, self.dequantize)
        for note in model.notes:
            progress.say(note)
        return model
