"""Who is still timed in an interleaved run: everybody as long, or a race that those who are clearly slower leave.

A race spends its rounds where they decide something. At a few looks, ever further apart so that looking often does not
make luck count, an engine leaves whose paired ratio to the fastest lies above 1 + :data:`MARGIN` with its whole
interval; from the second look on also one whose ratio itself is above 1 + :data:`CLEAR`: all intervals are wide on a
busy machine. Those that stay are timed as long as asked, and longer while a tie among them is open, up to a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Mapping, Sequence, Tuple

import numpy as np

from .statistics import paired
from .winner import FARTHEST, TOLERANCE

if TYPE_CHECKING:
    from .statistics import Measured, Samples

    Blocks = Mapping[str, Sequence[Samples]]
    Names = Tuple[str, ...]

MARGIN = FARTHEST
CLEAR = 0.15
LEAST_ROUNDS = 10
"""Of those that are timed to the end: fewer blocks make no interval."""

_FIRST_LOOK, _LATER = 5, 1.5
_LEAST_RUNS = 10


@dataclass(frozen=True)
class Equal:
    """Everybody is timed for at least so many seconds *and* runs."""

    seconds: float
    runs: int

    def running(self, blocks: Blocks) -> Names:
        """All until all have enough, then nobody."""
        done = all(_enough(series, self.seconds, self.runs) for series in blocks.values())
        return () if done else tuple(blocks)

    def sentence(self) -> str:
        """For the conditions of a figure."""
        return f"{self.seconds:g} s and {self.runs} runs"


@dataclass(frozen=True)
class Race:
    """The clearly slower leave; those that stay are timed as in :class:`Equal`, and on while they tie.

    Attributes:
        seconds, runs: at least, of each that stays.
        undecided_seconds: of each, at most, where runs are fast enough; a tie that is open then stays one.
    """

    seconds: float
    runs: int
    undecided_seconds: float

    def running(self, blocks: Blocks) -> Names:
        """Those still timed after these rounds; nobody when it is over."""
        rounds = max(map(len, blocks.values()))
        staying = tuple(name for name, series in blocks.items() if len(series) == rounds)
        if len(staying) == 1:  # it won: only its own figure is still open
            return () if _enough(blocks[staying[0]], self.seconds, self.runs) else staying
        if rounds not in _looks(rounds):
            return staying
        ratios = {name: paired(blocks[name], blocks[_fastest(blocks, staying)]) for name in staying}
        slow = {
            name
            for name, found in ratios.items()
            if sum(map(len, blocks[name])) >= _LEAST_RUNS
            and (found.ci95[0] > 1.0 + MARGIN or (rounds > _FIRST_LOOK and found.ratio > 1.0 + CLEAR))
        }
        staying = tuple(name for name in staying if name not in slow)
        if not all(_enough(blocks[name], self.seconds, self.runs) for name in staying):
            return staying
        open_ones = [n for n in staying if ratios[n].ci95[0] <= 1.0 + TOLERANCE < ratios[n].ci95[1]]
        spent = min(_seconds(blocks[name]) for name in staying)
        return staying if open_ones and spent < self.undecided_seconds else ()

    def sentence(self) -> str:
        """For the conditions of a figure."""
        return (
            f"{self.seconds:g} s and {self.runs} runs, fewer where it was shown slower than the fastest by over "
            f"{MARGIN:.0%} before"
        )


def relative_to_fastest(rows: Sequence[Measured]) -> Callable[[Measured], float]:
    """Milliseconds of each as a multiple of the fastest's, round by round, whichever rounds of a race it stayed for.

    Args:
        rows: of one interleaved run.
    """
    if not rows:
        return lambda row: row.p50
    last = max(len(row.blocks) for row in rows)
    fastest = min((row for row in rows if len(row.blocks) == last), key=lambda row: row.p50)
    return lambda row: fastest.p50 * paired(row.blocks, fastest.blocks).ratio


def _fastest(blocks: Blocks, staying: Sequence[str]) -> str:
    """Of least median, and then round by round against that: see :mod:`.winner`."""
    least = min(staying, key=lambda name: float(np.median(np.concatenate(blocks[name]))))
    return min(staying, key=lambda name: paired(blocks[name], blocks[least]).ratio)


def _looks(rounds: int) -> set[int]:
    """Rounds after which a race is looked at: 5, 7, 10, 15, 22, ... up to these."""
    looks, at = set(), float(_FIRST_LOOK)
    while int(at) <= rounds:
        looks.add(int(at))
        at *= _LATER
    return looks


def _seconds(series: Sequence[Samples]) -> float:
    return sum(float(block.sum()) for block in series) / 1e3


def _enough(series: Sequence[Samples], seconds: float, runs: int) -> bool:
    return len(series) >= LEAST_ROUNDS and sum(map(len, series)) >= runs and _seconds(series) >= seconds
