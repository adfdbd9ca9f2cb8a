"""Distinct values are NumPy's, of any type."""

from __future__ import annotations

import numpy as np
import pytest

from edge.images.levels import levels_of

VALUES = [0, 3, 3, 255, 1, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint64", "float32"])
@pytest.mark.parametrize("extra", [[], [70000], [-1]])
def test_levels_are_those_of_numpy(dtype: str, extra: list[int]) -> None:
    values = np.array([*VALUES, *extra]).astype(dtype).reshape(-1, 1)
    found, expected = levels_of(values), np.unique(values)
    assert found.dtype == expected.dtype and found.tolist() == expected.tolist()


def test_nothing_has_no_levels() -> None:
    assert levels_of(np.zeros((0, 2), np.int64)).tolist() == []
