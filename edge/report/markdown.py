"""The report as Markdown: verdict, table, conditions, provenance. For pull requests and terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

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
    return _document(_blocks(report, "#"))


def merged_markdown(reports: Sequence[Report], labels: Sequence[str]) -> str:
    """Several runs: what changed between those of one network and target, then one after the other."""
    blocks = [f"# {len(reports)} runs: {_plain(words.listed(labels))}", *_changes(changes(reports, labels))]
    for report, label in zip(reports, labels, strict=True):
        blocks += [f"Run {_code(label)}", *_blocks(report, "##")]
    return _document(blocks)


def markdown_table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; bars in cells are escaped, everything else is left as it is."""
    return "\n".join(_row(cells) for cells in (header, ["---"] * len(header), *rows))


def _document(blocks: Iterable[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _changes(found: Sequence[Change]) -> Iterator[str]:
    if found:
        yield f"**What changed: {summary(found)}.**"
        rows = ((x.network, x.target, x.engine, x.before, x.after, x.state, "; ".join(x.reasons)) for x in found)
        header = ("network", "target", "engine", "against", "run", "change", "")
        yield markdown_table(header, (map(_plain, cells) for cells in rows))


def _blocks(report: Report, head: str) -> Iterator[str]:
    yield f"{head} {_plain(report.model.name)} on {_plain(str(report.target['name']))}: {report.status}"
    yield f"**{_plain(headline(report))}.** {_plain(words.verdict(report))}"
    yield _plain(" · ".join(f"{badge.title}: {badge.text}" for badge in badges(report)))
    yield "\n".join(f"- {_plain(finding)}" for finding in words.findings(report))
    yield markdown_table(_HEADER, (_cells(report, engine) for engine in report.engines))
    yield from _gate(report, head)
    others = not_taken(report)
    if others:
        yield f"{head}# Why the others were not taken"
        yield "\n".join(f"- {_code(name)}: {_plain(reason)}" for name, reason in others)
    yield "<details><summary>In full: accuracy, search, conditions, provenance</summary>"
    yield from _in_full(report, head)
    yield from _throughput(report, head)
    trace = words.search_log(report)
    if trace:
        yield f"{head}# How precisions were chosen"
        yield "\n".join(f"1. {_plain(line)}" for line in trace)
    yield f"{head}# How it was measured"
    timed = [f"- {_code(row.name)}: {_plain(_conditions(row))}" for row in report.engines if row.latency_ms is not None]
    yield "\n".join([*timed, f"- environment: {_plain(words.plain(report.environment))}"])
    yield f"{head}# Provenance"
    parts = [
        f"- {use}: {part.images} images of {_plain(part.name)}, sha256 `{part.sha256}`"
        for part, use in words.data_parts(report)
    ]
    model = f"- model {_code(report.model.source)}, sha256 `{report.model.sha256}`"
    yield "\n".join([model, *parts, f"- reproduce: {_code(report.command)}"])
    yield "</details>"


def _gate(report: Report, head: str) -> Iterator[str]:
    """What the gate asked of the chosen engine, where there is one."""
    row = report.chosen_row
    lines = () if row is None else gate_table(row)
    if row is not None and lines:
        yield f"{head}# What gate {row.gate.preset} asked of {_plain(row.name)}"
        rows = ([x.criterion, x.asked, x.measured, x.margin, "yes" if x.passed else "no"] for x in lines)
        yield markdown_table(("criterion", "asked", "measured", "margin", "met"), rows)


def _in_full(report: Report, head: str) -> Iterator[str]:
    """Accuracy, and what an engine costs besides its compute, where they are known."""
    scored = [row for row in report.engines if row.accuracy is not None]
    if not scored:
        return
    yield f"{head}# In full"
    reference = (report.reference.micro_dice, report.reference.micro_iou)
    first = ["float model", *map(words.score, reference), *[words.NONE] * (len(_FULL) - 3)]
    yield markdown_table(_FULL, [first, *map(_full_cells, scored)])
    told = words.evidence([row.accuracy for row in scored if row.accuracy is not None])
    units = {row.accuracy.hd95.unit for row in scored if row.accuracy and row.accuracy.hd95}
    unit = "millimetres" if units == {"mm"} else "pixels"
    yield f"{told} HD95 of outlines in each image, in {unit}: shown, never judged. Estimates are not measurements."


def _throughput(report: Report, head: str) -> Iterator[str]:
    """Batches and streams, where they were swept."""
    for row in report.engines:
        if row.throughput:
            yield f"{head}# Throughput of {_plain(row.name)}"
            ms = words.milliseconds
            rows = (
                [str(x.batch), str(x.streams), ms(x.images_per_second), ms(x.request_p50_ms), x.note]
                for x in row.throughput
            )
            yield markdown_table(("batch", "streams", "images/s", "request p50, ms", "note"), rows)


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
    shown = _plain(row.name)
    name = f"**{shown}** (chosen)" if row.name == report.chosen else shown
    return [
        name,
        words.milliseconds(latency.p50 if latency else None) + ("" if latency is None or latency.trustworthy else " ⚠"),
        words.milliseconds(latency.p99 if latency else None),
        words.times(row, words.baseline(report)),
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


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text of others as Markdown shows it: no HTML, no images or links, no line of its own."""
    return _MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def _code(text: str) -> str:
    """Text of others as code: nothing in it can end it."""
    return "`" + printable(" ".join(text.split())).replace("`", "'") + "`"
