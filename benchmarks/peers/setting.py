"""What a worker process is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PATHS = ("source", "calibration", "data", "engine", "scratch", "pictures")

TASK, IMAGES = "task.json", "images.npy"
"""A task as a table; ``[n, height, width, channels]`` as :meth:`SegmentationTask.resized` returns them."""


@dataclass(frozen=True)
class Setting:
    """What a worker is told.

    Attributes:
        peer: a name of ``BUILDERS``.
        model: model folder as given to ``edge deploy``.
        source: the graph that every peer gets.
        output: name of the output that counts.
        calibration: ``.npy`` of ``[n, channels, height, width]`` float32.
        data: image set, for peers that look at accuracy while they quantize.
        engine: our engine folder.
        scratch: an empty folder of the worker's own.
        threads: CPU threads.
        pythons: interpreter of each peer that needs another environment.
        reuse: take a quantized graph that an earlier run made of the same source and images.
        make: make one where there is none; else its lack is an error.
        pictures: folder of what ``mask_worker`` segments, see :data:`TASK` and :data:`IMAGES`.
    """

    peer: str
    model: str
    source: Path
    output: str
    calibration: Path
    data: Path
    engine: Path
    scratch: Path
    threads: int
    pythons: Mapping[str, str]
    reuse: bool = False
    make: bool = True
    pictures: Path = Path()

    def to_table(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Setting:
        """What :meth:`to_table` gave."""
        return cls(**{**table, **{key: Path(table[key]) for key in _PATHS}})
