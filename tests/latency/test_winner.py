"""The winner of interleaved series: the fastest, the rule of a tie, and what more rounds may yet decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edge.latency.winner import Contender, settled, standing

ROUNDS = 12


def _contender(
    name: str, ms: float, scatter: float = 0.0, retained: float = 1.0, agreement: float = 1.0, size: int = 100
) -> Contender:
    """Rounds of one run each, every second one longer by ``scatter``, out of step with the other engines."""
    phase = sum(map(ord, name))
    blocks = [np.array([ms * (1.0 + scatter * ((turn + phase) % 3))]) for turn in range(ROUNDS)]
    return Contender(name, blocks, retained, agreement, size)


def test_a_clear_winner_is_the_fastest_whatever_its_scores() -> None:
    found = standing([_contender("fp32", 2.0, size=400), _contender("int8", 1.0, retained=0.9991, agreement=0.985)])
    assert (found.winner, found.tied, found.undecided, found.sentence()) == ("int8", ("int8",), (), "")
    assert found.ratios["fp32"].ratio == 2.0


@pytest.mark.parametrize(
    ("others", "winner"),
    [
        ({"retained": 0.9999, "agreement": 0.999}, "b"),  # Dice first
        ({"retained": 1.0, "agreement": 0.999}, "b"),  # then agreement
        ({"retained": 1.02, "agreement": 1.0, "size": 900}, "b"),  # above the reference is luck; then the smaller
        ({"retained": 1.00004, "agreement": 1.0}, "a"),  # all the same: the name
    ],
)
def test_a_tie_is_broken_by_accuracy_then_size(others: dict[str, float], winner: str) -> None:
    found = standing([_contender("a", 1.0, **others), _contender("b", 1.004)])  # type: ignore[arg-type]
    assert (found.winner, found.tied, found.undecided) == (winner, ("a", "b"), ())
    assert "b takes 1.004 times as long" in found.sentence() and found.sentence().endswith(winner)


def test_what_scatters_over_the_bar_is_undecided() -> None:
    found = standing([_contender("a", 1.0, 0.2), _contender("b", 1.005, 0.2), _contender("slow", 5.0)])
    assert set(found.tied) == {"a", "b"} and set(found.undecided) == {"a", "b"}


def test_on_a_busy_machine_what_looks_clearly_slower_wins_no_tie() -> None:
    """Its interval reaches below the fastest's, since every interval is wide; the ratio itself says 1.2."""
    load = [1.0, 2.0, 0.6, 1.0, 1.6, 1.0]
    slow = [np.array([12.0 * factor]) for factor in load]
    quick = [np.array([10.0])] * len(load)
    found = standing([Contender("slow", slow, 1.0, 1.0, 1), Contender("quick", quick, 0.999, 0.99, 9)])
    assert found.tied == ("quick", "slow") and found.winner == "quick"


def test_a_tie_is_left_as_it_stands_where_nothing_more_may_be_timed() -> None:
    found = settled([_contender("a", 1.0, 0.2), _contender("b", 1.005, 0.2)], None)
    assert set(found.undecided) == {"a", "b"} and "a tie within 1%" in found.sentence()


def test_the_order_in_which_they_are_given_does_not_matter() -> None:
    three = [_contender("a", 1.0, 0.1), _contender("b", 1.0, 0.1, 0.9995), _contender("c", 1.001, 0.0, size=50)]
    assert standing(three) == standing(three[::-1])


def test_the_fastest_is_found_round_by_round() -> None:
    """Load came in the rounds in which the faster engine happened to run more often: medians are misled."""
    load = [1.0, 3.0] * 10
    slow = [np.full(10 if factor == 1.0 else 5, 10.0 * factor) for factor in load]
    quick = [np.full(5 if factor == 1.0 else 10, 9.8 * factor) for factor in load]
    assert np.median(np.concatenate(slow)) < np.median(np.concatenate(quick))
    assert standing([Contender("slow", slow, 1.0, 1.0, 1), Contender("quick", quick, 1.0, 1.0, 1)]).winner == "quick"


def test_one_more_run_of_those_that_tie_tells_them_apart() -> None:
    asked: list[tuple[str, ...]] = []

    def again(names: Sequence[str]) -> dict[str, list[np.ndarray]]:
        asked.append(tuple(names))
        return {name: [np.array([1.0 if name == "b" else 1.1])] * (4 * ROUNDS) for name in names}

    found = settled([_contender("a", 1.0, 0.2), _contender("b", 1.005, 0.2), _contender("slow", 5.0)], again)
    assert [set(names) for names in asked] == [{"a", "b"}]
    assert (found.winner, found.undecided) == ("b", ())


def test_further_rounds_end_where_nothing_more_comes() -> None:
    rivals = [_contender("a", 1.0, 0.2), _contender("b", 1.005, 0.2)]
    assert settled(rivals, lambda names: {}).winner in ("a", "b")
    clear = [_contender("a", 1.0), _contender("b", 2.0)]
    assert settled(clear, _never).winner == "a"


def _never(names: Sequence[str]) -> dict[str, list[np.ndarray]]:
    raise AssertionError(f"{names} were timed again though nothing ties")
