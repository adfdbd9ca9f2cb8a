"""What changed between runs of one network and target: which engines got worse, better, or stayed as they were.

The first run of each network and target is what the later ones are held against: engines of one name, and the chosen
engines. An engine has *regressed* where

- it passed its gate and fails it now, or
- it keeps less than 99.9 % of the Dice that it had, on the same images, or
- its speed over FP32 fell: the paired intervals of both runs lie apart, and the ratios differ by more than 6 %.

It has *improved* where one of these holds the other way round and none the first way. Milliseconds of two runs are
never compared: the machine was not equally busy. Other images, another machine or intervals that are missing leave a
criterion out, and the change says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.report import words
from edge.report.results import EngineRow, Report

KEPT = 0.999
"""Least share of the earlier Dice that is no change; the default gate asks as much of the float model's."""
APART = 1.06
"""Two engines of one graph have measured so far apart in interleaved runs (benchmarks/results/zoo.json)."""
CHOSEN = "chosen engine"

REGRESSED, IMPROVED, SAME, NEW, GONE = "regressed", "improved", "same", "new", "gone"
_ORDER = (REGRESSED, IMPROVED, GONE, NEW, SAME)
_SAID = {True: IMPROVED, False: REGRESSED}


@dataclass(frozen=True)
class Change:
    """One engine, then and now.

    Attributes:
        network, target: of both runs.
        engine: its name, or :data:`CHOSEN`.
        before, after: labels of the runs.
        state: regressed, improved, same, new or gone.
        reasons: a phrase for each difference, and for each criterion that could not be compared.
    """

    network: str
    target: str
    engine: str
    before: str
    after: str
    state: str
    reasons: tuple[str, ...]


def changes(reports: Sequence[Report], labels: Sequence[str]) -> tuple[Change, ...]:
    """Every later run against the first of its network and target, what regressed first.

    Args:
        reports: in the order given: what is released first, what is to replace it after.
        labels: of the runs, in the same order.
    """
    first: dict[tuple[str, str], int] = {}
    found: list[Change] = []
    for index, report in enumerate(reports):
        earlier = first.setdefault((report.model.name, str(report.target["name"])), index)
        if earlier != index:
            found += _between(reports[earlier], report, labels[earlier], labels[index])
    return tuple(sorted(found, key=lambda change: _ORDER.index(change.state)))


def folder_labels(folders: Sequence[Path]) -> tuple[str, ...]:
    """A name for each run: its folder's, with as many of the folders above as tell it from the others."""
    parts = [path.resolve().parts for path in folders]
    parts = [p[:-1] if path.is_file() else p for p, path in zip(parts, folders, strict=True)]
    depth = 1
    while len({p[-depth:] for p in parts}) < len(set(parts)):
        depth += 1
    return tuple("/".join(p[-depth:]) for p in parts)


def summary(found: Sequence[Change]) -> str:
    """``1 regressed, 2 improved, 4 same``; empty where there is nothing to compare."""
    counts = ((state, sum(change.state == state for change in found)) for state in _ORDER)
    return ", ".join(f"{count} {state}" for state, count in counts if count)


def _between(old: Report, new: Report, before: str, after: str) -> Iterator[Change]:
    rows = {CHOSEN: (old.chosen_row, new.chosen_row)}
    for name in dict.fromkeys([*(r.name for r in old.engines), *(r.name for r in new.engines)]):
        rows[name] = (old.find(name), new.find(name))
    for name, (was, now) in rows.items():
        there = [row for row in (was, now) if row is not None]
        if len(there) == 2 or any(row.path is not None for row in there):  # what was never built neither came nor went
            state, reasons = _judge(old, new, was, now)
            if name == CHOSEN:
                state, reasons = _judge_chosen(was, now, state, reasons)
            yield Change(new.model.name, str(new.target["name"]), name, before, after, state, reasons)


def _judge(old: Report, new: Report, was: EngineRow | None, now: EngineRow | None) -> tuple[str, tuple[str, ...]]:
    if was is None:
        return NEW, ()
    if now is None:
        return GONE, ()
    told = [
        answer
        for answer in (_by_gate(was, now), _by_dice(old, new, was, now), _by_speed(old, new, was, now))
        if answer is not None
    ]
    states = {state for state, _ in told}
    state = REGRESSED if REGRESSED in states else IMPROVED if IMPROVED in states else SAME
    return state, tuple(reason for _, reason in told)


def _judge_chosen(
    was: EngineRow | None, now: EngineRow | None, state: str, reasons: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """The chosen engine may be another one, and a run that chooses none any more has regressed."""
    if was is None or now is None:
        return _SAID[was is None], ("none was chosen before" if was is None else "none is chosen any more",)
    return state, (reasons if was.name == now.name else (f"{was.name} → {now.name}", *reasons))


def _by_gate(was: EngineRow, now: EngineRow) -> tuple[str, str] | None:
    if was.gate.passed == now.gate.passed:
        return None
    reason = now.gate.reasons[0] if now.gate.reasons else "passes the gate now"
    return _SAID[now.gate.passed], reason


def _by_dice(old: Report, new: Report, was: EngineRow, now: EngineRow) -> tuple[str, str] | None:
    if was.accuracy is None or now.accuracy is None:
        return None
    if old.data.evaluation.sha256 != new.data.evaluation.sha256:
        return SAME, "Dice not compared: other images"
    before, after = was.accuracy.dice.mean, now.accuracy.dice.mean
    if after >= KEPT * before and before >= KEPT * after:
        return None
    return _SAID[after > before], f"Dice {words.score(before)} → {words.score(after)}"


def _by_speed(old: Report, new: Report, was: EngineRow, now: EngineRow) -> tuple[str, str] | None:
    if was.precision == now.precision == "fp32":
        return None
    if was.against_fp32 is None or now.against_fp32 is None:
        return None
    if _machine(old) != _machine(new):
        return SAME, "speed not compared: another machine"
    before, after = was.against_fp32, now.against_fp32
    overlap = before.ci95[0] <= after.ci95[1] and after.ci95[0] <= before.ci95[1]
    factor = before.ratio / after.ratio
    if overlap or max(factor, 1 / factor) <= APART:
        return None
    return _SAID[factor > 1], f"{1 / before.ratio:.2f}× → {1 / after.ratio:.2f}× FP32"


def _machine(report: Report) -> tuple[str, ...]:
    """What a ratio belongs to: processor, GPU and number of threads."""
    return tuple(str(report.environment.get(key)) for key in ("cpu", "gpu", "device", "threads"))
