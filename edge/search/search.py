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

from collections.abc import Container, Iterator, Sequence

from edge.errors import InputError
from edge.quantization.plan import PrecisionPlan
from edge.search.accept import CLEARLY, Accepted, accept, beaten, spares
from edge.search.deadline import Deadline
from edge.search.gains import measure_gains
from edge.search.plan_measurements import NOTHING, Chosen, PlanMeasurements
from edge.search.reasons import versus, why_harmful, why_slow
from edge.search.result import AcceptedPlan, SearchResult
from edge.search.sensitivity import Group
from edge.search.state import OUT_OF_TIME, Progress, SearchState

_WORTHWHILE = 0.98  # of the float engine's time: what a plan must come to as a whole
_PLAIN = 0.65  # of it, layer by layer: no conversion between precisions takes the rest
_CLEAR = 0.85  # of it: a plan that is expected to take less need not be timed to be kept
_LEAST_CHANCE = 0.01


def run_search(
    book: PlanMeasurements,
    rests: Sequence[str],
    deadline: Deadline,
    progress: Progress | None = None,
    timing_seconds: float = 0.0,
    profile_seconds: float = 0.0,
    passed: Container[str] = (),
) -> SearchResult:
    """Search over these float precisions.

    Args:
        book: measures and remembers.
        rests: float precisions to leave nodes in.
        deadline: nothing is begun that is expected to end after it.
        progress: see :data:`~edge.search.state.Progress`.
        timing_seconds: that timing one engine takes, besides building it.
        profile_seconds: that profiling one is expected to take, before one was.
        passed: float precisions over which INT8 everywhere has passed its verdict; a plan is looked for there only
            where it is expected to be clearly faster.
    """
    state = SearchState(book, deadline, progress, timing_seconds)
    plans = [(rest, chosen) for rest in rests for chosen in (NOTHING, book.everything)]
    if not state.affords(len(plans) * profile_seconds):
        state.say(f"{OUT_OF_TIME} before anything was measured")
        return _finish(state, [], [])
    book.profile(plans)
    state.profile_seconds = (state.now() - state.started) / max(1, len(plans))
    gained = [rest for rest in rests if measure_gains(state, rest)]
    settled = {rest: _settle(state, rest) for rest in gained if _is_settled(state, rest, passed)}
    ended = [rest for rest, everything in settled.items() if _ends(state, rest, everything)]
    for rest in ended:
        state.say(f"{rest}: INT8 everywhere has passed already, and no other plan over it would be clearly faster")
    usable = [rest for rest in gained if rest not in ended]
    start = state.now()
    if usable and state.left() > 0 and not book.judged_before(usable):
        book.evaluate_reference()
    # What a verdict takes, until one was given: its engine runs the same images in its own time.
    state.judge_seconds = (state.now() - start) * max(map(state.expected_share, usable), default=1.0)
    accepted: list[Accepted] = []
    for rest in sorted(usable, key=state.least_expected_ms):
        if not state.affords(state.judge_seconds):
            state.say(f"{rest}: {OUT_OF_TIME} before a plan over it was judged")
        elif not beaten(state, rest, accepted, settled.values()):
            accepted += accept(state, rest, rest in settled)
    return _finish(state, usable, accepted)


def _is_settled(state: SearchState, rest: str, passed: Container[str]) -> bool:
    """Whether INT8 everywhere over a float precision has passed its verdict, and its time is known."""
    return rest in passed and state.book.refused(rest, state.book.everything) is None


def _settle(state: SearchState, rest: str) -> float:
    """Milliseconds of INT8 everywhere over a float precision, by its layers and by what no layer's time shows.

    A profile does not see what converting between precisions takes. Where by the profile no other plan would be clearly
    faster, the engines' own times tell whether that is so, and how much each group has to save to be worth it.
    """
    everything = state.book.total_ms(rest, state.book.everything)
    if not _ends(state, rest, everything):
        return everything
    unseen = _unseen_ms(state, rest)
    if unseen:
        state.least_ms[rest] = max(state.least_ms[rest], unseen / len(state.book.groups))
        state.say(f"{rest}: INT8 everywhere is no faster as a whole, by {unseen:.2f} ms that no layer's time shows")
    return everything + unseen


def _ends(state: SearchState, rest: str, everything: float) -> bool:
    """Whether no plan over a float precision is expected to be clearly faster than INT8 everywhere."""
    return everything <= CLEARLY * state.least_expected_ms(rest)


def _unseen_ms(state: SearchState, rest: str) -> float:
    """What INT8 everywhere takes longer than its layers do, where it is not worthwhile against the float engine; 0
    where it is, or cannot be timed."""
    if not state.book.measured or not state.affords(state.timing(2)):
        return 0.0
    plans = ((rest, NOTHING), (rest, state.book.everything))
    summed_float, summed = (state.book.total_ms(*plan) for plan in plans)
    if summed <= _PLAIN * summed_float:
        return 0.0
    floating, everything = state.book.milliseconds(plans)
    if floating is None or everything is None or everything <= _WORTHWHILE * floating:
        return 0.0
    return max(0.0, everything / floating * summed_float - summed)


