"""What a worker process is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """What a worker is told.

    Attributes:
        peer: a name of ``PEERS``.
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
