"""Preflight: the right board passes, any other is one sentence with a next step."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from edge.backends.compiler import BoardCandidate
from edge.device.manifest import Manifest
from edge.device.preflight import generation, preflight, require_target
from edge.errors import MachineError
from edge.machine.machine import read_machine
from tests.machine.test_machine import AGX_ORIN, ORIN_NANO, THOR, XAVIER_NX

GRAPH = "candidates/int8/graph.onnx"
TITLES = {  # of the workstation's tables, which no board has
    "jetson-orin-nano-8gb": "Jetson Orin Nano 8 GB",
    "jetson-agx-orin-64gb": "Jetson AGX Orin 64 GB",
    "jetson-xavier-nx": "Jetson Xavier NX",
    "jetson-agx-thor": "Jetson AGX Thor",
}


def bundle(target="jetson-orin-nano-8gb", jetpack="6.2", tensorrt="10.3.0", graph_bytes=4 << 20):
    runs_on = {"kind": "jetson", "architecture": "aarch64", "module": target, "jetpack": jetpack, "tensorrt": tensorrt}
    empty = {name: {} for name in ("model", "task", "gate", "data", "reference", "versions")}
    candidate = BoardCandidate("int8", "int8", "fp16", GRAPH, "0" * 64, GRAPH, {})
    return Manifest(
        sha256="0" * 64,
        title="tiny",
        backend="tensorrt",
        target={"name": target, "title": TITLES[target]},
        runs_on=runs_on,
        candidates=(candidate,),
        files={GRAPH: (graph_bytes, "0" * 64)},
        **empty,
    )


def toolkit(version="10.3.0.30"):
    return {"title": "TensorRT", "version": version, "gpu": "NVIDIA GPU, SM 8.7"}


def test_the_right_board_passes(tmp_path):
    found = preflight(bundle(), read_machine(ORIN_NANO, "aarch64"), toolkit(), tmp_path)
    lines = dict(found.lines)
    assert lines["device"] == "Jetson Orin Nano 8 GB (developer kit)"
    assert lines["jetpack"] == "6.2 (Jetson Linux 36.4.3)"
    assert lines["memory"] == "6.1 of 8.0 GB free" and lines["power mode"] == "25W" and lines["clocks"] == "free"
    assert lines["hottest"] == "tj-thermal 50 °C"
    assert [w.split(":")[0] for w in found.warnings] == ["clocks are free to change", "power mode 25W"]
    assert "sudo nvpmodel -m 2 is the fastest" in found.warnings[1]  # mode 0 is the 15 W one
    assert found.workspace == 5912340 * 1024 // 2  # half of what is free: the rest is the graph's and the system's


def test_fixed_clocks_at_full_power_give_no_warning(tmp_path):
    manifest = bundle("jetson-agx-orin-64gb", "7.2", "10.16.2")
    found = preflight(manifest, read_machine(AGX_ORIN, "aarch64"), toolkit("10.16.2.10"), tmp_path)
    assert found.warnings == () and found.workspace == 4 << 30


@pytest.mark.parametrize(
    ("manifest", "tree", "architecture", "words"),
    [
        (bundle(), ORIN_NANO, "x86_64", "this machine is x86_64"),
        (bundle(), AGX_ORIN, "aarch64", "this is a Jetson AGX Orin 64 GB, the bundle is for Jetson Orin Nano 8 GB"),
        (bundle(), THOR, "aarch64", "edge bundle --target jetson-agx-thor"),
        (
            bundle(jetpack="5.1", tensorrt="8.5.2"),
            ORIN_NANO,
            "aarch64",
            "runs JetPack 6.2 with TensorRT 10.3, the bundle",
        ),
        (bundle("jetson-xavier-nx", "6.2", "10.3"), XAVIER_NX, "aarch64", "make one with --jetpack 5.1"),
    ],
)
def test_another_board_is_one_sentence(manifest, tree, architecture, words):
    with pytest.raises(MachineError) as caught:
        require_target(manifest, read_machine(tree, architecture))
    message = str(caught.value)
    assert words in message and "\n" not in message and message.count(". ") == 0
    assert caught.value.exit_code == 3


def test_no_jetson_at_all(tmp_path):
    shutil.copytree(ORIN_NANO, tmp_path / "t")
    (tmp_path / "t/proc/device-tree/compatible").write_text("raspberrypi,5-model-b\0brcm,bcm2712\0")
    with pytest.raises(MachineError, match="is no Jetson that SegEdge knows"):
        require_target(bundle(), read_machine(tmp_path / "t", "aarch64"))


def test_jetson_without_a_release(tmp_path):
    shutil.copytree(ORIN_NANO, tmp_path / "t")
    (tmp_path / "t/etc/nv_tegra_release").unlink()
    (tmp_path / "t/var/lib/dpkg/status").unlink()
    with pytest.raises(MachineError, match="names no Jetson Linux release"):
        require_target(bundle(), read_machine(tmp_path / "t", "aarch64"))


def test_versions(tmp_path):
    machine = read_machine(ORIN_NANO, "aarch64")
    found = preflight(bundle(), machine, toolkit("10.7.0"), tmp_path)
    assert "TensorRT here is 10.7, the graphs were made for 10.3; they are checked all the same" in found.warnings
    with pytest.raises(MachineError, match="use the Python module that came with JetPack"):
        preflight(bundle(), machine, toolkit("8.6.2"), tmp_path)
    assert [generation(v) for v in ("8.5.2.2", "8.6.1", "10.3.0", "10.16", "11.4")] == ["8.5", "8.6", "10", "10", "11"]


def test_too_little_memory_or_disk(tmp_path, monkeypatch):
    machine = read_machine(ORIN_NANO, "aarch64")
    with pytest.raises(MachineError, match=r"0\.5 GB of memory free, 0\.8 GB needed"):
        preflight(bundle(), replace(machine, free_bytes=500_000_000), toolkit(), tmp_path)
    monkeypatch.setattr("edge.device.preflight.shutil.disk_usage", lambda _: SimpleNamespace(free=10_000_000))
    with pytest.raises(MachineError, match="10 MB free, 226 MB needed; free the disk"):
        preflight(bundle(), machine, toolkit(), tmp_path)
