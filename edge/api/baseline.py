"""Hold an engine to what an earlier run's engine scored on the same images."""

from __future__ import annotations

from dataclasses import replace

from edge.accuracy.gate import Check, Gate
from edge.api.check_result import CheckedEngine

KEPT = 0.999
"""Least share of the baseline's Dice and IoU, where the gate asks for none."""


def not_worse(row: CheckedEngine, baseline: CheckedEngine, name: str, gate: Gate | None) -> CheckedEngine:
    """The row, failing where it keeps less of the baseline's mean Dice or IoU than the gate asks of the float model's.

    Args:
        row: what is checked.
        baseline: the earlier engine on the same images.
        name: of the baseline, for the reason.
        gate: says how much has to be kept.
    """
    bars = {"Dice": gate.dice_retained if gate else None, "IoU": gate.iou_retained if gate else None}
    ours = {"Dice": row.accuracy.dice.mean, "IoU": row.accuracy.iou.mean}
    theirs = {"Dice": baseline.accuracy.dice.mean, "IoU": baseline.accuracy.iou.mean}
    checks, reasons = [], []
    for score, bar in bars.items():
        asked = KEPT if bar is None else bar
        kept = ours[score] / theirs[score] if theirs[score] else 1.0
        checks.append(Check(f"{score} of the baseline retained", kept, asked, kept >= asked))
        if kept < asked:
            reasons.append(
                f"{score} {ours[score]:.4f} is {100 * kept:.2f} % of the {theirs[score]:.4f} that {name} scores; "
                f"{100 * asked:g} % is asked"
            )
    verdict = replace(
        row.gate,
        passed=row.gate.passed and not reasons,
        reasons=(*row.gate.reasons, *reasons),
        checks=(*row.gate.checks, *checks),
    )
    return replace(row, gate=verdict)
