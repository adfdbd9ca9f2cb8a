"""A budget counts work: waiting until another deployment of a sweep lets a stage begin costs none of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edge.pipeline import deploy
from edge.quantization.schemes import SCHEMES
from edge.search.candidates import Proposal
from edge.search.deadline import Deadline

WAITED, FUSED = 100.0, 5.0


class Hand:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def after(self, seconds: float) -> Deadline:
        return Deadline.after(seconds, lambda: self.now)

    @contextmanager
    def stage(self, name: str) -> Iterator[Any]:
        self.now += WAITED
        yield lambda: None

    def fuse(self, *_: object) -> str:
        self.now += FUSED
        return "fused"


def test_waiting_for_the_machine_costs_nothing_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    hand, left = Hand(), list[float]()
    monkeypatch.setattr(deploy, "Deadline", SimpleNamespace(after=hand.after))
    monkeypatch.setattr(deploy, "fuse_for_target", hand.fuse)
    monkeypatch.setattr(deploy, "with_authored", lambda found, *_: found)

    def propose(bench: object, target: object, model: object, ranges: object, names: object, wanted: Any) -> Proposal:
        left.append(wanted.deadline.left())
        return Proposal(found=None, plan=None)  # type: ignore[arg-type]

    monkeypatch.setattr(deploy, "propose", propose)
    clock = SimpleNamespace(stage=hand.stage, searching=None, progress=SimpleNamespace(remaining=lambda _: None))
    images = SimpleNamespace(spread=lambda _: ())
    model: Any = SimpleNamespace(quantized=False)
    job: Any = SimpleNamespace(
        model=model,
        target=None,
        clock=clock,
        splits=SimpleNamespace(search=images),
        inputs=lambda _: iter(()),
        bench=SimpleNamespace(dialect=SimpleNamespace(scheme=SCHEMES["openvino"])),
        criteria=None,
        precisions=("fp32",),
        request=SimpleNamespace(bias_correction=False),
    )
    assert deploy.fuse_job(job, 35.0) == ("fused", 35.0 - FUSED)
    deploy.propose_for(job, model, None, 30.0)  # type: ignore[arg-type]
    assert left == [30.0]
