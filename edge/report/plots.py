"""The report's plots. Each function draws one and returns inline SVG; none knows of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.quantization.ranges import Convergence
from edge.report import words
from edge.report.results import EngineRow, ImageScores, Report
from edge.report.svg import INKS, drawing, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE, _FULL, _SQUARE = (4.7, 3.1), (9.0, 3.4), (3.3, 3.1)
_MARK_HALF = 6.0  # points: half of a mark, which no label may hide
_MARKERS = ("o", "s", "D", "^", "v", "P")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1, 2)))


def front(report: Report, name: str = "front") -> str | None:
    """Dice against median latency: who is on the front, who fails the gate, how sure the Dice is."""
    rows = [row for row in report.engines if row.latency_ms is not None and row.accuracy is not None]
    if not rows:
        return None
    with drawing():
        figure, axes = _figure(_FULL)
        points = [_front_point(axes, report, row, rows) for row in rows]
        axes.axhline(report.reference.dice, color=INKS["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
        axes.annotate(
            "float model",
            (1.0, report.reference.dice),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color=INKS["muted"],
            fontsize=8,
        )
        axes.set_xlim(*_front_limits(rows))
        axes.margins(y=0.24)
        axes.set_xlabel("median latency, ms per image (left is better)")
        axes.set_ylabel("mean Dice (up is better)")
        _label_points(
            figure, axes, [(_front_label(report, row), point) for row, point in zip(rows, points, strict=True)]
        )
        told = "; ".join(
            f"{row.name} {words.milliseconds(x)} ms, Dice {words.score(y)}, {words.state(row)}"
            for (x, y), row in zip(points, rows, strict=True)
        )
        return inline(figure, name, "Accuracy against latency", f"{told}. Float model: {report.reference.dice:.4f}.")


def ecdf(report: Report, name: str = "ecdf") -> str | None:
    """Share of runs that finished within so many milliseconds, one curve for each engine."""
    rows = [row for row in report.engines if len(row.latency_quantiles_ms) > 1]
    if not rows:
        return None
    with drawing():
        figure, axes = _figure(_WIDE)
        for row in rows:
            levels = np.linspace(0, 100, len(row.latency_quantiles_ms))
            axes.plot(row.latency_quantiles_ms, levels, color=_ink(row), linestyle=_dash(row, rows), label=row.name)
        right = max(row.latency_quantiles_ms[int(0.99 * (len(row.latency_quantiles_ms) - 1))] for row in rows)
        left = min(row.latency_quantiles_ms[0] for row in rows)
        axes.set_xlim(left - 0.04 * (right - left), right + 0.08 * (right - left))
        axes.set_ylim(0, 101)
        axes.set_xlabel("latency, ms per image")
        axes.set_ylabel("runs done within, %")
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8.5, handlelength=2.6)
        told = "; ".join(_latency_phrase(row) for row in rows)
        return inline(figure, name, "Latency distribution", f"Cumulative share of runs. {told}.")


def dice_scatter(
    scores: ImageScores, row: EngineRow, links: Mapping[str, str], name: str, limits: tuple[float, float]
) -> str | None:
    """Each image's Dice under the float model (across) and under one engine (up); pictured images are links.

    Args:
        scores: of all images.
        row: the engine.
        links: image name to ``#fragment`` of its picture.
        name: unique in the page.
        limits: of both axes, so that engines compare by eye.
    """
    if row.name not in scores.engines:
        return None
    reference, mine = np.asarray(scores.reference), np.asarray(scores.engines[row.name])
    with drawing():
        figure, axes = _figure(_SQUARE)
        axes.plot(limits, limits, color=INKS["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
        pictured = np.array([image in links for image in scores.names])
        axes.scatter(reference[~pictured], mine[~pictured], s=13, color=_ink(row), alpha=0.6, linewidths=0)
        if pictured.any():
            rings = axes.scatter(
                reference[pictured], mine[pictured], s=46, facecolor=_ink(row), edgecolor=INKS["ink"], linewidth=1.2
            )
            rings.set_urls([links[image] for image in scores.names if image in links])
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
        axes.set_aspect("equal")
        axes.set_xlabel("Dice, float model")
        axes.set_ylabel(f"Dice, {row.name}")
        called = {
            links[image]: f"{image}: Dice {ours:.4f}, float model {theirs:.4f}; show its picture"
            for image, ours, theirs in zip(scores.names, mine, reference, strict=True)
            if image in links
        }
        lost = int((mine < reference - 0.01).sum())
        told = f"{len(mine)} images; {lost} lose more than 0.01; the worst changes by {(mine - reference).min():+.4f}."
        return inline(figure, name, f"Dice per image, {row.name} against the float model", told, called)


def scatter_limits(scores: ImageScores) -> tuple[float, float]:
    """Both axes' limits over all engines, with a margin."""
    values = [*scores.reference, *(value for engine in scores.engines.values() for value in engine)]
    low = min(values, default=0.0)
    margin = max(0.04 * (1.0 - low), 0.004)
    return low - margin, 1.0 + margin


