"""Which target a machine is: asked of machines that are written down here."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import InputError, MachineError
from edge.machine import here as machine
from edge.machine.here import Gpu, Here, find_gpu
from edge.targets.local import is_local, lacks, resolve
from edge.targets.target import find_target, targets

PLAIN = Here("x86_64", None, None, frozenset({"openvino", "tensorrt_rtx"}))
RTX = Here("x86_64", Gpu("NVIDIA RTX A6000", "8.6", 49140), None, frozenset({"openvino", "tensorrt_rtx"}))
_ALL = frozenset({"openvino", "tensorrt", "tensorrt_rtx", "torch_tensorrt"})
SERVER = Here("x86_64", Gpu("NVIDIA H200", "9.0", 143771), None, _ALL)
ORIN = Here("aarch64", Gpu("Orin", "8.7"), "jetson-orin-nano-8gb", frozenset({"tensorrt"}))
CARD = Here("x86_64", Gpu("NVIDIA L4", "8.9", 23034), None, _ALL)
ARM = Here("aarch64", None, None, frozenset({"openvino"}))
BARE = Here("x86_64", Gpu("NVIDIA RTX A6000", "8.6"), None, frozenset())


@pytest.mark.parametrize(
    ("here", "names"),
    [
        (PLAIN, {"cpu"}),
        (RTX, {"cpu", "gpu", "rtx-ampere", "rtx-a6000"}),
        (SERVER, {"cpu", "gpu", "h200"}),  # and no h100, of the same compute capability
        (CARD, {"cpu", "gpu", "l4", "rtx-ada"}),
        (ORIN, {"gpu", "jetson-orin-nano-8gb"}),
        (ARM, {"cpu", "cpu-arm64"}),
        (BARE, set()),
    ],
)
def test_a_machine_is_what_it_holds(here: Here, names: set[str]) -> None:
    assert {name for name, target in targets().items() if lacks(target, here) is None} == names


@pytest.mark.parametrize(
    ("target", "here", "words"),
    [
        ("rtx-ampere", PLAIN, "no NVIDIA GPU"),
        ("rtx-ada", RTX, "of compute capability 8.9, this machine's (NVIDIA RTX A6000) of 8.6"),
        ("h100", SERVER, "its GPU is the H100, this machine's the NVIDIA H200; --target gpu takes what is here"),
        ("a10", RTX, "its GPU is the A10, this machine's the NVIDIA RTX A6000"),
        ("gpu", BARE, "neither TensorRT nor TensorRT for RTX is installed"),
        ("jetson-orin-nx-8gb", ORIN, "this machine is jetson-orin-nano-8gb"),
        ("jetson-orin-nx-8gb", PLAIN, "this machine is no Jetson"),
        ("rtx-ampere", BARE, "TensorRT for RTX is not installed (pip install 'segedge[tensorrt-rtx]')"),
        ("cpu", BARE, "OpenVINO is not installed"),
        ("cpu-arm64", PLAIN, "its CPU is aarch64, this machine's x86_64"),
        ("cpu-arm64", ORIN, "OpenVINO is not installed"),
    ],
)
def test_what_is_missing_is_said(target: str, here: Here, words: str) -> None:
    assert words in str(lacks(find_target(target), here))


def test_the_gpu_at_hand_is_described_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.targets.local.this_machine", lambda: RTX)
    found = resolve(find_target("gpu"))
    assert (found.backend, found.fact("sm"), found.fact("memory_gb")) == ("tensorrt_rtx", "8.6", 48.0)
    assert found.title.startswith("NVIDIA RTX A6000") and is_local(found)
    monkeypatch.setattr("edge.targets.local.this_machine", lambda: SERVER)
    assert resolve(find_target("gpu")).backend == "tensorrt"
    assert resolve(find_target("gpu"), "torch-tensorrt").backend == "torch_tensorrt"
    with pytest.raises(InputError, match="--backend openvino: does not serve gpu"):
        resolve(find_target("gpu"), "openvino")
    monkeypatch.setattr("edge.targets.local.this_machine", lambda: PLAIN)
    with pytest.raises(MachineError, match="--target gpu: this machine has no NVIDIA GPU"):
        resolve(find_target("gpu"))


def test_the_cpu_of_an_arm_machine_is_the_arm_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.targets.local.this_machine", lambda: ARM)
    found = resolve(find_target("cpu"))
    assert found is find_target("cpu-arm64") and found.kind == "cpu" and is_local(found)
    assert found.compilers == ("openvino", "onnxruntime") and found.precisions == ("fp32", "fp16", "int8")
    monkeypatch.setattr("edge.targets.local.this_machine", lambda: PLAIN)
    assert resolve(find_target("cpu")) is find_target("cpu")


def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double of the program: it prints what the real one prints for this query."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA RTX A6000, 8.6, 49140'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert find_gpu() == Gpu("NVIDIA RTX A6000", "8.6", 49140)
    tool.write_text("#!/bin/sh\nprintf 'NVIDIA T400, 7.5, 2048\\nNVIDIA RTX A6000, 8.6, 49140\\n'\n")
    monkeypatch.setattr(machine, "_from_cuda", lambda: Gpu("NVIDIA GPU", "8.6"))
    assert find_gpu() == Gpu("NVIDIA RTX A6000", "8.6", 49140)  # not the first on the bus: the one that CUDA takes
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'\nexit 9\n")
    monkeypatch.setattr(machine, "_from_cuda", lambda: None)
    assert find_gpu() is None
