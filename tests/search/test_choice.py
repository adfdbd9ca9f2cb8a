"""Choosing a set by measurement, with made-up clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edge.fusion.driver import rewritten, safe_rewrites
from edge.fusion.registry import REWRITES
from edge.graph.macs import count_macs
from edge.graph.model import Model
from edge.search.choice import choose, sets_to_try
from edge.search.deadline import Deadline
from tests.fixtures.graph_builder import Builder

Clock = Callable[[Sequence[Model]], list[float]]


def _long() -> Deadline:
    return Deadline.after(60.0)


def _head(b: Builder) -> str:
    """A graph on which several optional rewrites apply."""
    joined = b.op("Concat", b.conv("x", 3, 8), b.resize(b.conv("x", 3, 8, 3, stride=2), 2), axis=1)
    return b.conv(joined, 16, 2)


def _ops(model: Model) -> list[str]:
    return [node.op_type for node in model.proto.graph.node]


def test_a_set_that_slows_is_undone() -> None:
    b = Builder(3)
    model = b.model(_head(b))
    result = choose(model, b.inputs(), lambda models: [1.0 + (m.sha256 != model.sha256) for m in models], _long())
    assert result.model.sha256 == model.sha256 and not result.applied


def test_rewrites_that_pay_only_together_are_found() -> None:
    b = Builder(3)
    model = b.model(_head(b))

    def clock(models: Sequence[Model]) -> list[float]:
        # Splitting alone costs; with the convolution below the resize it pays.
        return [10.0 if "Concat" in _ops(m) else 5.0 if count_macs(m) < count_macs(model) else 12.0 for m in models]

    result = choose(model, b.inputs(), clock, _long())
    assert {a.rewrite for a in result.applied} >= {"concat-conv-as-sum", "pointwise-below-resize"}
    assert result.milliseconds[0][1] == 5.0 and result.max_error < 1e-5


def test_one_bad_companion_is_dropped() -> None:
    b = Builder(3)
    joined = b.op("Concat", b.conv("x", 3, 8), b.conv("x", 3, 8, 3), axis=1)
    y = b.conv(b.conv(b.op("Relu", b.conv(joined, 16, 16)), 16, 16, 3), 16, 1, 3)
    model = b.model(y)

    def clock(models: Sequence[Model]) -> list[float]:
        return [10.0 + 2.0 * ("Concat" not in _ops(m)) - 3.0 * ("DepthToSpace" in _ops(m)) for m in models]

    result = choose(model, b.inputs(), clock, _long())
    assert "Concat" in _ops(result.model) and "DepthToSpace" in _ops(result.model)


def test_an_alternative_form_is_kept_only_where_it_is_faster() -> None:
    b = Builder(3)
    bank = b.op("MatMul", b.op("Reshape", b.op("GlobalAveragePool", "x"), b.weight([1, 3], np.int64)), b.random(3, 432))
    model = b.model(b.op("Conv", "x", b.op("Reshape", bank, b.weight([16, 3, 3, 3], np.int64)), pads=[1] * 4))
    fast = choose(model, b.inputs(), lambda models: [4.0 if "Expand" in _ops(m) else 5.0 for m in models], _long())
    slow = choose(model, b.inputs(), lambda models: [6.0 if "Expand" in _ops(m) else 5.0 for m in models], _long())
    assert [a.rewrite for a in fast.applied] == ["dynamic-conv-by-inputs"]
    assert not slow.applied and "MatMul" in _ops(slow.model)


def _decoder(b: Builder, channels: int) -> Model:
    """A graph with an optional rewrite, and an upsample that has another form where it has 16 channels."""
    grown = b.op("Relu", b.resize(b.conv("x", 3, channels, 3, stride=2), 2))
    return b.model(b.conv(b.op("Concat", grown, "x", axis=1), channels + 3, 2))


def test_another_form_is_one_more_set_and_only_where_it_applies() -> None:
    tried = {}
    for channels in (8, 16):
        b = Builder(3)
        tried[channels] = choose(_decoder(b, channels), b.inputs(), lambda m: [1.0] * len(m), _long()).tried
    alternatives = {name for name, rewrite in REWRITES.items() if rewrite.when == "alternative"}
    assert not any(alternatives & set(names) for names in tried[8])
    assert [names for names in tried[16] if not alternatives & set(names)] == list(tried[8])
    assert len(tried[16]) == len(tried[8]) + 1
    assert tried[16][2] == (*tried[16][0], "bilinear-as-blur"), "behind everything and the safe ones"


def test_a_blurred_copy_is_kept_only_where_it_is_faster() -> None:
    b = Builder(3)
    model = _decoder(b, 16)
    fast = choose(model, b.inputs(), lambda models: [4.0 if "Pad" in _ops(m) else 5.0 for m in models], _long())
    slow = choose(model, b.inputs(), lambda models: [6.0 if "Pad" in _ops(m) else 5.0 for m in models], _long())
    assert "bilinear-as-blur" in [a.rewrite for a in fast.applied] and "Pad" not in _ops(slow.model)


def test_out_of_time_no_further_graph_is_even_written(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder(3)
    model, written = b.model(_head(b)), []

    def counting(source: Model, names: Sequence[str]) -> tuple[Model, tuple[str, ...]]:
        written.append(tuple(names))
        return rewritten(source, names)

    monkeypatch.setattr("edge.search.choice.rewritten", counting)
    choose(model, b.inputs(), lambda models: [float(count_macs(m)) for m in models], Deadline.after(0.0))
    in_no_time = len(written)
    written.clear()
    choose(model, b.inputs(), lambda models: [float(count_macs(m)) for m in models], _long())
    assert in_no_time <= 3 < len(written), "all, what applies and the safe ones, against sets that leave one out"


@pytest.mark.parametrize("seconds", [5.0, 12.0, 30.0, 100.0])
def test_a_budget_is_kept_where_every_graph_takes_its_time(seconds: float) -> None:
    b, now = Builder(3), [0.0]
    model = b.model(_head(b))

    def slow(models: Sequence[Model]) -> list[float]:
        now[0] += 1.2 * len(models)
        return [10.0 if "Concat" in _ops(m) else 5.0 if count_macs(m) < count_macs(model) else 12.0 for m in models]

    choose(model, b.inputs(), slow, Deadline.after(seconds, lambda: now[0]))
    assert 0.0 < now[0] <= 1.2 * seconds


def test_a_budget_is_kept_where_writing_a_graph_takes_longer_than_timing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    b, now = Builder(3), [0.0]
    model = b.model(_head(b))

    def writing(source: Model, names: Sequence[str]) -> tuple[Model, tuple[str, ...]]:
        now[0] += 1.0
        return rewritten(source, names)

    def timing(models: Sequence[Model]) -> list[float]:
        now[0] += 0.1 * len(models)
        return [float(count_macs(m)) for m in models]

    monkeypatch.setattr("edge.search.choice.rewritten", writing)
    found = choose(model, b.inputs(), timing, _long_by(now, 6.0))
    assert now[0] <= 6.0 and found.untried and len(found.tried) >= 3


def test_sets_behind_two_that_the_compiler_refuses_are_not_said_to_lack_time() -> None:
    b = Builder(3)
    found = choose(b.model(_head(b)), b.inputs(), lambda models: [1.0] + [np.inf] * (len(models) - 1), _long())
    assert len(found.tried) == 2 and not found.untried


def test_what_ships_decides_between_sets_that_are_as_fast_in_float() -> None:
    b = Builder(3)
    model = b.model(_head(b))
    asked: list[int] = []

    def in_float(models: Sequence[Model]) -> list[float]:
        return [1.0 if "Concat" in _ops(m) else 0.97 for m in models]

    def in_int8(models: Sequence[Model]) -> list[float]:
        asked.append(len(models))
        return [1.0 if "Concat" in _ops(m) else 1.2 for m in models]

    assert "Concat" not in _ops(choose(model, b.inputs(), in_float, _long()).model)
    found = choose(model, b.inputs(), in_float, _long(), ships=in_int8)
    assert "Concat" in _ops(found.model) and len(asked) == 1
    assert found.milliseconds[0][1] == 0.97, "the table stays in float"


def test_a_set_that_is_far_faster_in_float_is_not_given_up_for_what_may_not_ship() -> None:
    b = Builder(3)
    model = b.model(_head(b))

    def in_float(models: Sequence[Model]) -> list[float]:
        return [1.0 if "Concat" in _ops(m) else 0.5 for m in models]

    found = choose(model, b.inputs(), in_float, _long(), ships=lambda m: [1.0] + [1.01] * (len(m) - 1))
    assert "Concat" not in _ops(found.model)


def test_what_cannot_be_written_for_what_ships_leaves_the_choice_to_float() -> None:
    b = Builder(3)
    model = b.model(_head(b))

    def in_float(models: Sequence[Model]) -> list[float]:
        return [1.0 if "Concat" in _ops(m) else 0.9 for m in models]

    found = choose(model, b.inputs(), in_float, _long(), ships=lambda models: [np.inf] * len(models))
    assert "Concat" not in _ops(found.model)


def test_the_graph_alone_decides_what_is_tried() -> None:
    b = Builder(3)
    model = b.model(_head(b))
    clocks: list[Clock] = [
        lambda models: [float(count_macs(m)) for m in models],
        lambda models: [1.0 / count_macs(m) for m in models],
        lambda models: [1.0 for _ in models],
    ]
    lists = [choose(model, b.inputs(), clock, _long()).tried for clock in clocks]
    assert lists[0] == lists[1] == lists[2] and len(lists[0]) >= 8
    assert len(set(lists[0])) == len(lists[0])


def test_time_that_runs_out_cuts_the_end_of_the_list() -> None:
    b, now = Builder(3), [0.0]
    model = b.model(_head(b))

    def slow(models: Sequence[Model]) -> list[float]:
        now[0] += 1.2 * len(models)
        return [float(count_macs(m)) for m in models]

    whole = choose(model, b.inputs(), slow, _long_by(now, 1e9))
    cut = choose(model, b.inputs(), slow, _long_by(now, 6.0))
    assert not whole.untried and cut.untried
    assert cut.tried + cut.untried == whole.tried
    nothing = choose(model, b.inputs(), slow, _long_by(now, 0.0))
    assert not nothing.tried and nothing.untried == whole.tried


def test_every_set_of_few_rewrites_is_tried_and_of_many_those_near_both_ends() -> None:
    safe = safe_rewrites()
    optional = [name for name, rewrite in REWRITES.items() if rewrite.when == "optional"]

    def counted(count: int) -> list[int]:
        full = tuple(name for name in REWRITES if name in safe or name in optional[:count])
        sets = sets_to_try(full, safe, [])
        assert sets[:2] == ([full, safe] if count else [safe]) and len(set(sets)) == len(sets)
        return [len(names) - len(safe) for names in sets]

    assert sorted(counted(0)) == [0] and sorted(counted(2)) == [0, 1, 1, 2]
    assert len(counted(4)) == 2**4
    assert sorted(counted(10)) == sorted([10, 0, *[9] * 10, *[1] * 10, *range(2, 9)])


def _long_by(now: list[float], seconds: float) -> Deadline:
    return Deadline.after(seconds, lambda: now[0])
