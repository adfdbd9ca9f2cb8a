"""What :func:`edge.check` returns: scores and verdicts, in a line and as a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge.notebook.shown import Shown, Table

if TYPE_CHECKING:
    from edge.accuracy.compare import Accuracy
    from edge.accuracy.gate import Verdict


@dataclass(frozen=True)
class CheckedEngine:
    """One engine's scores and the gate's verdict.

    Attributes:
        engine: its folder.
        accuracy: against the float model, on the same images.
        gate: whether it passes, and why not.
    """

    engine: str
    accuracy: "Accuracy"
    gate: "Verdict"


@dataclass(frozen=True, repr=False)
class CheckResult(Shown):
    """What a check found.

    Attributes:
        engines: one for each engine named, in that order; empty where a model was scored.
        scores: of a model alone: dice, iou, recall, precision and more; None where engines were checked.
        fault: why the model is useless as a reference (not finite, finds nothing); None where it is not.
    """

    engines: tuple[CheckedEngine, ...] = ()
    scores: Mapping[str, float] | None = None
    fault: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every engine passes; a model alone has no gate, but must be of use as a reference."""
        return self.fault is None and all(row.gate.passed for row in self.engines)

    def to_json(self) -> Any:
        """What ``edge check --json`` prints."""
        return dict(self.scores) if self.scores is not None else [asdict(row) for row in self.engines]

    def __repr__(self) -> str:
        if self.scores is not None:
            useless = f": {self.fault}" if self.fault else ""
            return f"<CheckResult Dice {self.scores['dice']:.4f} IoU {self.scores['iou']:.4f}{useless}>"
        rows = (f"{r.engine} {'passes' if r.gate.passed else 'fails'}" for r in self.engines)
        return f"<CheckResult {', '.join(rows)}>"

    def _table(self) -> Table:
        from edge.report import words

        if self.scores is not None:
            return tuple(self.scores), [tuple(map(words.score, self.scores.values()))]
        rows = [
            (
                row.engine,
                words.score(row.accuracy.dice.mean),
                words.percent(row.accuracy.dice.retained),
                "passes" if row.gate.passed else "; ".join(row.gate.reasons),
            )
            for row in self.engines
        ]
        return ("engine", "Dice", "kept", "gate"), rows
