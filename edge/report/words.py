"""Numbers and findings in words: the one place where a figure gets its digits and a run its verdict."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edge.accuracy.compare import Accuracy
from edge.accuracy.distance import SurfaceDistance
from edge.report.results import DataPart, EngineRow, Report

NONE = "–"
SEARCH = "search:"
"""How a note of the search begins; such notes are folded away from the findings."""
FEWEST_UNITS = 10
"""Patients, slides or sequences; below it a bootstrap interval is too narrow to lean on."""


def milliseconds(value: float | None) -> str:
    """Three significant digits, never an exponent: ``0.482``, ``3.14``, ``27.2``, ``1240``."""
    return NONE if value is None or math.isnan(value) else significant(value, 3)


def significant(value: float, digits: int) -> str:
    """A number to so many significant digits, without exponent and without losing whole digits."""
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if magnitude:
        return f"{value:.{max(digits - magnitude, 0)}f}"
    leading = f"{abs(value):e}".split("e")[1]
    return f"{value:.{digits - 1 - int(leading)}f}"


def score(value: float | None) -> str:
    """Dice and its kin: four decimals."""
    return NONE if value is None or math.isnan(value) else f"{value:.4f}"


def percent(value: float | None) -> str:
    """A fraction as percent with two decimals: ``99.97 %``."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.2f} %"


def signed(value: float) -> str:
    """A difference of scores: four decimals, real minus sign, no sign on what rounds to zero."""
    text = f"{value:+.4f}".replace("-", "−")
    return "0.0000" if text[1:] == "0.0000" else text


def distance(value: float | None) -> str:
    """A distance in pixels or millimetres: two decimals."""
    return NONE if value is None or math.isnan(value) else f"{value:.2f}"


def undefined(found: SurfaceDistance | None) -> str:
    """How many distances do not exist, and why: ``2 one empty, 1 both empty``; 0 where all do."""
    if found is None:
        return NONE
    counts = ((found.one_empty, "one empty"), (found.both_empty, "both empty"))
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "0"


def decibels(value: float | None, unit: str = " dB") -> str:
    """One decimal; ``equal`` where the outputs were the same to the bit (reported as 200 dB)."""
    if value is None or math.isnan(value):
        return NONE
    return "equal" if value >= 200 else f"{value:.1f}{unit}".replace("-", "−")


def size(count: int | None) -> str:
    """Bytes in kB or MB (powers of ten)."""
    if count is None:
        return NONE
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def number(value: int | None) -> str:
    """An integer with thin spaces between thousands."""
    return NONE if value is None else f"{value:,}".replace(",", "\u202f").replace("-", "−")


def giga(value: int | None) -> str:
    """Multiply-accumulates in G or M."""
    if value is None:
        return NONE
    return (f"{value / 1e9:.2f} G" if abs(value) >= 1e9 else f"{value / 1e6:.1f} M").replace("-", "−")


def off(error: float | None) -> str:
    """A relative error in whole percent with its sign: ``−38 %``."""
    return NONE if error is None or math.isnan(error) else f"{100 * error:+.0f} %".replace("-", "−")


def seconds(value: float) -> str:
    """A duration: ``0.4 s``, ``12 s``, ``2 min 5 s``."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(value: Any) -> str:
    """A value of a table (conditions, environment, facts) for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return NONE
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or NONE
    if isinstance(value, float):
        return significant(value, 4)
    return str(value)


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))


def run_label(report: Report) -> str:
    """A run among others: network and target."""
    return f"{report.model.name} on {report.target['name']}"


def precision_label(name: str) -> str:
    """``int8`` to ``INT8``, ``mixed`` to ``mixed-precision``."""
    return "mixed-precision" if name == "mixed" else name.upper()


def device(report: Report) -> str:
    """What ran it: the machine's processor where the run was measured here, else the target's title."""
    title = str(report.target.get("title") or report.target["name"])
    if report.target["name"] == "cpu":
        cpu = re.sub(r"\((?:R|TM)\)|\bCPU\b|@.*|\bProcessor\b", "", str(report.environment.get("cpu") or ""))
        return " ".join(cpu.split()) or title
    gpu = report.environment.get("gpu")
    here = gpu.get("name") if isinstance(gpu, Mapping) else gpu
    return title if report.status == "unconfirmed" or not here else f"{title} ({here})"


def p50(row: EngineRow) -> float | None:
    """The row's median latency in ms, where it was measured."""
    return None if row.latency_ms is None else row.latency_ms.p50


def baseline(report: Report) -> EngineRow | None:
    """The FP32 engine that speed-ups are taken against; None where none was measured."""
    return next((r for r in report.engines if r.precision == "fp32" and r.latency_ms is not None), None)


def speedup(row: EngineRow, base: EngineRow | None) -> float | None:
    """How many times as fast as the baseline the row is; None where either was not measured.

    The paired ratio where both were timed in turn, so that every place that says it says the same; else of medians.
    """
    if base is not None and row.against_fp32 is not None and base.precision == "fp32":
        return 1 / row.against_fp32.ratio
    ours, theirs = p50(row), p50(base) if base else None
    return None if ours is None or theirs is None else theirs / ours


