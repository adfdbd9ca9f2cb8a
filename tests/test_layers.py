"""Imports run downwards only, over the floors of ``pyproject.toml``; import-linter (``lint-imports``) says the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import tomllib

ROOT = Path(__file__).parent.parent
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
FLOOR = {room: floor for floor, row in enumerate(CONTRACT["layers"]) for room in row.split(" : ")}


def _arrows() -> Iterator[tuple[str, str, str]]:
    """File, its room, and a room that it imports from; relative imports are resolved."""
    for path in sorted((ROOT / "edge").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) == 2 and parts[1].startswith("__"):
            continue  # edge itself, which loads the API when it is asked
        for node in ast.walk(ast.parse(path.read_text())):
            for target in _targets(node, parts):
                if target[:1] == ("edge",) and len(target) > 1:
                    yield "/".join(parts), parts[1], target[1]


def _targets(node: ast.AST, parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = parts[: len(parts) - node.level] if node.level else ()
    module = (*above, *(node.module.split(".") if node.module else ()))
    return [(*module, alias.name) for alias in node.names] if len(module) == 1 else [module]


def test_every_room_has_a_floor() -> None:
    rooms = {
        path.stem for path in (ROOT / "edge").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms - {"__init__"} == set(FLOOR)


def test_no_import_runs_up() -> None:
    arrows = [arrow for arrow in _arrows() if arrow[2] in FLOOR]
    assert len(arrows) > 1000  # it reads imports at all
    assert [arrow for arrow in arrows if FLOOR[arrow[1]] > FLOOR[arrow[2]]] == []


def test_rooms_of_one_floor_know_nothing_of_each_other_or_of_one_alone() -> None:
    beside = {(a, b) for _, a, b in _arrows() if b in FLOOR and a != b and FLOOR[a] == FLOOR[b]}
    assert not {(b, a) for a, b in beside} & beside
