import json

import pytest

from edge.backends.engine import PRECISIONS
from edge.errors import InputError
from edge.targets.target import UNKNOWN, Fact, find_target, targets


def test_the_cpu_is_this_machine_and_runs_in_openvino() -> None:
    cpu = find_target("cpu")
    assert cpu.own and cpu.kind == "cpu"
    assert cpu.backend == "openvino"
    assert cpu.precisions == ("fp32", "bf16", "int8", "mixed")


def test_an_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"--target jetsun: unknown; known targets are .*cpu") as caught:
        find_target("jetsun")
    assert all(name in str(caught.value) for name in targets())


@pytest.mark.parametrize("name", targets())
def test_every_table_is_complete(name: str) -> None:
    target = find_target(name)
    assert target.name == name
    assert target.title
    assert set(target.precisions) <= set(PRECISIONS)
    for key, fact in target.facts.items():
        assert isinstance(fact, Fact)
        assert fact.source or fact.value == UNKNOWN, f"{name}: {key} has no source"
    for jetpack in target.jetpacks:
        assert all((jetpack.version, jetpack.tensorrt, jetpack.cuda, jetpack.python, jetpack.source))
    json.dumps(target.to_json(), allow_nan=False)


def test_a_fact_that_no_one_knows_is_unknown() -> None:
    assert find_target("cpu").fact("number_of_wheels") == UNKNOWN
    asked = find_target("rtx-ampere").to_json()["facts"]
    assert asked["memory_gb"] == {"value": UNKNOWN, "source": ""} and asked["sm"]["value"] == "8.6"


def test_devices_of_one_jetpack_share_its_release() -> None:
    nano, orin = find_target("jetson-orin-nano-8gb"), find_target("jetson-agx-orin-64gb")
    assert nano.find_jetpack("6.2") is orin.find_jetpack("6.1")
    assert [release.version for release in nano.jetpacks] == ["7.2.1", "6.2.2", "6.0", "5.1.6"]


def test_a_misspelt_target_is_guessed() -> None:
    with pytest.raises(InputError, match="did you mean jetson-orin-nano-8gb"):
        find_target("jetson-orin-nano-8g")
