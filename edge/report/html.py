"""The report as one self-contained HTML page: no network, no scripts, no fonts from elsewhere.

Templates are package data; what they show is prepared here, so that they hold no logic beyond loops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from edge.accuracy.gate import FEWEST_IN_STRATUM
from edge.report import plots, words
from edge.report.changes import changes, summary
from edge.report.details import Picture
from edge.report.gate_table import gate_table
from edge.report.headline import badges, headline, not_taken
from edge.report.layers import LayerTable, layer_table
from edge.report.pictures import Plate, plates
from edge.report.results import EngineRow, Report

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_INTERLEAVED = "interleaved_with"
_MOST_IMAGES = 300  # rows of the per-image table; the rest is in report.json


@dataclass(frozen=True)
class Conditions:
    """What latencies were measured under: what all engines share, and what sets each apart."""

    shared: Mapping[str, Any]
    differing: tuple[str, ...]


@dataclass(frozen=True)
class ImageLine:
    """One row of the per-image table."""

    name: str
    link: str | None
    reference: float
    engines: tuple[float, ...]
    lost: float


def render(report: Report, pictures: Sequence[Picture] = ()) -> str:
    """One run.

    Args:
        report: everything measured.
        pictures: images to draw masks on, worst first.
    """
    drawn, gated = plates(report, pictures), _detailed(report)
    links = {plate.name: f"#{plate.anchor}" for plate in drawn}
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            title=words.run_label(report),
            base=words.baseline(report),
            chosen=report.chosen_row,
            headline=headline(report),
            badges=badges(report),
            not_taken=not_taken(report),
            gated=gated if gated is not None and gated.gate.checks else None,
            gate_lines=gate_table(gated) if gated is not None else (),
            detailed=gated,
            plates=drawn,
            shown_engine=_shown_engine(report, drawn),
            front=plots.front(report),
            ecdf=plots.ecdf(report),
            scatters=_scatters(report, links),
            image_lines=_image_lines(report, links),
            layers=_layers(report),
            lost=[row for row in report.engines if row.lost],
            convergence=plots.convergence(report.calibration) if report.calibration else None,
            conditions=_conditions(report),
        )
    )


def render_merged(
    reports: Sequence[Report],
    links: Sequence[str | None],
    labels: Sequence[str],
    missing: Mapping[str, str] | None = None,
    columns: bool = False,
) -> str:
    """One self-contained page over several runs: what changed, then networks, targets and precisions.

    Args:
        reports: in the order to show.
        links: to each run's own page; fewer than runs, or None, for none.
        labels: what each run is called.
        missing: name of each run that is not there to why.
        columns: a column for each run as well.
    """
    found = changes(reports, labels)
    padded = [*links, *[None] * (len(reports) - len(links))]
    return (
        _templates()
        .get_template("merged.html.j2")
        .render(
            title=f"{len(reports)} runs",
            labels=labels,
            missing=dict(missing or {}),
            columns=columns,
            engine_names=list(dict.fromkeys(row.name for report in reports for row in report.engines)),
            changes=found,
            changed=summary(found),
            runs=list(zip(reports, padded, strict=True)),
            front=plots.merged_front(reports, labels),
            targets=list(dict.fromkeys(report.target["name"] for report in reports)),
            precisions=[
                p
                for p in ("fp32", "bf16", "fp16", "int8", "mixed")
                if any(row.precision == p for report in reports for row in report.engines)
            ],
            best=_best,
        )
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("edge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["words"] = words
    environment.globals["breakable"] = _breakable
    environment.globals["unbroken"] = _unbroken
    environment.globals["assumed"] = _assumed
    environment.globals["fewest_in_stratum"] = FEWEST_IN_STRATUM
    return environment


def _breakable(name: str) -> Markup:
    """A layer's name that may break after its separators and nowhere else."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([/._,])(?=\w)", r"\1<wbr>", str(escape(name))))


def _unbroken(command: str) -> Markup:
    """A command line that breaks between its words, and within one only where it is wider than the page."""
    from markupsafe import Markup, escape

    return Markup(" ").join(Markup("<span>{}</span>").format(escape(word)) for word in command.split(" "))


def _assumed(rows: Sequence[EngineRow]) -> list[str]:
    """What the rows' estimates rest on, each sentence once, the peaks' source last."""
    found = [row.estimated for row in rows if row.estimated is not None]
    sentences = dict.fromkeys(sentence for estimate in found for sentence in estimate.assumptions)
    sources = dict.fromkeys(f"peaks from: {estimate.source}" for estimate in found if estimate.source)
    return [*sentences, *sources]


def _best(report: Report, precision: str) -> EngineRow | None:
    """The row that speaks for a precision: the fastest that passes, else the first."""
    rows = [row for row in report.engines if row.precision == precision]
    passing = [row for row in rows if row.gate.passed and row.latency_ms is not None]
    return min(passing, key=lambda row: words.p50(row) or 0.0, default=rows[0] if rows else None)


def _scatters(report: Report, links: Mapping[str, str]) -> list[str]:
    if report.images is None:
        return []
    limits = plots.scatter_limits(report.images)
    drawn = (
        plots.dice_scatter(report.images, row, links, f"dice-{index}", limits)
        for index, row in enumerate(report.engines)
    )
    return [svg for svg in drawn if svg is not None]


def _image_lines(report: Report, links: Mapping[str, str]) -> list[ImageLine]:
    """Worst loss first."""
    scores = report.images
    if scores is None:
        return []
    lines = []
    for index, (name, reference) in enumerate(zip(scores.names, scores.reference, strict=True)):
        engines = tuple(values[index] for values in scores.engines.values())
        lines.append(ImageLine(name, links.get(name), reference, engines, reference - min(engines, default=reference)))
    return sorted(lines, key=lambda line: -line.lost)[:_MOST_IMAGES]


def _layers(report: Report) -> list[LayerTable]:
    """Of engines that were looked into: of the others a report only holds what their plan left float."""
    return [
        layer_table(row)
        for row in report.engines
        if row.layers and (row.simulated or any(layer.ms is not None for layer in row.layers))
    ]


def _conditions(report: Report) -> Conditions:
    tables = [row.latency_ms.conditions for row in report.engines if row.latency_ms is not None]
    # Each engine names the others here; that they took turns is one fact about all.
    interleaved = any(table.get(_INTERLEAVED) for table in tables)
    keys = list(dict.fromkeys(key for table in tables for key in table if key != _INTERLEAVED))
    shared = {
        key: tables[0][key] for key in keys if all(key in table and table[key] == tables[0][key] for table in tables)
    }
    turns = {"order": "engines in turn, block by block"} if interleaved else {}
    return Conditions({**shared, **turns}, tuple(key for key in keys if key not in shared))


def _detailed(report: Report) -> EngineRow | None:
    """Whose classes and strata are shown: the chosen engine's, else those of the first that was scored."""
    scored = [row for row in report.engines if row.accuracy is not None]
    return next((row for row in scored if row.name == report.chosen), scored[0] if scored else None)


def _shown_engine(report: Report, drawn: Sequence[Plate]) -> str | None:
    """Whose masks the pictures show at first: the chosen engine's where it changed any, else those changed most."""
    changed: dict[str, int] = {}
    for engine in (engine for plate in drawn for engine in plate.engines):
        changed[engine.engine] = changed.get(engine.engine, 0) + engine.changed
    if report.chosen is not None and changed.get(report.chosen):
        return report.chosen
    return max(changed, key=lambda name: changed[name], default=None)
