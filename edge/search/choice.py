"""Choosing the set of rewrites that is fastest on the target, by measuring sets and not single rewrites.

Rewrites interact: one may pay only because another then applies, or because of the layout the compiler picks for the
whole. So sets are tried, not rewrites: everything that applies (each rewrite proposes only where its own cost model
sees a gain) and the always-safe ones, everything and another exact form of what is left, then everything but one, the
safe ones and one, and what lies between. Which sets, and in which order, the graph alone decides (:func:`sets_to_try`),
so two runs try the same ones; time that runs out cuts the end of the list, which is said. What wins is measured once
more beside the source and the always-safe set; a set that slows is undone. Where something else than what is timed will
ship (INT8), the sets that came near the winner are told apart in that instead, and time is kept for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edge.fusion.driver import Fused, applies, fuse, rewritten, safe_rewrites
from edge.fusion.registry import REWRITES
from edge.graph.model import Model
from edge.search.deadline import Deadline

Timer = Callable[[Sequence[Model]], Sequence[float]]
"""Cost of each model on the target, taken in one run; infinite for one that its compiler refuses."""

Names = tuple[str, ...]

# Sets that differ by less are the same speed; then the one with fewer rewrites wins.
_TIE = 0.01
# Sets that are slower by less in float may be faster in what ships.
_NEAR = 0.05
_RIVALS = 5
# Of so many rewrites every set is tried, of more those near both ends: 2^4 graphs, and 3 for each above.
_FEW = 4
# Compiled graphs in memory at a time; each batch holds the reference again, so that drift cancels.
_BATCH = 8


def choose(
    model: Model,
    inputs: Sequence[NDArray[np.float32]],
    time: Timer,
    deadline: Deadline,
    seconds_each: float = 0.0,
    ships: Timer | None = None,
) -> Fused:
    """Fuse with the set of rewrites that the target runs fastest.

    Args:
        model: static shapes, batch 1.
        inputs: images on which every step of the chosen set is proven.
        time: see :data:`Timer`.
        deadline: nothing is begun whose like took longer before than what is left until then.
        seconds_each: that building and timing one graph took before, so that the first race is bounded too; 0 where
            nobody knows.
        ships: the same in what will ship, where that is not what ``time`` takes: sets that are about as fast are told
            apart by it at the end.

    Returns:
        The fused model, or the source untouched where nothing pays; ``milliseconds`` lists every set measured, in
        terms of the source's own time, ``tried`` the sets in their order, ``untried`` those that no time was left for.
    """
    search = _Search(model, time, deadline, seconds_each, ships)
    best = search.run()
    fused = fuse(model, best, inputs) if best is not None else Fused(model, (), 0.0)
    return replace(fused, milliseconds=search.table(), tried=tuple(search.tried), untried=tuple(search.untried))


def sets_to_try(full: Names, safe: Names, alternatives: Sequence[str]) -> list[Names]:
    """The sets to measure beside the source, in order: a function of what applies to the graph, of nothing measured.

    Args:
        full: the safe rewrites and the optional ones that apply.
        safe: those that never add work.
        alternatives: other exact forms that apply to the full set's graph, each tried on top of that.
    """
    optional = [name for name in full if name not in safe]
    sizes = [*range(len(optional), -1, -1)] if len(optional) <= _FEW else [len(optional) - 1, 1]
    kept = [frozenset(optional), frozenset[str]()]
    kept += [frozenset(some) for size in sizes for some in combinations(optional, size)]
    kept += [frozenset(optional[at:]) for at in range(2, len(optional) - 1)]  # the first ones out, one after another
    sets = [_ordered((*safe, *some)) for some in dict.fromkeys(kept)]
    on_top = [_ordered((*full, name)) for name in alternatives]
    return list(dict.fromkeys((*sets[:2], *on_top, *sets[2:])))


def _ordered(names: Sequence[str]) -> Names:
    return tuple(name for name in REWRITES if name in names)


class _Search:
    """Sets by their time over the source's."""

    def __init__(self, model: Model, time: Timer, deadline: Deadline, seconds_each: float, ships: Timer | None) -> None:
        self.model = model
        self.time, self.ships = time, ships
        self.deadline = deadline
        self.models: dict[Names, Model] = {}
        self.graphs: dict[str, float] = {}  # sha256 of a graph to its time over the source's
        self.tried: list[Names] = []
        self.untried: list[Names] = []
        self.source_ms = float("nan")
        self.reserved = 0  # graphs that time is kept for
        self.seconds_each = seconds_each  # that building and timing one graph took, the last time
        self.seconds_to_write = 0.0  # that writing one took, at most: seconds on a large network

    def run(self) -> Names | None:
        """The best set, None where the source itself is fastest."""
        safe = _ordered(safe_rewrites())
        everything = _ordered((*safe, *(n for n, r in REWRITES.items() if r.when == "optional")))
        full = _ordered((*safe, *self._applied(everything)))
        planned = sets_to_try(full, safe, self._alternatives(everything))
        ends = planned[:2]
        self._measure(ends)
        if not math.isfinite(min(map(self._ratio, ends))):
            if self.untried:  # for want of time; where the compiler refuses both, more time helps nobody
                self.untried = [names for names in planned if names not in self.tried]
            return safe  # nothing could be measured: what never adds work is taken on trust
        self.reserved = 0 if self.ships is None else _RIVALS - 1
        self._measure([names for names in planned if names not in self.tried])
        self.reserved = 0
        return self._confirm(self._best(full, safe), safe)

    def _best(self, full: Names, safe: Names) -> Names:
        """The fastest; where others are no slower, the set at an end of the lattice, then the one with fewer."""
        fastest = min(self._ratio(names) for names in self.models)
        near = [n for n in self.tried if self._ratio(n) * (1 - _TIE / 2) <= fastest]
        return min(near, key=lambda names: (names != safe, names != full, len(names)))

    def _confirm(self, best: Names, safe: Names) -> Names | None:
        """Measure the winner again beside the source and the safe set, so that luck does not decide; in what ships, if
        that is something else, and beside all that come near it."""
        rivals = (best, safe) if self.ships is None else (best, *self._near(best))
        distinct = {self._graph(set_).sha256: set_ for set_ in reversed(rivals)}
        distinct.pop(self.model.sha256, None)
        if not distinct:
            return safe
        chosen = list(distinct.values())[::-1][: max(0, self._affordable() - 1)]
        if not chosen or (self.ships is None and len(chosen) < len(distinct)):
            return best if self._ratio(best) <= 1.0 else None
        scores = dict(zip(chosen, self._timed([self._graph(set_) for set_ in chosen], self.ships), strict=True))
        if not any(map(math.isfinite, scores.values())):
            return best if self._ratio(best) <= 1.0 else None
        if self.ships is None:
            for names, score in scores.items():
                self.graphs[self._graph(names).sha256] = score
        winner = min(chosen, key=lambda names: scores[names])
        if safe in scores and scores[safe] <= scores[winner] * (1 + _TIE):
            winner = safe
        # Equal speed keeps the rewritten graph only if it is no slower: the source needs no proof.
        near = self.ships is None or self._ratio(best) * (1 + _NEAR) >= 1.0
        return winner if scores[winner] <= 1.0 or not near else None

    def _near(self, best: Names) -> list[Names]:
        """The sets that were measured about as fast as the best, fastest first."""
        bar = self._ratio(best) * (1 + _NEAR)
        found = sorted((names for names in self.models if self._ratio(names) <= bar), key=self._ratio)
        return found[:_RIVALS]

    def _measure(self, sets: Sequence[Names]) -> None:
        """Measure sets in their order, as many as there is time for."""
        waiting = list(sets)
        while waiting:
            fresh: dict[str, Names] = {}
            # Writing a graph takes time too: only what can still be measured afterwards is written.
            while waiting and len(fresh) < min(_BATCH, self._affordable(self.seconds_to_write) - 1):
                names = waiting.pop(0)
                digest = self._graph(names).sha256
                self.tried.append(names)
                if digest not in self.graphs and digest != self.model.sha256:
                    fresh.setdefault(digest, names)
            self.graphs.setdefault(self.model.sha256, 1.0)
            batch = list(fresh.values())
            if not batch:
                break
            for names, ratio in zip(batch, self._timed([self._graph(names) for names in batch]), strict=True):
                self.graphs[self._graph(names).sha256] = ratio
        self.untried = waiting

    def _timed(self, models: Sequence[Model], ships: Timer | None = None) -> list[float]:
        """Times over the source's, all from one run; infinite for what the compiler refuses."""
        start = self.deadline.clock()
        first, *others = (ships or self.time)([self.model, *models])
        spent = (self.deadline.clock() - start) / (1 + len(models))
        self.seconds_each = max(spent, 0.5 * self.seconds_each)  # what is remembered takes no time, the next one may
        if not math.isfinite(first):  # the source itself is refused: nothing to compare with, but a rewrite may help
            return [0.5 if math.isfinite(ms) else math.inf for ms in others]
        if ships is None:
            self.source_ms = first
        return [ms / first for ms in others]

    def _affordable(self, before: float = 0.0) -> int:
        """Graphs that can be built and timed by the deadline, after so many seconds of something else; any number while
        it is not known what one takes."""
        left = self.deadline.left() - before
        if left <= 0:
            return 0
        return max(0, int(left / self.seconds_each) - self.reserved) if self.seconds_each else _BATCH + 1

    def _ratio(self, names: Names) -> float:
        """Infinite where it was not measured."""
        written = self.models.get(names)
        return math.inf if written is None else self.graphs.get(written.sha256, math.inf)

    def _graph(self, names: Names) -> Model:
        if names not in self.models:
            self._applied(names)
        return self.models[names]

    def _applied(self, names: Names) -> Names:
        """Write a set's graph; returns the names that applied."""
        start = self.deadline.clock()
        self.models[names], applied = rewritten(self.model, names)
        self.seconds_to_write = max(self.seconds_to_write, self.deadline.clock() - start)
        return applied

    def _alternatives(self, names: Names) -> list[str]:
        """Other forms that would change a set's graph: most networks have none, which saves writing those."""
        forms = [name for name, rewrite in REWRITES.items() if rewrite.when == "alternative"]
        return [name for name in forms if applies(self._graph(names), name)]

    def table(self) -> tuple[tuple[Names, float], ...]:
        """Every set measured with its milliseconds, fastest first; the empty set is the source."""
        rows = {
            names: ratio
            for names, m in self.models.items()
            if m.sha256 in self.graphs and math.isfinite(ratio := self._ratio(names))
        }
        rows[()] = 1.0
        ordered = sorted(rows.items(), key=lambda row: row[1])
        return tuple((names, ratio * self.source_ms) for names, ratio in ordered)
