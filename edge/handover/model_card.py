"""A model card in Hugging Face's format: front matter for the hub, then what the report says, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from edge.files import write_text
from edge.report import words
from edge.report.gate_table import gate_table
from edge.report.headline import badges, headline, not_taken
from edge.report.markdown import markdown_table
from edge.report.results import EngineRow, Report


def write_card(report: Report, path: Path) -> Path:
    """Write the card, ``README.md`` of a hub's repository.

    Raises:
        MachineError: the disk is full or the folder is not writable.
    """
    write_text(path, "\n".join([*_front_matter(report), *_body(report)]) + "\n")
    return path


def _front_matter(report: Report) -> Iterator[str]:
    """YAML whose values are JSON, which YAML includes. The licence is left for its owner to name."""
    evaluation = report.data.evaluation
    row = report.chosen_row
    yield "---"
    yield "license: other # name the licence of your weights"
    yield "pipeline_tag: image-segmentation"
    yield "tags: [image-segmentation, segedge]"
    if row is not None and row.accuracy is not None:
        metrics = [("dice", row.accuracy.dice.mean), ("iou", row.accuracy.iou.mean)]
        result = {
            "task": {"type": "image-segmentation"},
            "dataset": {"name": evaluation.name, "type": evaluation.name, "split": evaluation.split or "evaluation"},
            "metrics": [{"type": kind, "value": round(value, 6)} for kind, value in metrics],
        }
        yield f"model-index: {json.dumps([{'name': report.model.name, 'results': [result]}])}"
    yield "---"


def _body(report: Report) -> Iterator[str]:
    name = " ".join(report.model.name.split())
    yield f"# {name} for {report.target['name']}"
    yield ""
    yield f"**{headline(report)}.** {words.verdict(report)}"
    yield ""
    yield from (f"- {badge.title}: {badge.text}" for badge in badges(report))
    yield from _engines(report)
    yield from _gate(report)
    yield ""
    yield "## Intended use and limits"
    yield ""
    yield "For research and engineering; not a medical device. The figures hold for images like those it was scored on."
    yield ""
    yield from (f"- {finding}" for finding in words.findings(report))
    yield from (f"- {other} was not taken: {why}" for other, why in not_taken(report))
    yield ""
    yield "## Input and output"
    yield ""
    yield "```json"
    yield json.dumps(dict(report.task), indent=1)
    yield "```"
    yield ""
    yield "## Data and provenance"
    yield ""
    for part, use in words.data_parts(report):
        yield f"- {use}: {part.images} images of {part.name}, sha256 `{part.sha256}`"
    yield f"- float graph: sha256 `{report.model.sha256}`"
    yield f"- command: `{report.command}`"


def _engines(report: Report) -> Iterator[str]:
    yield ""
    yield "## Engines"
    yield ""
    header = ("engine", "ms, median", "times FP32", "Dice", "kept", "gate")
    yield markdown_table(header, (_cells(report, row) for row in report.engines))


def _cells(report: Report, row: EngineRow) -> Iterator[str]:
    accuracy = row.accuracy
    yield f"**{row.name}**" if row.name == report.chosen else row.name
    yield words.milliseconds(words.p50(row))
    yield words.times(row, words.baseline(report))
    yield words.score(accuracy.dice.mean if accuracy else None)
    yield words.percent(accuracy.dice.retained if accuracy else None)
    yield words.state(row)


def _gate(report: Report) -> Iterator[str]:
    row = report.chosen_row
    lines = () if row is None else gate_table(row)
    if row is not None and lines:
        yield ""
        yield f"## What gate {row.gate.preset} asked"
        yield ""
        rows = ((x.criterion, x.asked, x.measured, x.margin) for x in lines)
        yield markdown_table(("criterion", "asked", "measured", "margin"), rows)
