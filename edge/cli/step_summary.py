"""A check as the summary of a GitHub Actions step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge.report import words

if TYPE_CHECKING:
    from edge.api.check_result import CheckResult

VARIABLE = "GITHUB_STEP_SUMMARY"
"""GitHub names the file in it; nothing is written where it is not set."""


def append_summary(result: CheckResult) -> None:
    """Add a table of the engines to the step's summary, where there is one."""
    path = os.environ.get(VARIABLE)
    if not path or not result.engines:
        return
    lines = ["| engine | Dice | kept | gate | why |", "| --- | ---: | ---: | --- | --- |"]
    for row in result.engines:
        dice = row.accuracy.dice
        why = "; ".join(row.gate.reasons).replace("|", "\\|")
        state = "✅ passes" if row.gate.passed else "❌ fails"
        cells = (f"`{row.engine}`", words.score(dice.mean), words.percent(dice.retained), state, why)
        lines.append(f"| {' | '.join(cells)} |")
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n\n")