def unsure(row: EngineRow, base: EngineRow | None) -> str:
    """Why a speed-up is not sure, in a word or two: ``tie`` where its paired interval holds 1, ``not sure`` where it is
    a ratio of medians one of which was disturbed; empty where it is sure, or nothing was compared."""
    if base is None or base is row or speedup(row, base) is None:
        return ""
    if row.against_fp32 is not None and base.precision == "fp32":
        low, high = row.against_fp32.ci95
        return "tie" if low <= 1.0 <= high else ""
    steady = all(one.latency_ms is not None and one.latency_ms.trustworthy for one in (row, base))
    return "" if steady else "not sure"


def times(row: EngineRow | None, base: EngineRow | None) -> str:
    """The speed-up as a cell of a table: ``3.10``, ``1.04 (tie)``, or :data:`NONE`."""
    factor = None if row is None else speedup(row, base)
    if row is None or factor is None:
        return NONE
    doubt = unsure(row, base)
    return f"{factor:.2f} ({doubt})" if doubt else f"{factor:.2f}"


def times_fp32(row: EngineRow, base: EngineRow | None, digits: int = 2) -> str:
    """The speed-up in a line of text: ``3.10× FP32``, ``1.04× FP32 (tie)``; empty where nothing was compared."""
    factor, doubt = speedup(row, base), unsure(row, base)
    return "" if factor is None else f"{factor:.{digits}f}× FP32" + (f" ({doubt})" if doubt else "")


def interval(row: EngineRow) -> str:
    """The paired interval of the speed-up over FP32: ``0.97 to 1.12``; empty where not paired."""
    paired = row.against_fp32
    return "" if paired is None else f"{1 / paired.ci95[1]:.2f} to {1 / paired.ci95[0]:.2f}"


def state(row: EngineRow) -> str:
    """One word for a row: passes, fails, or what keeps it from being either."""
    if row.path is None:
        return "not built"
    if row.accuracy is None:
        return "not scored"
    return "passes" if row.gate.passed else "fails"


def verdict(report: Report) -> str:
    """The run in one sentence that can be quoted alone: what, where, how fast, how good, on how many images."""
    evaluation = report.data.evaluation
    images = f"{evaluation.images} {evaluation.split or 'evaluation'} images of {evaluation.name}"
    gate = report.engines[0].gate.preset
    where, row = device(report), report.chosen_row
    if row is None:
        if report.status == "unconfirmed":
            passing = [row.name for row in report.engines if row.gate.passed]
            so_far = (
                f"in simulation, {listed(passing)} pass gate {gate} on {images}" if passing else "none passes so far"
            )
            return f"No engine of {report.model.name} for {where} is chosen yet: nothing was timed there; {so_far}."
        return f"No engine of {report.model.name} on {where} passes gate {gate} on {images}; none should be shipped."
    fast = _speed(report, row)
    good = _quality(report, row)
    passes = "its accuracy was not gated" if gate == "none" else f"it passes gate {gate}"
    if report.status == "unconfirmed":
        passes = f"{passes} in simulation, and must be confirmed on the device"
    engine = f"engine {row.name} of {report.model.name}"
    return f"On {where}, {engine}{fast} {good} on {images}: {passes}."


LOW_DICE = 0.5
"""Below it, a float model is more often read by a wrong task than bad."""


def low_reference(report: Report) -> str:
    """What to check where the float model itself scores low; empty where it does not."""
    if report.reference.dice >= LOW_DICE:
        return ""
    return (
        f"the float model's own Dice is {report.reference.dice:.3f}; if you know it to be better, the task is wrong "
        "(scale, mean, std, channels, classes, mask_values)"
    )


