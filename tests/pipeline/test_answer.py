"""What a deployment leaves out because it cannot win, and what it adds where nothing quantized passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.pipeline import deploy
from edge.quantization.plan import PrecisionPlan
from edge.search.candidates import Proposal
from edge.search.floats import FloatRace

RACE = FloatRace({"fp32": 1.0, "bf16": 1.9, "fp16": 1.1})


@dataclass(frozen=True)
class Asked:
    """As much of a job as these decisions look at."""

    precisions: tuple[str, ...] = ("fp32", "bf16", "fp16", "int8")
    named: tuple[str, ...] | None = None
    effort: str = "default"

    @property
    def request(self) -> Any:
        return SimpleNamespace(precisions=self.named, effort=self.effort)

    @property
    def clock(self) -> Any:
        return self

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        yield


def test_a_slow_precision_has_a_row_that_says_why_and_nothing_else() -> None:
    job: Any = Asked()
    left, refusals = deploy.without_slow(job, RACE)
    assert left.precisions == ("fp32", "fp16", "int8")
    (row,) = refusals
    assert (row.name, row.precision) == ("bf16", "bf16") and "1.9 times as long as fp32" in row.reason


@pytest.mark.parametrize("given", [{"named": ("fp32", "bf16")}, {"effort": "thorough"}])
def test_what_was_named_or_is_looked_for_thoroughly_stays(given: Any) -> None:
    job: Any = replace(Asked(), **given)
    assert deploy.without_slow(job, RACE) == (job, ())


@dataclass
class Trials:
    """Engines pass from the one of this number on."""

    passes_at: int
    folder: Path
    tried: list[str] = field(default_factory=list)

    @property
    def passing(self) -> list[Any]:
        engines = [SimpleNamespace(precision="fp32")]
        return engines + [SimpleNamespace(precision="mixed")] * (len(self.tried) >= self.passes_at)

    def add(self, candidates: list[Any], kind: str) -> None:
        self.tried += [candidate.name for candidate in candidates]


@pytest.mark.parametrize(("passes_at", "tried"), [(0, 0), (1, 1), (2, 2), (99, 3)])
def test_quieter_plans_are_tried_until_one_passes(passes_at: int, tried: int, tmp_path: Path) -> None:
    made: list[str] = []

    def quieter() -> Iterator[Any]:
        for name in ("half", "quarter", "tenth"):
            made.append(name)
            yield SimpleNamespace(candidate=SimpleNamespace(name=name), plan=PrecisionPlan({name: "int8"}))

    trials: Any = Trials(passes_at, tmp_path)
    proposal = Proposal(found=None, plan=None, spares=quieter())  # type: ignore[arg-type]
    notes = deploy._add_spares(Asked(), trials, proposal)  # type: ignore[arg-type]
    assert trials.tried == made == ["half", "quarter", "tenth"][:tried]
    assert (tmp_path / deploy.PLAN).is_file() == (tried > 0)
    assert [f"({', '.join(made)})" in note and "by luck" in note for note in notes] == [True] * (tried > 0)


def test_where_nothing_was_searched_nothing_is_added(tmp_path: Path) -> None:
    trials: Any = Trials(99, tmp_path)
    deploy._add_spares(Asked(), trials, Proposal(found=None, plan=None))  # type: ignore[arg-type]
    assert trials.tried == []
