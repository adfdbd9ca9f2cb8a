"""The report as Markdown: verdict, table, conditions, provenance. For pull requests and terminals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edge.report import words
from edge.report.changes import Change, changes, summary
from edge.report.gate_table import gate_table
from edge.report.headline import badges, headline, not_taken
from edge.report.results import EngineRow, Report
from edge.safety.guard import printable

_HEADER = ("engine", "ms p50", "p99", "× FP32", "Dice", "kept", "IoU kept", "agreement", "parity", "size", "gate")

_MARKUP = re.compile(r"[\\`*_<>\[\]!]")
_FULL = (
    "engine", "Dice pooled", "IoU pooled", "HD95 mean", "HD95 undefined", "detectable Δ Dice", "file to mask, ms",
    "peak memory", "energy", "estimate, error",
)  # fmt: skip


def markdown(report: Report) -> str:
    """One run."""
    return "\n".join(_lines(report, level=1)) + "\n"


def merged_markdown(reports: Sequence[Report], labels: Sequence[str]) -> str:
    """Several runs: what changed between those of one network and target, then one after the other."""
    lines = [f"# {len(reports)} runs: {_plain(words.listed(labels))}", "", *_changes(changes(reports, labels))]
    for report, label in zip(reports, labels, strict=True):
        lines += [f"Run {_code(label)}", "", *_lines(report, level=2), ""]
    return "\n".join(lines).rstrip() + "\n"


def _changes(found: Sequence[Change]) -> Iterator[str]:
    if not found:
        return
    yield f"**What changed: {summary(found)}.**"
    yield ""
    header = ("network", "target", "engine", "against", "run", "change", "")
    yield _row(header)
    yield _row(["---"] * len(header))
    for x in found:
        cells = (x.network, x.target, x.engine, x.before, x.after, x.state, "; ".join(x.reasons))
        yield _row([_plain(cell) for cell in cells])
    yield ""


def _lines(report: Report, level: int) -> Iterator[str]:
    head = "#" * level
    yield f"{head} {_plain(report.model.name)} on {_plain(str(report.target['name']))}: {report.status}"
    yield ""
    yield f"**{_plain(headline(report))}.** {_plain(words.verdict(report))}"
    yield ""
    yield _plain(" · ".join(f"{badge.title}: {badge.text}" for badge in badges(report)))
    yield ""
    for finding in words.findings(report):
        yield f"- {_plain(finding)}"
    yield ""
    yield _row(_HEADER)
    yield _row(["---"] * len(_HEADER))
    for engine in report.engines:
        yield _row(_cells(report, engine))
    yield ""
    yield from _gate(report, head)
    others = not_taken(report)
    if others:
        yield f"{head}# Why the others were not taken"
        yield ""
        yield from (f"- {_code(name)}: {_plain(reason)}" for name, reason in others)
        yield ""
    yield "<details><summary>In full: accuracy, search, conditions, provenance</summary>"
    yield ""
    yield from _in_full(report, head)
    yield from _throughput(report, head)
    trace = words.search_log(report)
    if trace:
        yield f"{head}# How precisions were chosen"
        yield ""
        yield from (f"1. {_plain(line)}" for line in trace)
        yield ""
    yield f"{head}# How it was measured"
    yield ""
    for row in report.engines:
        if row.latency_ms is not None:
            yield f"- {_code(row.name)}: {_plain(_conditions(row))}"
    yield f"- environment: {_plain(words.plain(report.environment))}"
    yield ""
    yield f"{head}# Provenance"
    yield ""
    yield f"- model {_code(report.model.source)}, sha256 `{report.model.sha256}`"
    for part, use in words.data_parts(report):
        yield f"- {use}: {part.images} images of {_plain(part.name)}, sha256 `{part.sha256}`"
    yield f"- reproduce: {_code(report.command)}"
    yield ""
    yield "</details>"


def _gate(report: Report, head: str) -> Iterator[str]:
    """What the gate asked of the chosen engine, where there is one."""
    lines = () if report.chosen is None else gate_table(report.engine(report.chosen))
    if not lines:
        return
    yield f"{head}# What gate {report.engine(str(report.chosen)).gate.preset} asked of {_plain(str(report.chosen))}"
    yield ""
    header = ("criterion", "asked", "measured", "margin", "met")
    yield _row(header)
    yield _row(["---"] * len(header))
    for line in lines:
        yield _row([line.criterion, line.asked, line.measured, line.margin, "yes" if line.passed else "no"])
    yield ""


def _in_full(report: Report, head: str) -> Iterator[str]:
    """Accuracy, and what an engine costs besides its compute, where they are known."""
    scored = [row for row in report.engines if row.accuracy is not None]
    if not scored:
        return
    yield f"{head}# In full"
    yield ""
    yield _row(_FULL)
    yield _row(["---"] * len(_FULL))
    reference = (report.reference.micro_dice, report.reference.micro_iou)
    yield _row(["float model", *map(words.score, reference), *[words.NONE] * (len(_FULL) - 3)])
    for row in scored:
        yield _row(_full_cells(row))
    yield ""
    told = words.evidence([row.accuracy for row in scored if row.accuracy is not None])
    units = {row.accuracy.hd95.unit for row in scored if row.accuracy and row.accuracy.hd95}
    unit = "millimetres" if units == {"mm"} else "pixels"
    yield f"{told} HD95 of outlines in each image, in {unit}: shown, never judged. Estimates are not measurements."
    yield ""


def _throughput(report: Report, head: str) -> Iterator[str]:
    """Batches and streams, where they were swept."""
    for row in report.engines:
        if not row.throughput:
            continue
        yield f"{head}# Throughput of {_plain(row.name)}"
        yield ""
        header = ("batch", "streams", "images/s", "request p50, ms", "note")
        yield _row(header)
        yield _row(["---"] * len(header))
        for x in row.throughput:
            figures = (words.milliseconds(x.images_per_second), words.milliseconds(x.request_p50_ms))
            yield _row([str(x.batch), str(x.streams), *figures, x.note])
        yield ""


def _full_cells(row: EngineRow) -> list[str]:
    accuracy, stages, estimated = row.accuracy, row.image_to_mask_ms, row.estimated
    assert accuracy is not None
    distance = accuracy.hd95
    return [
        _plain(row.name),
        words.score(accuracy.dice.micro),
        words.score(accuracy.iou.micro),
        words.distance(distance.mean if distance else None),
        words.undefined(distance),
        words.score(accuracy.dice.detectable),
        words.milliseconds(stages.total if stages else None),
        words.size(row.memory.peak_bytes if row.memory else None),
        f"{words.milliseconds(row.energy.mj_per_run)} mJ" if row.energy else words.NONE,
        f"{words.milliseconds(estimated.ms)} ms, {words.off(estimated.error)}" if estimated else words.NONE,
    ]


def _cells(report: Report, row: EngineRow) -> list[str]:
    accuracy, latency = row.accuracy, row.latency_ms
    factor = words.speedup(row, words.baseline(report))
    shown = _plain(row.name)
    name = f"**{shown}** (chosen)" if row.name == report.chosen else shown
    return [
        name,
        words.milliseconds(latency.p50 if latency else None) + ("" if latency is None or latency.trustworthy else " ⚠"),
        words.milliseconds(latency.p99 if latency else None),
        words.NONE if factor is None else f"{factor:.2f}",
        words.score(accuracy.dice.mean if accuracy else None),
        words.percent(accuracy.dice.retained if accuracy else None),
        words.percent(accuracy.iou.retained if accuracy else None),
        words.score(accuracy.agreement if accuracy else None),
        words.decibels(accuracy.parity_db if accuracy else None),
        words.size(row.bytes),
        words.state(row),
    ]


def _conditions(row: EngineRow) -> str:
    latency = row.latency_ms
    assert latency is not None
    facts = [f"{key.replace('_', ' ')} {words.plain(value)}" for key, value in latency.conditions.items()]
    counted = f"{latency.n} runs after {latency.warmup} to warm up, CoV {words.percent(latency.cov)}"
    warnings = [f"warning: {warning}" for warning in latency.warnings]
    return "; ".join([counted, *facts, *warnings])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text of others as Markdown shows it: no HTML, no images or links, no line of its own."""
    return _MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def _code(text: str) -> str:
    """Text of others as code: nothing in it can end it."""
    return "`" + printable(" ".join(text.split())).replace("`", "'") + "`"
