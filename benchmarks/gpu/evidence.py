"""The one file that a run on a GPU leaves: what the machine is and what each step found, written after every step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.files import read_json, write_json

SCHEMA = "edge.gpu/1"
DONE, FAILED, LATE = "done", "failed", "late"


class Evidence:
    """``gpu.json``, taken up again where an earlier run left it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = read_json(path) if path.is_file() else {}
        self._table: dict[str, Any] = {"schema": SCHEMA, "steps": {}, **found}

    @property
    def steps(self) -> Mapping[str, Mapping[str, Any]]:
        """Step to ``{status, seconds, processor_seconds, result, reason}``."""
        return self._table["steps"]

    @property
    def rehearsal(self) -> bool:
        """Whether TensorRT was the tests' double: then nothing here is evidence."""
        machine = self.steps.get("machine", {}).get("result") or {}
        return any(module.get("double") for module in machine.get("modules", {}).values())

    def done(self, step: str) -> bool:
        """Whether a step has its result; one that failed or ran late is tried again, and a machine without a GPU."""
        found = self.steps.get(step, {}).get("result") or {}
        if step == "machine" and not found.get("gpu", {}).get("found"):
            return False
        return bool(self.steps.get(step, {}).get("status") == DONE)

    def record(
        self, step: str, status: str, seconds: float, processor_seconds: float, result: Any = None, reason: str = ""
    ) -> None:
        """Keep what a step found, on disk, before the next one begins."""
        spent = {"seconds": round(seconds, 1), "processor_seconds": round(processor_seconds, 1)}
        row = {"status": status, **spent, "result": result, "reason": reason}
        self._table["steps"][step] = row
        self._table["rehearsal"] = self.rehearsal
        write_json(self._path, self._table)
