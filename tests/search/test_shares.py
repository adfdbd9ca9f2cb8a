"""Harm of blocks, shared out over their groups."""

from __future__ import annotations

import pytest

from edge.search.sensitivity import Harm
from edge.search.shares import MOST_BLOCKS, blocks, estimated_harms, shared_out

GROUPS = tuple((f"conv{index}",) for index in range(10))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 10, 99])
def test_every_group_is_in_one_block_and_blocks_are_neighbours(count: int) -> None:
    found = blocks(GROUPS, count)
    assert [group for block in found for group in GROUPS if group in block] == list(GROUPS)
    assert len(found) == max(1, min(count, len(GROUPS), MOST_BLOCKS))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_block_s_noise_is_shared_by_what_its_layers_lose() -> None:
    own = {GROUPS[0]: 0.003, GROUPS[1]: 0.001}
    found = shared_out(frozenset(GROUPS[:3]), Harm(0.6, 0.12), own)
    # The third is not known: it counts as the mean of the others, 0.002 of 0.006.
    assert [found[group].noise for group in GROUPS[:3]] == pytest.approx([0.3, 0.1, 0.2])
    assert found[GROUPS[0]] == Harm(pytest.approx(0.3), pytest.approx(0.06), estimated=True)


def test_nothing_known_is_shared_evenly_and_a_block_of_one_is_measured() -> None:
    for own in ({}, dict.fromkeys(GROUPS, 0.0)):
        assert {harm.noise for harm in shared_out(frozenset(GROUPS[:4]), Harm(1.0, 0.0), own).values()} == {0.25}
    assert shared_out(frozenset(GROUPS[:1]), Harm(0.5, 0.1), {}) == {GROUPS[0]: Harm(0.5, 0.1)}


def test_each_block_is_measured_once() -> None:
    asked: list[int] = []

    def measure(block: frozenset[tuple[str, ...]]) -> Harm:
        asked.append(len(block))
        return Harm(float(len(block)), 0.0)

    found = estimated_harms(GROUPS, 3, {}, measure)
    assert sorted(asked) == [3, 3, 4] and sum(harm.noise for harm in found.values()) == pytest.approx(10.0)
