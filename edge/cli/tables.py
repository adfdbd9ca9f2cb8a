"""Results as text tables, as wide and as coloured as the terminal on stdout.

``NO_COLOR`` and ``TERM=dumb`` are honoured (by rich). Nothing here decides anything: it shows what it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from edge.report import words
from edge.report.changes import summary

if TYPE_CHECKING:
    from rich.console import Console, ConsoleRenderable
    from rich.table import Table

    from edge.accuracy.compare import Accuracy
    from edge.accuracy.gate import Verdict
    from edge.backends.engine import Layer
    from edge.latency.statistics import Latency
    from edge.pipeline.profile import Profiled
    from edge.report.changes import Change
    from edge.report.results import EngineRow, Report
    from edge.scale.job import SweepResult
    from edge.targets.target import Target

_UNLIMITED = 10_000
_PIPE_WIDTH = 140  # a pipe has no width; wide enough that no cell wraps
_SENTENCES = frozenset(
    ("device", "precisions", "JetPack", "why float", "judged", "note", "undefined", "assumption", "what")
)
"""Columns whose cells may go on in the next line, between words; a name or a number is never broken."""
_STATE_STYLES: Mapping[str, str] = {"passes": "green", "fails": "red", "not built": "yellow", "not scored": "yellow"}


def engines_text(report: Report) -> str:
    """Every precision with its figures, a row each."""
    return _text(_engines_table(report))


def targets_text(targets: Iterable[Target], lacking: Mapping[str, str | None]) -> str:
    """Name, title, compiler, precisions and JetPack releases of each target, and which of them this machine is.

    Args:
        targets: in the order shown.
        lacking: target to what this machine lacks to be it, None where it is.
    """
    rows = [
        (
            t.name,
            "this machine" if lacking[t.name] is None else words.NONE,
            t.title,
            t.backend,
            " ".join(t.precisions),
            " ".join(j.version for j in t.jetpacks) or words.NONE,
        )
        for t in targets
    ]
    reasons: dict[str, list[str]] = {}
    for name, lack in lacking.items():
        if lack is not None:
            reasons.setdefault(lack, []).append(name)
    others = "\n".join(f"{', '.join(names)}: {lack}" for lack, names in reasons.items())
    table = _table(("target", "is", "device", "compiler", "precisions", "JetPack"), rows, left=6)
    return _text(table) + (f"\n\nNot measured here, only simulated:\n{others}" if others else "")


def sweep_text(found: Sequence[SweepResult]) -> str:
    """A row a deployment: its status, and the engine it chose; below, why some have none."""
    from rich.text import Text

    rows = []
    for one in found:
        row = one.engine
        figures = (words.score(row.dice), words.percent(row.retained), words.milliseconds(row.p50_ms)) if row else ()
        rows.append((one.name, one.status, one.chosen or words.NONE, *(figures or (words.NONE,) * 3)))
    faults = [Text(f"{one.name}: {one.fault}") for one in found if one.fault]
    header = ("deployment", "status", "chosen", "Dice", "kept", "p50 ms")
    return _text(_table(header, rows, left=3), *faults)


def fleet_text(reports: Mapping[str, Report], faults: Mapping[str, str]) -> str:
    """A row a board: its status, and the engine it chose; below, why some have none.

    Args:
        reports: board to its run's report.
        faults: board to why it has none.
    """
    from rich.text import Text

    rows: list[tuple[str, ...]] = []
    for name, report in reports.items():
        row = report.chosen_row
        time = row.latency_ms.p50 if row is not None and row.latency_ms is not None else None
        dice = row.accuracy.dice.mean if row is not None and row.accuracy is not None else None
        rows.append((name, report.status, report.chosen or words.NONE, words.score(dice), words.milliseconds(time)))
    rows += [(name, "none", *(words.NONE,) * 3) for name in faults]
    table = _table(("board", "status", "chosen", "Dice", "p50 ms"), rows, left=3)
    return _text(table, *(Text(f"{name}: {fault}") for name, fault in faults.items()))


def accuracy_text(rows: Sequence[tuple[str, Accuracy, Verdict]]) -> str:
    """Scores of engines by name, with the gate's reasons below."""
    from rich.text import Text

    cells = [(name, *_accuracy_cells(accuracy), _passed(verdict.passed)) for name, accuracy, verdict in rows]
    header = ("engine", "Dice", "kept", "IoU kept", "agreement", "SQNR", "parity", "gate")
    full = [(name, *_full_cells(accuracy)) for name, accuracy, _ in rows]
    distance = f"HD95 {_unit(rows)}"
    full_header = ("engine", "pooled Dice", "pooled IoU", distance, "undefined", "detectable", "worst loss")
    reasons = [Text(f"{name}: {reason}") for name, _, verdict in rows for reason in verdict.reasons]
    evidence = [Text(words.evidence([accuracy for _, accuracy, _ in rows]))] if rows else []
    parts = (_class_blocks, _strata_blocks, _case_blocks)
    details = [block for name, accuracy, _ in rows for blocks in parts for block in blocks(name, accuracy)]
    blank = Text("")
    return _text(_table(header, cells), *reasons, blank, _table(full_header, full), *evidence, *details)


