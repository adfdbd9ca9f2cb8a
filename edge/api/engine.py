"""A loaded engine: images in, masks out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InputError
from edge.notebook.shown import Shown, Table

if TYPE_CHECKING:
    from edge.backends.engine import Engine, Runner
    from edge.task.task import SegmentationTask


class LoadedEngine(Shown):
    """An engine that is ready to run; a context manager. Not for several threads at once: load one for each.

    Made by :func:`edge.load_engine`.
    """

    def __init__(self, engine: Engine, runner: Runner, vouched: str = "") -> None:
        self._engine, self._runner, self._vouched = engine, runner, vouched
        self._closed = False

    @property
    def folder(self) -> Path:
        """The engine folder."""
        return self._engine.folder

    @property
    def name(self) -> str:
        """Its name in its run: ``int8``, ``mixed-bf16``."""
        return self._engine.name

    @property
    def precision(self) -> str:
        """fp32, bf16, fp16, int8 or mixed."""
        return self._engine.precision

    @property
    def vouched(self) -> str:
        """Who vouches for it, in one sentence: the trusted key that signed it, or that nobody does."""
        return self._vouched

    @property
    def task(self) -> SegmentationTask:
        """What goes in and what comes out."""
        return self._engine.task

    def segment(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Segment one image of any size.

        Args:
            image: ``[h, w, 3]`` RGB or ``[h, w]`` grey, uint8; other channels and types where the task names them.

        Returns:
            ``[h, w]`` uint8 class indices at the image's own size (0 and 1 for a single foreground class);
            ``[classes, h, w]`` of 0 and 1 where the task's labels overlap.

        Raises:
            InputError: the array is no such image, or the engine was closed.
        """
        return self.task.segment(self._run, _require_image(image, self.task))

    def probabilities(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Probability of every class at every pixel of one image.

        Args:
            image: as for :meth:`segment`.

        Returns:
            ``[maps, h, w]`` float32 in [0, 1] at the image's own size, one map for each of the task's classes
            (nearest neighbour from the network's size, as masks are). A task whose activation is ``none`` gets what
            the network returned.

        Raises:
            InputError: the array is no such image, or the network returns class indices.
        """
        from edge.api.probabilities import probabilities

        return probabilities(self._run, self.task, _require_image(image, self.task))

    def close(self) -> None:
        """Free the device; the engine is not to be used after that."""
        self._closed = True
        self._runner.close()

    def __enter__(self) -> LoadedEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.task.size
        return f"<LoadedEngine {self.folder}: {self.precision}, {self._engine.backend}, {width}x{height}>"

    def _table(self) -> Table:
        facts = {**self._engine.summary(), "classes": ", ".join(self.task.classes), "vouched": self.vouched}
        return ("engine", self.name), facts.items()

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._closed:
            raise InputError(f"{self.folder}: the engine was closed; load it again with edge.load_engine")
        return self._runner.run(batch)


def _require_image(image: NDArray[Any], task: SegmentationTask) -> NDArray[Any]:
    array = np.asarray(image)
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or not array.size:
        empty, depth = "empty, " if not array.size else "", "uint8" if task.eight_bit else "with its own values"
        shape = f"{empty}{list(array.shape)} {array.dtype}"
        raise InputError(f"image: is {shape}; give one image, [h, w, 3] RGB or [h, w] grey, {depth}")
    usual = (task.in_channels, 1, 3)
    if array.ndim == 3 and array.shape[0] in usual and array.shape[2] not in (*usual, 4):
        raise InputError(f"image: is {list(array.shape)}, channels first; give image.transpose(1, 2, 0)")
    return array
