"""A loaded engine, the same on a workstation and on a board: what it runs, how long that took, what it is made of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Mapping, Protocol

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ConvCounts:
    """How many convolutions run in which precision, as the compiler says."""

    int8: int = 0
    fp16: int = 0
    bf16: int = 0
    fp32: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer of the compiled engine.

    Attributes:
        name: the compiler's name for it, with the source nodes where known.
        op: what it does.
        precision: int8, fp16, bf16, fp32 or unknown.
        ms: median time, None where the compiler gives none.
        reason: why it was left float, or "".
    """

    name: str
    op: str
    precision: str
    ms: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Timing:
    """One timed run.

    Attributes:
        host: milliseconds on the host's clock.
        parts: of it, where they are told apart: ``h2d``, ``gpu``, ``d2h``.
    """

    host: float
    parts: Mapping[str, float] = field(default_factory=dict)


def clocked(run: Callable[[NDArray[np.float32]], object], batch: NDArray[np.float32]) -> Timing:
    """Time one call by the host's clock alone, where no parts can be told apart."""
    start = time.perf_counter()
    run(batch)
    return Timing(1e3 * (time.perf_counter() - start))


def closed() -> InputError:
    """The error to raise where a runner is used after :meth:`Runner.close`."""
    return InputError("the engine: was closed, which freed what runs it; load it again")


class Runner(Protocol):
    """A loaded engine."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, channels, height, width]`` to ``[n, maps, height, width]``, both float32."""
        ...

    def time(self, batch: NDArray[np.float32]) -> Timing:
        """One timed run of an image, by the runner's own clock, which leaves out what only prepares it."""
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The compiler's own account of what runs, with times where it measures them."""
        ...

    def conditions(self) -> dict[str, Any]:
        """Settings that a latency depends on: threads, precision_hint, streams, affinity, batch."""
        ...

    def close(self) -> None:
        """Free the device; a run after that raises :func:`closed`."""
        ...


class PixelRunner(Protocol):
    """A loaded engine with its task inside, for one image of the network's size at a time."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``[height, width, channels]`` uint8, resized, in the task's order, to ``[height, width]`` class indices."""
        ...

    def conditions(self) -> dict[str, Any]:
        """As :meth:`Runner.conditions`."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...
