"""The collector is out of the way for as long as it was asked to be, and as it was afterwards."""

from __future__ import annotations

import gc

import pytest

from edge.machine.heap import settled, uncollected


def test_a_collection_does_not_look_at_what_was_there_before() -> None:
    there = [[] for _ in range(1000)]
    with settled():
        assert gc.get_freeze_count() >= len(there)
        assert not any(one is there for one in gc.get_objects())
    assert gc.get_freeze_count() == 0
    assert any(one is there for one in gc.get_objects())


def test_nothing_stays_frozen_behind_a_fault() -> None:
    with pytest.raises(KeyError), settled():
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with settled():
            pass
        assert gc.get_freeze_count() == frozen > 0
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_as_it_was(on: bool) -> None:
    was_on = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with uncollected():
            assert not gc.isenabled()
            with uncollected():
                pass
            assert not gc.isenabled()
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()
