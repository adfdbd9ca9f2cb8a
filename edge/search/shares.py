"""The harm of single groups where there is no time to measure each: what a block of them does, shared out.

One pass over a graph with everything in INT8 tells what each layer alone loses, at its own output. How much of that
reaches the network's output it does not tell; a block of neighbouring groups, put into INT8 together, does. So each
group is charged its share of its block's measured noise, by what its layers lose. The order that comes of it is only
where a bisection begins to look: every plan is still judged on the search images.

A sweep over single groups costs a compilation and twelve runs each (LANet: 65 groups, DRRMSAN: over 100); this costs
one pass and as many blocks as there is time for, none at all if need be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from edge.search.plan_measurements import Chosen
from edge.search.sensitivity import Group, Harm

MOST_BLOCKS = 12


def blocks(groups: Sequence[Group], count: int) -> list[Chosen]:
    """Groups in graph order, cut into so many blocks of neighbours, as even as can be; at least one, none empty."""
    count = max(1, min(count, MOST_BLOCKS, len(groups)))
    ends = [round(index * len(groups) / count) for index in range(count + 1)]
    return [frozenset(groups[low:high]) for low, high in pairwise(ends)]


def shared_out(block: Chosen, together: Harm, own: Mapping[Group, float]) -> dict[Group, Harm]:
    """What each group of a block is charged.

    Args:
        block: the groups.
        together: what they do together.
        own: noise of each at the outputs of its own layers, relative to their signal; one that is not in it counts as
            the mean of the others.
    """
    known = [own[group] for group in block if group in own]
    usual = sum(known) / len(known) if known else 1.0
    parts = {group: own.get(group, usual) for group in block}
    total = sum(parts.values())
    shares = {group: part / total if total > 0 else 1.0 / len(block) for group, part in parts.items()}
    return {
        group: Harm(share * together.noise, share * together.disagreement, estimated=len(block) > 1)
        for group, share in shares.items()
    }


def estimated_harms(
    groups: Sequence[Group], count: int, own: Mapping[Group, float], measure: Callable[[Chosen], Harm]
) -> dict[Group, Harm]:
    """Harm of each group from that of so many blocks.

    Args:
        groups: in graph order.
        count: blocks that there is time for.
        own: see :func:`shared_out`.
        measure: what a block does together.
    """
    found: dict[Group, Harm] = {}
    for block in blocks(groups, count):
        found.update(shared_out(block, measure(block), own))
    return found
