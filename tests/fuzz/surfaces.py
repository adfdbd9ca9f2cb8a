"""Every door by which a file or a message of others comes in."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import boards, files, runs, runtime, trust, volumes
from tests.fuzz.surface import Surface


def surfaces(place: Path) -> list[Surface]:
    """All doors; ``place`` is an empty folder for what lies beside the damaged files."""
    found = []
    for group in (files, volumes, trust, boards, runs, runtime):
        folder = place / group.__name__.rpartition(".")[2]
        folder.mkdir()
        found += group.surfaces(folder)
    return found