def _finish(state: SearchState, rests: Sequence[str], accepted: Sequence[Accepted]) -> SearchResult:
    every = [*((rest, NOTHING) for rest in rests), *((row.rest, row.chosen) for row in accepted)]
    affordable = not state.book.measured or state.left() >= state.timing(len(every))  # estimates are at hand
    clear = state.book.measured and all(_is_clear(state, row) for row in accepted)  # a race times them later anyway
    timed = bool(accepted) and affordable and not clear
    times = state.book.milliseconds(every) if timed else [None] * len(every)
    float_ms = {rest: ms for rest, ms in zip(rests, times, strict=False) if ms is not None}
    plans = []
    for row, ms in zip(accepted, times[len(rests) :], strict=True):
        if timed and ms is None:
            state.say(f"{row.name}: dropped, the compiler refuses it")
            continue
        if ms is None or row.rest not in float_ms:
            ms = state.expected_ms(row.rest, row.chosen)
            why = _expected(state, row, ms) if clear else "out of time to time it against its float engine"
            state.say(f"{row.name}: kept, {why}")
        elif _is_slow(state, row, ms, float_ms[row.rest]):
            continue
        plan = _plan(state, row.rest, row.chosen)
        try:
            candidate = state.book.engine(row.rest, row.chosen, row.name, plan)
        except InputError as error:
            state.say(f"{row.name}: dropped ({error})")
            continue
        plans.append(AcceptedPlan(row.name, row.rest, plan, candidate, ms, row.judged))
    return SearchResult(
        plans=tuple(sorted(plans, key=lambda planned: planned.ms / max(planned.judged.chance, _LEAST_CHANCE))),
        float_ms=float_ms or {rest: state.book.total_ms(rest, NOTHING) for rest in rests if clear and accepted},
        gains=state.gains,
        harms=state.harms,
        evaluations=state.book.evaluations,
        seconds=state.now() - state.started,
        log=tuple(state.log),
        spares=_spares(state, rests, accepted),
    )


def _spares(state: SearchState, rests: Sequence[str], accepted: Sequence[Accepted]) -> Iterator[AcceptedPlan]:
    """Quieter parts of the plan that is expected to be fastest, whether it passed or was never judged."""
    of = min(accepted, key=lambda row: state.expected_ms(row.rest, row.chosen), default=None)
    rest = of.rest if of is not None else min(rests, key=state.least_expected_ms, default=None)
    known = {row.chosen for row in accepted}
    for row in spares(state, rest, of) if rest is not None else ():
        plan = _plan(state, row.rest, row.chosen)
        try:
            candidate = state.book.engine(row.rest, row.chosen, row.name, plan)
        except InputError:
            continue
        if row.chosen not in known:
            ms = state.expected_ms(row.rest, row.chosen)
            yield AcceptedPlan(row.name, row.rest, plan, candidate, ms, row.judged)


def _is_clear(state: SearchState, row: Accepted) -> bool:
    """Whether a plan is expected to be so much faster than its float engine that timing both would tell nothing."""
    return state.expected_ms(row.rest, row.chosen) <= _CLEAR * state.book.total_ms(row.rest, NOTHING)


def _expected(state: SearchState, row: Accepted, ms: float) -> str:
    share = ms / state.book.total_ms(row.rest, NOTHING)
    return f"layer by layer it comes to {share:.0%} of the time in {row.rest}"


def _is_slow(state: SearchState, row: Accepted, ms: float, float_ms: float) -> bool:
    slow = ms > (_WORTHWHILE if state.book.measured else 1.0) * float_ms  # an estimate has no noise to overcome
    outcome = "dropped, not faster than its float engine" if slow else "kept"
    state.say(f"{row.name}: {versus(ms, float_ms, row.rest, state.book.measured)}: {outcome}")
    return slow


def _plan(state: SearchState, rest: str, chosen: Chosen) -> PrecisionPlan:
    reasons: dict[str, str] = {}
    for group in state.book.groups:
        if group not in chosen:
            reasons.update(dict.fromkeys(group, _why_float(state, rest, group)))
    return state.book.plan.without(reasons)


def _why_float(state: SearchState, rest: str, group: Group) -> str:
    gain = state.gains[rest].get(group)
    if gain is None:
        return "the compiler refuses the graph with it in INT8"
    if not gain.pays(state.least_ms[rest]):
        return why_slow(rest, gain, state.book.measured)
    return why_harmful(gain, state.harms.get(group), state.book.measured)
