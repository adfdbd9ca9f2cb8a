"""Reports on disk: checked against the schema on the way out and on the way in."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_json
from edge.report.results import SCHEMA, Report

REPORT = "report.json"
OUTPUTS = "reference.npz"
"""The float network's outputs on the scored images, bound by their hash in the report."""


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema (2020-12) of ``report.json``."""
    table: dict[str, Any] = json.loads((files("edge.report") / "schema.json").read_text(encoding="utf-8"))
    return table


def faults(table: Any) -> tuple[str, ...]:
    """What is wrong with the contents of a ``report.json``, one phrase each; empty where nothing is.

    Beyond the schema: engine names are unique, and the chosen one is there and passes.
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator(schema())
    errors = sorted(validator.iter_errors(table), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        return tuple(f"{error.json_path}: {error.message:.200}" for error in errors)
    counts = Counter(row["name"] for row in table["engines"])
    found = [f"$.engines: {name!r} is listed {times} times" for name, times in counts.items() if times > 1]
    passing = {row["name"] for row in table["engines"] if row["gate"]["passed"]}
    if table["chosen"] is not None and table["chosen"] not in passing:
        found.append(f"$.chosen: {table['chosen']!r} is not an engine that passes")
    return tuple(found)


def read_report(path: Path) -> Report:
    """Open a run folder, or a ``report.json``.

    Raises:
        InputError: missing, not JSON, of another schema, or damaged; the message names the first fault.
    """
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such run; check the path, or make one with edge deploy")
    file = path / REPORT if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path}: holds no {REPORT}; give a run folder that edge deploy or edge verify wrote")
    table = read_json(file)
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        raise InputError(f"{file}: is not of schema {SCHEMA}; run edge deploy again with this version")
    found = faults(table)
    if found:
        raise InputError(f"{file}: is damaged ({found[0]}); run edge deploy again")
    try:
        return Report.from_json(table)
    except ValueError as error:
        raise InputError(f"{file}: is damaged ({error}); run edge deploy again") from None
