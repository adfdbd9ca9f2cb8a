"""Tensors in groups that fit in memory together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def in_groups(sizes: Iterable[tuple[str, int]], most: int) -> Iterator[list[str]]:
    """Names in order, in as few groups as hold no more than ``most`` bytes each; a larger tensor is alone.

    Args:
        sizes: name and bytes of each tensor.
        most: bytes that are held at once.
    """
    group: list[str] = []
    held = 0
    for name, size in sizes:
        if group and held + size > most:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield group
