"""Writes the page of reports, ``gallery.md``, from run folders: what each says in a line, and its head as a picture.

python docs/make_gallery.py out/networks/unet out/networks/litenext
"""

from __future__ import annotations

import sys
from pathlib import Path

from make_screenshot import photograph

from edge.report.headline import badges, headline
from edge.report.store import read_report

DOCS = Path(__file__).parent
HEAD = """# Reports of five networks

What `edge deploy` wrote for each network of the project, one after the other on one machine, photographed by
`docs/make_gallery.py`. A report is one file: it opens without a server, follows the browser's dark mode, and prints.
"""


def main(runs: list[Path]) -> None:
    """Photograph the reports and write the page.

    Args:
        runs: run folders; each is named after its folder.
    """
    parts = [HEAD]
    for run in runs:
        report = read_report(run)
        photograph(run / "report.html", DOCS / f"images/gallery/{run.name}.png")
        claims = "; ".join(f"{badge.title}: {badge.text}" for badge in badges(report))
        parts.append(f"## {report.model.name}\n\n{headline(report)}. {claims}.\n")
        parts.append(
            f"    {report.command}\n\n![Head of the report of {report.model.name}](images/gallery/{run.name}.png)\n"
        )
    (DOCS / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
