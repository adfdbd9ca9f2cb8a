"""Search: which nodes in INT8, over which float precision, is the fastest that still segments as well.

The order of questions is what makes it quick, cheap ones first:

1. **Where does INT8 pay?** Two profiles for each float precision (nothing in INT8, everything in INT8) give each
   group's time both ways. Groups that do not gain are float from here on; a third profile, of what is left, catches
   groups that gained only because their neighbours were in INT8 too. Where that saves little against INT8 everywhere,
   both go on, since a profile is noisier than an engine's time.
2. **Is that good enough?** One full evaluation on the search images. If it passes with room to spare, the search over
   this float precision is over: no sensitivities are needed.
3. **What hurts?** Otherwise one sweep puts each gainful group alone into INT8 and measures the noise it adds to the
   clipped logits. Noise adds up, so sorting by time saved for noise added gives the time-harm front, and the gate is
   met by a prefix of it: found by bisection, in log2(groups) evaluations. Leftover time tries the groups beyond it.
   A plan that passes near a bar gets a sibling with half of its noise, and with a quarter if that is not enough, for
   images that are not here. A float precision over which no plan can be as fast as one with room to spare is left out;
   over one that fails by itself here, only a plan that is no further outside than it goes on, to a verdict of its own.
4. **What is really fastest?** All plans that passed, and the float engines, timed interleaved. Plans that are not
   faster than their float engine are dropped.

A plan that the compiler refuses fails like one that harms, with the compiler's reason. Nothing is begun whose like took
longer before than the time that is left.

NNCF's accuracy control asks 3 before 2, evaluates after each operation it reverts, and does not ask 1 or 4 at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.backends.engine import Candidate
from edge.errors import InputError
from edge.quantization.plan import PrecisionPlan
from edge.search.plan_measurements import NOTHING, Chosen, PlanMeasurements
from edge.search.room import GateResult
from edge.search.sensitivity import Gain, Group, Harm

Progress = Callable[[str, float], None]
"""Called with what is being done and the seconds left of the budget."""

_LEAST_SAVING = 0.002  # of the engine's time: below it a profile cannot tell a gain from noise
_WORTHWHILE = 0.98  # of the float engine's time: what a plan must come to as a whole
_LITTLE = 1.15  # expected times this close may turn out either way round: both plans go on
_WORTH_TRYING = 0.05  # of what a plan saves: what a group beyond the front must add
_ROOMY = 0.5  # of what a bar allows: a plan with less room gets safer siblings,
_QUIETER: Mapping[str, float] = {"safe": 0.5, "safer": 0.25}  # which add such a share of its noise
_ROUNDS = 2


@dataclass(frozen=True)
class AcceptedPlan:
    """A plan worth building.

    Attributes:
        name: for tables: ``int8``, ``mixed-bf16``, ``mixed-bf16-safe``, ``mixed-bf16-safer``.
        rest: precision of the nodes it leaves float.
        plan: with a reason for every node left float.
        candidate: ready to build.
        ms: median on the target, interleaved with its rivals.
        judged: the gate on the search images.
    """

    name: str
    rest: str
    plan: PrecisionPlan
    candidate: Candidate
    ms: float
    judged: GateResult


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Attributes:
        plans: fastest first; they passed on the search images, or were there no worse than a float engine that failed.
            Empty where INT8 pays nowhere.
        float_ms: float precision to its engine's median, from the same interleaved run.
        gains: float precision to group to its measured times.
        harms: group to what it does alone; empty where the sweep was not needed.
        evaluations: full evaluations of the search images that were made now (not remembered).
        seconds: spent.
        log: what was decided, in order, in words.
    """

    plans: tuple[AcceptedPlan, ...]
    float_ms: Mapping[str, float]
    gains: Mapping[str, Mapping[Group, Gain]]
    harms: Mapping[Group, Harm]
    evaluations: int
    seconds: float
    log: tuple[str, ...]


@dataclass(frozen=True)
class _Accepted:
    name: str
    rest: str
    chosen: Chosen
    judged: GateResult


