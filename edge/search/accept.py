"""Plans over one float precision that pass on the search images: the fastest, and safer ones where it is near a bar.

Noise adds up, so groups sorted by time saved for noise added give the front of time against harm, and the gate is met
by a prefix of it, found by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.search.plan_measurements import NOTHING, Chosen
from edge.search.room import GateResult
from edge.search.sensitivity import Gain, Group, Harm
from edge.search.shares import blocks, estimated_harms, shared_out
from edge.search.state import SearchState

_LITTLE = 1.3  # expected times this close may turn out either way round: both plans go on
CLEARLY = 1.05
"""Expected times this far apart: the slower plan is left out where the faster one passes for sure."""
_WORTH_TRYING = 0.05  # of what a plan saves: what a group beyond the front must add
_ROOMY = 0.5  # of what a bar allows: a plan with less room,
_LIKELY = 0.95  # or less likely to pass on other images, gets safer siblings,
_QUIETER: Mapping[str, float] = {"safe": 0.5, "safer": 0.25}  # which add such a share of its noise
_MOST = 0.5  # of the noise of INT8 everywhere: what INT8 in most groups may add
_SPARES: Mapping[str, float] = {"half": 0.5, "quarter": 0.25, "tenth": 0.1}
_UNJUDGED = GateResult(False, -1.0, 0.0, 0.0, ("no time to judge it",))


@dataclass(frozen=True)
class Accepted:
    """A plan that goes on to be timed, and the gate's verdict on the search images."""

    name: str
    rest: str
    chosen: Chosen
    judged: GateResult


def beaten(state: SearchState, rest: str, accepted: Sequence[Accepted], settled: Iterable[float]) -> bool:
    """Whether a plan that passes for sure is expected to be clearly faster than any over this float precision.

    Args:
        accepted: plans over other float precisions.
        settled: milliseconds of those that have passed their verdict.
    """
    roomy = [state.expected_ms(row.rest, row.chosen) for row in accepted if _is_roomy(row.judged)]
    beaten = CLEARLY * min((*roomy, *settled), default=math.inf) < state.least_expected_ms(rest)
    if beaten:
        state.say(f"{rest}: INT8 over it is expected to be slower than what passes already")
    return beaten


def accept(state: SearchState, rest: str, settled: bool = False) -> list[Accepted]:
    """The fastest plans over one float precision that pass, and safer ones where they are near a bar.

    Args:
        settled: INT8 everywhere over it has passed its verdict already.
    """
    paying = state.paying(rest)
    if not paying:
        return []
    everything, found = state.book.everything, list[Accepted]()
    if not settled and len(paying) < len(everything) and _is_close(state, rest) and state.affords(state.judge_seconds):
        judged = state.judge(rest, everything)
        if judged.passed:
            found.append(Accepted(state.name(rest, everything), rest, everything, judged))
            found += _most(state, rest, judged)
    return found + _accept_paying(state, rest, paying, settled or any(_is_roomy(row.judged) for row in found))


def _most(state: SearchState, rest: str, whole: GateResult) -> list[Accepted]:
    """INT8 everywhere but in the noisiest groups, where INT8 everywhere passes near a bar.

    Groups that do not pay by themselves may pay beside their neighbours, since nothing is converted between them: on
    LANet INT8 everywhere takes 0.88 times as long as INT8 where a profile says that it pays.
    """
    if _is_roomy(whole) or not state.affords(2 * state.judge_seconds):
        return []
    harms = shared_out(state.book.everything, _noise_of(whole), state.book.own_noise())
    quietest_first = sorted(state.book.groups, key=lambda group: harms[group].noise)
    chosen = _quieter(harms, state.book.everything, quietest_first, _MOST)
    if not chosen or not state.affords(state.judge_seconds):
        return []
    judged = state.judge(rest, chosen)
    better = judged.passed and judged.sqnr_db >= whole.sqnr_db  # the chances of two plans near a bar are a toss-up
    return [Accepted(f"{state.name(rest, chosen)}-most", rest, chosen, judged)] if better else []


