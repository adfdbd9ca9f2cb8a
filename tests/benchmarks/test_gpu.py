"""``python -m benchmarks.gpu``, rehearsed whole against the double of TensorRT, and steps that go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu.evidence import Evidence
from benchmarks.gpu.steps import Plan, Step, make_steps, run_steps, told
from tests.fixtures.bundle_example import picture_set
from tests.fixtures.small_folder import small_folder
from tests.fixtures.tensorrt.install import write_site

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_whole_is_rehearsed_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model, data = small_folder(tmp_path / "small"), picture_set(tmp_path / "set")
    environment = write_site(tmp_path / "site", "10.3.0", "8.6", also=("rtx-1.7.1.116",), torch_tensorrt="2.13.0")
    words = ["--out", tmp_path / "out", "--networks", model, "--data", data, "--budget", "5m"]
    words += ["--search-seconds", "5", "--seconds", "0.1", "--small"]
    line = [sys.executable, "-m", "benchmarks.gpu", *map(str, words)]
    done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nothing here was measured on a GPU" in done.stderr
    table = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert table["schema"] == "edge.gpu/1" and table["rehearsal"]
    results = {name: step["result"] for name, step in table["steps"].items()}
    assert list(results) == ["machine", "deploy small", "compare small", "tests", "floors", "runtime"]
    assert results["machine"]["gpu"]["sm"] == "8.6" and results["machine"]["modules"]["tensorrt"]["version"] == "10.3.0"
    engines = results["deploy small"]["engines"]
    assert {"fp32", "fp16", "int8", "int8-fp16", "mixed"} <= set(engines) and engines["int8"]["parity_db"] >= 60
    contenders = results["compare small"]["contenders"]
    assert contenders["edge fp32"]["pixels_differing"] == 0 and contenders["edge fp32"]["ms"] > 0
    simulated = {name: row["simulation"] for name, row in contenders.items() if name.startswith("edge ")}
    assert {"edge fp32", "edge fp16", "edge int8", "edge int8-fp16"} <= set(simulated)
    for name, row in simulated.items():
        assert row["images"] == 4 and row["pixels_differing"] == 0 and row["parity_db"] > 60, name
    others = ("torch eager fp16", "torch.compile fp16", "torch-tensorrt fp16", "onnxruntime cuda")
    failed = {name: contenders[name]["reason"] for name in others if contenders[name]["reason"]}
    assert not failed and results["compare small"]["device"] == "cpu"  # their own code ran, without a GPU
    assert all(contenders[name]["sqnr_db"] > 50 for name in others)
    assert set(results["compare small"]["ratios"]) > set(others)
    assert results["tests"]["counts"].get("failed", 0) == 0 and results["tests"]["counts"]["passed"] >= 3
    assert results["floors"]["int8"]["tops"] > 0 and results["floors"]["memory"]["gbs"] > 0
    start = time.monotonic()
    again = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and again.stderr.count("done in an earlier run") == 6
    assert time.monotonic() - start < 60


def test_the_first_network_is_whole_before_anything_else_begins() -> None:
    steps = [step.name for step in make_steps(Plan(("models/litenext", "models/unet"), Path("set"), Path("out")))]
    first = [
        "machine",
        "deploy litenext",
        "compare litenext",
        "tests",
        "deploy unet",
        "floors",
        "runtime",
        "compare unet",
    ]
    assert steps == first
    limits = [step.limit for step in make_steps(Plan(("models/litenext",), Path("set"), Path("out")))]
    assert max(limits) <= 300


def test_steps_that_fail_hang_or_say_nonsense_leave_the_others_alone(tmp_path: Path) -> None:
    path, said = tmp_path / "gpu.json", []
    steps = [
        Step("crash", ("-c", "import os; os.kill(os.getpid(), 11)"), 20, json.loads),
        Step("hang", ("-c", "import time; print('x', flush=True); time.sleep(60)"), 0.5, json.loads),
        Step("nonsense", ("-c", "print('not json')"), 20, json.loads),
        Step("good", ("-c", "print('a library says something')\nprint('[1, 2]')"), 20, told),
        Step("idle", ("-c", "print('[]')"), 20, json.loads, needs="crash"),
    ]
    run_steps(steps, Evidence(path), time.monotonic() + 60, said.append)
    table = json.loads(path.read_text())["steps"]
    assert {name: row["status"] for name, row in table.items()} == {
        "crash": "failed", "hang": "late", "nonsense": "failed", "good": "done",
    }  # fmt: skip
    assert said[-1] == "idle: left out, crash has no result"
    assert table["good"]["result"] == [1, 2] and "exit -11" in table["crash"]["reason"]
    said.clear()
    run_steps(steps, Evidence(path), time.monotonic() - 1, said.append)
    assert (
        said[0] == "crash: no time left; run it again and it goes on here" and said[3] == "good: done in an earlier run"
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_machine_without_a_gpu_is_told_at_once(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "out")]
    environment = write_site(tmp_path / "site", "10.3.0", devices=0)
    done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "error: no GPU to measure: the NVIDIA driver is missing" in done.stderr
    assert list(json.loads((tmp_path / "out" / "gpu.json").read_text())["steps"]) == ["machine"]
