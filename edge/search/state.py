"""What a search knows so far: measured gains and harms, what each kind of step takes, and the time that is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.search.deadline import Deadline
from edge.search.plan_measurements import NOTHING, Chosen, PlanMeasurements
from edge.search.room import GateResult
from edge.search.sensitivity import Gain, Group, Harm

Progress = Callable[[str, float], None]
"""Called with what is being done and the seconds left of the budget."""
OUT_OF_TIME = "out of time"
"""What a search says that came to nothing for want of it."""


@dataclass
class SearchState:
    """One search under way.

    Attributes:
        book: measures and remembers.
        deadline: nothing is begun that is expected to end after it.
        progress: see :data:`Progress`.
        timing_seconds: that timing one engine takes, besides building it.
        judge_seconds, profile_seconds, harm_seconds: that one verdict, one profile, one group's harm took last.
        least_ms: float precision to the saving below which a profile cannot tell a gain from noise.
        gains: float precision to group to its measured times.
        harms: group to what it does alone.
        log: what was decided, in order, in words.
        started: by the deadline's clock.
    """

    book: PlanMeasurements
    deadline: Deadline
    progress: Progress | None
    timing_seconds: float
    judge_seconds: float = 0.0
    profile_seconds: float = 0.0
    harm_seconds: float = 0.0
    least_ms: dict[str, float] = field(default_factory=dict)
    gains: dict[str, dict[Group, Gain]] = field(default_factory=dict)
    harms: dict[Group, Harm] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    def paying(self, rest: str) -> list[Group]:
        """Groups that INT8 makes faster over this float precision."""
        return [group for group, gain in self.gains[rest].items() if gain.pays(self.least_ms[rest])]

    def expected_ms(self, rest: str, chosen: Chosen) -> float:
        """Milliseconds of a plan's engine, if its groups save what they were seen to save."""
        return self.book.total_ms(rest, NOTHING) - sum(self.gains[rest][group].saved_ms for group in chosen)

    def least_expected_ms(self, rest: str) -> float:
        """Milliseconds of the engine with INT8 wherever it pays."""
        return self.expected_ms(rest, frozenset(self.paying(rest)))

    def expected_share(self, rest: str) -> float:
        """The same as a share of the float engine's time."""
        return self.least_expected_ms(rest) / max(self.book.total_ms(rest, NOTHING), 1e-9)

    def judge(self, rest: str, chosen: Chosen) -> GateResult:
        """The gate's verdict on a plan; its duration is remembered."""
        start = self.now()
        judged = self.book.judge(rest, chosen)
        self.judge_seconds = max(self.judge_seconds, self.now() - start)
        verdict = _room(judged) if judged.passed else judged.reasons[0]
        decibels = "" if not judged.sqnr_db else f", {judged.sqnr_db:.1f} dB"
        self.say(f"{rest}: {len(chosen)} groups in INT8{decibels}: {verdict}")
        return judged

    def name(self, rest: str, chosen: Chosen) -> str:
        """``int8``, ``mixed``, and with what stays float behind it where that is not FP32."""
        stem = "int8" if chosen == self.book.everything else "mixed"
        return stem if rest == "fp32" else f"{stem}-{rest}"

    def now(self) -> float:
        """By the deadline's clock."""
        return self.deadline.clock()

    def left(self) -> float:
        """Seconds of the budget."""
        return self.deadline.left()

    def affords(self, seconds: float) -> bool:
        """See :meth:`~edge.search.deadline.Deadline.affords`."""
        return self.deadline.affords(seconds)

    def ending(self) -> float:
        """Seconds that timing the plans at the end is expected to take; what is optional leaves them to it."""
        return self.timing(len(self.gains) + 1)

    def timing(self, engines: int) -> float:
        """Seconds that timing so many engines is expected to take."""
        return engines * (self.profile_seconds + self.timing_seconds)

    def say(self, sentence: str) -> None:
        """Log a decision, and tell it."""
        self.log.append(sentence)
        self.tell(sentence)

    def tell(self, what: str) -> None:
        """Tell what is being done."""
        if self.progress is not None:
            self.progress(what, max(0.0, self.left()))


def _room(judged: GateResult) -> str:
    sure = "" if judged.chance == 1.0 else f", likely {judged.chance:.0%} on other images"
    return f"passes with {max(0.0, judged.slack):.0%} of the room left{sure}"
