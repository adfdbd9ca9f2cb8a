"""Reports without anything that names or shows an image: file names of patient data are often identifiers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from edge.report.results import EngineRow, Report

_LOSES = re.compile(r"\bimage (.+?)(?= loses \d)")


def without_names(report: Report) -> Report:
    """The same figures with every image called ``image 1``, ``image 2``, ... in the order scored."""
    known = list(report.images.names) if report.images else []
    known += [w.image for row in report.engines if row.accuracy for w in row.accuracy.worst]
    aliases = {name: f"image {index}" for index, name in enumerate(dict.fromkeys(known), start=1)}
    return replace(
        report,
        images=replace(report.images, names=tuple(aliases[n] for n in report.images.names)) if report.images else None,
        engines=tuple(_row(row, aliases) for row in report.engines),
        notes=tuple(_text(note, aliases) for note in report.notes),
    )


def _row(row: EngineRow, aliases: Mapping[str, str]) -> EngineRow:
    gate = replace(row.gate, reasons=tuple(_text(reason, aliases) for reason in row.gate.reasons))
    if row.accuracy is None:
        return replace(row, gate=gate)
    worst = tuple(replace(w, image=aliases[w.image]) for w in row.accuracy.worst)
    cases = row.accuracy.cases
    if cases is not None:
        numbered = tuple(replace(c, name=f"{cases.column} {index}") for index, c in enumerate(cases.rows, start=1))
        cases = replace(cases, rows=numbered)
    return replace(row, gate=gate, accuracy=replace(row.accuracy, worst=worst, cases=cases))


def _text(text: str, aliases: Mapping[str, str]) -> str:
    """Replace the name in the gate's sentence about the worst image; the search's are of images that have no alias.

    Only there: a name may be a number, and then it would stand everywhere.
    """
    return _LOSES.sub(lambda found: aliases.get(found[1], "an image"), text)
