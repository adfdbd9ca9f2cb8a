"""Outlines of label maps as SVG paths along pixel edges: exact at any zoom, and small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Unit steps along pixel edges in clockwise order: right, down, left, up.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_RIGHT, _DOWN, _LEFT, _UP = range(4)

Vertex = tuple[int, int]
Loop = tuple[Vertex, ...]


def outline(labels: NDArray[np.integer[Any]]) -> str:
    """SVG path data around every foreground class of ``[h, w]`` class indices; one user unit is a pixel.

    Returns:
        Closed loops, clockwise around foreground and counter-clockwise around holes; "" where there is none.
    """
    classes = [value for value in np.unique(labels) if value]
    return "".join(path(labels == value) for value in classes)


def path(mask: NDArray[np.bool_]) -> str:
    """SVG path data around a boolean ``[h, w]`` mask: fill it with the even-odd or the non-zero rule."""
    return "".join(_loop_data(loop) for loop in loops(mask))


def loops(mask: NDArray[np.bool_]) -> list[Loop]:
    """The corners of every closed boundary, ``(x, y)`` on the pixel grid. Pixels that touch at a corner are apart."""
    leaving = _edges(mask)
    found = []
    while leaving:
        start = next(iter(leaving))
        found.append(_trace(leaving, start))
    return found


def count_edges(labels: NDArray[np.integer[Any]]) -> int:
    """Pixel edges between different classes: how long the outlines are, without tracing them."""
    padded = np.pad(labels, 1)
    return int((padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum())


def _edges(mask: NDArray[np.bool_]) -> dict[Vertex, list[int]]:
    """Directions that leave each vertex, foreground on the right-hand side."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (_RIGHT, inside & ~padded[:-2, 1:-1], 0, 0),  # top edge, from the pixel's upper left corner
        (_DOWN, inside & ~padded[1:-1, 2:], 1, 0),
        (_LEFT, inside & ~padded[2:, 1:-1], 1, 1),
        (_UP, inside & ~padded[1:-1, :-2], 0, 1),
    )
    leaving: dict[Vertex, list[int]] = {}
    for direction, edge, dx, dy in sides:
        for y, x in np.argwhere(edge).tolist():
            leaving.setdefault((x + dx, y + dy), []).append(direction)
    return leaving


def _trace(leaving: dict[Vertex, list[int]], start: Vertex) -> Loop:
    """Follow edges until back at the start, and take them out of ``leaving``."""
    corners: list[Vertex] = []
    vertex, heading = start, -1
    while True:
        directions = leaving[vertex]
        # Where two loops touch, turning right keeps them apart.
        turn = (heading + 1) % 4 if heading >= 0 else directions[0]
        direction = turn if turn in directions else directions[0]
        directions.remove(direction)
        if not directions:
            del leaving[vertex]
        if direction != heading:
            corners.append(vertex)
            heading = direction
        vertex = (vertex[0] + _STEPS[direction][0], vertex[1] + _STEPS[direction][1])
        if vertex == start:
            return tuple(corners)


def _loop_data(loop: Loop) -> str:
    (x, y), parts = loop[0], []
    parts.append(f"M{x} {y}")
    for next_x, next_y in loop[1:]:
        parts.append(f"h{next_x - x}" if next_y == y else f"v{next_y - y}")
        x, y = next_x, next_y
    return "".join(parts) + "z"
