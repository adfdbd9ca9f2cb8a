"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge.report.details import Picture
from edge.report.markdown import markdown, merged_markdown
from edge.report.results import Report


def render(report: Report, pictures: Sequence[Picture] = ()) -> str:
    """One run."""
    return _page(f"{report.model.name} on {report.target['name']}", markdown(report))


def render_merged(reports: Sequence[Report], links: Sequence[str | None] = ()) -> str:
    """Several runs."""
    return _page(f"{len(reports)} runs", merged_markdown(reports))


def _page(title: str, text: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><pre>{escape(text)}</pre>'
    )
