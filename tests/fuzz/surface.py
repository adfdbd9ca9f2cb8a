"""A surface: one door by which a file of others comes in, sound examples to damage, and the call that reads them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Surface:
    """One door.

    Attributes:
        name: for tables and seeds.
        weight: its share of a campaign.
        seeds: sound inputs, by file name.
        mutate: damages one of them.
        read: reads the damaged file, which lies in an otherwise sound folder.
        folder: what lies beside it, copied before each input; None where nothing does.
        grown_bytes: how much more memory than a sound input takes another process has held, which does the reading.
    """

    name: str
    weight: int
    seeds: dict[str, bytes]
    mutate: Mutate
    read: Callable[[Path], object]
    folder: Path | None = None
    grown_bytes: Callable[[], int] = int


def place_input(surface: Surface, data: bytes, name: str, folder: Path) -> Path:
    """Put a damaged file where its surface reads it, among what lies beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    if surface.folder is not None:
        shutil.copytree(surface.folder, folder)
    else:
        folder.mkdir(parents=True)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path