@dataclass
class Search:
    """The decisions, over any workbook.

    Attributes:
        book: measures and remembers.
        budget_seconds: nothing is begun that is expected to end after it.
        progress: see :data:`Progress`.
        timing_seconds: that timing one engine takes, besides building it.
    """

    book: PlanMeasurements
    budget_seconds: float = 300.0
    progress: Progress | None = None
    timing_seconds: float = 0.0
    _started: float = 0.0
    _judge_seconds: float = 0.0
    _profile_seconds: float = 0.0
    _harm_seconds: float = 0.0
    _log: list[str] = field(default_factory=list)
    _least_ms: dict[str, float] = field(default_factory=dict)
    _gains: dict[str, dict[Group, Gain]] = field(default_factory=dict)
    _harms: dict[Group, Harm] = field(default_factory=dict)

    def run(self, rests: Sequence[str]) -> SearchResult:
        """Over these float precisions."""
        self._started = time.monotonic()
        if self._left() <= 0:
            self._say("out of time before anything was measured")
            return self._finish([], [])
        plans = [(rest, chosen) for rest in rests for chosen in (NOTHING, self.book.everything)]
        self.book.profile(plans)
        self._profile_seconds = (time.monotonic() - self._started) / max(1, len(plans))
        usable = [rest for rest in rests if self._measure_gains(rest)]
        start = time.monotonic()
        if usable and self._left() > 0 and not self.book.judged_before(usable):
            self.book.evaluate_reference()
        self._judge_seconds = time.monotonic() - start  # what a verdict takes at least, until one was given
        accepted: list[_Accepted] = []
        for rest in sorted(usable, key=self._least_expected_ms):
            if not self._affords(self._judge_seconds):
                self._say(f"{rest}: out of time before a plan over it was judged")
            elif not any(row.judged.passed for row in accepted) or not self._beaten(rest, accepted):
                accepted += self._accept(rest)
        return self._finish(usable, accepted)

    # ------------------------------------------------------------------------------------------------- time

    def _measure_gains(self, rest: str) -> bool:
        """Time of each group both ways; a group that does not pay keeps the measurement that said so.

        Returns:
            False where the compiler refuses the float engine itself, or all that is quantized over it.
        """
        gains = self._gains.setdefault(rest, {})
        refused = self.book.refused(rest, NOTHING)
        chosen = NOTHING if refused else self._compiling(rest, self.book.everything)
        if not chosen:
            self._say(f"{rest}: {refused or self.book.refused(rest, self.book.everything) or 'nothing to quantize'}")
            return False
        self._least_ms[rest] = _LEAST_SAVING * self.book.total_ms(rest, NOTHING)
        for turn in range(_ROUNDS):
            if not chosen or (turn and not self._affords(2 * self._profile_seconds)):
                break
            if turn:
                self.book.profile([(rest, NOTHING), (rest, chosen)])
                if self.book.refused(rest, chosen):
                    break
            gains.update(self.book.gains(rest, chosen))
            paying = frozenset(group for group in chosen if group in self._paying(rest))
            if paying == chosen:
                break
            chosen = paying
        self._say(f"{rest}: INT8 pays on {len(self._paying(rest))} of {len(self.book.groups)} groups")
        return True

    def _compiling(self, rest: str, chosen: Chosen) -> Chosen:
        """The part of these groups that the compiler takes together, found by halving where it refuses all of them."""
        self.book.profile([(rest, NOTHING), (rest, chosen)])
        reason = self.book.refused(rest, chosen)
        if reason is None:
            return chosen
        if len(chosen) == len(self.book.everything):
            self._say(f"{rest}: with everything in INT8 the compiler refuses the graph ({reason})")
        if len(chosen) == 1 or not self._affords(2 * self._profile_seconds):
            return NOTHING
        ordered = [group for group in self.book.groups if group in chosen]
        half = len(ordered) // 2
        parts = [self._compiling(rest, frozenset(part)) for part in (ordered[:half], ordered[half:])]
        whole = parts[0] | parts[1]
        if not whole or whole in parts:
            return whole
        self.book.profile([(rest, NOTHING), (rest, whole)])
        return max(parts, key=len) if self.book.refused(rest, whole) else whole

    def _paying(self, rest: str) -> list[Group]:
        return [group for group, gain in self._gains[rest].items() if gain.pays(self._least_ms[rest])]

    def _expected_ms(self, rest: str, chosen: Chosen) -> float:
        """Milliseconds of a plan's engine, if its groups save what they were seen to save."""
        return self.book.total_ms(rest, NOTHING) - sum(self._gains[rest][group].saved_ms for group in chosen)

    def _least_expected_ms(self, rest: str) -> float:
        """Milliseconds of the engine with INT8 wherever it pays."""
        return self._expected_ms(rest, frozenset(self._paying(rest)))

    def _beaten(self, rest: str, accepted: Sequence[_Accepted]) -> bool:
        """Whether a plan with room to spare is expected to be clearly faster than any over this float precision."""
        roomy = [self._expected_ms(row.rest, row.chosen) for row in accepted if row.judged.slack >= _ROOMY]
        beaten = bool(roomy) and _LITTLE * min(roomy) < self._least_expected_ms(rest)
        if beaten:
            self._say(f"{rest}: INT8 over it is expected to be slower than what passes already")
        return beaten

    # --------------------------------------------------------------------------------------------- accuracy

    def _accept(self, rest: str) -> list[_Accepted]:
        """The fastest plan over one float precision that passes, and safer ones where it is near a bar."""
        paying = self._paying(rest)
        if not paying:
            return []
        everything, found = self.book.everything, list[_Accepted]()
        if len(paying) < len(everything) and self._is_close(rest) and self._affords(self._judge_seconds):
            judged = self._judge(rest, everything)
            if judged.passed:
                found.append(_Accepted(self._name(rest, everything), rest, everything, judged))
        return found + self._accept_paying(rest, paying)

    def _is_close(self, rest: str) -> bool:
        """Whether INT8 everywhere is expected to be nearly as fast as INT8 wherever it pays."""
        everything = self.book.everything
        if self.book.refused(rest, everything):
            return False
        return self.book.total_ms(rest, everything) <= _LITTLE * self._least_expected_ms(rest)

    def _accept_paying(self, rest: str, paying: Sequence[Group]) -> list[_Accepted]:
        full = frozenset(paying)
        if not self._affords(self._judge_seconds):
            return []
        judged = self._judge(rest, full)
        whole = _Accepted(self._name(rest, full), rest, full, judged)
        if judged.passed and judged.slack >= _ROOMY:
            return [whole]
        if not judged.passed and rest != "fp32" and self._affords(self._judge_seconds):
            alone = self._judge(rest, NOTHING)
            if not alone.passed:
                return [whole] if judged.slack >= alone.slack else []
        bisection = 0 if judged.passed else math.ceil(math.log2(len(paying) + 1))
        self._sweep(rest, paying, reserve=self._judge_seconds * (bisection + len(_QUIETER)))
        gains = self._gains[rest]
        front = sorted(
            (group for group in paying if group in self._harms),
            key=lambda group: -gains[group].saved_ms / (self._harms[group].noise + 1e-12),
        )
        # Where the sweep ran out of time the whole front was never tried, only the larger full plan.
        limit = len(front) if len(front) == len(full) else len(front) + 1
        best = (full, judged) if judged.passed else self._bisect(rest, front, limit)
        if best is None:
            return []
        chosen, judged = best if best[0] == full else self._extend(rest, *best)
        return [_Accepted(self._name(rest, chosen), rest, chosen, judged), *self._safer(rest, chosen, judged, front)]

    def _safer(self, rest: str, chosen: Chosen, judged: GateResult, front: Sequence[Group]) -> list[_Accepted]:
        """Quieter siblings of a plan, until one is far enough from the bars."""
        found: list[_Accepted] = []
        slack = judged.slack
        for name, share in _QUIETER.items():
            quieter = self._quieter(chosen, front, share)
            if slack >= _ROOMY or not quieter or not self._affords(self._judge_seconds):
                break
            sibling = self._judge(rest, quieter)
            if sibling.passed and sibling.slack > slack:
                found.append(_Accepted(f"{self._name(rest, quieter)}-{name}", rest, quieter, sibling))
                slack = sibling.slack
        return found

    def _bisect(self, rest: str, front: Sequence[Group], limit: int) -> tuple[Chosen, GateResult] | None:
        """The longest prefix of the front, below ``limit`` groups, that passes."""
        best: tuple[Chosen, GateResult] | None = None
        low, high = 0, limit  # ``low`` groups pass, ``high`` do not
        while high - low > 1 and self._affords(self._judge_seconds):
            middle = (low + high) // 2
            judged = self._judge(rest, chosen := frozenset(front[:middle]))
            if judged.passed:
                low, best = middle, (chosen, judged)
            else:
                high = middle
        return best

    def _extend(self, rest: str, chosen: Chosen, judged: GateResult) -> tuple[Chosen, GateResult]:
        """Try groups beyond the prefix one by one, the largest saving first, while there is time for siblings too."""
        gains = self._gains[rest]
        outside = sorted((g for g in self._paying(rest) if g not in chosen), key=lambda g: -gains[g].saved_ms)
        least = _WORTH_TRYING * sum(gains[group].saved_ms for group in chosen)
        for group in outside:
            if self._left() - self._ending() <= len(_QUIETER) * self._judge_seconds or gains[group].saved_ms < least:
                break
            found = self._judge(rest, chosen | {group})
            if found.passed:
                chosen, judged = chosen | {group}, found
        return chosen, judged

    def _quieter(self, chosen: Chosen, front: Sequence[Group], share: float) -> Chosen:
        """The best part of a plan that adds no more than a share of its noise, and what was not measured."""
        kept = {group for group in chosen if group not in self._harms}
        noise, allowed = 0.0, share * sum(self._harms[group].noise for group in chosen - kept)
        for group in front:
            if group in chosen and noise + self._harms[group].noise <= allowed:
                kept.add(group)
                noise += self._harms[group].noise
        return frozenset(kept)

    def _judge(self, rest: str, chosen: Chosen) -> GateResult:
        start = time.monotonic()
        judged = self.book.judge(rest, chosen)
        self._judge_seconds = time.monotonic() - start
        verdict = f"passes with {max(0.0, judged.slack):.0%} of the room left" if judged.passed else judged.reasons[0]
        decibels = "" if not judged.sqnr_db else f", {judged.sqnr_db:.1f} dB"
        self._say(f"{rest}: {len(chosen)} groups in INT8{decibels}: {verdict}")
        return judged

    def _sweep(self, rest: str, paying: Sequence[Group], reserve: float) -> None:
        """Harm of each group not measured yet, the largest saving first, while there is time to use it.

        Args:
            rest, paying: what pays over this float precision.
            reserve: seconds that using it takes; no more than half of what is left is kept for it.
        """
        gains = self._gains[rest]
        wanted = sorted(paying, key=lambda group: -gains[group].saved_ms)
        reserve = self._ending() + min(reserve, 0.5 * (self._left() - self._ending()))
        for number, group in enumerate(wanted, start=1):
            left = self._left() - reserve
            if (left <= 0 or left < self._harm_seconds) and not self.book.knows_harm(group):
                self._say(f"out of time: harm of {number - 1} of {len(wanted)} groups is known")
                return
            start = time.monotonic()
            self._harms[group] = self.book.harm(group)
            ran = 1 if self._harm_seconds else 2  # the first one runs the float engine too
            self._harm_seconds = (time.monotonic() - start) / ran
            self._tell(f"sensitivity {number}/{len(wanted)}")

    # --------------------------------------------------------------------------------------------- the end

    def _finish(self, rests: Sequence[str], accepted: Sequence[_Accepted]) -> SearchResult:
        every = [*((rest, NOTHING) for rest in rests), *((row.rest, row.chosen) for row in accepted)]
        affordable = not self.book.measured or self._left() >= self._timing(len(every))  # estimates are at hand
        timed = bool(accepted) and affordable
        times = self.book.milliseconds(every) if timed else [None] * len(every)
        float_ms = {rest: ms for rest, ms in zip(rests, times, strict=False) if ms is not None}
        plans = []
        for row, ms in zip(accepted, times[len(rests) :], strict=True):
            if timed and ms is None:
                self._say(f"{row.name}: dropped, the compiler refuses it")
                continue
            if ms is None or row.rest not in float_ms:
                self._say(f"{row.name}: kept, out of time to time it against its float engine")
                ms = self._expected_ms(row.rest, row.chosen)
            elif self._is_slow(row, ms, float_ms[row.rest]):
                continue
            plan = self._plan(row.rest, row.chosen)
            try:
                candidate = self.book.engine(row.rest, row.chosen, row.name, plan)
            except InputError as error:
                self._say(f"{row.name}: dropped ({error})")
                continue
            plans.append(AcceptedPlan(row.name, row.rest, plan, candidate, ms, row.judged))
        return SearchResult(
            plans=tuple(sorted(plans, key=lambda planned: planned.ms)),
            float_ms=float_ms,
            gains=self._gains,
            harms=self._harms,
            evaluations=self.book.evaluations,
            seconds=time.monotonic() - self._started,
            log=tuple(self._log),
        )

    def _is_slow(self, row: _Accepted, ms: float, float_ms: float) -> bool:
        slow = ms > (_WORTHWHILE if self.book.measured else 1.0) * float_ms  # an estimate has no noise to overcome
        outcome = "dropped, not faster than its float engine" if slow else "kept"
        self._say(f"{row.name}: {_versus(ms, float_ms, row.rest, self.book.measured)}: {outcome}")
        return slow

    def _plan(self, rest: str, chosen: Chosen) -> PrecisionPlan:
        reasons: dict[str, str] = {}
        for group in self.book.groups:
            if group not in chosen:
                reasons.update(dict.fromkeys(group, self._why_float(rest, group)))
        return self.book.plan.without(reasons)

    def _why_float(self, rest: str, group: Group) -> str:
        gain = self._gains[rest].get(group)
        if gain is None:
            return "the compiler refuses the graph with it in INT8"
        if not gain.pays(self._least_ms[rest]):
            return _why_slow(rest, gain, self.book.measured)
        return _why_harmful(gain, self._harms.get(group), self.book.measured)

    def _name(self, rest: str, chosen: Chosen) -> str:
        stem = "int8" if chosen == self.book.everything else "mixed"
        return stem if rest == "fp32" else f"{stem}-{rest}"

    def _left(self) -> float:
        return self.budget_seconds - (time.monotonic() - self._started)

    def _affords(self, seconds: float) -> bool:
        """Whether something that takes so long still ends in time; what never was done before may begin while any time
        is left."""
        left = self._left()
        return left > 0 and left >= seconds

    def _ending(self) -> float:
        """Seconds that timing the plans at the end is expected to take; what is optional leaves them to it."""
        return self._timing(len(self._gains) + 1)

    def _timing(self, engines: int) -> float:
        return engines * (self._profile_seconds + self.timing_seconds)

    def _say(self, sentence: str) -> None:
        self._log.append(sentence)
        self._tell(sentence)

    def _tell(self, what: str) -> None:
        if self.progress is not None:
            self.progress(what, max(0.0, self._left()))


