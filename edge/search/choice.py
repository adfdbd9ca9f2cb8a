"""Choosing the set of rewrites that is fastest on the target, by measuring sets and not single rewrites.

Rewrites interact: one may pay only because another then applies, or because of the layout the compiler picks for the
whole. So the search starts from everything that applies (each rewrite proposes only where its own cost model sees a
gain) and takes away: first each rewrite alone, then together all that looked harmful, again from the new best until
nothing helps. Then each alternative form is tried on top. What wins is measured once more beside the source and the
always-safe set; a set that slows is undone. Where something else than what is timed will ship (INT8), the sets that
came near the winner are told apart in that instead, and time is kept for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.fusion.driver import Fused, fuse, rewritten, safe_rewrites
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
_MOST_ROUNDS = 4
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
        terms of the source's own time.
    """
    search = _Search(model, time, deadline, seconds_each, ships)
    best = search.run()
    fused = fuse(model, best, inputs) if best is not None else Fused(model, (), 0.0)
    return replace(fused, milliseconds=search.table())


class _Search:
    """Backward elimination over sets of rewrites. Sets are compared by their time over a reference's."""

    def __init__(self, model: Model, time: Timer, deadline: Deadline, seconds_each: float, ships: Timer | None) -> None:
        self.model = model
        self.time, self.ships = time, ships
        self.deadline = deadline
        self.models: dict[Names, Model] = {}
        self.graphs: dict[str, float] = {}  # sha256 of a graph to its time over the source's
        self.source_ms = float("nan")
        self.reserved = 0  # graphs that time is kept for
        self.seconds_each = seconds_each  # that building and timing one graph took, the last time

    def run(self) -> Names | None:
        """The best set, None where the source itself is fastest."""
        safe = self._order(safe_rewrites())
        everything = self._order((*safe, *(n for n, r in REWRITES.items() if r.when == "optional")))
        applied = self._applied(everything)
        full = self._order((*safe, *applied))
        self._measure([full, safe])
        best = min((safe, full), key=self._ratio)
        if not math.isfinite(self._ratio(best)):
            return safe  # nothing could be measured: what never adds work is taken on trust
        self.reserved = 0 if self.ships is None else _RIVALS - 1
        if best != full:  # what pays in company may be hidden by one bad companion: look from the full set too
            best = self._descend(full, safe)
        best = self._with_alternatives(self._descend(best, safe))
        self.reserved = 0
        return self._confirm(best, safe)

    def _descend(self, start: Names, safe: Names) -> Names:
        best = start
        for _ in range(_MOST_ROUNDS):
            optional = [name for name in best if name not in safe]
            without = {name: tuple(n for n in best if n != name) for name in optional}
            self._measure(list(without.values()))
            harmful = [name for name in optional if self._ratio(without[name]) < self._ratio(best) * (1 - _TIE / 2)]
            options = [best, *without.values()]
            if len(harmful) > 1:
                together = tuple(n for n in best if n not in harmful)
                self._measure([together])
                options.append(together)
            found = min(options, key=self._ratio)
            if found == best or self._ratio(found) >= self._ratio(best) * (1 - _TIE / 2):
                break
            best = found
        return best

    def _with_alternatives(self, best: Names) -> Names:
        """Other exact forms, each on top of the winner."""
        options = [self._order((*best, name)) for name, r in REWRITES.items() if r.when == "alternative"]
        self._measure(options)
        return min((best, *options), key=lambda names: self._ratio(names) * (1 if names == best else 1 + _TIE / 2))

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
        fresh: dict[str, Names] = {}
        for names in sets:
            if self.graphs and names not in self.models and not self._affordable():
                break  # writing a graph takes time too, seconds on a large network
            digest = self._graph(names).sha256
            if digest not in self.graphs and digest != self.model.sha256:
                fresh.setdefault(digest, names)
        self.graphs.setdefault(self.model.sha256, 1.0)
        pending = list(fresh.values())
        for start in range(0, len(pending), _BATCH):
            batch = pending[start : start + _BATCH][: max(0, self._affordable() - 1)]
            if not batch:
                break
            for names, ratio in zip(batch, self._timed([self._graph(names) for names in batch]), strict=True):
                self.graphs[self._graph(names).sha256] = ratio

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

    def _affordable(self) -> int:
        """Graphs that can be built and timed before the deadline; any number while it is not known what one takes."""
        left = self.deadline.left()
        if left <= 0:
            return 0
        return max(0, int(left / self.seconds_each) - self.reserved) if self.seconds_each else _BATCH + 1

    def _ratio(self, names: Names) -> float:
        """Infinite where it was not measured."""
        written = self.models.get(names)
        return math.inf if written is None else self.graphs.get(written.sha256, math.inf)

    def _graph(self, names: Names) -> Model:
        if names not in self.models:
            self.models[names] = rewritten(self.model, names)[0]
        return self.models[names]

    def _applied(self, names: Names) -> Names:
        model, applied = rewritten(self.model, names)
        self.models[names] = model
        return tuple(applied)

    def _order(self, names: Sequence[str]) -> Names:
        return tuple(name for name in REWRITES if name in names)

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
