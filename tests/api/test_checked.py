"""Plain options are checked by their declarations, before anything is spent."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

import edge
from tests.fixtures.discs import disc_network


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": -1}, "budget: is -1; give 0 or more"),
        ({"budget": "10"}, "budget: is '10'; give a number"),
        ({"budget": math.nan}, "budget: is nan; give a number"),
        ({"seconds": 0}, "seconds: is 0; give 0.001 or more"),
        ({"threads": 0}, "threads: is 0; give 1 or more"),
        ({"threads": "2"}, "threads: is '2'; give a whole number"),
        ({"threads": True}, "threads: is True; give a whole number"),
        ({"calibration_images": 2.5}, "calibration_images: is 2.5; give a whole number"),
        ({"images": "no"}, "images: is 'no'; give True or False"),
        ({"target": 3}, "target: is 3; give a text"),
        ({"progress": 3}, "progress: is a int; give a function"),
    ],
)
def test_an_option_at_fault_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(edge.InputError) as refused:
        edge.deploy(disc_network(), [], **options)
    assert str(refused.value).startswith(said)


def test_the_signature_is_still_the_verb_s_own() -> None:
    parameters = inspect.signature(edge.deploy).parameters
    assert list(parameters)[:3] == ["model", "data", "target"] and parameters["gate"].default == "99.9"
    assert edge.deploy.__module__ == "edge.api.deploy" and "fastest engine" in (edge.deploy.__doc__ or "")


def test_a_missing_argument_is_python_s_own_error() -> None:
    with pytest.raises(TypeError, match="'data'"):
        edge.deploy(disc_network())  # type: ignore[call-arg]


def test_no_runs_make_no_report() -> None:
    with pytest.raises(edge.InputError, match="runs: is empty"):
        edge.report([])
