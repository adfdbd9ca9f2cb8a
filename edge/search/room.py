"""How far inside the gate's bars a plan is, with a margin for images that are not among those it was judged on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.accuracy.checked import Checked
from edge.accuracy.gate import Check, Gate, judge
from edge.backends.engine import Candidate
from edge.search.bench import Refusal

_UNSEEN = 2.0
"""How much worse the worst of other images may be: of two sets as large, a second one exceeds the first's worst drop
twofold one time in five where the tail of drops falls with the square, and means vary far less."""


@dataclass(frozen=True)
class GateResult:
    """What the gate said of one candidate on the search images.

    Attributes:
        passed: the gate, and the parity rule; False where the compiler refused the graph.
        slack: how far inside the bars it is, as a share of what each bar allows; the least of all. The bar of the worst
            image counts half, since other images hold a worse one. Negative outside, and down to -1 for a worst image
            between half its bar and the bar.
        agreement: mean Dice of its masks against the float model's.
        sqnr_db: of its clipped logits against the float model's.
        reasons: one sentence for each bar it missed.
        chance: that it passes on other images as well, see :mod:`edge.accuracy.chance`; 1 where nobody asked.
    """

    passed: bool
    slack: float
    agreement: float
    sqnr_db: float
    reasons: tuple[str, ...] = ()
    chance: float = 1.0


def gate_result(checked: Checked | Refusal, gate: Gate | None, candidate: Candidate) -> GateResult:
    """From a check on the search images; a refused graph fails with the compiler's reason."""
    if isinstance(checked, Refusal):
        return GateResult(False, -1.0, 0.0, 0.0, (checked.reason,))
    accuracy, verdict = checked.accuracy, checked.verdict
    guarded = judge(_guarded(gate), accuracy, candidate.precision, candidate.rest, allow_small=True)
    slack = min((_slack(check) for check in guarded.checks), default=1.0)
    return GateResult(verdict.passed, slack, accuracy.agreement, accuracy.sqnr_db, verdict.reasons)


def _guarded(gate: Gate | None) -> Gate | None:
    """The gate with a margin for a worst image that is not among these."""
    if gate is None or gate.worst_drop is None:
        return gate
    return replace(gate, worst_drop=gate.worst_drop / _UNSEEN)


def _slack(check: Check) -> float:
    """Share of what a bar allows that is left: 1 is perfect, 0 just on the bar, below 0 outside.

    Bars of the gate either lie below 1 and ask for at least (retained, agreement), or ask for a small drop.
    """
    bar = check.bar
    if bar >= 1.0 or bar == 0.0:  # parity in dB, a yes-or-no check, or a bar that allows nothing
        return 1.0 if check.passed else -1.0
    # A share retained may fall from 1 to the bar; a drop, or a difference's lower bound, from 0.
    return check.margin / (abs(bar) if check.at_most or bar < 0.0 else 1.0 - bar)