def convergence(found: Convergence, name: str = "convergence") -> str:
    """How far ranges still were from their final values after so many calibration images."""
    with drawing():
        figure, axes = _figure(_WIDE)
        for values, label, dash in ((found.worst, "worst tensor", _DASHES[1]), (found.median, "median tensor", "-")):
            percents = 100 * np.asarray(values)
            axes.plot(
                found.images, percents, color=INKS["int8"], linestyle=dash, marker="o", markersize=3.5, label=label
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(found.images, [str(count) for count in found.images])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("calibration images seen")
        axes.set_ylabel("range still off by, %")
        axes.legend(loc="upper right", frameon=False, fontsize=8.5, handlelength=3.4)
        half = found.images[len(found.images) // 2]
        told = f"After {half} images the median is off by {100 * found.median[len(found.images) // 2]:.1f} %."
        return inline(figure, name, "Calibration convergence", told)


def merged_front(reports: Sequence[Report], labels: Sequence[str], name: str = "fronts") -> str | None:
    """Dice kept against speed-up over FP32 for every engine of every run: numbers that compare across networks."""
    points = [
        (index, row, factor)
        for index, report in enumerate(reports)
        for row in report.engines
        if (factor := words.speedup(row, words.baseline(report))) is not None and row.accuracy is not None
    ]
    if not points:
        return None
    with drawing():
        figure, axes = _figure(_WIDE)
        told = []
        for index, row, factor in points:
            assert row.accuracy is not None
            kept = 100 * row.accuracy.dice.retained
            marker = _MARKERS[index % len(_MARKERS)]
            fill = _ink(row) if row.gate.passed else "none"
            axes.scatter(factor, kept, s=48, marker=marker, facecolor=fill, edgecolor=_ink(row), linewidth=1.4)
            told.append(f"{labels[index]} {row.name}: {factor:.2f} times, {kept:.2f} % kept, {words.state(row)}")
        for index, label in enumerate(labels):
            marker = _MARKERS[index % len(_MARKERS)]
            axes.scatter([], [], s=40, marker=marker, color=INKS["muted"], label=label)
        axes.axhline(100, color=INKS["muted"], linewidth=0.9, linestyle=(0, (2, 2)))
        axes.margins(x=0.1, y=0.15)
        axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("times as fast as FP32 on the same target (right is better)")
        axes.set_ylabel("Dice kept, %")
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8.5)
        return inline(figure, name, "Dice kept against speed-up, all runs", "; ".join(told) + ".")


def _front_point(axes: Axes, report: Report, row: EngineRow, rows: Sequence[EngineRow]) -> tuple[float, float]:
    assert row.latency_ms is not None and row.accuracy is not None
    x, dice = row.latency_ms.p50, row.accuracy.dice
    low, high = (report.reference.dice + end for end in dice.difference_ci95)
    colour, chosen = _ink(row), row.name == report.chosen
    axes.plot([x, x], [low, high], color=colour, linewidth=1.4, alpha=0.7)
    axes.plot([x, row.latency_ms.p99], [dice.mean, dice.mean], color=colour, linewidth=1.0, alpha=0.5)
    axes.scatter(
        x,
        dice.mean,
        s=90 if chosen else 52,
        marker=_marker(row, rows),
        facecolor=colour if row.gate.passed else INKS["paper"],
        edgecolor=INKS["ink"] if chosen else colour,
        linewidth=1.6,
        zorder=3,
    )
    return x, dice.mean


def _front_label(report: Report, row: EngineRow) -> str:
    if row.name == report.chosen:
        return f"{row.name} (chosen)"
    return row.name if row.gate.passed else f"{row.name} (fails)"


def _label_points(figure: Figure, axes: Axes, labels: Sequence[tuple[str, tuple[float, float]]]) -> None:
    """Write each label under its point, or over it, or further off, wherever no earlier label is."""
    width, height = 5.2, 11.0  # points: an average character at this size, and a line
    figure.draw_without_rendering()  # settles the limits, so that places on the page are known
    to_points = 72.0 / figure.dpi
    marks = [axes.transData.transform(point) * to_points for _, point in labels]
    taken: list[tuple[float, float, float]] = [(float(x), float(y), _MARK_HALF) for x, y in marks]
    for (text, point), (x, y) in zip(labels, marks, strict=True):
        half = width * len(text) / 2
        offset = next(
            (
                dy
                for dy in (-14.0, 14.0, -26.0, 26.0, -38.0)
                if all(abs(x - tx) > half + th or abs(y + dy - ty) > height for tx, ty, th in taken)
            ),
            -14.0,
        )
        taken.append((x, y + offset, half))
        axes.annotate(
            text, point, xytext=(0, offset), textcoords="offset points", ha="center", va="center", fontsize=8.5
        )


def _front_limits(rows: Sequence[EngineRow]) -> tuple[float, float]:
    """From left of the fastest median to right of the last p99, so that no bar is clipped and no half stands empty."""
    times = [row.latency_ms for row in rows if row.latency_ms is not None]
    first, last = min(t.p50 for t in times), max(t.p99 for t in times)
    margin = 0.08 * max(last - first, 0.25 * last)
    return max(0.0, first - 1.5 * margin), last + margin


def _figure(size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    return figure, figure.add_subplot()


def _ink(row: EngineRow) -> str:
    return INKS.get(row.precision, INKS["muted"])


def _rank(row: EngineRow, rows: Sequence[EngineRow]) -> int:
    """Which of the engines of its precision this is: colour tells precisions apart, marker and dash the rest."""
    return [other.name for other in rows if other.precision == row.precision].index(row.name)


def _marker(row: EngineRow, rows: Sequence[EngineRow]) -> str:
    return _MARKERS[_rank(row, rows) % len(_MARKERS)]


def _dash(row: EngineRow, rows: Sequence[EngineRow]) -> Any:
    return _DASHES[_rank(row, rows) % len(_DASHES)]


def _latency_phrase(row: EngineRow) -> str:
    quantiles = row.latency_quantiles_ms
    half, tail = (quantiles[int(share * (len(quantiles) - 1))] for share in (0.5, 0.99))
    return f"{row.name}: half within {words.milliseconds(half)} ms, 99 % within {words.milliseconds(tail)} ms"
