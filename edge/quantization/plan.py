"""Which node runs in which precision, and why it is not INT8 where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge.errors import InputError
from edge.files import read_document, write_json
from edge.notebook.shown import Shown, Table

SCHEMA = "edge.plan/1"
INT8, FLOAT = "int8", "float"


@dataclass(frozen=True, repr=False)
class PrecisionPlan(Shown):
    """Precision of every node that could run in INT8.

    Attributes:
        nodes: node name to ``int8`` or ``float`` (then the engine's float precision, see ``Candidate.rest``).
        reasons: one phrase for each node left float.
    """

    nodes: Mapping[str, str]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<PrecisionPlan {len(self.int8)} of {len(self.nodes)} nodes in INT8>"

    def _table(self) -> Table:
        return ("node", "precision", "reason"), [(n, how, self.reasons.get(n, "")) for n, how in self.nodes.items()]

    @property
    def int8(self) -> frozenset[str]:
        """Names of the nodes in INT8."""
        return frozenset(name for name, precision in self.nodes.items() if precision == INT8)

    def without(self, reasons: Mapping[str, str]) -> PrecisionPlan:
        """The same plan with these nodes left float, each for its reason."""
        nodes = {name: FLOAT if name in reasons else precision for name, precision in self.nodes.items()}
        return PrecisionPlan(nodes, {**self.reasons, **{n: r for n, r in reasons.items() if n in self.nodes}})

    def save(self, path: Path) -> Path:
        """Write JSON."""
        write_json(path, {"schema": SCHEMA, **asdict(self)})
        return path


def read_plan(path: Path) -> PrecisionPlan:
    """Read what :meth:`PrecisionPlan.save` wrote.

    Raises:
        InputError: missing, damaged, or another schema.
    """
    table = read_document(path, SCHEMA, "make the plan again")
    nodes, reasons = table.get("nodes"), table.get("reasons")
    if set(table) != {"nodes", "reasons"} or not isinstance(nodes, dict) or not isinstance(reasons, dict):
        raise InputError(f"{path}: is damaged; make the plan again")
    if not all(value in (INT8, FLOAT) for value in nodes.values()):
        raise InputError(f"{path}: is damaged; make the plan again")
    return PrecisionPlan({str(k): str(v) for k, v in nodes.items()}, {str(k): str(v) for k, v in reasons.items()})
