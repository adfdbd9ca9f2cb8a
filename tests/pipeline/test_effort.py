"""What an effort comes to where the user names no seconds, and by the user's own command."""

from __future__ import annotations

import pytest

from edge.errors import InputError
from edge.pipeline.effort import DEFAULT, EFFORTS, find_effort
from edge.pipeline.session import Request


def test_thorough_looks_and_times_longer() -> None:
    usual, thorough = EFFORTS[DEFAULT], find_effort("thorough")
    assert thorough.budget_seconds(10**9) > usual.budget_seconds(10**9)
    assert thorough.latency_seconds > usual.latency_seconds


def test_a_request_that_names_nothing_takes_the_default() -> None:
    request = Request(model="net.onnx", data="set")
    assert (request.budget_seconds, request.effort, request.latency_seconds) == (None, DEFAULT, 1.0)


def test_a_larger_network_is_looked_into_for_longer() -> None:
    usual = EFFORTS[DEFAULT]
    assert usual.budget_seconds(0) == 45.0 and usual.budget_seconds(18 * 10**9) == 117.0


def test_an_unknown_effort_names_those_there_are() -> None:
    with pytest.raises(InputError, match="--effort heroic: unknown; known are default, thorough"):
        find_effort("heroic")
