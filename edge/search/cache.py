"""What a search has measured so far, on disk: an interrupted search goes on, and the same question is asked once.

Everything is kept under a key that holds all it depends on (graph, ranges, images, criteria, target, compiler, CPU). A
file under another key is not read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.accuracy.gate import Criteria
from edge.files import sha256_bytes, write_json
from edge.graph.model import Model
from edge.images.image_set import ImageSet
from edge.machine.environment import processor
from edge.quantization.ranges import Ranges
from edge.targets.target import Target

SCHEMA = "edge.search/3"


class MeasurementCache:
    """Measured facts by name.

    Args:
        path: file to keep them in; None keeps them for this process only.
        depends_on: everything that would change them.
    """

    def __init__(self, path: Path | None, depends_on: Mapping[str, Any]) -> None:
        self.key = sha256_bytes(json.dumps(depends_on, sort_keys=True, default=str).encode())
        self._path = path
        self._facts: dict[str, Any] = self._read()

    def recall(self, name: str, measure: Callable[[], Any]) -> Any:
        """The fact of that name, measured (and kept) if it is not known yet. Facts are JSON values."""
        if name not in self._facts:
            self.learn(name, measure())
        return self._facts[name]

    def learn(self, name: str, fact: Any) -> None:
        """Keep a fact, over an older one of that name."""
        self._facts[name] = fact
        if self._path is not None:
            write_json(self._path, {"schema": SCHEMA, "key": self.key, "facts": self._facts})

    def knows(self, name: str) -> bool:
        """Whether a fact is there already."""
        return name in self._facts

    def _read(self) -> dict[str, Any]:
        if self._path is None or not self._path.is_file():
            return {}
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # half-written by another version, or not ours: measured again
        same = isinstance(table, dict) and table.get("schema") == SCHEMA and table.get("key") == self.key
        return dict(table["facts"]) if same else {}


def asked_of(
    model: Model, ranges: Ranges, images: ImageSet, criteria: Criteria, target: Target, scheme: str
) -> dict[str, Any]:
    """What the facts of any search depend on, this machine's CPU among it; a key for :class:`MeasurementCache`."""
    return {
        "graph": model.sha256,
        "ranges": asdict(ranges),
        "images": images.sha256(),
        "columns": [(sample.name, dict(sample.columns)) for sample in images],
        "criteria": asdict(criteria),
        "target": target.name,
        "scheme": scheme,
        "machine": processor(),
    }
