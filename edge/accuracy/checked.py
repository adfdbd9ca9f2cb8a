"""What a check says of an engine's outputs: compared with the reference's, and judged by the gate.

The one place where an evaluation is compared and judged. The verdict of a deployment, the search, ``edge check`` and a
board's ``verify`` all come here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .compare import Accuracy, compare
from .evaluate import Evaluation
from .gate import Gate, Verdict, judge


@dataclass(frozen=True)
class Parity:
    """How far an engine is from its graph, in decibels on raw outputs, and what may explain it.

    Attributes:
        engine_db: the engine against ONNX Runtime (optimizations off) on the same graph.
        graph_db: that graph against the float source; None where the source's outputs are not at hand.
        second_db: ONNX Runtime with its optimizations on, likewise; None where it was not asked.
        source_db: the engine against the float source; None as for ``graph_db``.
    """

    engine_db: float
    graph_db: float | None = None
    second_db: float | None = None
    source_db: float | None = None


@dataclass(frozen=True)
class Checked:
    """What checking one engine found.

    Attributes:
        evaluation: its masks, counts and outputs.
        accuracy: against the reference.
        verdict: the gate's.
    """

    evaluation: Evaluation
    accuracy: Accuracy
    verdict: Verdict


def judged(
    evaluation: Evaluation,
    reference: Evaluation,
    parity: Parity | None,
    gate: Gate | None,
    precision: str,
    rest: str,
    *,
    strata: str | None = None,
    group: str | None = None,
    allow_small: bool = False,
) -> Checked:
    """Compare an engine's evaluation with the reference's, and judge it.

    Args:
        evaluation, reference: of the same images.
        parity: None where it was not measured.
        gate: None asks for parity only.
        precision, rest: of the engine; parity is judged by them.
        strata, group: see :class:`~edge.accuracy.gate.Criteria`.
        allow_small: judge on fewer than 20 images.

    Raises:
        InputError: too few images.
    """
    accuracy = compare(evaluation, reference, parity.engine_db if parity else None, strata, group)
    if parity is not None:
        accuracy = replace(accuracy, graph_db=parity.graph_db, second_db=parity.second_db, source_db=parity.source_db)
    return Checked(evaluation, accuracy, judge(gate, accuracy, precision, rest, allow_small))
