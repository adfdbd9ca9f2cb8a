"""Which plans a search comes to, on a bench whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.backends.engine import Candidate, Layer
from edge.search.bench import Refusal
from edge.search.room import GateResult
from tests.fixtures.known_bench import (
    KnownBench,
    SlowBench,
    every_group,
    int8_groups,
    known_bench,
    search_on,
)


def test_int8_everywhere_needs_one_evaluation_and_no_sweep() -> None:
    bench = known_bench(allowed=1000.0)
    found = search_on(bench)
    (plan,) = found.plans
    assert (plan.name, plan.candidate.precision, plan.rest) == ("int8", "int8", "fp32")
    assert (found.evaluations, bench.calls.count("outputs"), found.harms) == (1, 0, {})
    assert plan.ms == len(every_group()) * 1.0 and found.float_ms["fp32"] == len(every_group()) * 3.0
    assert not plan.plan.reasons


def test_what_int8_everywhere_has_won_is_not_searched() -> None:
    bench = known_bench(allowed=1000.0)
    found = search_on(bench, passed=("fp32",))
    assert (found.plans, found.evaluations, bench.calls.count("outputs")) == ((), 0, 0)
    ended = "fp32: INT8 everywhere has passed already, and no other plan over it would be clearly faster"
    assert found.log[-1] == ended
    bench.int8_ms[every_group()[3]] = 3.4  # all of it 2 % slower than without that group
    assert search_on(bench, passed=("fp32",)).plans == ()
    bench.int8_ms[every_group()[3]] = 30.0
    (plan,) = search_on(bench, passed=("fp32",)).plans
    assert plan.name == "mixed", "a plan that leaves the slow group float is faster"
    assert [plan.name for plan in search_on(known_bench(allowed=1000.0), passed=("bf16",)).plans] == ["int8"]


def test_int8_everywhere_that_has_passed_but_is_slower_as_a_whole_is_searched() -> None:
    bench = replace(known_bench(allowed=1000.0, int8_ms=2.8), unseen_ms=0.5)
    for group in every_group()[:2]:
        bench.int8_ms[group] = 1.0
    found = search_on(bench, passed=("fp32",))
    (plan,) = found.plans
    assert int8_groups(plan) == set(every_group()[:2]), "all others save less than what no profile shows"
    assert any(line.startswith("fp32: INT8 everywhere is no faster as a whole") for line in found.log)


def test_groups_that_do_not_gain_stay_float_and_say_by_how_much() -> None:
    bench = known_bench(allowed=1000.0)
    slow = every_group()[3]
    bench.int8_ms[slow] = 30.0
    (plan,) = search_on(bench).plans
    assert plan.name == "mixed"
    assert plan.plan.reasons == dict.fromkeys(slow, "INT8 is 0.1x fp32 here")
    assert plan.plan.int8 == {node for group in every_group() if group != slow for node in group}


def test_a_float_precision_that_fails_by_itself_is_not_searched() -> None:
    bench = known_bench(allowed=1000.0)
    bench.bf16_passes = False
    found = search_on(bench, ("bf16",))
    assert found.plans == ()
    assert (found.evaluations, bench.calls.count("outputs")) == (2, 0)


def test_plans_over_both_floats_are_sorted_by_time() -> None:
    bench = known_bench(allowed=1000.0)
    for group in every_group()[:6]:
        bench.int8_ms[group] = 1.9  # pays over FP32, not over BF16
    found = search_on(bench, ("fp32", "bf16"))
    assert found.plans[0].name == "mixed-bf16"
    assert {plan.name for plan in found.plans[1:]} == {"int8-bf16", "int8"}, "as fast as each other"
    assert found.plans[0].ms < found.plans[1].ms
    assert "INT8 is 0.9x bf16 here" in found.plans[0].plan.reasons.values()


def test_a_float_precision_that_is_beaten_with_room_to_spare_is_not_asked() -> None:
    bench = known_bench(allowed=1000.0)
    for group in every_group()[:6]:
        bench.int8_ms[group] = 2.9
    found = search_on(bench, ("fp32", "bf16"))
    assert [plan.name for plan in found.plans] == ["mixed-bf16"] and found.evaluations == 1
    assert any(line.startswith("fp32: INT8 over it is expected to be slower") for line in found.log)
    near = replace(bench, allowed=1.5 * (len(every_group()) - 6))  # a third of the room is left
    for group in every_group()[:6]:
        near.int8_ms[group] = 2.1
    assert {plan.rest for plan in search_on(near, ("fp32", "bf16")).plans} == {"fp32", "bf16"}


def test_int8_everywhere_that_has_passed_beats_another_float_precision() -> None:
    bench = known_bench(allowed=1000.0)
    for group in every_group()[:6]:
        bench.int8_ms[group] = 2.5  # pays over FP32, not over BF16
    found = search_on(bench, ("fp32", "bf16"), passed=("bf16",))
    assert [plan.name for plan in found.plans] == ["mixed-bf16"] and found.evaluations == 1


def test_most_groups_go_on_where_all_pass_near_a_bar() -> None:
    bench = known_bench(allowed=1.5 * len(every_group()))  # a third of the room is left
    bench.int8_ms[every_group()[3]] = 3.4
    names = {plan.name: int8_groups(plan) for plan in search_on(bench).plans}
    assert names["int8"] == set(every_group())
    assert names["mixed-most"] < names["int8"] and len(names["mixed-most"]) >= 2
    roomy = replace(bench, allowed=1000.0)
    assert "mixed-most" not in {plan.name for plan in search_on(roomy).plans}


def test_nothing_gained_is_no_plan() -> None:
    found = search_on(known_bench(allowed=1000.0, int8_ms=4.0))
    assert found.plans == () and found.evaluations == 0


def test_nothing_is_begun_without_time() -> None:
    bench = known_bench(allowed=1000.0)
    found = search_on(bench, ("fp32", "bf16"), seconds=0.0)
    assert (bench.calls, found.plans, found.evaluations) == ([], (), 0)
    assert found.log == ("out of time before anything was measured",)


def test_nothing_is_begun_that_would_end_too_late() -> None:
    bench = SlowBench(
        dict.fromkeys(every_group(), 3.0),
        dict.fromkeys(every_group(), 1.0),
        dict.fromkeys(every_group(), 1.0),
        allowed=6.5,
    )
    found = search_on(bench, ("fp32", "bf16"), seconds=17.0)
    # The first verdict takes 10 s, so the 7 s that are left are too few for a second one over the other precision.
    assert found.evaluations == 1 and bench.now <= 1.2 * 17.0
    assert any("out of time" in line for line in found.log)


def test_a_group_that_the_compiler_refuses_is_found_and_the_search_goes_on() -> None:
    bench = replace(known_bench(allowed=1000.0), refuses=frozenset({every_group()[4]}))
    found = search_on(bench)
    (plan,) = found.plans
    assert int8_groups(plan) == set(every_group()) - {every_group()[4]} and plan.name == "mixed"
    assert set(plan.plan.reasons.values()) == {"the compiler refuses the graph with it in INT8"}
    assert any("refuses the graph (no such kernel)" in line for line in found.log)


def test_a_float_engine_that_the_compiler_refuses_leaves_its_precision_out() -> None:
    class NoFloats(KnownBench):
        def _refused(self, candidate: Candidate) -> Refusal | None:
            return Refusal("trial", "bf16", "no such kernel") if candidate.rest == "bf16" else None

    found = search_on(NoFloats(**vars(known_bench(allowed=1000.0))), ("bf16", "fp32"))
    assert [plan.rest for plan in found.plans] == ["fp32"]
    assert "bf16: no such kernel" in found.log


@pytest.mark.parametrize("seconds", [25.0, 45.0, 70.0, 145.0, 400.0])
def test_a_budget_is_kept_whatever_it_is_spent_on(seconds: float) -> None:
    bench = SlowBench(dict.fromkeys(every_group(), 3.0), {}, dict.fromkeys(every_group(), 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(every_group())}
    search_on(bench, ("fp32", "bf16"), seconds=seconds)
    assert 0.0 < bench.now <= 1.2 * seconds


def test_a_plan_that_is_likely_to_pass_elsewhere_goes_before_a_faster_one_that_is_not() -> None:
    class Uncertain(KnownBench):
        def check(self, candidate: Candidate, *_: object, **__: object) -> GateResult | Refusal:
            found = super().check(candidate)
            return replace(found, chance=0.4 if candidate.precision == "int8" else 0.99)  # type: ignore[type-var]

    bench = Uncertain(**vars(known_bench(allowed=1000.0, noise=1.0)))
    first, second, *_ = search_on(bench).plans
    assert (first.name, second.name) == ("mixed-safe", "int8") and first.ms > second.ms


def test_quieter_plans_are_at_hand_where_nothing_passes_its_verdict() -> None:
    bench = known_bench(allowed=1000.0, noise=0.01)
    loud = every_group()[4]
    bench.noise[loud] = 1.0
    found = search_on(bench)
    asked = len(bench.calls)
    assert [plan.name for plan in found.plans] == ["int8"]
    half, *others = found.spares
    assert half.name == "mixed-half" and len(bench.calls) == asked  # shares of the whole plan's noise: nothing is run
    sizes = [len(plan.plan.int8) for plan in (half, *others)]
    assert sizes == sorted(sizes, reverse=True) and 0 < sizes[-1] < sizes[0] < len(found.plans[0].plan.int8)


def test_a_search_without_time_to_judge_still_has_quieter_plans() -> None:
    bench = SlowBench(
        dict.fromkeys(every_group(), 3.0),
        dict.fromkeys(every_group(), 1.0),
        dict.fromkeys(every_group(), 1.0),
        allowed=6.5,
    )
    bench.profiles = lambda candidates: [_late(bench, bench._table(c)) for c in candidates]  # type: ignore[method-assign]
    found = search_on(bench, seconds=10.0)
    assert found.plans == () and "out of time" in found.log[-1]
    assert [plan.name for plan in found.spares] == ["mixed-half", "mixed-quarter", "mixed-tenth"]


def _late(bench: SlowBench, table: tuple[Layer, ...]) -> list[tuple[Layer, ...]]:
    bench.now += 6.0
    return [table] * 2
