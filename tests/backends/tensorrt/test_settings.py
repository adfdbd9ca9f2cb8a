"""Settings for every TensorRT from 8.5 to 11: what is asked for, and what is refused, by version."""

import pytest

from edge.backends.tensorrt.settings import ENTERPRISE, RTX, BuildRequest, Settings, find_settings, has, parse_version
from edge.errors import InputError

VERSIONS = ("8.5.2.2", "8.5.3.1", "8.6.1", "8.6.2.3", "10.0.1", "10.1", "10.3.0", "10.7", "10.9", "10.13.3.9",
            "10.16.2", "11.0", "11.1", "11.4.1")  # fmt: skip
WEAK, TYPED = VERSIONS[:4], VERSIONS[4:]
WORKSPACE = 1 << 28


def wish(typed=False, int8=False, fp16=False):
    return BuildRequest(typed, int8, fp16, WORKSPACE)


@pytest.mark.parametrize("version", VERSIONS)
def test_fp32_never_means_tf32(version):
    settings = find_settings(version, wish())
    assert isinstance(settings, Settings)
    assert settings.off == ("TF32",) and settings.on == () and settings.workspace == WORKSPACE


@pytest.mark.parametrize("version", WEAK)
def test_weak_typing_takes_flags_and_an_explicit_batch(version):
    settings = find_settings(version, wish(int8=True, fp16=True))
    assert settings.network_flags == ("EXPLICIT_BATCH",) and settings.on == ("FP16", "INT8")
    assert find_settings(version, wish(int8=True)).on == ("INT8",)
    assert settings.plugins and settings.timing_cache and settings.io_list == "Bindings"
    assert settings.memory_size == "device_memory_size"
    with pytest.raises(InputError, match="not strongly typed"):
        find_settings(version, wish(typed=True, fp16=True))


@pytest.mark.parametrize("version", TYPED)
def test_strong_typing_takes_no_precision_flags(version):
    settings = find_settings(version, wish(typed=True, int8=True, fp16=True))
    assert settings.network_flags == ("STRONGLY_TYPED",) and settings.on == ()
    assert not settings.plugins and settings.host_code


@pytest.mark.parametrize("version", [v for v in TYPED if v.startswith("10")])
def test_a_float_graph_still_builds_by_flags_on_10(version):
    settings = find_settings(version, wish(int8=True, fp16=True))
    assert settings.network_flags == ("EXPLICIT_BATCH",) and settings.on == ("FP16", "INT8")


@pytest.mark.parametrize("version", [v for v in TYPED if v.startswith("11")])
def test_11_has_no_flags_left(version):
    assert find_settings(version, wish(int8=True)).network_flags == ("STRONGLY_TYPED",)
    assert find_settings(version, wish()).io_list == "I/O Tensors"
    with pytest.raises(InputError, match="FP16 must be written into the graph"):
        find_settings(version, wish(fp16=True))


def test_names_come_and_go_where_the_table_says():
    assert find_settings("8.5.2", wish()).parser_flags == ()
    assert find_settings("8.6.2", wish()).parser_flags == ("NATIVE_INSTANCENORM",)
    assert not find_settings("8.5.2", wish()).host_code and find_settings("8.6.1", wish()).host_code
    assert find_settings("10.0", wish()).memory_size == "device_memory_size"
    assert find_settings("10.1", wish()).memory_size == "device_memory_size_v2"
    assert [has((v, 0), "BuilderFlag.FP16") for v in (10, 11)] == [True, False]


@pytest.mark.parametrize("version", ["8.4.1", "7.1.3", "9.0", "9.3.1", "12.0"])
def test_other_versions_are_refused(version):
    with pytest.raises(InputError, match=r"only 8\.5 to 11 are known"):
        find_settings(version, wish())


def test_rtx_is_always_typed_and_keeps_no_timing_cache():
    settings = find_settings("1.7.1.116", wish(typed=True, int8=True, fp16=True), RTX)
    assert settings.network_flags == ("STRONGLY_TYPED",) and not settings.timing_cache and settings.on == ()
    with pytest.raises(InputError, match="written into the graph"):
        find_settings("1.7.1", wish(fp16=True), RTX)
    with pytest.raises(InputError, match=r"only 1\.x"):
        find_settings("2.0", wish(), RTX)
    with pytest.raises(InputError, match=r"only 8\.5 to 11"):
        find_settings("1.7.1", wish(), ENTERPRISE)


def test_versions_are_parsed():
    assert parse_version("10.16.2.5") == (10, 16) == parse_version("10.16.1.11.post1")
    with pytest.raises(InputError, match="not a version"):
        parse_version("newest")
