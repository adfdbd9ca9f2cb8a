"""Sizes a network takes: found by trying, since halvings, windows and patches each have a rule of their own."""

from __future__ import annotations

from collections.abc import Callable

Size = tuple[int, int]

_MULTIPLES = (2, 4, 8, 14, 16, 32, 64, 128)  # halvings, and the patches and windows of transformers


def next_size(size: Size, runs: Callable[[Size], bool]) -> tuple[int | None, Size] | None:
    """The least multiple that height and width must have, and the next size that has it.

    Args:
        size: one that the network does not take.
        runs: whether the network takes a size.

    Returns:
        The multiple is None where one size was found and no rule; None altogether where no multiple helps.
    """
    alone: Size | None = None
    for multiple in _MULTIPLES:
        candidate = (_up(size[0], multiple), _up(size[1], multiple))
        if candidate == size or not runs(candidate):
            continue
        # 112 is a multiple of 14 and of 16: the next multiple tells which of them the network needs.
        if runs((candidate[0] + multiple, candidate[1] + multiple)):
            return multiple, candidate
        alone = alone or candidate
    return None if alone is None else (None, alone)


def advice(size: Size, runs: Callable[[Size], bool]) -> str:
    """What to correct in a task whose size a network does not take, in a clause; "" where no multiple helps."""
    found = next_size(size, runs)
    if found is None:
        return ""
    multiple, better = found
    if multiple is None:
        return f"it runs at {better[0]} x {better[1]}; set size = {list(better)}"
    changes = [f"{a} -> {b}" for a, b in dict.fromkeys(zip(size, better, strict=True)) if a != b]
    return f"height and width must be multiples of {multiple} ({', '.join(changes)}); set size = {list(better)}"


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