def spares(state: SearchState, rest: str, of: Accepted | None) -> Iterator[Accepted]:
    """Ever quieter plans for a network of which nothing quantized passed its verdict; not judged on the search images.

    A search that was short of time, or whose images held no hard one, may end with plans that all fail on the images
    of the verdict. These are made when asked for, one by one.

    Args:
        rest: float precision they are over.
        of: the plan that they are parts of; None takes all groups that pay.
    """
    paying = state.paying(rest)
    chosen, judged = (frozenset(paying), _UNJUDGED) if of is None else (of.chosen, of.judged)
    missing = [group for group in chosen if group not in state.harms]
    if missing:
        state.harms.update(shared_out(frozenset(missing), _noise_of(judged), state.book.own_noise()))
    front = _front(state, rest, [group for group in state.book.groups if group in chosen])
    seen = {chosen}
    for name, share in _SPARES.items():
        quieter = _quieter(state.harms, chosen, front, share)
        if quieter and quieter not in seen:
            seen.add(quieter)
            yield Accepted(f"{state.name(rest, quieter)}-{name}", rest, quieter, judged)


def _is_roomy(judged: GateResult) -> bool:
    """Whether a plan is far enough from every bar to pass on images that are not here."""
    return judged.slack >= _ROOMY and judged.chance >= _LIKELY


def _is_close(state: SearchState, rest: str) -> bool:
    """Whether INT8 everywhere is expected to be nearly as fast as INT8 wherever it pays."""
    everything = state.book.everything
    if state.book.refused(rest, everything):
        return False
    return state.book.total_ms(rest, everything) <= _LITTLE * state.least_expected_ms(rest)


def _accept_paying(state: SearchState, rest: str, paying: Sequence[Group], has_roomy: bool) -> list[Accepted]:
    """The plans with INT8 where it pays; one that passes needs no siblings beside a plan that is far from the bars."""
    full = frozenset(paying)
    if not state.affords(state.judge_seconds):
        return []
    judged = state.judge(rest, full)
    whole = Accepted(state.name(rest, full), rest, full, judged)
    if judged.passed and (has_roomy or _is_roomy(judged)):
        return [whole]
    if not judged.passed and rest != "fp32" and state.affords(state.judge_seconds):
        alone = state.judge(rest, NOTHING)
        if not alone.passed:
            return [whole] if judged.slack >= alone.slack else []
    bisection = 0 if judged.passed else math.ceil(math.log2(len(paying) + 1))
    _sweep(state, rest, paying, judged, reserve=state.judge_seconds * (bisection + len(_QUIETER)))
    front = _front(state, rest, [group for group in paying if group in state.harms])
    # Where the sweep ran out of time the whole front was never tried, only the larger full plan.
    limit = len(front) if len(front) == len(full) else len(front) + 1
    best = (full, judged) if judged.passed else _bisect(state, rest, front, limit)
    if best is None:
        return []
    chosen, judged = best if best[0] == full else _extend(state, rest, *best)
    return [Accepted(state.name(rest, chosen), rest, chosen, judged), *_safer(state, rest, chosen, judged, front)]


def _front(state: SearchState, rest: str, groups: Sequence[Group]) -> list[Group]:
    """Groups whose harm is known, by time saved for noise added, the most first."""
    gains = state.gains[rest]
    return sorted(groups, key=lambda group: -_saved(gains, group) / (state.harms[group].noise + 1e-12))


def _saved(gains: Mapping[Group, Gain], group: Group) -> float:
    return gains[group].saved_ms if group in gains else 0.0


def _noise_of(judged: GateResult) -> Harm:
    """What a plan does as a whole, by its verdict."""
    return Harm(10.0 ** (-judged.sqnr_db / 10.0), 0.0)


def _safer(state: SearchState, rest: str, chosen: Chosen, judged: GateResult, front: Sequence[Group]) -> list[Accepted]:
    """Quieter siblings of a plan, until one is far enough from the bars."""
    found, last = list[Accepted](), judged
    for name, share in _QUIETER.items():
        quieter = _quieter(state.harms, chosen, front, share)
        if _is_roomy(last) or not quieter or not state.affords(state.judge_seconds):
            break
        sibling = state.judge(rest, quieter)
        if sibling.passed and (sibling.chance, sibling.slack) > (last.chance, last.slack):
            found.append(Accepted(f"{state.name(rest, quieter)}-{name}", rest, quieter, sibling))
            last = sibling
    return found


