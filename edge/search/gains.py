"""The first question of a search: over a float precision, on which groups of nodes does INT8 pay?"""

from __future__ import annotations

from edge.search.plan_measurements import NOTHING, Chosen
from edge.search.state import SearchState

_LEAST_SAVING = 0.002  # of the engine's time: below it a profile cannot tell a gain from noise
_ROUNDS = 2
_SECOND_SHARE = 0.15  # of what is left: what a second look at a large network may cost


def measure_gains(state: SearchState, rest: str) -> bool:
    """Time of each group both ways; a group that does not pay keeps the measurement that said so.

    Returns:
        False where the compiler refuses the float engine itself, or all that is quantized over it.
    """
    gains = state.gains.setdefault(rest, {})
    refused = state.book.refused(rest, NOTHING)
    chosen = NOTHING if refused else _compiling(state, rest, state.book.everything)
    if not chosen:
        state.say(f"{rest}: {refused or state.book.refused(rest, state.book.everything) or 'nothing to quantize'}")
        return False
    state.least_ms[rest] = _LEAST_SAVING * state.book.total_ms(rest, NOTHING)
    for turn in range(_ROUNDS):
        if not chosen or (turn and 2 * state.profile_seconds > _SECOND_SHARE * state.left()):
            break
        if turn:
            state.book.profile([(rest, NOTHING), (rest, chosen)])
            if state.book.refused(rest, chosen):
                break
        gains.update(state.book.gains(rest, chosen))
        paying = frozenset(group for group in chosen if group in state.paying(rest))
        if paying == chosen:
            break
        chosen = paying
    state.say(f"{rest}: INT8 pays on {len(state.paying(rest))} of {len(state.book.groups)} groups")
    return True


def _compiling(state: SearchState, rest: str, chosen: Chosen) -> Chosen:
    """The part of these groups that the compiler takes together, found by halving where it refuses all of them."""
    state.book.profile([(rest, NOTHING), (rest, chosen)])
    reason = state.book.refused(rest, chosen)
    if reason is None:
        return chosen
    if len(chosen) == len(state.book.everything):
        state.say(f"{rest}: with everything in INT8 the compiler refuses the graph ({reason})")
    if len(chosen) == 1 or not state.affords(2 * state.profile_seconds):
        return NOTHING
    ordered = [group for group in state.book.groups if group in chosen]
    half = len(ordered) // 2
    parts = [_compiling(state, rest, frozenset(part)) for part in (ordered[:half], ordered[half:])]
    whole = parts[0] | parts[1]
    if not whole or whole in parts:
        return whole
    state.book.profile([(rest, NOTHING), (rest, whole)])
    return max(parts, key=len) if state.book.refused(rest, whole) else whole