def scores_text(scores: Mapping[str, float]) -> str:
    """Plain means of a model without a reference: dice, iou, recall, precision."""
    return _text(_table(tuple(scores), [tuple(words.score(value) for value in scores.values())], left=0))


def latency_text(latencies: Mapping[str, Latency]) -> str:
    """Percentiles in ms by engine name; warnings below."""
    from rich.text import Text

    header = ("engine", "p50 ms", "p90", "p95", "p99", "mean", "min", "CoV", "runs")
    rows = [
        (name, *(words.milliseconds(v) for v in (x.p50, x.p90, x.p95, x.p99, x.mean, x.min)),
         words.percent(x.cov), words.number(x.n))
        for name, x in latencies.items()
    ]  # fmt: skip
    warnings = [Text(f"{name}: {warning}", style="yellow") for name, x in latencies.items() for warning in x.warnings]
    return _text(_table(header, rows), *warnings)


def profile_text(found: Profiled) -> str:
    """Latencies, the ratio, and whatever else was asked for, one block each."""
    blocks = [latency_text(found.latencies)]
    if found.ratio is not None:
        low, high = found.ratio.ci95
        interval = f"95 % interval {low:.3f} to {high:.3f}"
        blocks.append(f"first / second: {found.ratio.ratio:.3f} ({interval}); below 1, the first is faster")
        if low <= 1.0 <= high:
            blocks.append("a tie: the interval holds 1")
    for name, memory in found.memory.items():
        added = f"{words.size(memory.added_bytes)} of it by the compiler's libraries and the engine"
        blocks.append(f"{name}: peak memory {words.size(memory.peak_bytes)} in a process of its own, {added}")
    if found.pixels is not None:
        routes = {"on the host": found.pixels.on_host, "inside the engine": found.pixels.in_engine}
        blocks.append(
            "pixels to mask (uint8 array at the network's size), not compute alone\n"
            + latency_text({name: latency for name, latency in routes.items() if latency is not None})
        )
        if found.pixels.ratio is not None:
            low, high = found.pixels.ratio.ci95
            blocks.append(
                f"inside / on the host: {found.pixels.ratio.ratio:.3f} (95 % interval {low:.3f} to {high:.3f}); "
                f"same masks on {found.pixels.proven_on} images"
            )
        else:
            blocks.append(f"not inside the engine: {found.pixels.reason}")
    if found.stages is not None:
        steps = {
            name: value for name, value in vars(found.stages).items() if name not in ("images", "rounds", "warnings")
        }
        cells = [words.milliseconds(value) for value in steps.values()]
        doubts = "".join(f"\nimage to mask: {warning}" for warning in found.stages.warnings)
        blocks.append("image to mask, ms\n" + table_text(tuple(steps), [cells], left=0) + doubts)
    if found.layers:
        blocks.append(layers_text(found.layers))
    if found.sweep:
        rows = [
            (r.batch, r.streams, words.milliseconds(r.images_per_second), words.milliseconds(r.request_p50_ms), r.note)
            for r in found.sweep
        ]
        blocks.append(table_text(("batch", "streams", "images/s", "request p50 ms", "note"), rows, left=0))
    return "\n\n".join(blocks)


