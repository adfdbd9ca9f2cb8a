"""The winner among engines that were timed interleaved: the fastest, and a stated rule where that is a tie.

An engine ties with the fastest where the 95 % interval of their paired ratio reaches below 1 + :data:`TOLERANCE`: the
measurement does not show it slower by more than that. It is *undecided* while the interval also reaches above, since
more rounds would narrow it; below or above as a whole, more rounds would change nothing. Ties go to the higher share of
Dice retained, then to the higher agreement with the reference's masks, then to the smaller engine, then by name; but an
engine whose ratio itself lies above 1 + :data:`FARTHEST` never wins one: on a busy machine every interval is wide.
The same measurements give the same winner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

import numpy as np

from .statistics import Ratio, ratio

if TYPE_CHECKING:
    from .statistics import Samples

    Again = Callable[[Sequence[str]], Mapping[str, Sequence[Samples]]]

TOLERANCE = 0.01
FARTHEST = 0.03
RULE = "then the higher Dice retained, the higher agreement, and the smaller engine decide, in that order"

_DIGITS = 4  # of scores: what lies beyond is the luck of single pixels


@dataclass(frozen=True)
class Contender:
    """An engine that passes.

    Attributes:
        name: unique.
        blocks: its run times in milliseconds, taken in the same rounds as everyone else's.
        retained: engine / reference, of the mean Dice.
        agreement: mean Dice of its masks against the reference's.
        bytes: of its artefact.
    """

    name: str
    blocks: Sequence[Samples]
    retained: float
    agreement: float
    bytes: int


@dataclass(frozen=True)
class Standing:
    """Who won, and how clearly.

    Attributes:
        winner: name.
        tied: the winner and all that tie with the fastest, fastest first; the winner alone where nobody does.
        undecided: those of the tied that more rounds may yet tell apart, with the fastest; empty where none.
        ratios: name to how many times as long it takes as the fastest.
    """

    winner: str
    tied: tuple[str, ...]
    undecided: tuple[str, ...]
    ratios: dict[str, Ratio]

    def sentence(self) -> str:
        """What a report says of it; empty where the fastest won by itself."""
        if len(self.tied) < 2:
            return ""
        fastest, *others = self.tied
        shares = "; ".join(
            f"{name} takes {self.ratios[name].ratio:.3f} times as long (95 % {self.ratios[name].ci95[0]:.3f} to "
            f"{self.ratios[name].ci95[1]:.3f}, {self.ratios[name].rounds} rounds)"
            for name in others
        )
        return f"a tie within {TOLERANCE:.0%}: beside {fastest}, {shares}; {RULE}: {self.winner}"


def standing(contenders: Sequence[Contender]) -> Standing:
    """Compare engines round by round.

    Args:
        contenders: at least one, all with as many blocks.
    """
    ratios = _against_fastest(contenders)
    ordered = sorted(contenders, key=lambda c: (ratios[c.name].ratio, c.name))
    tied = [c for c in ordered if ratios[c.name].ci95[0] <= 1.0 + TOLERANCE]
    open_ones = [c.name for c in tied if ratios[c.name].ci95[1] > 1.0 + TOLERANCE]
    near = [c for c in tied if ratios[c.name].ratio <= 1.0 + FARTHEST]
    winner = min(near, key=lambda c: (-_score(c.retained), -_score(c.agreement), c.bytes, c.name))
    undecided = tuple(dict.fromkeys((ordered[0].name, *open_ones))) if open_ones else ()
    return Standing(winner.name, tuple(c.name for c in tied), undecided, ratios)


def settled(contenders: Sequence[Contender], again: Again | None) -> Standing:
    """Compare engines round by round; where a tie can still be decided, take one more run of those that tie.

    Args:
        contenders: at least one; those with fewer blocks than another were shown slower before and do not count.
        again: names to the run times of one more interleaved run of these alone; a name may be missing. None
            leaves a tie as it stands.
    """
    last = max(len(one.blocks) for one in contenders)  # who has fewer was shown slower and left the race
    known = {one.name: one for one in contenders if len(one.blocks) == last}
    found = standing(list(known.values()))
    if again is None or len(found.undecided) < 2:
        return found
    more = again(found.tied)
    longer = [replace(known[n], blocks=(*known[n].blocks, *more[n])) for n in found.tied if n in more]
    return standing(longer or [known[found.winner]])


def _against_fastest(contenders: Sequence[Contender]) -> dict[str, Ratio]:
    """Ratios to the engine that is fastest round by round.

    Where load comes and goes, medians over whole series that are close say little, neighbouring blocks still do: the
    comparison with the one of least median names the fastest, and is then made with that.
    """
    least = min(contenders, key=lambda c: (float(np.median(np.concatenate(c.blocks))), c.name))
    fastest = min(contenders, key=lambda c: (ratio(c.blocks, least.blocks).ratio, c.name))
    return {c.name: ratio(c.blocks, fastest.blocks) for c in contenders}


def _score(value: float) -> float:
    """To the digits that mean something; above the reference's own counts as the reference's."""
    return round(min(value, 1.0), _DIGITS)
