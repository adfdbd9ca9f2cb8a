"""Reports to files: ``report.json``, ``report.html`` and ``report.md`` side by side, from the same dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import write_json, write_text
from edge.report.changes import changes, folder_labels
from edge.report.details import Picture
from edge.report.results import Report
from edge.report.store import REPORT, faults, read_report

MERGED_SCHEMA = "edge.reports/1"


def write_report(report: Report, folder: Path, pictures: Sequence[Picture] = (), images: bool = True) -> None:
    """Write the three files into a folder.

    Args:
        report: everything measured.
        folder: made if missing; each file is replaced whole or not at all.
        pictures: images to draw masks on, worst first.
        images: False leaves every picture, and every image's name, out (patient data).

    Raises:
        ValueError: the report breaks its own schema (a bug of the caller); nothing is written.
        MachineError: the disk is full or the folder is not writable.
    """
    from edge.report.html import render
    from edge.report.markdown import markdown
    from edge.report.privacy import without_names

    shown = report if images else without_names(report)
    table = shown.to_json()
    found = faults(table)
    if found:
        raise ValueError(f"report breaks schema {table['schema']}: {'; '.join(found)}")
    page = render(shown, pictures if images else ())
    text = markdown(shown)
    write_json(folder / REPORT, table)
    write_text(folder / "report.html", page)
    write_text(folder / "report.md", text)


def write_merged(
    runs: Sequence[Path], out: Path, missing: Mapping[str, str] | None = None, columns: bool = False
) -> tuple[Report, ...]:
    """Write one page over several run folders (or ``report.json`` files), with ``.json`` and ``.md`` beside it.

    Args:
        runs: where the reports are.
        out: the ``.html`` to write.
        missing: name of each run that should be there and is not, to why.
        columns: a column for each run as well, as of boards that were given the same network.

    Returns:
        The reports, in order.

    Raises:
        InputError: one of the runs holds no sound report, or would be overwritten.
        MachineError: the disk is full or the folder is not writable.
    """
    from edge.report.html import render_merged
    from edge.report.markdown import merged_markdown

    if out.suffix.lower() in (".json", ".md"):
        raise InputError(f"{out}: is where the page's {out.suffix} goes; give --out a name that ends in .html")
    reports = tuple(read_report(run) for run in runs)
    beside = out.with_suffix(".json").resolve()
    if any((run / REPORT if run.is_dir() else run).resolve() == beside for run in runs):
        raise InputError(f"{out}: would overwrite the report of a run beside it; choose another --out")
    links = [_link(run, out) for run in runs]
    labels = folder_labels(runs)
    page, text = render_merged(reports, links, labels, missing, columns), merged_markdown(reports, labels)
    found = [asdict(change) for change in changes(reports, labels)]
    table: dict[str, Any] = {
        "schema": MERGED_SCHEMA,
        "changes": found,
        "runs": [report.to_json() for report in reports],
    }
    if missing:
        table["missing"] = dict(missing)
        text += "\n" + "\n".join(f"- {name}: {why}" for name, why in missing.items()) + "\n"
    write_json(out.with_suffix(".json"), table)
    write_text(out.with_suffix(".md"), text)
    write_text(out, page)
    return reports


def _link(run: Path, out: Path) -> str | None:
    import os
    from urllib.parse import quote

    page = (run if run.is_dir() else run.parent) / "report.html"
    if not page.is_file() or page.resolve() == out.resolve():
        return None
    relative = Path(os.path.relpath(page.resolve(), out.parent.resolve())).as_posix()
    return "./" + quote(relative, errors="surrogateescape")  # never a scheme, a query or a fragment
