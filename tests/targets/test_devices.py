"""The device table: what is refused early, and that every TensorRT it names is one that the toolkit can drive."""

from __future__ import annotations

import pytest

from edge.backends.tensorrt.settings import BuildRequest, find_settings
from edge.errors import InputError
from edge.latency.estimate import target_peaks
from edge.lowering import find_parser
from edge.machine.jetson import MODULES
from edge.targets.target import UNKNOWN, find_target, targets

CARDS = [name for name, target in targets().items() if target.fact("gpu") != UNKNOWN]
JETSONS = [name for name in targets() if name.startswith("jetson-")]
SM = {
    "jetson-orin-nano-4gb": "8.7", "jetson-orin-nano-8gb": "8.7", "jetson-orin-nx-8gb": "8.7",
    "jetson-orin-nx-16gb": "8.7", "jetson-agx-orin-32gb": "8.7", "jetson-agx-orin-64gb": "8.7",
    "jetson-xavier-nx": "7.2", "jetson-agx-xavier": "7.2", "jetson-agx-thor": "11.0",
    "rtx-turing": "7.5", "rtx-ampere": "8.6", "rtx-ada": "8.9", "rtx-blackwell": "12.0", "h200": "9.0",
    "t4": "7.5", "a2": "8.6", "a10": "8.6", "l4": "8.9", "a100": "8.0", "h100": "9.0", "rtx-a2000": "8.6",
    "rtx-a4000": "8.6", "rtx-a6000": "8.6", "rtx-2000-ada": "8.9", "rtx-4000-ada": "8.9", "rtx-6000-ada": "8.9",
}  # fmt: skip


def test_every_device_is_there_with_its_compute_capability() -> None:
    assert {
        name: target.fact("sm") for name, target in targets().items() if target.kind != "cpu" and not target.own
    } == SM


def test_a_fact_without_a_source_is_unknown() -> None:
    for target in targets().values():
        for name, fact in target.facts.items():
            assert (fact.value == UNKNOWN) == (not fact.source), f"{target.name}: {name}"


@pytest.mark.parametrize("name", JETSONS)
def test_every_jetpack_ships_a_tensorrt_that_is_known(name: str) -> None:
    target = find_target(name)
    assert target.jetpacks
    seen: set[str] = set()
    for jetpack in target.jetpacks:
        assert not seen & {jetpack.version, *jetpack.also}
        seen |= {jetpack.version, *jetpack.also}
        typed = find_parser(jetpack.tensorrt).typed
        settings = find_settings(jetpack.tensorrt, BuildRequest(typed, int8=True, fp16=True, workspace=1))
        assert settings.on == (() if typed else ("FP16", "INT8"))


def test_jetpacks_are_found_by_any_release_that_ships_the_same() -> None:
    nano = find_target("jetson-orin-nano-8gb")
    assert [nano.find_jetpack(v).tensorrt for v in ("7.2", "6.2", "6.1", "6.0", "5.1.2")] == [
        "10.16.2", "10.3.0", "10.3.0", "8.6.2", "8.5.2",
    ]  # fmt: skip
    assert nano.find_jetpack() is nano.jetpacks[0]
    with pytest.raises(InputError, match=r"--jetpack 4\.6: jetson-orin-nano-8gb does not run it; it runs 7\.2"):
        nano.find_jetpack("4.6")
    with pytest.raises(InputError, match="it is not a Jetson"):
        find_target("h200").find_jetpack("6.2")


def test_every_jetson_that_is_recognised_has_a_target() -> None:
    without = {"jetson-nano", "jetson-tx2"}  # so that the refusal can name them
    assert {m.target for m in MODULES.values()} - without <= set(targets())
    for module in MODULES.values():
        if module.target in targets():
            assert str(find_target(module.target).fact("sm")) == module.sm


def test_every_card_can_be_estimated_in_every_precision() -> None:
    """At double the bits half the rate: what NVIDIA's tensor cores have in common, and a slip of the pen has not."""
    assert len(CARDS) == 13
    for name in CARDS:
        peaks = target_peaks(find_target(name))
        fp16, int8 = peaks.operations["fp16"], peaks.operations["int8"]
        assert int8 == pytest.approx(2 * fp16, rel=0.01), name
        assert peaks.operations["fp32"] < fp16 and 1e11 < peaks.bytes_per_second < 5e12, name


def test_every_jetson_has_a_half_rate_half_its_int8_rate_and_both_are_the_gpu_s_alone() -> None:
    for target in map(find_target, JETSONS):
        fp16, int8 = target.fact("fp16_tflops_dense"), target.fact("int8_tops_dense")
        assert int8 == pytest.approx(2 * fp16, rel=0.01), target.name
        whole = target.fact("int8_tops_sparse"), target.fact("int8_tops_dense_with_dla")
        known = [float(value) / share for value, share in zip(whole, (2, 1), strict=True) if value != UNKNOWN]
        accelerated = target.fact("dla_cores") != 0
        assert known and all(
            (int8 < value) if accelerated else (int8 == pytest.approx(value, rel=0.01)) for value in known
        )
