"""What a search has measured so far, on disk: an interrupted search goes on, and the same question is asked once.

Everything is kept under a key that holds all it depends on (graph, ranges, images, criteria, target, compiler, CPU). A
file under another key is not read. Beside the run folder's own file, the user's cache folder keeps facts from run to
run, under the key as its name: what was timed while other work ran is not kept there, and no figure of a report is ever
read from it.
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
from edge.search.user_cache import keep_json, user_cache
from edge.targets.target import Target

SCHEMA = "edge.search/4"
_KIND = "measurements"


def shared_measurements() -> Path:
    """Folder of the user's cache with what earlier runs measured; safe to delete."""
    return user_cache(_KIND)


class MeasurementCache:
    """Measured facts by name.

    Args:
        path: file to keep them in; None keeps them for this process only.
        depends_on: everything that would change them.
        shared: folder of the user's cache, read where ``path`` holds nothing; None for none.
    """

    def __init__(self, path: Path | None, depends_on: Mapping[str, Any], shared: Path | None = None) -> None:
        self.key = sha256_bytes(json.dumps(depends_on, sort_keys=True, default=str).encode())
        self._path, self._shared = path, shared
        self._lasting: dict[str, Any] = {} if shared is None else self._read(shared / self._name)
        self._facts: dict[str, Any] = self._read(path) or dict(self._lasting)

    def recall(self, name: str, measure: Callable[[], Any]) -> Any:
        """The fact of that name, measured (and kept) if it is not known yet. Facts are JSON values."""
        if name not in self._facts:
            self.learn(name, measure())
        return self._facts[name]

    def learn(self, name: str, fact: Any, quiet: bool = True) -> None:
        """Keep a fact, over an older one of that name.

        Args:
            name, fact: JSON values.
            quiet: nothing disturbed its measurement, so that it may be kept for other runs too.
        """
        self._facts[name] = fact
        if self._path is not None:
            write_json(self._path, self._document(self._facts))
        if self._shared is not None and quiet:
            self._lasting[name] = fact
            keep_json(self._shared, self._name, self._document(self._lasting))

    @property
    def _name(self) -> str:
        return f"{self.key}.json"

    def _document(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {"schema": SCHEMA, "key": self.key, "sha256": _digest(facts), "facts": facts}

    def knows(self, name: str) -> bool:
        """Whether a fact is there already."""
        return name in self._facts

    def _read(self, path: Path | None) -> dict[str, Any]:
        if path is None:
            return {}
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # not there, half-written by another version, or not ours: measured again
        same = isinstance(table, dict) and table.get("schema") == SCHEMA and table.get("key") == self.key
        facts = table.get("facts") if same else None
        return dict(facts) if isinstance(facts, dict) and table.get("sha256") == _digest(facts) else {}


def _digest(facts: Mapping[str, Any]) -> str:
    """Of facts as they are written: a file that was damaged or edited is not read."""
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())


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
