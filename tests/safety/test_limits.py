"""Limits: one table, changed by name, back to what it was afterwards."""

import pytest

from edge.errors import InputError
from edge.safety.limits import Limits, limited, limits, parse_limits


def test_limits_hold_as_long_as_the_block():
    with limited(parse_limits(["pixels=1e3", "depth=4"])) as changed:
        assert limits() is changed and (changed.pixels, changed.depth) == (1000, 4)
        with limited(parse_limits(["depth=5"])):
            assert (limits().pixels, limits().depth) == (1000, 5)
    assert limits() == Limits()


@pytest.mark.parametrize("option", ["pixels", "pixels=", "pixels=-1", "pixels=nan", "pixels=inf", "colour=3"])
def test_a_limit_that_says_nothing_is_refused(option):
    with pytest.raises(InputError, match="--limit"):
        parse_limits([option])
