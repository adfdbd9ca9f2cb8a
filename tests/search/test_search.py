"""Search: its decisions against a bench whose answers are known, and once on real engines."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.accuracy.check import Checked, Standard
from edge.accuracy.evaluate import evaluate
from edge.accuracy.gate import Check, Criteria, Gate, load_gate
from edge.backends.engine import Candidate, Layer
from edge.backends.onnxruntime import OnnxRuntime
from edge.backends.onnxruntime import reference as exact_runner
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import ImageSet, load_image_set
from edge.latency.statistics import Measured, summarize
from edge.quantization.calibrate import calibrate
from edge.quantization.plan import INT8
from edge.quantization.schemes import SCHEMES, plan_int8
from edge.search.bench import Refusal, Timed
from edge.search.cache import MeasurementCache, asked_of
from edge.search.candidates import SearchRequest, search
from edge.search.dialect import PlainDialect
from edge.search.local_bench import LocalBench
from edge.search.open_bench import open_bench
from edge.search.plan_measurements import PlanMeasurements
from edge.search.result import AcceptedPlan, SearchResult
from edge.search.room import GateResult, _slack, gate_result
from edge.search.search import run_search
from edge.search.sensitivity import Gain, Group, groups, harm
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.small_unet import TASK, images, small_litenext, small_unet

SCHEME = SCHEMES["openvino"]
MODEL = small_unet()
RANGES = calibrate(MODEL, images(2), method="min-max")
GROUPS = groups(MODEL, plan_int8(MODEL, SCHEME).int8)


@dataclass
class KnownBench:
    """Answers from tables, the same for every float precision.

    Attributes:
        float_ms, int8_ms: time of each group.
        noise: what each group adds in INT8; a plan passes while the sum stays under ``allowed``.
        floor: noise of every engine.
        guard: how many times it counts where room is measured.
    """

    float_ms: dict[Group, float]
    int8_ms: dict[Group, float]
    noise: dict[Group, float]
    allowed: float
    calls: list[str] = field(default_factory=list)
    floor: float = 0.0
    guard: float = 1.0
    bf16_passes: bool = True
    measured: bool = True
    refuses: frozenset[Group] = frozenset()

    trial_dialect = dialect = PlainDialect(SCHEME)

    def profiles(self, candidates: Sequence[Candidate]) -> list[list[tuple[Layer, ...]] | Refusal]:
        self.calls.append("profiles")
        return [self._refused(c) or [self._table(c)] * 2 for c in candidates]

    def outputs(self, candidate: Candidate, inputs: Sequence[np.ndarray]) -> np.ndarray | Refusal:
        self.calls.append("outputs")
        noise = sum(self.noise[group] for group in _int8(candidate))
        return self._refused(candidate) or np.full((len(inputs), 1, 4, 4), 1.0 + noise**0.5, np.float32)

    def check(self, candidate: Candidate, *_: object, **__: object) -> GateResult | Refusal:
        """What :func:`~edge.search.room.gate_result` makes of a check, here already made."""
        self.calls.append("judge")
        noise = self.floor + sum(self.noise[group] for group in _int8(candidate))
        passed = noise <= self.allowed and (candidate.rest != "bf16" or self.bf16_passes)
        reasons = () if passed else ("too noisy",)
        return self._refused(candidate) or GateResult(
            passed, 1 - self.guard * noise / self.allowed, 0.99, 30.0, reasons
        )

    def times(self, candidates: Sequence[Candidate], *_: object, **__: object) -> list[Timed | Refusal] | None:
        self.calls.append("times")
        return [self._refused(c) or Timed(_milliseconds(self._total(c)), np.empty(0, np.float32)) for c in candidates]

    def _refused(self, candidate: Candidate) -> Refusal | None:
        bad = self.refuses & _int8(candidate)
        return Refusal(candidate.name, candidate.precision, "no such kernel") if bad else None

    def _table(self, candidate: Candidate) -> tuple[Layer, ...]:
        return tuple(Layer(g[0], "Convolution", "", self._ms(candidate, g)) for g in GROUPS)

    def _total(self, candidate: Candidate) -> float:
        return sum(self._ms(candidate, group) for group in GROUPS)

    def _ms(self, candidate: Candidate, group: Group) -> float:
        half = 0.6 if candidate.rest == "bf16" else 1.0
        return self.int8_ms[group] if group in _int8(candidate) else half * self.float_ms[group]


@dataclass
class SlowBench(KnownBench):
    """Takes 5 s for outputs and 10 s for a verdict."""

    now: float = 0.0

    def outputs(self, candidate: Candidate, inputs: Sequence[np.ndarray]) -> np.ndarray | Refusal:
        self.now += 5.0
        return super().outputs(candidate, inputs)

    def check(self, candidate: Candidate, *_: object, **__: object) -> GateResult | Refusal:
        self.now += 10.0
        return super().check(candidate)


def _milliseconds(value: float) -> Measured:
    return summarize([np.array([value])], 0, {})


def _int8(candidate: Candidate) -> set[Group]:
    rounded = {
        n.name for n in candidate.model.proto.graph.node if len(n.input) > 1 and n.input[1].endswith("_dequantized")
    }
    return {group for group in GROUPS if group[0] in rounded}


def _groups(plan: AcceptedPlan) -> set[Group]:
    return {group for group in GROUPS if group[0] in plan.plan.int8}


def _bench(allowed: float, int8_ms: float = 1.0, noise: float = 1.0) -> KnownBench:
    return KnownBench(dict.fromkeys(GROUPS, 3.0), dict.fromkeys(GROUPS, int8_ms), dict.fromkeys(GROUPS, noise), allowed)


def _search(
    bench: KnownBench, rests: tuple[str, ...] = ("fp32",), seconds: float = 1e6, keep: Path | None = None
) -> SearchResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.search.plan_measurements.gate_result", _as_answered)
        book = PlanMeasurements(MODEL, RANGES, _images(), Criteria(None), bench, MeasurementCache(keep, {"a": 1}))
        return run_search(book, rests, seconds)


def _as_answered(answer: GateResult | Refusal, gate: Gate | None, candidate: Candidate) -> GateResult:
    return gate_result(answer, gate, candidate) if isinstance(answer, Refusal) else answer


@cache
def _images() -> ImageSet:
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return load_image_set(write_discs(root / "discs", {"val": 12})).split("val")


def test_int8_everywhere_needs_one_evaluation_and_no_sweep() -> None:
    bench = _bench(allowed=1000.0)
    found = _search(bench)
    (plan,) = found.plans
    assert (plan.name, plan.candidate.precision, plan.rest) == ("int8", "int8", "fp32")
    assert (found.evaluations, bench.calls.count("outputs"), found.harms) == (1, 0, {})
    assert plan.ms == len(GROUPS) * 1.0 and found.float_ms["fp32"] == len(GROUPS) * 3.0
    assert not plan.plan.reasons


def test_groups_that_do_not_gain_stay_float_and_say_by_how_much() -> None:
    bench = _bench(allowed=1000.0)
    slow = GROUPS[3]
    bench.int8_ms[slow] = 30.0
    (plan,) = _search(bench).plans
    assert plan.name == "mixed"
    assert plan.plan.reasons == dict.fromkeys(slow, "INT8 is 0.1x fp32 here")
    assert plan.plan.int8 == {node for group in GROUPS if group != slow for node in group}


def test_bisection_finds_the_whole_front_in_few_evaluations() -> None:
    bench = _bench(allowed=7.5)
    for index, group in enumerate(GROUPS):
        bench.int8_ms[group] = 0.5 + 0.1 * index  # earlier groups save more
    found = _search(bench)
    best = found.plans[0]
    assert {node for group in GROUPS[:7] for node in group} == set(best.plan.int8)
    # Full plan, log2(13) steps, groups beyond the front, and the safer sibling.
    assert found.evaluations <= 1 + 4 + 6 + 1
    assert best.plan.reasons[GROUPS[9][0]].startswith("INT8 alone costs 0.00 % agreement (0 dB)")
    safer = next(plan for plan in found.plans if plan.name == "mixed-safe")
    assert safer.plan.int8 < best.plan.int8 and safer.judged.slack > best.judged.slack


def test_one_harmful_group_is_found_out() -> None:
    bench = _bench(allowed=2.0, noise=0.01)
    bad = GROUPS[5]
    bench.noise[bad] = 50.0
    best = _search(bench).plans[0]
    assert best.plan.int8 == {node for group in GROUPS if group != bad for node in group}
    assert set(best.plan.reasons) == set(bad)


def test_a_float_precision_that_fails_by_itself_is_not_searched() -> None:
    bench = _bench(allowed=1000.0)
    bench.bf16_passes = False
    found = _search(bench, ("bf16",))
    assert found.plans == ()
    assert (found.evaluations, bench.calls.count("outputs")) == (2, 0)


def test_a_plan_no_worse_than_its_float_engine_goes_to_the_verdict_with_it() -> None:
    bench = _bench(allowed=1000.0, noise=0.0)
    bench.bf16_passes = False
    found = _search(bench, ("bf16", "fp32"))
    # It passed nowhere yet, so the next float precision is asked as well.
    assert {plan.name: plan.judged.passed for plan in found.plans} == {"int8-bf16": False, "int8": True}


def test_plans_over_both_floats_are_sorted_by_time() -> None:
    bench = _bench(allowed=1000.0)
    for group in GROUPS[:6]:
        bench.int8_ms[group] = 2.1  # pays over FP32, not over BF16
    found = _search(bench, ("fp32", "bf16"))
    assert [plan.name for plan in found.plans] == ["mixed-bf16", "int8-bf16", "int8"]
    assert found.plans[0].ms < found.plans[1].ms
    assert "INT8 is 0.9x bf16 here" in found.plans[0].plan.reasons.values()


def test_a_float_precision_that_is_beaten_with_room_to_spare_is_not_asked() -> None:
    bench = _bench(allowed=1000.0)
    for group in GROUPS[:6]:
        bench.int8_ms[group] = 2.5
    found = _search(bench, ("fp32", "bf16"))
    assert [plan.name for plan in found.plans] == ["mixed-bf16"] and found.evaluations == 1
    assert any(line.startswith("fp32: INT8 over it is expected to be slower") for line in found.log)
    near = replace(bench, allowed=1.5 * (len(GROUPS) - 6))  # a third of the room is left
    assert {plan.rest for plan in _search(near, ("fp32", "bf16")).plans} == {"fp32", "bf16"}


@pytest.mark.parametrize(
    ("noise", "siblings"),
    [
        ((0.5, 0.3), {"mixed-safe": 1}),  # seven tenths of the room are left: one is enough
        ((0.1, 0.1), {}),
        ((0.2, 0.2, 0.2, 0.2, 0.2), {"mixed-safe": 3}),
        ((0.32, 0.32, 0.32), {"mixed-safe": 2}),
    ],
)
def test_a_plan_near_a_bar_gets_quieter_siblings_until_one_has_room(
    noise: tuple[float, ...], siblings: dict[str, int]
) -> None:
    bench = _bench(allowed=1.0, noise=0.0)
    bench.noise |= dict(zip(GROUPS[3:], noise, strict=False))
    first, *others = _search(bench).plans
    assert first.name == "int8"
    assert {plan.name: len(GROUPS) - len(_groups(plan)) for plan in others} == siblings


def test_a_second_sibling_is_quieter_than_the_first() -> None:
    bench = replace(_bench(allowed=1.0, noise=0.0), floor=0.35)
    bench.noise |= dict(zip(GROUPS[3:], (0.3, 0.15, 0.1), strict=False))
    first, safe, safer = _search(bench).plans
    assert [plan.name for plan in (first, safe, safer)] == ["int8", "mixed-safe", "mixed-safer"]
    assert _groups(safer) < _groups(safe) < _groups(first)


def test_a_worst_image_between_half_its_bar_and_the_bar_still_gets_siblings() -> None:
    bench = replace(_bench(allowed=1.0, noise=0.0), guard=2.0)
    bench.noise |= dict(zip(GROUPS[3:], (0.5, 0.18, 0.12, 0.1), strict=False))
    first, safe, safer = _search(bench).plans
    assert [plan.name for plan in (first, safe, safer)] == ["int8", "mixed-safe", "mixed-safer"]
    assert first.judged.slack == pytest.approx(-0.8) and 0.0 < safe.judged.slack < 0.5 < safer.judged.slack


def test_time_is_kept_for_siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = SlowBench(dict.fromkeys(GROUPS, 3.0), {}, dict.fromkeys(GROUPS, 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(GROUPS)}
    monkeypatch.setattr("time.monotonic", lambda: bench.now)
    # 10 s for the full plan, 70 for harms, 30 to bisect; two groups more are tried of seven, then the sibling.
    assert [plan.name for plan in _search(bench, seconds=145.0).plans] == ["mixed", "mixed-safe"]
    assert bench.now == 140.0


def test_what_was_not_measured_stays_in_a_quieter_sibling(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = SlowBench(dict.fromkeys(GROUPS, 3.0), {}, dict.fromkeys(GROUPS, 0.01), allowed=1.0)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(GROUPS)}  # later groups save more
    loud = GROUPS[-2]
    bench.noise[loud] = 0.7
    monkeypatch.setattr("time.monotonic", lambda: bench.now)
    found = _search(bench, seconds=50.0)
    assert set(found.harms) == set(GROUPS[-3:])
    safer = next(plan for plan in found.plans if plan.name == "mixed-safe")
    assert set(safer.plan.reasons) == set(loud)
    assert "out of time: harm of 3 of 13 groups is known" in found.log


def test_nothing_gained_is_no_plan() -> None:
    found = _search(_bench(allowed=1000.0, int8_ms=4.0))
    assert found.plans == () and found.evaluations == 0


def test_nothing_is_begun_without_time() -> None:
    bench = _bench(allowed=1000.0)
    found = _search(bench, ("fp32", "bf16"), seconds=0.0)
    assert (bench.calls, found.plans, found.evaluations) == ([], (), 0)
    assert found.log == ("out of time before anything was measured",)


def test_nothing_is_begun_that_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = SlowBench(dict.fromkeys(GROUPS, 3.0), dict.fromkeys(GROUPS, 1.0), dict.fromkeys(GROUPS, 1.0), allowed=6.5)
    monkeypatch.setattr("time.monotonic", lambda: bench.now)
    found = _search(bench, ("fp32", "bf16"), seconds=17.0)
    # The first verdict takes 10 s, so the 7 s that are left are too few for a second one over the other precision.
    assert found.evaluations == 1 and bench.now <= 1.2 * 17.0
    assert any("out of time" in line for line in found.log)


def test_a_group_that_the_compiler_refuses_is_found_and_the_search_goes_on() -> None:
    bench = replace(_bench(allowed=1000.0), refuses=frozenset({GROUPS[4]}))
    found = _search(bench)
    (plan,) = found.plans
    assert _groups(plan) == set(GROUPS) - {GROUPS[4]} and plan.name == "mixed"
    assert set(plan.plan.reasons.values()) == {"the compiler refuses the graph with it in INT8"}
    assert any("refuses the graph (no such kernel)" in line for line in found.log)


def test_a_float_engine_that_the_compiler_refuses_leaves_its_precision_out() -> None:
    class NoFloats(KnownBench):
        def _refused(self, candidate: Candidate) -> Refusal | None:
            return Refusal("trial", "bf16", "no such kernel") if candidate.rest == "bf16" else None

    found = _search(NoFloats(**vars(_bench(allowed=1000.0))), ("bf16", "fp32"))
    assert [plan.rest for plan in found.plans] == ["fp32"]
    assert "bf16: no such kernel" in found.log


def test_a_short_budget_goes_to_the_largest_savings_and_leaves_time_to_bisect(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = SlowBench(dict.fromkeys(GROUPS, 3.0), {}, dict.fromkeys(GROUPS, 1.0), allowed=6.5)
    bench.int8_ms = {group: 2.0 - 0.1 * index for index, group in enumerate(GROUPS)}  # later groups save more
    monkeypatch.setattr("time.monotonic", lambda: bench.now)
    found = _search(bench, seconds=70.0)
    # 10 s for the full plan; 30 of the 60 left for the float run and the harm of five groups; three evaluations.
    assert set(found.harms) == set(GROUPS[-5:])
    assert found.evaluations == 4 and bench.now == 70.0
    assert found.plans[0].plan.int8 == {node for group in GROUPS[-5:] for node in group}
    assert "no time to measure its harm" in found.plans[0].plan.reasons[GROUPS[0][0]]


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    keep = tmp_path / "search.json"
    first = _search(_bench(allowed=7.5), keep=keep)
    again = _bench(allowed=7.5)
    second = _search(again, keep=keep)
    assert again.calls == [] and second.evaluations == 0
    assert [p.plan for p in second.plans] == [p.plan for p in first.plans]
    other = MeasurementCache(keep, {"a": 2})
    assert not other.knows("profiles fp32 ")
    keep.write_text("not json")
    assert not MeasurementCache(keep, {"a": 1}).knows("profiles fp32 ")


def test_groups_share_a_tensor_and_cover_the_plan() -> None:
    model = small_litenext()
    plan = plan_int8(model, SCHEME)
    found = groups(model, plan.int8)
    assert sorted(node for group in found for node in group) == sorted(plan.int8)
    assert max(map(len, found)) > 1


def test_doubt_goes_to_int8_only_where_profiles_are_noisy() -> None:
    assert Gain(1.0, 0.5).pays(0.1) and not Gain(1.0, 0.95).pays(0.1) and not Gain(1.0, 1.5).pays(0.1)
    assert Gain(1.0, 1.2, spread_ms=0.5).pays(0.1) and not Gain(1.0, 1.6, spread_ms=0.5).pays(0.1)


def test_harm_is_measured_on_clipped_logits() -> None:
    reference = np.full((1, 1, 2, 2), 20.0, np.float32)
    assert harm(reference, reference * 2, TASK).noise == 0.0
    assert harm(reference, -reference, TASK).disagreement == 1.0
    assert harm(reference, np.full_like(reference, 3.0), TASK).noise == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("value", "bar", "slack"),
    [
        (1.0, 0.999, 1.0),
        (0.9995, 0.999, 0.5),
        (0.97, 0.98, -0.5),
        (0.01, 0.05, 0.8),
        (-0.0025, -0.005, 0.5),
        (35.0, 30.0, 1.0),
        (25.0, 30.0, -1.0),
        (0.0, 0.0, 1.0),
        (-0.001, 0.0, -1.0),
    ],
)
def test_slack_is_the_share_of_the_bar_that_is_left(value: float, bar: float, slack: float) -> None:
    assert _slack(Check("a bar", value, bar, passed=slack >= 0)) == pytest.approx(slack)


def test_a_real_search_on_real_engines(tmp_path: Path) -> None:
    model: Model = disc_network()
    data = load_image_set(write_discs(tmp_path / "discs", {"train": 4, "val": 4}))
    inputs = [model.task.preprocess(sample.pixels())[None] for sample in data.split("train")]
    ranges = calibrate(model, inputs)
    gate = load_gate("99")
    said: list[str] = []
    wanted = SearchRequest(
        data.split("val"),
        Criteria(gate),
        budget_seconds=60,
        progress=lambda what, left: said.append(what),
        keep=tmp_path / "search.json",
        bias_images=lambda: inputs,
    )
    cpu = find_target("cpu")
    with closing(open_bench(cpu)) as bench:
        found = search(bench, cpu, model, ranges, ("fp32", "bf16"), wanted)
    assert found.gains["fp32"] and said and found.log
    for plan in found.plans:
        assert plan.judged.passed and plan.ms < found.float_ms[plan.rest]
        assert set(plan.plan.reasons) == {n for n, p in plan.plan.nodes.items() if p != INT8}
    assert (tmp_path / "search.json").is_file()
    assert replace(found, plans=()).evaluations == found.evaluations


def _less_sure(model: Model) -> Candidate:
    """The disc network with its first feature weighed less: masks shrink, and some images lose more than others."""
    graph = onnx.ModelProto()
    graph.CopyFrom(model.proto)
    head = next(tensor for tensor in graph.graph.initializer if tensor.name == "head.w")
    weights = numpy_helper.to_array(head) * np.array([0.5, *[1.0] * 7], np.float32).reshape(1, 8, 1, 1)
    head.CopyFrom(numpy_helper.from_array(weights, "head.w"))
    return Candidate("less", "fp32", "fp32", replace(model, proto=graph))


def test_the_search_asks_what_the_verdict_asks(tmp_path: Path) -> None:
    model = disc_network()
    images = load_image_set(write_discs(tmp_path / "discs", {"val": 30})).split("val")

    reference = evaluate(exact_runner(model).run, images, model.task)
    bench = LocalBench(OnnxRuntime(), find_target("cpu"), PlainDialect(SCHEME))

    def judged(gate: Gate, strata: str | None) -> GateResult:
        standard = Standard(images, reference, Criteria(gate, strata), allow_small=True, parity_images=3)
        checked = bench.check(_less_sure(model), standard)
        assert isinstance(checked, Checked)
        return gate_result(checked, gate, _less_sure(model))

    apart = judged(Gate("apart", strata_retained=1.0), "modality")
    assert [reason.split(" (")[0] for reason in apart.reasons] == [
        "Dice retained where modality is even",
        "Dice retained where modality is odd",
    ]
    with pytest.raises(InputError, match="name their column with --strata"):
        judged(Gate("apart", strata_retained=1.0), None)
    assert judged(Gate("together", dice_retained=0.0), None).passed
    drop = 1.0 - judged(Gate("worst", worst_drop=1.0), None).slack
    assert 0.0 < drop < 1.0  # twice the worst image's drop
    near = judged(Gate("worst", worst_drop=0.75 * drop), None)
    assert near.passed and near.slack == pytest.approx(1.0 - 1.0 / 0.75)
    assert judged(Gate("worst", worst_drop=2.0 * drop), None).slack == pytest.approx(0.5)
    assert not judged(Gate("worst", worst_drop=0.4 * drop), None).passed


def test_a_corrected_manifest_is_another_question(tmp_path: Path) -> None:
    root, model = write_discs(tmp_path / "discs", {"val": 3}), disc_network()

    def key() -> str:
        asked = asked_of(
            model, RANGES, load_image_set(root), Criteria(None, "modality"), find_target("cpu"), "openvino"
        )
        return MeasurementCache(None, asked).key

    before = key()
    assert key() == before
    manifest = root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("odd", "rare"))
    assert key() != before
