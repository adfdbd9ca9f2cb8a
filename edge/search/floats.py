"""Which float precisions are worth anything to a network here: its rewritten graph, raced in each of them.

A CPU may list a precision and be slower in it than in FP32 (BF16 without matrix units: 1.4 to 1.9 times as long on our
five networks). Then rewrites are better timed in FP32, and INT8 over that precision, its engine and its verdict are
time spent on what cannot win. A race tells after a few rounds, long before anything is calibrated.

What races has every rewrite that applies: it is nearer to what will ship than the source is. LiteNeXt's source, full of
norms, takes 1.7 times as long in FP32 as in BF16; rewritten it is the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge.backends.engine import Candidate
from edge.errors import InputError
from edge.fusion.driver import rewritten
from edge.fusion.registry import REWRITES
from edge.graph.model import Model
from edge.latency.race import relative_to_fastest
from edge.quantization.ranges import NO_RANGES
from edge.search.bench import Bench, Effort, Refusal
from edge.search.deadline import Deadline
from edge.search.dialect import GraphRequest
from edge.search.plain_candidates import FLOATS

SLOW = 1.15
"""Times as long as the fastest float precision, from which on one is slow."""

BASELINE = "fp32"
_EFFORT = Effort(0.2, 10, undecided_seconds=0.2)
_SHARE = 0.05  # of what is left, for timing; building comes on top


@dataclass(frozen=True)
class FloatRace:
    """What the race found.

    Attributes:
        ratios: precision to its time over the fastest's; only what the compiler takes.
        seconds_each: that building and timing one took, whoever plans further trials.
    """

    ratios: Mapping[str, float] = field(default_factory=dict)
    seconds_each: float = 0.0

    @property
    def fastest(self) -> str:
        """The precision to time rewrites in; FP32 where nothing was timed."""
        return min(self.ratios, key=lambda name: self.ratios[name], default=BASELINE)

    @property
    def slow(self) -> dict[str, str]:
        """Precision to a sentence, for those that are clearly slower than the fastest; never FP32, which every speed-up
        is told against."""
        return {
            name: f"takes {ratio:.1f} times as long as {self.fastest} on this machine, so it was not looked into; name "
            "it in --precisions, or choose --effort thorough"
            for name, ratio in self.ratios.items()
            if ratio > SLOW and name != BASELINE
        }


def race_floats(
    model: Model, bench: Bench, names: Sequence[str], inputs: Sequence[NDArray[np.float32]], deadline: Deadline
) -> FloatRace:
    """Time the rewritten graph in several float precisions; where there is one, it is the fastest without a race.

    Args:
        model: the source graph.
        bench: measures.
        names: precisions that really run on the target.
        inputs: the first is run.
        deadline: of the stage.
    """
    if len(names) < 2 or not bench.measured or not deadline.affords(0.0):
        return FloatRace(dict.fromkeys(names[:1], 1.0))
    graph, _ = rewritten(model, [name for name, rewrite in REWRITES.items() if rewrite.when != "alternative"])
    start = deadline.clock()
    written = {name: made for name in names if (made := _written(graph, name, bench)) is not None}
    most = max(_EFFORT.seconds, _SHARE * deadline.left())
    rows = bench.times(list(written.values()), inputs[:1], replace(_EFFORT, most_seconds=most)) or []
    found = {name: row.compute for name, row in zip(written, rows, strict=False) if not isinstance(row, Refusal)}
    relative = relative_to_fastest(list(found.values()))
    least = min(map(relative, found.values()), default=1.0)
    ratios = {name: relative(row) / least for name, row in found.items()}
    return FloatRace(ratios, (deadline.clock() - start) / max(1, len(written)))


def floats_of(bench: Bench, precisions: Sequence[str] = FLOATS) -> tuple[str, ...]:
    """Of these precisions the floats that really run on the target, FP32 where it has none of them."""
    return tuple(name for name in FLOATS if name in precisions and bench.refusal(name) is None) or (BASELINE,)


def _written(model: Model, precision: str, bench: Bench) -> Candidate | None:
    try:
        return bench.trial_dialect.write(GraphRequest(model.name, precision, precision, model, NO_RANGES))
    except InputError:
        return None
