"""Who races, and who is timed as long as everybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edge.errors import InputError
from edge.pipeline import measure
from edge.search.bench import Effort, Refusal


class Asked:
    """A job that remembers what was timed."""

    def __init__(self) -> None:
        self.clock, self.bench = self, self
        self.request = SimpleNamespace(explain=False, effort="default", latency_seconds=2.0)
        self.names: list[str] = []
        self.effort: Effort | None = None

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Any]:
        yield lambda: None

    def times(self, candidates: list[str], inputs: object, effort: Effort, advance: object) -> list[Refusal]:
        self.names, self.effort = candidates, effort
        return [Refusal(name, "", "not timed here") for name in candidates]


def _checked(name: str, passed: bool) -> Any:
    precision = "fp32" if name == "fp32" else "int8"
    return (
        name,
        SimpleNamespace(name=name, precision=precision),
        SimpleNamespace(verdict=SimpleNamespace(passed=passed)),
    )


@pytest.mark.parametrize(
    ("verdicts", "timed", "races"),
    [
        ({"fp32": True, "int8": True, "mixed": False}, ["fp32", "int8"], True),
        ({"fp32": False, "int8": True, "mixed": True}, ["fp32", "int8", "mixed"], False),  # slower than what fails
        ({"fp32": False, "int8": False}, ["fp32", "int8"], False),
    ],
)
def test_a_race_is_among_those_that_can_be_chosen(
    verdicts: dict[str, bool], timed: list[str], races: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "planned", lambda candidate: ())
    monkeypatch.setattr(measure, "shown_images", lambda job: ((), []))
    job: Any = Asked()
    measure.race(job, [_checked(name, passed) for name, passed in verdicts.items()])
    assert job.names == timed
    assert (job.effort.undecided_seconds is not None) == races


def test_a_graph_that_cannot_be_looked_into_is_said_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*rest: object) -> None:
        raise InputError("net: ONNX Runtime refuses the graph (why); export the model again")

    said: list[str] = []
    graph = SimpleNamespace(sha256="0", author=None)
    one = SimpleNamespace(candidate=SimpleNamespace(plain=graph), engine=SimpleNamespace(name="int8", precision="int8"))
    job: Any = Asked()
    job.progress = SimpleNamespace(detail=said.append)
    job.splits = SimpleNamespace(search=SimpleNamespace(spread=lambda count: ()))
    job.inputs, job.model = tuple, graph
    monkeypatch.setattr(measure, "attribute", refused)
    assert measure._attribute(job, [one], SimpleNamespace(model=graph)) == {}
    assert len(said) == 1 and "where accuracy went is not known: net: ONNX Runtime refuses" in said[0]
