"""Makes networks and images small enough to rehearse every step on a CPU: each layer stays, most pixels go."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from calibration.cut import copy_rows, read_rows

SIDE = 64  # pixels of a network's input, each way
IMAGES = {"train": 8, "val": 4, "test": 4}
_SIZE = re.compile(r"^size = \[(\d+), (\d+)\]$", re.MULTILINE)


def small_networks(networks: tuple[str, ...], out: Path) -> tuple[str, ...]:
    """Copies of model folders whose input is at most ``SIDE`` by ``SIDE``; an ONNX file's size is its own and stays.

    Args:
        networks: model folders or ONNX files.
        out: for the copies; those that are there already are taken.
    """
    return tuple(str(_small_network(Path(network), out)) if Path(network).is_dir() else network for network in networks)


def _small_network(folder: Path, out: Path) -> Path:
    copy = out / folder.name
    if not (copy / "model.toml").is_file():
        shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "model.toml"))
        text, found = _SIZE.subn(_at_most, (folder / "model.toml").read_text())
        if found != 1:
            raise ValueError(f"{folder / 'model.toml'}: has {found} lines of size, not one")
        (copy / "model.toml").write_text(text)
    return copy


def _at_most(size: re.Match[str]) -> str:
    return f"size = [{min(SIDE, int(size[1]))}, {min(SIDE, int(size[2]))}]"


def small_set(data: Path, out: Path) -> Path:
    """The first few images of each split of a set with a manifest; a copy that is there already is taken.

    Args:
        data: folder with ``manifest.csv``.
        out: for the copy.
    """
    if (out / "manifest.csv").is_file():
        return out
    rows = read_rows(data)
    few = [row for split, count in IMAGES.items() for row in [r for r in rows if r["split"] == split][:count]]
    copy_rows(data, out, few, list(rows[0]))
    return out
