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
from benchmarks.gpu.rehearsal import small_networks, small_set
from benchmarks.gpu.steps import Plan, Step, deployed, make_steps, run_steps, told
from tests.fixtures.bundle_example import picture_set
from tests.fixtures.small_folder import small_folder
from tests.fixtures.tensorrt.install import write_site

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None or shutil.which("cmake") is None, reason="needs a compiler and cmake")
def test_the_whole_is_rehearsed_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model, data = small_folder(tmp_path / "small"), picture_set(tmp_path / "set")
    environment = write_site(tmp_path / "site", "10.3.0", "8.6", also=("rtx-1.7.1.116",), torch_tensorrt="2.13.0",
                             cpp=True)  # fmt: skip
    words = ["--out", tmp_path / "out", "--networks", model, "--data", data, "--budget", "60m"]
    words += ["--search-seconds", "60", "--seconds", "0.1", "--small"]
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
    assert {"fp32", "fp16", "int8", "int8-fp16"} <= set(engines) and engines["int8"]["parity_db"] >= 60
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
    pixels = {name: row["pixels_differing"] for name, row in results["runtime"]["engines"].items()}
    assert set(pixels) >= {f"small/{name}" for name in ("fp32", "fp16", "int8", "int8-fp16")}
    assert set(pixels.values()) == {0}, results["runtime"]
    assert results["floors"]["int8"]["tops"] > 0 and results["floors"]["memory"]["gbs"] > 0
    again = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0 and again.stderr.count("done in an earlier run") == 6


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
        Step("crash", ("-c", "import os; os.kill(os.getpid(), 11)"), 120, json.loads),
        Step("hang", ("-c", "import time; print('x', flush=True); time.sleep(3600)"), 0.5, json.loads),
        Step("nonsense", ("-c", "print('not json')"), 120, json.loads),
        Step("good", ("-c", "print('a library says something')\nprint('[1, 2]')"), 120, told),
        Step("idle", ("-c", "print('[]')"), 120, json.loads, needs="crash"),
    ]
    run_steps(steps, Evidence(path), time.monotonic() + 600, said.append)
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


def test_after_every_step_a_new_process_goes_on_with_the_next_and_the_budget_ends_one_under_way(tmp_path: Path) -> None:
    path, calls = tmp_path / "gpu.json", tmp_path / "calls"
    words = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + ' '); print('[]')"
    steps = [Step(name, ("-c", words, str(calls), name), 120, told) for name in ("one", "two", "three")]
    for stopped_after in (1, 2, 3):
        run_steps(steps[:stopped_after], Evidence(path), time.monotonic() + 600, lambda _: None)
        assert list(json.loads(path.read_text())["steps"]) == ["one", "two", "three"][:stopped_after]
    assert calls.read_text() == "one two three "
    long = Step("long", ("-c", "import time; time.sleep(3600)"), 3600, told)
    run_steps([*steps, long], Evidence(path), time.monotonic() + 2, lambda _: None)
    assert json.loads(path.read_text())["steps"]["long"]["status"] == "late"
    assert calls.read_text() == "one two three "


def test_a_deployment_without_a_report_is_a_failed_step_with_its_own_words(tmp_path: Path) -> None:
    words = ("-c", "import sys; sys.exit('error: the network is no better than nothing')")
    step = Step("deploy", words, 120, lambda _: deployed(tmp_path), passing=(0, 1))
    run_steps([step], Evidence(tmp_path / "gpu.json"), time.monotonic() + 600, lambda _: None)
    row = json.loads((tmp_path / "gpu.json").read_text())["steps"]["deploy"]
    assert row["status"] == "failed" and "no better than nothing" in row["reason"]


def test_a_rehearsal_s_networks_keep_their_layers_and_lose_their_pixels(tmp_path: Path) -> None:
    (unet,) = small_networks((str(REPOSITORY / "models" / "unet"),), tmp_path)
    text = (REPOSITORY / "models" / "unet" / "model.toml").read_text()
    assert (Path(unet) / "model.toml").read_text() == text.replace("size = [256, 256]", "size = [64, 64]") != text
    names = {path.name for path in (REPOSITORY / "models" / "unet").iterdir() if path.is_file()}
    assert names == {path.name for path in Path(unet).iterdir() if path.is_file()}
    rows = (small_set(REPOSITORY / "calibration" / "dsb2018", tmp_path / "set") / "manifest.csv").read_text()
    assert len(rows.splitlines()) == 1 + 8 + 4 + 4
    assert len(list((tmp_path / "set").rglob("*.png"))) == 2 * 16
