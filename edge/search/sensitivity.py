"""What INT8 costs and what it gains, group by group.

A group is the nodes that read one tensor: they share its Q/DQ, so they go to INT8 together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.accuracy.counts import count, stack
from edge.accuracy.scores import dice, mean
from edge.accuracy.sqnr import LOGIT_CLIP
from edge.graph.model import Model
from edge.quantization.graph import activations
from edge.task.task import SegmentationTask

Array = NDArray[np.float32]
Group = tuple[str, ...]
"""Names of nodes that read the same tensors, in graph order."""


@dataclass(frozen=True)
class Harm:
    """What putting one group into INT8, and nothing else, does to the output.

    Attributes:
        noise: squared error over squared signal of the clipped logits (10^(-dB/10)); adds up over groups.
        disagreement: 1 - mean Dice of the masks against the float masks.
        estimated: it is a share of what several groups do together, see :mod:`edge.search.shares`.
    """

    noise: float
    disagreement: float
    estimated: bool = False


@dataclass(frozen=True)
class Gain:
    """Measured time of one group on the target.

    Attributes:
        float_ms, int8_ms: with all that is done for it, see :mod:`edge.search.layer_times`; the least of several
            profiles, which other work on the machine cannot have slowed.
        spread_ms: how far the next best profiles of both lay above.
    """

    float_ms: float
    int8_ms: float
    spread_ms: float = 0.0

    @property
    def saved_ms(self) -> float:
        """Milliseconds that INT8 saves; negative where it costs."""
        return self.float_ms - self.int8_ms

    def pays(self, least_ms: float) -> bool:
        """Whether INT8 saves at least so much, or the profiles are too noisy to say that it does not.

        On a busy machine the doubt goes to INT8: what an engine takes as a whole is measured again at the end.
        """
        return self.saved_ms > least_ms or (self.spread_ms > least_ms and self.saved_ms > -self.spread_ms)

    @property
    def ratio(self) -> float:
        """How many times faster INT8 is."""
        return self.float_ms / self.int8_ms if self.int8_ms > 0 else 1.0


def groups(model: Model, nodes: frozenset[str]) -> tuple[Group, ...]:
    """Nodes that read the same tensors, in graph order."""
    owner: dict[str, int] = {}
    members: list[list[str]] = []
    for node in model.to_ir().graph:
        if node.name not in nodes:
            continue
        tensors = [str(value.name) for value in activations(node)]
        index = next((owner[t] for t in tensors if t in owner), len(members))
        if index == len(members):
            members.append([])
        members[index].append(node.name)
        owner.update(dict.fromkeys(tensors, index))
    return tuple(tuple(names) for names in members)


def harm(reference: Array, outputs: Array, task: SegmentationTask) -> Harm:
    """Noise and disagreement of outputs against the float ones, both ``[images, maps, height, width]``."""
    clip = LOGIT_CLIP if task.output == "logits" else np.inf
    signal, noisy = reference.clip(-clip, clip), outputs.clip(-clip, clip)
    power = float(np.square(signal, dtype=np.float64).sum())
    noise = float(np.square(signal - noisy, dtype=np.float64).sum())
    pairs = zip(outputs, reference, strict=True)
    counts = stack(count(task.decide(ours), task.decide(theirs), task) for ours, theirs in pairs)
    return Harm(noise / power if power else 0.0, 1.0 - mean(dice(counts)))


def measure_gain(
    float_times: Sequence[Mapping[str, float]], int8_times: Sequence[Mapping[str, float]], wanted: Sequence[Group]
) -> dict[Group, Gain]:
    """Times of groups from times of nodes, one mapping a profile."""
    return {group: _gain(_sorted_times(float_times, group), _sorted_times(int8_times, group)) for group in wanted}


def _gain(float_ms: Sequence[float], int8_ms: Sequence[float]) -> Gain:
    spread = sum(times[1] - times[0] if len(times) > 1 else 0.0 for times in (float_ms, int8_ms))
    return Gain(float_ms[0], int8_ms[0], spread)


def _sorted_times(profiles: Sequence[Mapping[str, float]], group: Group) -> list[float]:
    return sorted(sum(profile[node] for node in group) for profile in profiles)
