"""What calibration learned: a range for each tensor. The only calibrated artefact; every backend reads the same one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edge.errors import InputError
from edge.files import read_document, write_json
from edge.notebook.shown import Shown, Table
from edge.safety.guard import parsing

SCHEMA = "edge.ranges/1"
COARSE, FINE = 127, 255
"""Steps between 0 and the end of a signed grid, and of an unsigned one."""


@dataclass(frozen=True)
class Clip:
    """Where a grid ends.

    Attributes:
        amax: magnitude that maps to the grid's last level, > 0 unless the tensor is all zeros.
        method: what chose it: min-max, percentile, entropy or mse.
        candidates: what each method proposed.
        channels: each channel's magnitude over ``amax``, see :mod:`edge.quantization.channels`; () for one magnitude.
    """

    amax: float
    method: str
    candidates: Mapping[str, float] = field(default_factory=dict)
    channels: tuple[float, ...] = ()

    def by(self, method: str) -> Clip:
        """The same where another method proposes; as it is where that proposes nothing."""
        return replace(self, amax=self.candidates[method], method=method) if method in self.candidates else self


@dataclass(frozen=True)
class TensorRange:
    """Range of one tensor.

    Attributes:
        low, high: smallest and largest value seen.
        count: how many values were binned.
        zeros: share of them that were exactly 0.
        coarse: clip for grids with 127 steps up to ``amax`` (signed 8 bit).
        fine: clip for grids with 255 steps over the whole range (unsigned 8 bit).
    """

    low: float
    high: float
    count: int
    zeros: float
    coarse: Clip
    fine: Clip

    def clip(self, steps: int) -> Clip:
        """The clip for a grid with so many steps."""
        return self.coarse if steps <= COARSE else self.fine

    def with_clip(self, steps: int, clip: Clip) -> TensorRange:
        """The same with another clip for grids of so many steps."""
        return replace(self, coarse=clip) if steps <= COARSE else replace(self, fine=clip)

    def uniform(self, steps: int) -> TensorRange:
        """The same with one magnitude for all channels on grids of so many steps."""
        return self.with_clip(steps, replace(self.clip(steps), channels=()))


@dataclass(frozen=True)
class Convergence:
    """How far the ranges still were from their final values after so many images (their least-squares clips).

    Attributes:
        images: numbers of images seen, rising; the last is all of them.
        median, worst: relative difference over all tensors.
    """

    images: tuple[int, ...]
    median: tuple[float, ...]
    worst: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class Ranges(Shown):
    """Ranges of a graph's tensors.

    Attributes:
        tensors: tensor name to its range.
        images: how many images were seen.
        graph_sha256: of the float graph that was calibrated.
        convergence: says whether they were enough.
    """

    tensors: Mapping[str, TensorRange]
    images: int
    graph_sha256: str
    convergence: Convergence

    def __repr__(self) -> str:
        return f"<Ranges of {len(self.tensors)} tensors over {self.images} images, graph {self.graph_sha256[:8]}>"

    def _table(self) -> Table:
        rows = [
            (name, found.low, found.high, found.coarse.amax, found.coarse.method, found.zeros)
            for name, found in self.tensors.items()
        ]
        return ("tensor", "low", "high", "clipped at", "by", "zeros"), rows

    def __getitem__(self, tensor: str) -> TensorRange:
        """The range of a tensor.

        Raises:
            InputError: it was not calibrated.
        """
        if tensor not in self.tensors:
            raise InputError(f"ranges: none for tensor {tensor!r}; calibrate this very graph again")
        return self.tensors[tensor]

    def uniform(self, steps: int) -> Ranges:
        """The same with one magnitude for all channels of a tensor, on grids of so many steps."""
        return replace(self, tensors={name: found.uniform(steps) for name, found in self.tensors.items()})

    def save(self, path: Path) -> Path:
        """Write portable JSON."""
        write_json(path, {"schema": SCHEMA, **asdict(self)})
        return path


NO_RANGES = Ranges({}, 0, "", Convergence((), (), ()))
"""Of a graph that nothing is quantized in, or that came quantized."""


def read_ranges(path: Path) -> Ranges:
    """Read what :meth:`Ranges.save` wrote.

    Raises:
        InputError: missing, damaged, or another schema.
    """
    table = read_document(path, SCHEMA, "run edge calibrate again")
    with parsing(path, "sound ranges", "run edge calibrate again"):
        convergence = {key: tuple(values) for key, values in table.pop("convergence").items()}
        tensors = {name: _tensor_range(row) for name, row in table.pop("tensors").items()}
        return Ranges(tensors=tensors, convergence=Convergence(**convergence), **table)


def _tensor_range(row: dict[str, object]) -> TensorRange:
    numbers = [row["low"], row["high"], row["count"], row["zeros"], *(row[k]["amax"] for k in ("coarse", "fine"))]  # type: ignore[index]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise TypeError("a range is no number")
    clips = {key: _clip(row.pop(key)) for key in ("coarse", "fine")}
    return TensorRange(**row, **clips)  # type: ignore[arg-type]


def _clip(row: object) -> Clip:
    clip = Clip(**row)  # type: ignore[arg-type]
    channels = tuple(float(value) for value in clip.channels)
    if not all(0 < value < math.inf for value in channels):
        raise ValueError("a channel's magnitude is no positive number")
    return replace(clip, channels=channels)
