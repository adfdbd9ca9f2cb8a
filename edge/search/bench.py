"""What a deployment may ask of a target: build this, how wrong is it, how long does it take?

:class:`Bench` is the whole of it. :class:`~edge.search.local_bench.LocalBench` answers with real engines on this
machine, :class:`~edge.search.simulated_bench.SimulatedBench` for a device that is not at hand. Nobody who holds a bench
asks which it is: what it cannot tell is None, and a graph that its compiler refuses is a :class:`Refusal`, a value like
any other. Everything that goes in and comes out is data, so that a bench may also be a machine elsewhere.

A candidate that was handed to :meth:`Bench.build` stays built: later questions about it are asked of that very engine.
About any other candidate they are trials, built for the question and thrown away again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.check import Standard
from edge.accuracy.checked import Checked
from edge.accuracy.evaluate import Evaluation
from edge.backends.engine import Candidate, Engine, Layer
from edge.images.image_set import ImageSet
from edge.latency.costs import Costs
from edge.latency.estimate import Peaks
from edge.latency.sweep import Throughput
from edge.latency.trial import Advance, Effort, Refusal, Timed, silent
from edge.search.dialect import Dialect

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Profile = tuple[Layer, ...]

__all__ = [
    "PROFILES",
    "Advance",
    "Array",
    "Bench",
    "CandidateSet",
    "Effort",
    "PixelRoute",
    "Pixels",
    "Profile",
    "Refusal",
    "Timed",
    "silent",
]


@dataclass(frozen=True)
class CandidateSet:
    """Graphs to build for a target, in the order asked for, and why the others cannot be."""

    candidates: tuple[Candidate, ...]
    refusals: tuple[Refusal, ...] = ()


PROFILES = 3
"""Layer tables that a measured bench takes of each candidate, in turn with the others."""


@dataclass(frozen=True)
class PixelRoute:
    """Candidates to time from pixels to mask as well, with the task inside the engine where that is the same.

    Attributes:
        names: of the candidates.
        images: ``[height, width, channels]`` uint8 at the network's size; all prove, the first is timed.
    """

    names: frozenset[str] = frozenset()
    images: tuple[Pixels, ...] = ()


class Bench(Protocol):
    """A target's answers. See the module's text for what building means to them.

    What has a body here is the answer of a bench that cannot tell.

    Attributes:
        measured: whether what it says is of the target itself; False where it is simulated or estimated.
        dialect: how graphs are written for the target's compiler.
        trial_dialect: how graphs are written for the trials of a search on this bench.
    """

    measured: bool
    dialect: Dialect
    trial_dialect: Dialect

    def refusal(self, precision: str) -> str | None:
        """Why a precision would not really run on the target, None where it would."""
        ...

    def build(self, candidate: Candidate, folder: Path) -> Engine | Refusal:
        """Build into an engine folder, swapped in whole, with the graph beside the artefact, and keep it at hand.

        Raises:
            MachineError: this machine lacks something, or the disk is full.
            InputError: ``folder`` holds something else.
        """
        ...

    def check(self, candidate: Candidate, standard: Standard, advance: Advance = silent) -> Checked | Refusal:
        """Score on the images that the reference was scored on, and judge."""
        ...

    def times(
        self,
        candidates: Sequence[Candidate],
        inputs: Sequence[Array],
        effort: Effort,
        pixels: PixelRoute | None = None,
        advance: Advance = silent,
    ) -> list[Timed | Refusal] | None:
        """Run all inputs, and time all candidates interleaved on the first; None where the target is not here."""
        ...

    def evaluated(self, candidate: Candidate, images: ImageSet) -> Evaluation | None:
        """What a candidate makes of images, outputs and all, for others to be compared with; None where that is not
        cheaper than asking ONNX Runtime."""
        return None

    def outputs(self, candidate: Candidate, inputs: Sequence[Array]) -> Array | Refusal:
        """``[1, channels, height, width]`` float32 each to ``[inputs, maps, height, width]`` float32."""
        ...

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[Profile] | Refusal]:
        """Layer tables of each with times, several each, taken in turn so that they compare; estimates serve too."""
        ...

    def layers(self, candidate: Candidate) -> Profile:
        """What the compiler says it runs, for a candidate that was built; times only where they were measured."""
        ...

    def costs(self, candidate: Candidate, images: ImageSet, seconds: float) -> Costs:
        """File to mask, memory and energy of a candidate that was built; what is not known is None."""
        return Costs()

    def throughput(self, candidate: Candidate, seconds: float) -> tuple[Throughput, ...]:
        """Batches and streams of a candidate that was built; empty where they cannot be tried."""
        return ()

    def peaks(self) -> Peaks | None:
        """The target's measured peaks; None leaves estimates to its table."""
        return None

    def identity(self) -> Mapping[str, Any]:
        """Everything about this bench that its answers depend on: compiler, versions, threads."""
        ...

    def environment(self) -> dict[str, Any]:
        """The machine that its answers come from, as a report records it."""
        ...

    def basis(self) -> str:
        """What the times of its profiles are, where they are not measured; else ""."""
        return ""

    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of a report about where these answers come from."""
        ...

    def close(self) -> None:
        """Let go of every engine that was kept at hand."""
        ...
