"""The table of mends that are taken out: every row of faults is in it, and every text to take out is where it says."""

from __future__ import annotations

from collections import Counter

from tests.fixtures.runtime_kit import ROOT
from tests.trust.mutations import edits, mutations


def test_every_row_has_a_mend_to_take_out() -> None:
    assert set(Counter(mutation["row"] for mutation in mutations())) == set(range(1, 20))


def test_what_is_taken_out_is_there_once() -> None:
    for mutation in mutations():
        for name, old, _ in edits(mutation):
            assert (ROOT / name).read_text().count(old) == 1, (mutation["takes_out"], name)
