"""As a board without SegEdge does it: the runtime built inside the unpacked bundle proves an engine against it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.bundle.archive import unpack
from edge.bundle.pack import pack
from edge.pipeline.verify import verify
from edge.targets.target import find_target

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def box(cpu_run, tmp_path_factory):
    """An unpacked bundle with ``build/segedge-run`` in it."""
    missing = [tool for tool in ("cmake", "c++", "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the C++ runtime needs {', '.join(missing)} (apt-get install build-essential cmake)")
    packed = pack(cpu_run, find_target("cpu"), None, True, tmp_path_factory.mktemp("packed") / "tiny.tar.gz")
    folder = tmp_path_factory.mktemp("box")
    subprocess.run(["tar", "-xzf", packed, "-C", folder], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # python3 there has the OpenVINO wheel
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build", "--parallel", "2"]):
        done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def proved(box, tmp_path_factory):
    """Report and run folder of the bundle, proved in Python and in the runtime."""
    out = tmp_path_factory.mktemp("proved") / "run"
    return verify(box, out, seconds=0.05, min_runs=5, runtime=box / "build" / "segedge-run")


def ask(box, *words):
    command = ["build/segedge-run", *map(str, words)]
    return subprocess.run(command, cwd=box, capture_output=True, text=True, timeout=120)


def test_the_runtime_finds_what_python_found(box, proved):
    assert json.loads(ask(box, "info", "--json").stdout)["backends"] == ["openvino"]
    report, run = proved
    assert report.status == "passed"
    assert not (run.parent / ".run.work" / "runtime").exists()
    for row in report.engines:
        check = {check.criterion: check for check in row.gate.checks}["agreement in the C++ runtime"]
        assert check.passed and check.value == pytest.approx(row.accuracy.agreement, abs=1e-12)
        for reference in (".", "data"):
            done = ask(box, "verify", run / "engines" / row.name, reference, "--json")
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            assert found["engine"] == row.name and found["images"] == 28 and found["passed"]
            assert found["agreement"] == pytest.approx(row.accuracy.agreement, abs=1e-12)
    # The float engine gives the float network's masks; INT8 may or may not, and the exit code says which.
    assert ask(box, "verify", run / "engines" / "fp32", ".", "--exact").returncode == 0
    differs = report.engine("int8").accuracy.agreement < 1.0
    assert ask(box, "verify", run / "engines" / "int8", ".", "--min-agreement", "1").returncode == int(differs)


def test_a_damaged_reference_is_refused(box, proved):
    engine = proved[1] / "engines" / "fp32"
    for name, said in (
        ("data/images.npz", "was changed since it was made"),
        ("data/reference.labels", "was changed since it was made"),
        ("data/reference.json", "was changed since the bundle was made"),
        ("manifest.json", "differs from its hash"),
    ):
        path = box / name
        good = path.read_bytes()
        middle = len(good) // 2
        path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        done = ask(box, "verify", engine, ".")
        path.write_bytes(good)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert ask(box, "verify", engine, ".").returncode == 0


def test_without_images_it_says_what_to_give(cpu_run, box, proved, tmp_path):
    bare = tmp_path / "bare"
    unpack(pack(cpu_run, find_target("cpu"), None, False, tmp_path / "bare.tar.gz"), bare)
    done = ask(box, "verify", proved[1] / "engines" / "fp32", bare)
    assert done.returncode == 2 and "carries no images to compare on" in done.stderr
