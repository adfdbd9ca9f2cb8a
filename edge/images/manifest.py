"""``manifest.csv``: which files belong together, and what each is for."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge.errors import InputError
from edge.images.grid import AXES
from edge.images.readers.stack import Layout
from edge.safety.guard import read_text

NAME = "manifest.csv"
SPLITS = ("train", "val", "test")
SLICES = ("all", "labelled")
_NEEDED = ("image", "mask", "split")
_OURS = (*_NEEDED, "slices", "axis", "axes")


@dataclass(frozen=True)
class Row:
    """One line of a manifest.

    Attributes:
        where: the file and the line, for messages.
        images: files of the image, or the folder of its series.
        masks: none, one, or one for each class.
        split: train, val or test.
        layout: what the line says of the files.
        labelled: of a volume, only the slices with foreground are samples.
        columns: every further column.
    """

    where: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    split: str
    layout: Layout
    labelled: bool
    columns: Mapping[str, str]


def read_manifest(root: Path) -> tuple[Row, ...]:
    """The lines of ``root/manifest.csv``; every file named is there.

    Raises:
        InputError: not such a table; names the line.
        PermissionError: it may not be read.
    """
    manifest = root / NAME
    text = read_text(manifest)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        columns, lines = reader.fieldnames or (), [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise InputError(f"{manifest}: cannot be read ({error}); save it as comma-separated UTF-8 text") from None
    if len(columns) == 1 and (other := next((mark for mark in ";\t" if mark in columns[0]), None)):
        parted = "semicolons" if other == ";" else "tabs"
        raise InputError(f"{manifest}: its columns are parted by {parted}; save it as comma-separated UTF-8 text")
    for column in _NEEDED:
        if column not in columns:
            raise InputError(f"{manifest}: no column {column!r}; the columns are image, mask, split and any more")
    if not lines:
        raise InputError(f"{manifest}: lists no images; add a line for each")
    return tuple(_row(root, f"{manifest}: line {number}", line) for number, line in lines)


def _row(root: Path, where: str, line: Mapping[str, str]) -> Row:
    split = _choice(where, line, "split", SPLITS)
    images = _files(root, where, line["image"])
    masks = _files(root, where, line["mask"]) if line["mask"] else ()
    slices = _choice(where, line, "slices", SLICES, "all")
    if slices == "labelled" and not masks:
        raise InputError(f"{where}: slices = labelled, but there is no mask; name one, or take all slices")
    layout = Layout(_choice(where, line, "axis", AXES, None), line.get("axes") or None)
    columns = {name: value for name, value in line.items() if name not in _OURS and name is not None}
    return Row(where, images, masks, split or "", layout, slices == "labelled", columns)


def _choice(
    where: str, line: Mapping[str, str], name: str, allowed: Sequence[str], default: str | None = ""
) -> str | None:
    value = line.get(name)
    if not value and default != "":
        return default
    if value not in allowed:
        raise InputError(f"{where}: {name} {value!r} is not one of {', '.join(allowed)}")
    return value


def _files(root: Path, where: str, cell: str) -> tuple[Path, ...]:
    """The files of a cell, separated by ``;`` unless the whole cell is the name of one."""
    names = [cell] if ";" not in cell or os.path.exists(root / cell) else [name.strip() for name in cell.split(";")]
    return tuple(_file(root, where, name) for name in names)


def _file(root: Path, where: str, name: str) -> Path:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InputError(f"{where}: {name!r} leads out of the folder; keep the files of a set inside it")
    path = root / name  # os.path takes names that no file can have for absent ones, pathlib fails on them
    if name and (os.path.isfile(path) or (os.path.isdir(path) and path != root)):
        return path
    if os.path.islink(path):
        raise InputError(f"{where}: {name!r} is a link to nothing; restore the file or remove the line")
    raise InputError(f"{where}: {name!r} is not there; correct the path or remove the line")