def _bisect(state: SearchState, rest: str, front: Sequence[Group], limit: int) -> tuple[Chosen, GateResult] | None:
    """The longest prefix of the front, below ``limit`` groups, that passes."""
    best: tuple[Chosen, GateResult] | None = None
    low, high = 0, limit  # ``low`` groups pass, ``high`` do not
    while high - low > 1 and state.affords(state.judge_seconds):
        middle = (low + high) // 2
        judged = state.judge(rest, chosen := frozenset(front[:middle]))
        if judged.passed:
            low, best = middle, (chosen, judged)
        else:
            high = middle
    return best


def _extend(state: SearchState, rest: str, chosen: Chosen, judged: GateResult) -> tuple[Chosen, GateResult]:
    """Try groups beyond the prefix one by one, the largest saving first, while there is time for siblings too."""
    gains = state.gains[rest]
    outside = sorted((g for g in state.paying(rest) if g not in chosen), key=lambda g: -gains[g].saved_ms)
    least = _WORTH_TRYING * sum(gains[group].saved_ms for group in chosen)
    for group in outside:
        if state.left() - state.ending() <= len(_QUIETER) * state.judge_seconds or gains[group].saved_ms < least:
            break
        found = state.judge(rest, chosen | {group})
        if found.passed:
            chosen, judged = chosen | {group}, found
    return chosen, judged


def _quieter(harms: Mapping[Group, Harm], chosen: Chosen, front: Sequence[Group], share: float) -> Chosen:
    """The best part of a plan that adds no more than a share of its noise, and what was not measured."""
    kept = {group for group in chosen if group not in harms}
    noise, allowed = 0.0, share * sum(harms[group].noise for group in chosen - kept)
    for group in front:
        if group in chosen and noise + harms[group].noise <= allowed:
            kept.add(group)
            noise += harms[group].noise
    return frozenset(kept)


def _sweep(state: SearchState, rest: str, paying: Sequence[Group], whole: GateResult, reserve: float) -> None:
    """Harm of each group not measured yet, the largest saving first, while there is time to use it.

    Where there is not time for all, those that are left share what blocks of them do.

    Args:
        rest, paying: what pays over this float precision.
        whole: the verdict on all of it.
        reserve: seconds that using it takes; no more than half of what is left is kept for it.
    """
    gains = state.gains[rest]
    wanted = sorted(paying, key=lambda group: -gains[group].saved_ms)
    reserve = state.ending() + min(reserve, 0.5 * (state.left() - state.ending()))
    for number, group in enumerate(wanted, start=1):
        unknown = [one for one in wanted if one not in state.harms and not state.book.knows_harm(one)]
        left = state.left() - reserve
        if unknown and (left <= 0 or left < len(unknown) * state.harm_seconds):
            _share_out(state, unknown, left, whole)
        if group in state.harms:
            continue
        start = state.now()
        state.harms[group] = state.book.harm(group)
        ran = 1 if state.harm_seconds else 2  # the first one runs the float engine too
        state.harm_seconds = (state.now() - start) / ran
        state.tell(f"sensitivity {number}/{len(wanted)}")


def _share_out(state: SearchState, wanted: Sequence[Group], seconds: float, whole: GateResult) -> None:
    """Harm of groups that cannot be measured one by one, from as many blocks as so many seconds last for; from the
    whole plan's verdict where there is time for none."""
    ordered = [group for group in state.book.groups if group in wanted]
    start = state.now()
    own = state.book.own_noise() if state.affords(state.judge_seconds) else {}
    seconds -= state.now() - start
    count = int(seconds / state.harm_seconds) if state.harm_seconds else 0
    if count < 1:
        state.harms.update(shared_out(frozenset(ordered), _noise_of(whole), own))
    else:
        state.harms.update(estimated_harms(ordered, count, own, state.book.harm_together))
    told = f"{len(blocks(ordered, count))} blocks of them" if count >= 1 else "what all do together"
    state.say(f"harm of {len(ordered)} groups is estimated from {told}: no time for each")
