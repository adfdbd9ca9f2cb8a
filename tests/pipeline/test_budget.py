"""A budget counts work: waiting until another deployment of a sweep lets a stage begin costs none of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edge.fusion import Fused
from edge.graph.macs import count_macs
from edge.graph.model import Model
from edge.pipeline import deploy
from edge.pipeline.progress import NullProgress
from edge.quantization.schemes import SCHEMES
from edge.search.candidates import Proposal
from edge.search.choice import choose
from edge.search.deadline import Deadline
from tests.fixtures.graph_builder import Builder
from tests.fixtures.known_bench import SlowBench, every_group, search_on

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

    def fuse(self, model: Any, *_: object) -> Fused:
        self.now += FUSED
        return Fused(model, (), 0.0)


def test_waiting_for_the_machine_costs_nothing_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    hand, left = Hand(), list[float]()
    monkeypatch.setattr(deploy, "Deadline", SimpleNamespace(after=hand.after))
    monkeypatch.setattr(deploy, "fuse_for_target", hand.fuse)
    monkeypatch.setattr(deploy, "with_authored", lambda found, *_: found)

    def propose(bench: object, target: object, model: object, ranges: object, names: object, wanted: Any) -> Proposal:
        left.append(wanted.deadline.left())
        return Proposal(found=None, plan=None)  # type: ignore[arg-type]

    monkeypatch.setattr(deploy, "propose", propose)
    clock = SimpleNamespace(stage=hand.stage, searching=None, progress=NullProgress())
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
        seconds_each=0.0,
        request=SimpleNamespace(bias_correction=False),
    )
    assert deploy.fuse_job(job, 35.0) == (Fused(model, (), 0.0), 35.0 - FUSED)
    deploy.propose_for(job, model, None, 30.0)  # type: ignore[arg-type]
    assert left == [30.0]


@pytest.mark.parametrize("seconds", [20.0, 45.0, 70.0, 145.0])
def test_fusion_and_search_together_keep_the_budget(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """One clock through both stages, moved by each graph that is timed, each harm and each verdict; none is real."""
    bench = SlowBench(dict.fromkeys(every_group(), 3.0), {}, dict.fromkeys(every_group(), 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(every_group())}
    b, timed, left = Builder(3), list[int](), list[float]()
    deep = b.op("Conv", b.op("Concat", "x", "x", axis=1), b.random(8, 6, 1, 1))
    graph = b.model(b.op("Conv", b.op("Relu", deep), b.random(2, 8, 3, 3), pads=[1] * 4))

    def slow(models: Sequence[Model]) -> list[float]:
        bench.now += 1.2 * len(models)
        timed.append(len(models))
        return [float(count_macs(model)) for model in models]

    def fuse(model: Model, target: object, asked: object, inputs: Any, deadline: Deadline, *_: object) -> Any:
        found = choose(model, inputs, slow, deadline)
        bench.now += 0.1 * seconds  # the proof of the set that won, which no limit cuts short
        return found

    def propose(*given: Any) -> Proposal:
        left.append(given[-1].deadline.left())
        search_on(bench, ("fp32", "bf16"), seconds=left[0])
        return Proposal(found=None, plan=None)  # type: ignore[arg-type]

    monkeypatch.setattr(deploy, "Deadline", SimpleNamespace(after=lambda s: Deadline.after(s, lambda: bench.now)))
    monkeypatch.setattr(deploy, "fuse_for_target", fuse)
    monkeypatch.setattr(deploy, "propose", propose)
    monkeypatch.setattr(deploy, "with_authored", lambda found, *_: found)
    clock = SimpleNamespace(stage=Hand().stage, searching=None, progress=NullProgress())
    job: Any = SimpleNamespace(
        model=graph,
        target=None,
        clock=clock,
        splits=SimpleNamespace(search=SimpleNamespace(spread=lambda _: ())),
        inputs=lambda _: iter(b.inputs()),
        bench=SimpleNamespace(dialect=SimpleNamespace(scheme=SCHEMES["openvino"])),
        criteria=None,
        precisions=("fp32",),
        seconds_each=0.0,
        request=SimpleNamespace(bias_correction=False),
    )
    fused, rest = deploy.fuse_job(job, seconds)
    deploy.propose_for(job, fused.model, None, rest)  # type: ignore[arg-type]
    assert sum(timed) >= 2 and "profiles" in bench.calls and left == [rest]
    assert rest == pytest.approx(0.9 * seconds - 1.2 * sum(timed))
    assert 0.5 * seconds < bench.now <= 1.2 * seconds


def test_what_nobody_has_timed_yet_is_not_begun_where_the_reference_says_that_it_would_not_end() -> None:
    """A race of two precisions, and the profiles of a search: twelve runs each of what took the reference 0.5 s."""
    bench: Any = SimpleNamespace(refusal=lambda name: None, measured=True, times=_never, profiles=_never)
    clock = SimpleNamespace(stage=Hand().stage)
    job: Any = SimpleNamespace(
        model=SimpleNamespace(quantized=False), bench=bench, precisions=("fp32", "bf16"), clock=clock, seconds_each=6.0
    )
    floats, left = deploy.race_job(job, 11.0)
    assert (floats.fastest, floats.slow, floats.seconds_each) == ("fp32", {}, 6.0) and 10.0 < left <= 11.0
    found = search_on(bench := SlowBench({}, {}, {}, allowed=1.0), seconds=11.0, profile_seconds=6.0)
    assert bench.calls == [] and found.log == ("out of time before anything was measured",)


def _never(*_: object, **__: object) -> Any:
    raise AssertionError("nothing should be built here")
