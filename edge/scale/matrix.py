"""``SWEEP.toml``: networks, targets, precisions and gates, each of which is deployed with each.

::

    data = "calibration/dsb2018"       # of every network that names none of its own
    targets = ["cpu"]                  # may be left out: this machine's CPU
    precisions = ["fp32,int8"]         # each entry is what one deployment asks for; may be left out
    gates = ["99", "99.9"]

    [options]                          # of every deployment, as edge deploy has them
    seconds = 0.5

    [[networks]]
    model = "models/unet"              # name, data, task and weights may stand beside it

Paths are relative to the file.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.files import read_toml

_KEYS = {"data", "targets", "precisions", "gates", "options", "networks"}
_NETWORK_KEYS = {"model", "name", "data", "task", "weights"}
_OWN = {"model", "data", "target", "precisions", "gate", "out", "weights", "task", "on", "progress"}
"""Keywords of a deployment that are the matrix's, or that a sweep does not have."""


@dataclass(frozen=True)
class Deployment:
    """One cell of the matrix.

    Attributes:
        name: its run folder's; no two are equal.
        network: name of the network.
        target, precisions, gate: None leaves them to :func:`edge.deploy`.
        keywords: of :func:`edge.deploy`, with ``out``.
    """

    name: str
    network: str
    target: str | None
    precisions: str | None
    gate: str
    keywords: Mapping[str, Any]

    @property
    def out(self) -> Path:
        """Its run folder."""
        return Path(self.keywords["out"])


def read_matrix(path: Path, out: Path, deploy: Callable[..., Any]) -> tuple[Deployment, ...]:
    """Every deployment of a sweep, in the order of the file.

    Args:
        path: the ``SWEEP.toml``.
        out: folder of all run folders.
        deploy: :func:`edge.deploy`, whose keywords are the options there are.

    Raises:
        InputError: not such a file; the message names the key.
    """
    table = read_toml(path)
    _require_known(path, "", table, _KEYS)
    options = table.get("options", {})
    if not isinstance(options, dict):
        raise InputError(f"{path}: options is no table; write [options]")
    _require_known(path, "[options] ", options, set(inspect.signature(deploy).parameters) - _OWN)
    axes = [_texts(path, table, key) for key in ("targets", "precisions", "gates")]
    cells = [
        _deployment(path, table, network, cell, options, out)
        for network in _networks(path, table)
        for cell in itertools.product(*axes)
    ]
    names = [cell.name for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two deployments are called {twice}; give the networks different names")
    return tuple(cells)


def _deployment(
    path: Path,
    table: Mapping[str, Any],
    network: Mapping[str, Any],
    cell: Sequence[str | None],
    options: Mapping[str, Any],
    out: Path,
) -> Deployment:
    target, precisions, gate = cell
    base = path.parent
    data = network.get("data", table.get("data"))
    if data is None:
        raise InputError(f"{path}: {network['model']} has no data; name a folder at the top or in its [[networks]]")
    title = network.get("name") or re.split(r"[/:]", network["model"].rstrip("/"))[-1].removesuffix(".onnx")
    gate_name = Path(gate).stem if gate and gate.endswith(".toml") else gate
    parts = (title, target, (precisions or "").replace(",", "+"), gate_name)
    name = "-".join(re.sub(r"[^A-Za-z0-9._+-]+", "-", part) for part in parts if part).lstrip(".-")
    given = {
        "model": _placed(base, network["model"]),
        "data": str(base / data),
        "target": target,
        "precisions": precisions,
        "gate": _placed(base, gate) if gate else None,
        "out": str(out / name),
        **{key: str(base / network[key]) for key in ("task", "weights") if key in network},
        **options,
    }
    keywords = {key: value for key, value in given.items() if value is not None}
    return Deployment(name, title, target, precisions, gate or "99.9", keywords)


def _placed(base: Path, text: str) -> str:
    """A path of the file's folder where there is such a one; else a name: of a module, a gate, another framework."""
    place = base / text.partition("@")[0]
    return str(base / text) if place.exists() else text


def _networks(path: Path, table: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = table.get("networks")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: names no networks; add [[networks]] with model = ...")
    for row in rows:
        _require_known(path, "[[networks]] ", row, _NETWORK_KEYS)
        if "model" not in row or not all(isinstance(value, str) and value for value in row.values()):
            raise InputError(f"{path}: a [[networks]] needs model, and takes texts only; correct it")
    return rows


def _texts(path: Path, table: Mapping[str, Any], key: str) -> Sequence[str | None]:
    values = table.get(key, [None])
    if not isinstance(values, list) or not values:
        raise InputError(f'{path}: {key} is no list; write {key} = ["..."]')
    if key in table and not all(isinstance(value, str) and value for value in values):
        raise InputError(f'{path}: {key} holds something else than texts; write {key} = ["..."]')
    return values


def _require_known(path: Path, where: str, table: Mapping[str, Any], known: set[str]) -> None:
    strange = next((key for key in table if key not in known), None)
    if strange is not None:
        raise InputError(f"{path}: {where}{strange} is unknown; known are {', '.join(sorted(known))}")
