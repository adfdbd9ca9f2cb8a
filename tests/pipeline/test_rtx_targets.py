"""Each RTX target by the user's own commands: NVIDIA's own builder, its plans' audit, and what a bare machine says."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from edge.backends.engine import ConvCounts, read_engine
from edge.cli.app import run_command
from edge.machine.here import this_machine
from tests.fixtures.bundle_example import picture_set, tiny_unet
from tests.pipeline.test_gpu_target import Workplace

pytestmark = pytest.mark.usefixtures("without_plots")

CONVOLUTIONS = 4  # of the tiny network; the first has 3 input channels and stays float
SM = {"rtx-turing": "7.5", "rtx-ampere": "8.6", "rtx-ada": "8.9", "rtx-blackwell": "12.0"}
NO_INT8 = "TensorRT for RTX has no INT8 kernels for compute capability 7.5: it would compute in float"
VERSION = "rtx-1.7.1.116"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rtx")
    tiny_unet().save(folder / "tiny.onnx")
    picture_set(folder / "set")
    return folder


def edge(*words: object) -> int:
    """The command line, in this process."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["edge", *map(str, words)])
        run_command()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("target", SM)
@pytest.mark.slow
def test_engine_folders_are_built_and_audited_and_refused_where_no_gpu_is(
    target: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    if this_machine().gpu is not None:
        pytest.skip("there is a GPU here")
    model, data, run = place / "tiny.onnx", place / "set", tmp_path / "run"
    words = ("--target", target, "--precisions", "fp16,int8", "--gate", "99", "--calibration-images", 16)
    assert edge("deploy", model, "--data", data, *words, "--out", run, "--quiet") == 0
    report = json.loads((run / "report.json").read_text())
    rows = {row["name"]: row for row in report["engines"]}
    assert report["status"] == "unconfirmed" and report["chosen"] is None
    int8 = "int8-fp16" if target != "rtx-turing" else "int8"
    assert set(rows) == {"fp16", int8} and rows["fp16"]["simulated"] and rows["fp16"]["gate"]["passed"]
    engines = {name: read_engine(run / row["path"]) for name, row in rows.items() if row["path"]}
    assert {engine.runs_on["sm"] for engine in engines.values()} == {SM[target]}
    assert {engine.backend for engine in engines.values()} == {"tensorrt_rtx"}
    assert engines["fp16"].convs == ConvCounts(fp16=CONVOLUTIONS)
    if target == "rtx-turing":
        assert set(engines) == {"fp16"} and rows["int8"]["gate"]["reasons"] == [NO_INT8]
        for precision in ("int8", "mixed"):
            line = ("build", model, "--data", data, "--target", target, "--precision", precision)
            assert edge(*line, "--out", tmp_path / precision) == 3
            assert NO_INT8 in capsys.readouterr().err and not (tmp_path / precision).exists()
    else:
        assert engines["int8-fp16"].convs == ConvCounts(int8=3, fp16=1)
        assert any(f"for {2 * CONVOLUTIONS} of {2 * CONVOLUTIONS} convolutions" in note for note in report["notes"])
    engine, image = run / rows["fp16"]["path"], next((data / "images").iterdir())
    capsys.readouterr()
    for line in (
        ("check", engine, "--data", data, "--reference", model, "--gate", "99"),
        ("profile", engine),
        ("segment", engine, image, "--out", tmp_path / "masks"),
    ):
        assert edge(*line) == 3, line[0]
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("error: ") and ("driver" in said or "GPU" in said or "libcudart" in said), said
    assert not (tmp_path / "masks").exists()


@pytest.mark.slow
@pytest.mark.parametrize("target", SM)
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_machine_of_that_gpu_deploys_and_runs_what_it_built(target: str, tmp_path: Path) -> None:
    there = Workplace(tmp_path, VERSION, sm=SM[target])
    there.edge("deploy", there.model, "--data", there.data, "--target", target, "--precisions", "fp16,int8",
               "--gate", "99", "--seconds", "0.05", "--calibration-images", "16", "--out", "run")  # fmt: skip
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    rows = {row["name"]: row for row in report["engines"]}
    assert report["status"] == "passed" and not rows["fp16"]["simulated"] and rows["fp16"]["latency_ms"]["n"] > 1
    assert (NO_INT8 in rows.get("int8", rows["fp16"])["gate"]["reasons"]) == (target == "rtx-turing")
    checked = there.edge("check", f"run/{rows['fp16']['path']}", "--data", there.data, "--reference", there.model,
                         "--gate", "99", "--json")  # fmt: skip
    assert json.loads(checked.stdout)
    there.edge("bundle", "run", "--target", target, "--out", "kit.tar.gz")
    shutil.unpack_archive(tmp_path / "kit.tar.gz", tmp_path / "kit", filter="data")
    bundle = "kit" if target in ("rtx-turing", "rtx-blackwell") else "kit.tar.gz"  # a folder or an archive
    there.edge("verify", bundle, "--seconds", "0.05", "--allow-small", "--out", "verified")
    verified = json.loads((tmp_path / "verified" / "report.json").read_text())
    engine = next(row for row in verified["engines"] if row["name"] == "fp16")
    assert verified["status"] == "passed" and engine["backend"] == "tensorrt_rtx" and engine["latency_ms"]["n"] > 1