def layers_text(layers: Sequence[Layer], most: int = 20) -> str:
    """The slowest layers, with precision and the reason where one was left float."""
    ranked = sorted(layers, key=lambda layer: -(layer.ms or 0.0))
    rows = [(x.name, x.op, x.precision, words.milliseconds(x.ms), x.reason) for x in ranked[:most]]
    return _text(_table(("layer", "op", "precision", "ms", "why float"), rows, left=3))


def table_text(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """Any table; the first ``left`` columns are aligned left, the rest right."""
    return _text(_table(header, [[words.plain(cell) for cell in row] for row in rows], left))


def _engines_table(report: Report) -> Table:
    columns: tuple[tuple[str, int], ...] = (  # heading, least terminal width that shows it
        ("engine", 0), ("p50 ms", 0), ("p99", 80), ("× FP32", 0), ("Dice", 0), ("kept", 0), ("IoU kept", 92),
        ("agreement", 104), ("SQNR", 124), ("parity", 72), ("size", 114), ("gate", 0),
    )  # fmt: skip
    width = _console().width
    shown = [index for index, (_, least) in enumerate(columns) if width >= least]
    rows = [[cells[index] for index in shown] for cells in (_engine_cells(report, row) for row in report.engines)]
    return _table([columns[index][0] for index in shown], rows)


def _engine_cells(report: Report, row: EngineRow) -> tuple[Any, ...]:
    from rich.text import Text

    latency = row.latency_ms
    chosen = row.name == report.chosen
    state = words.state(row)
    doubt = "" if latency is None or latency.trustworthy else " ?"
    dice, kept, iou, agreement, sqnr, parity = (
        _accuracy_cells(row.accuracy) if row.accuracy is not None else (words.NONE,) * 6
    )
    return (
        Text(f"{row.name} ◀" if chosen else row.name, style="bold" if chosen else ""),
        words.milliseconds(latency.p50 if latency else None) + doubt,
        words.milliseconds(latency.p99 if latency else None),
        words.times(row, words.baseline(report)),
        dice, kept, iou, agreement, sqnr, parity,
        words.size(row.bytes),
        Text(state, style=_STATE_STYLES[state]),
    )  # fmt: skip


def _accuracy_cells(accuracy: Accuracy) -> tuple[str, ...]:
    return (
        words.score(accuracy.dice.mean),
        words.percent(accuracy.dice.retained),
        words.percent(accuracy.iou.retained),
        words.score(accuracy.agreement),
        words.decibels(accuracy.sqnr_db),
        words.decibels(accuracy.parity_db),
    )


def _full_cells(accuracy: Accuracy) -> tuple[str, ...]:
    return (
        words.score(accuracy.dice.micro),
        words.score(accuracy.iou.micro),
        words.distance(accuracy.hd95.mean if accuracy.hd95 else None),
        words.undefined(accuracy.hd95),
        words.score(accuracy.dice.detectable),
        words.score(accuracy.worst_drop),
    )


def _unit(rows: Sequence[tuple[str, Accuracy, Verdict]]) -> str:
    """What distances between outlines of an image are in."""
    return next((accuracy.hd95.unit for _, accuracy, _ in rows if accuracy.hd95), "px")


def _class_blocks(name: str, accuracy: Accuracy) -> list[ConsoleRenderable]:
    """A foreground class a row, where there are several."""
    from rich.text import Text

    if len(accuracy.classes) < 2:
        return []
    rows = [
        (c.name, str(c.present), words.score(c.dice), words.score(c.reference_dice), words.percent(c.retained),
         words.score(c.iou), words.distance(c.hd95), words.score(c.nsd))
        for c in accuracy.classes
    ]  # fmt: skip
    unit = accuracy.hd95.unit if accuracy.hd95 else "px"
    header = ("class", "images with it", "Dice", "float model", "kept", "IoU", f"HD95 {unit}", "surface Dice")
    return [Text(""), Text(f"{name}, by class"), _table(header, rows)]


def _case_blocks(name: str, accuracy: Accuracy) -> list[ConsoleRenderable]:
    """A case a row, and their means below."""
    from rich.text import Text

    cases = accuracy.cases
    if cases is None:
        return []
    rows = [
        (c.name, str(c.images), words.score(c.dice), words.score(c.reference_dice), words.score(c.iou),
         words.distance(c.hd95), words.score(c.nsd))
        for c in cases.rows
    ]  # fmt: skip
    mean = ("mean", "", words.score(cases.dice), words.score(cases.reference_dice), words.score(cases.iou))
    rows.append((*mean, words.distance(cases.hd95), words.score(cases.nsd)))
    header = (cases.column, "images", "Dice", "float model", "IoU", "HD95 mm, 3-D", "surface Dice, 3-D")
    shown = len(header) if cases.hd95 is not None or cases.nsd is not None else -2  # volumes of known spacing, or none
    return [Text(""), Text(f"{name}, by {cases.column}"), _table(header[:shown], [row[:shown] for row in rows])]


def _strata_blocks(name: str, accuracy: Accuracy) -> list[ConsoleRenderable]:
    """A stratum a row, and whether the gate looks at it."""
    from rich.text import Text

    from edge.accuracy.gate import FEWEST_IN_STRATUM

    if not accuracy.strata:
        return []
    rows = [
        (s.name, str(s.images), words.score(s.dice), words.score(s.reference_dice), words.percent(s.retained),
         "yes" if s.images >= FEWEST_IN_STRATUM else f"no, under {FEWEST_IN_STRATUM} images")
        for s in accuracy.strata
    ]  # fmt: skip
    header = (accuracy.strata_column or "stratum", "images", "Dice", "float model", "kept", "judged")
    return [Text(""), Text(f"{name}, by {accuracy.strata_column}"), _table(header, rows)]


def _passed(passed: bool) -> Any:
    from rich.text import Text

    state = "passes" if passed else "fails"
    return Text(state, style=_STATE_STYLES[state])


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, highlight=False)
    for index, name in enumerate(header):
        last_word = name in ("gate", "why float", "judged", "note")
        justify: Literal["left", "right"] = "left" if index < left or last_word else "right"
        table.add_column(name, justify=justify, no_wrap=name not in _SENTENCES, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _console() -> Console:
    """On stdout: colours and width of the terminal there, or a wide plain page where it is not one."""
    from rich.console import Console

    live = sys.stdout.isatty()
    return Console(file=sys.stdout, force_terminal=live, width=None if live else _PIPE_WIDTH, highlight=False)


def _text(*parts: ConsoleRenderable) -> str:
    from rich.measure import Measurement
    from rich.table import Table

    console = _console()
    unlimited = console.options.update(max_width=_UNLIMITED)
    tables = [Measurement.get(console, unlimited, part).minimum for part in parts if isinstance(part, Table)]
    console.width = max(console.width, *tables, 0)  # rather too wide than a name in pieces
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))


def changes_text(found: Sequence[Change]) -> str:
    """What changed between runs, a line an engine, and an empty line; nothing where there is nothing to compare."""
    if not found:
        return ""
    rows = [(x.state, x.network, x.target, x.engine, f"{x.before} → {x.after}", "; ".join(x.reasons)) for x in found]
    table = table_text(("change", "network", "target", "engine", "runs", "what"), rows, left=6)
    return f"{table}\n\n{summary(found)}\n"
