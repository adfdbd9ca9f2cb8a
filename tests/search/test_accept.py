"""Which plan over one float precision is accepted: the front, its bisection and safer siblings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.backends.engine import Candidate
from edge.search.room import GateResult
from tests.fixtures.known_bench import (
    KnownBench,
    SlowBench,
    every_group,
    int8_groups,
    known_bench,
    search_on,
)


def test_bisection_finds_the_whole_front_in_few_evaluations() -> None:
    bench = known_bench(allowed=7.5)
    for index, group in enumerate(every_group()):
        bench.int8_ms[group] = 0.5 + 0.1 * index  # earlier groups save more
    found = search_on(bench)
    best = found.plans[0]
    assert {node for group in every_group()[:7] for node in group} == set(best.plan.int8)
    # Full plan, log2(13) steps, groups beyond the front, and the safer sibling.
    assert found.evaluations <= 1 + 4 + 6 + 1
    assert best.plan.reasons[every_group()[9][0]].startswith("INT8 alone costs 0.00 % agreement (0 dB)")
    safer = next(plan for plan in found.plans if plan.name == "mixed-safe")
    assert safer.plan.int8 < best.plan.int8 and safer.judged.slack > best.judged.slack


def test_one_harmful_group_is_found_out() -> None:
    bench = known_bench(allowed=2.0, noise=0.01)
    bad = every_group()[5]
    bench.noise[bad] = 50.0
    best = search_on(bench).plans[0]
    assert best.plan.int8 == {node for group in every_group() if group != bad for node in group}
    assert set(best.plan.reasons) == set(bad)


def test_a_plan_no_worse_than_its_float_engine_goes_to_the_verdict_with_it() -> None:
    bench = known_bench(allowed=1000.0, noise=0.0)
    bench.bf16_passes = False
    found = search_on(bench, ("bf16", "fp32"))
    # It passed nowhere yet, so the next float precision is asked as well.
    assert {plan.name: plan.judged.passed for plan in found.plans} == {"int8-bf16": False, "int8": True}


@pytest.mark.parametrize(
    ("noise", "siblings"),
    [
        ((0.5, 0.3), {"mixed-safe": 1}),  # seven tenths of the room are left: one is enough
        ((0.1, 0.1), {}),
        ((0.2, 0.2, 0.2, 0.2, 0.2), {"mixed-safe": 3}),
        ((0.32, 0.32, 0.32), {"mixed-safe": 2}),
    ],
)
def test_a_plan_near_a_bar_gets_quieter_siblings_until_one_has_room(
    noise: tuple[float, ...], siblings: dict[str, int]
) -> None:
    bench = known_bench(allowed=1.0, noise=0.0)
    bench.noise |= dict(zip(every_group()[3:], noise, strict=False))
    first, *others = search_on(bench).plans
    assert first.name == "int8"
    assert {plan.name: len(every_group()) - len(int8_groups(plan)) for plan in others} == siblings


def test_a_second_sibling_is_quieter_than_the_first() -> None:
    bench = replace(known_bench(allowed=1.0, noise=0.0), floor=0.35)
    bench.noise |= dict(zip(every_group()[3:], (0.3, 0.15, 0.1), strict=False))
    first, safe, safer = search_on(bench).plans
    assert [plan.name for plan in (first, safe, safer)] == ["int8", "mixed-safe", "mixed-safer"]
    assert int8_groups(safer) < int8_groups(safe) < int8_groups(first)


def test_a_worst_image_between_half_its_bar_and_the_bar_still_gets_siblings() -> None:
    bench = replace(known_bench(allowed=1.0, noise=0.0), guard=2.0)
    bench.noise |= dict(zip(every_group()[3:], (0.5, 0.18, 0.12, 0.1), strict=False))
    first, safe, safer = search_on(bench).plans
    assert [plan.name for plan in (first, safe, safer)] == ["int8", "mixed-safe", "mixed-safer"]
    assert first.judged.slack == pytest.approx(-0.8) and 0.0 < safe.judged.slack < 0.5 < safer.judged.slack


def test_time_is_kept_for_siblings() -> None:
    bench = SlowBench(dict.fromkeys(every_group(), 3.0), {}, dict.fromkeys(every_group(), 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(every_group())}
    # 10 s for the full plan, 70 for harms, 30 to bisect; two groups more are tried of seven, then the sibling.
    assert [plan.name for plan in search_on(bench, seconds=145.0).plans] == ["mixed", "mixed-safe"]
    assert bench.now == 140.0


def test_a_block_that_harms_is_left_out_of_a_quieter_sibling() -> None:
    bench = SlowBench(dict.fromkeys(every_group(), 3.0), {}, dict.fromkeys(every_group(), 0.01), allowed=1.0)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(every_group())}  # later groups save more
    bench.noise[every_group()[-2]] = 0.7
    found = search_on(bench, seconds=50.0)
    # 10 s for the full plan, 10 for the float run and a group; two blocks of 5 s; twice 10 s are kept for siblings.
    assert set(found.harms) == set(every_group()) and bench.now == 50.0
    assert "harm of 12 groups is estimated from 2 blocks of them: no time for each" in found.log
    early, late = (
        sum(found.harms[group].noise for group in block) for block in (every_group()[:6], every_group()[6:12])
    )
    assert (early, late) == (pytest.approx(0.06, rel=1e-3), pytest.approx(0.75, rel=1e-3))
    assert [found.harms[group].estimated for group in every_group()[-2:]] == [True, False]
    safer = next(plan for plan in found.plans if plan.name == "mixed-safer")
    assert every_group()[-2][0] in safer.plan.reasons and not set(safer.plan.reasons) & {
        n for g in every_group()[:6] for n in g
    }


def test_a_short_budget_leaves_time_to_bisect() -> None:
    bench = SlowBench(dict.fromkeys(every_group(), 3.0), {}, dict.fromkeys(every_group(), 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(every_group())}  # later groups save more
    found = search_on(bench, seconds=70.0)
    # 10 s for the full plan; 30 of the 60 left for the float run, a group and four blocks; three evaluations.
    assert found.evaluations == 4 and bench.now == 70.0
    assert len(found.plans[0].plan.int8) == 6
    assert sum(harm.noise for harm in found.harms.values()) == pytest.approx(13.0, rel=1e-3)
    assert "its share of the noise is about" in found.plans[0].plan.reasons[every_group()[0][0]]


class _Cautious(KnownBench):
    """Has room to spare with everything in INT8, little with less."""

    def check(self, candidate: Candidate, *_: object, **__: object) -> GateResult:
        self.calls.append("judge")
        whole = candidate.precision == "int8"
        return GateResult(True, 0.9 if whole else 0.3, 0.99, 30.0)


def test_a_plan_needs_no_siblings_beside_one_with_room_to_spare() -> None:
    bench = _Cautious(
        dict.fromkeys(every_group(), 3.0),
        dict.fromkeys(every_group(), 1.0),
        dict.fromkeys(every_group(), 0.1),
        allowed=9.0,
    )
    bench.int8_ms[every_group()[0]] = 3.2  # does not pay
    found = search_on(bench)
    assert [plan.name for plan in found.plans] == ["mixed", "int8"] and bench.calls.count("judge") == 2
