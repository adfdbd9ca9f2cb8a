import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edge.machine import environment as module
from edge.machine.environment import commit, environment, isa, power_mode, versions

X86 = "model name\t: AMD EPYC\nflags\t\t: fpu hypervisor sse2 avx2 fma avx512f avx512_vnni avx512_bf16\nflags\t: avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16\nCPU part\t: 0xd42\n"


def test_it_is_json_and_complete() -> None:
    table = json.loads(json.dumps(environment(), allow_nan=False))
    assert {"cpu", "isa", "gpu", "threads", "versions", "os", "power_mode", "governor", "affinity", "load"} <= set(
        table
    )
    assert table["threads"] == len(table["affinity"]) >= 1
    assert table["versions"]["numpy"] == np.__version__
    assert table["memory_gb"] > 0.1


def test_the_commit_is_told_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    assert commit(tmp_path) is None

    def git(*words: str) -> str:
        named = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(["git", *named, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "a")
    head = git("rev-parse", "HEAD")
    assert commit(tmp_path) == head
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == f"{head}+changes"


def test_isa_keeps_what_decides_kernels() -> None:
    assert isa(X86) == ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16")
    assert isa(ARM) == ("asimd", "asimddp", "i8mm", "bf16")
    assert isa("") == ()


def test_another_machine_by_its_files(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("proc/cpuinfo", ARM)
    write("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\x00")
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
    write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1510400\n")
    write("var/lib/nvpmodel/status", "pmode:0002\n")
    table = environment(tmp_path)
    assert table["cpu"] == table["device"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert table["governor"] == "performance, schedutil"
    assert table["clock_mhz"] == 1510.4
    assert table["power_mode"] == "nvpmodel 2"
    assert table["virtual"] is False


def test_power_mode_of_a_laptop_and_of_a_silent_machine(tmp_path: Path) -> None:
    assert power_mode(tmp_path) is None
    profile = tmp_path / "sys/firmware/acpi/platform_profile"
    profile.parent.mkdir(parents=True)
    profile.write_text("balanced\n")
    assert power_mode(tmp_path) == "balanced"


def test_versions_leave_out_what_is_not_installed() -> None:
    assert versions(("numpy", "no-such-package-anywhere")) == {"numpy": version("numpy")}


def test_gpu_is_read_from_nvidia_smi_and_failure_is_none(tmp_path: Path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A2, 550.54, 60.00 W, 1770 MHz, 6251 MHz, 45, Enabled'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(tool))
    found = module.gpu()
    assert found is not None
    assert found["name"] == "NVIDIA A2"
    assert found["clocks.sm"] == "1770 MHz"
    tool.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    assert module.gpu() is None
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert module.gpu() is None