def _versus(ms: float, float_ms: float, rest: str, measured: bool) -> str:
    if measured:
        return f"{ms:.2f} ms against {float_ms:.2f} ms in {rest}"
    return f"{100 * ms / float_ms:.0f} % of the time in {rest} by estimate"


def _why_slow(rest: str, gain: Gain, measured: bool) -> str:
    """Why a group that does not pay stayed float, in one phrase with its number."""
    if gain.saved_ms > 0:
        return f"INT8 saves only {_saving(gain, measured)}"
    return f"INT8 is {gain.ratio:.1f}x {rest} {'here' if measured else 'by estimate'}"


def _why_harmful(gain: Gain, found: Harm | None, measured: bool) -> str:
    """Why a group that pays stayed float, in one phrase with its number."""
    if found is None:
        return f"INT8 saves {_saving(gain, measured)}, but there was no time to measure its harm"
    decibels = 0.0 - 10.0 * np.log10(max(found.noise, 1e-20))
    return f"INT8 alone costs {100 * found.disagreement:.2f} % agreement ({decibels:.0f} dB)"


def _saving(gain: Gain, measured: bool) -> str:
    if not measured:
        return f"{100 * (1 - 1 / gain.ratio):.0f} % of this layer's time by estimate"
    small = gain.saved_ms < 0.01
    return f"{1e3 * gain.saved_ms:.0f} us here" if small else f"{gain.saved_ms:.2f} ms here"
