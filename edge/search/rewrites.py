"""Fuse for a target: with the set of rewrites that is fastest there, or on trust where it cannot be timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.files import sha256_bytes
from edge.fusion import Fused, fuse
from edge.graph.model import Model
from edge.machine.environment import processor
from edge.search.bench import Bench
from edge.search.cache import MeasurementCache
from edge.search.choice import choose
from edge.search.deadline import Deadline
from edge.search.floats import FloatRace, floats_of, race_floats
from edge.search.rewrite_costs import COSTS, Cost, FloatCost, Int8Cost, RememberedCosts
from edge.targets.target import Target


def fuse_for_target(
    model: Model,
    target: Target,
    bench: Bench,
    inputs: Sequence[NDArray[np.float32]],
    deadline: Deadline,
    floats: FloatRace | None = None,
    shared: Path | None = None,
    int8: bool = False,
) -> Fused:
    """Rewrite exactly, with the set of rewrites that is fastest on the target.

    Args:
        model: the source graph.
        target: its table of safe rewrites is taken where the bench has no times.
        bench: measures.
        inputs: images on which every step is proven.
        deadline: of measurements.
        floats: the race of the source's float precisions, the fastest of which sets are timed in; None runs it.
        shared: folder of the user's cache with what earlier runs timed; None for none.
        int8: what ships will probably run in INT8, so sets that are about as fast in float are told apart in that.
    """
    if not bench.measured:
        return fuse(model, target.safe_rewrites or None, inputs)
    race = floats or race_floats(model, bench, floats_of(bench), inputs, deadline)
    precision = race.fastest

    def remembered(cost: Cost, name: str) -> RememberedCosts:
        asked = {**_asked_of(model, name, inputs, target), **bench.identity()}
        return RememberedCosts(cost, MeasurementCache(None, asked, shared))

    floating = remembered(FloatCost(model, precision, bench, inputs, deadline), precision)
    ships = remembered(Int8Cost(model, precision, bench, inputs, deadline), f"int8-{precision}") if int8 else None
    return choose(model, inputs, floating, deadline, race.seconds_each, ships)


def _asked_of(model: Model, precision: str, inputs: Sequence[NDArray[np.float32]], target: Target) -> dict[str, object]:
    """What the cost of a rewritten graph depends on besides the graph and the bench."""
    images = [sha256_bytes(image.tobytes()) for image in inputs]
    return {
        "source": model.sha256,
        "precision": precision,
        "images": images,
        "target": target.name,
        "machine": processor(),
        "costs": COSTS,
    }