def findings(report: Report) -> tuple[str, ...]:
    """What else the reader should know before using the verdict, most important first."""
    low = low_reference(report)
    found = [f"{low[0].upper()}{low[1:]}."] if low else []
    chosen = report.chosen_row
    doubtful = [
        (row.name, row.latency_ms) for row in report.engines if row.latency_ms and not row.latency_ms.trustworthy
    ]
    if doubtful:
        names = listed([name for name, _ in doubtful])
        # What was seen, without what to do about it: the latency table has the whole sentences.
        heads = (re.split(r"[:;]", warning)[0] for _, latency in doubtful for warning in latency.warnings)
        kinds = "; ".join(dict.fromkeys(re.sub(r"^CoV .*", "run times scatter", head) for head in heads))
        found.append(f"Milliseconds not to be trusted, {names}: {kinds or 'no reason recorded'}.")
    crossed = _crossed(report, chosen)
    if crossed:
        found.append(
            f"By its median {listed(crossed)} looks faster than the engine chosen: load changed between the rounds, "
            "and who is clearly slower is timed in fewer of them. Ratios are taken round by round, and decide."
        )
    int8 = [row for row in report.engines if row.precision in ("int8", "mixed") and p50(row) is not None]
    quickest = min(int8, key=lambda row: p50(row) or 0.0, default=None)
    if chosen is not None and quickest is not None and chosen.precision not in ("int8", "mixed"):
        ours, theirs = p50(chosen), p50(quickest)
        if ours is not None and theirs is not None and theirs >= ours:
            found.append(
                f"INT8 is not worth it here: {milliseconds(theirs)} ms against {milliseconds(ours)} ms "
                f"in {precision_label(chosen.precision)}{_unless_both_hold(chosen, quickest)}."
            )
    scored = next((row.accuracy for row in report.engines if row.accuracy is not None), None)
    if scored is not None and scored.resampled_by not in ("", "image") and scored.units < FEWEST_UNITS:
        found.append(
            f"The images are of {plural(scored.units, scored.resampled_by)} only: "
            "intervals over so few are narrower than the truth."
        )
    simulated = [row.name for row in report.engines if row.simulated]
    if simulated:
        found.append(f"Accuracy of {listed(simulated)} was simulated here; the device itself may differ.")
    failed = [row.name for row in report.engines if row.path is not None and not row.gate.passed]
    absent = [row.name for row in report.engines if row.path is None]
    for fault, engines in (("Fails the gate", failed), ("Not built", absent)):
        if engines and chosen is not None:
            found.append(f"{fault}: {listed(engines)}; the table of the others says why.")
    return (*found, *(note for note in report.notes if not note.startswith(SEARCH)))


def _crossed(report: Report, chosen: EngineRow | None) -> list[str]:
    """Engines whose median is below the chosen one's though round by round they are slower."""
    if chosen is None or chosen.latency_ms is None or chosen.against_fp32 is None:
        return []
    return [
        row.name
        for row in report.engines
        if row.latency_ms is not None
        and row.against_fp32 is not None
        and row.latency_ms.p50 < chosen.latency_ms.p50
        and row.against_fp32.ratio > 1.02 * chosen.against_fp32.ratio
    ]


def search_log(report: Report) -> tuple[str, ...]:
    """What the search of precisions decided, line by line."""
    return tuple(note.removeprefix(SEARCH).strip() for note in report.notes if note.startswith(SEARCH))


def _unless_both_hold(*rows: EngineRow) -> str:
    trusted = all(row.latency_ms is None or row.latency_ms.trustworthy for row in rows)
    return "" if trusted else ", both times under disturbance: measure again on a quiet machine"


def evidence(scored: Sequence[Accuracy]) -> str:
    """How much so many images can show, in one sentence: of the engine whose differences scatter most.

    Args:
        scored: accuracies of engines on the same images; one at least.
    """
    first = scored[0]
    units = plural(first.units, first.resampled_by) if first.units else plural(first.images, "image")
    drawn = "" if first.resampled_by in ("", "image") else f" ({number(first.images)} images)"
    known = [a.dice.detectable for a in scored if not math.isnan(a.dice.detectable)]
    if not known:
        return f"Intervals are drawn over {units}{drawn}."
    return (
        f"Intervals are drawn over {units}{drawn}: a true change of mean Dice below "
        f"{significant(max(known), 2)} could go unseen (one-sided 5 %, power 80 %)."
    )


def plural(count: int, noun: str) -> str:
    """``1 image``, ``24 images``; ``24 × slide_id`` for a column that is no word."""
    if not noun.isalpha():
        return f"{number(count)} × {noun}"
    return f"{number(count)} {noun}" + ("" if count == 1 or noun.endswith("s") else "s")


def data_parts(report: Report) -> tuple[tuple[DataPart, str], ...]:
    """Each set of images that was used, with what for."""
    data = report.data
    parts = ((data.calibration, "calibration"), (data.search, "decisions"), (data.evaluation, "verdict"))
    return tuple((part, use) for part, use in parts if part is not None)


def _speed(report: Report, row: EngineRow) -> str:
    if row.latency_ms is None:
        return ""
    base = baseline(report)
    factor = speedup(row, base)
    doubt = "" if row.latency_ms.trustworthy else ", under disturbance"
    text = f" takes {milliseconds(row.latency_ms.p50)} ms per image (median{doubt})"
    if base is None or base is row or factor is None:
        return f"{text} and"
    unproven = unsure(row, base)
    if unproven == "tie":
        return f"{text}, a tie with FP32 ({factor:.2f}×, 95 % interval {interval(row)}), and"
    if unproven:
        return f"{text}, {factor:.2f}× as fast as FP32 by medians under disturbance, which is not sure, and"
    if abs(factor - 1) < 0.005:
        return f"{text}, as fast as FP32, and"
    return f"{text}, {factor:.2f}× as fast as FP32, and"


def _quality(report: Report, row: EngineRow) -> str:
    if row.accuracy is None:
        return "was not scored"
    low, high = row.accuracy.dice.difference_ci95
    return (
        f"keeps {percent(row.accuracy.dice.retained)} of the float model's Dice "
        f"({score(report.reference.dice)} → {score(row.accuracy.dice.mean)}, "
        f"95 % CI of the difference {signed(low)} to {signed(high)})"
    )
