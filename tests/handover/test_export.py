"""A run for other tools: Triton's repository is run again from its own files, the card's front matter is read back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.api.run import Run
from edge.backends.engine import read_engine
from edge.images.image_set import load_image_set
from tests.fixtures.discs import TASK, disc_network, write_discs

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("handover")
    write_discs(root / "discs", {"train": 6, "val": 4, "test": 22})
    return edge.deploy(
        disc_network().proto, root / "discs", task=TASK, precisions=["fp32", "int8"], out=root / "run", budget=2,
        seconds=0.05,
    )  # fmt: skip


def call(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "edge.cli.app", "export", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_openvino_repository_gives_the_engine_s_masks(run: Run, tmp_path: Path) -> None:
    import openvino

    done = call("triton", run.folder, "--out", tmp_path / "served", "--name", "discs")
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "served/discs"), done.stderr
    text = (tmp_path / "served/discs/config.pbtxt").read_text()
    assert 'backend: "openvino"' in text and "max_batch_size: 0" in text and text.count("{") == text.count("}")
    given = dict(re.findall(r'(input|output) \[ \{ name: "(\w+)"', text))
    model = openvino.Core().read_model(tmp_path / "served/discs/1/model.xml")
    assert {model.input(0).any_name} == {given["input"]} and given["output"] in model.output(0).names
    shapes = [[int(n) for n in dims.split(",")] for dims in re.findall(r"dims: \[ ([^\]]+) \]", text)]
    assert shapes == [list(model.input(0).shape), list(model.output(0).shape)]

    carried = re.search(r'segedge.task" value \{ string_value: (".*") \}', text)
    task = edge.Task.from_table(json.loads(json.loads(carried[1])), "pbtxt")
    rest = read_engine(run.engine).rest
    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(rest, rest)}
    )
    image = next(iter(load_image_set(run.folder.parent / "discs").split("test"))).pixels()
    served = task.labels(compiled(task.preprocess(image)[None])[0][0], image.shape[:2])
    with edge.load_engine(run) as engine:
        assert np.array_equal(served, engine.segment(image)) and served.any()


@pytest.mark.slow
def test_the_float_network_is_served_by_onnx_runtime(run: Run, tmp_path: Path) -> None:
    import onnxruntime

    folder = edge.export("triton", run, tmp_path, reference=True)
    text = (folder / "config.pbtxt").read_text()
    assert folder.name == run.report.model.name and 'backend: "onnxruntime"' in text
    session = onnxruntime.InferenceSession(folder / "1/model.onnx")
    assert f'name: "{session.get_inputs()[0].name}"' in text and f'name: "{session.get_outputs()[0].name}"' in text
    assert f"dims: [ {', '.join(map(str, session.get_inputs()[0].shape))} ]" in text
    (tmp_path / "other").mkdir()
    edge.export("triton", run, tmp_path, name="second")
    edge.export("triton", run, tmp_path)  # again, in place of the first
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["other", "second", folder.name])


def test_the_card_has_front_matter_and_the_verdict(run: Run, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    assert call("model-card", run.folder, "--out", card).returncode == 0
    _, front, body = card.read_text().split("---\n", 2)
    found = json.loads(re.search(r"^model-index: (.*)$", front, re.MULTILINE)[1])[0]["results"][0]
    chosen = run.report.engine(run.report.chosen)
    assert found["metrics"][0] == {"type": "dice", "value": round(chosen.accuracy.dice.mean, 6)}
    assert found["dataset"]["split"] == "test" and "pipeline_tag: image-segmentation" in front
    assert f"Ship {chosen.name}" in body and "| criterion | asked | measured | margin |" in body
    assert run.report.data.evaluation.sha256 in body and "not a medical device" in body


def test_what_cannot_be_exported_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    for words, fault in (
        (("tritan", run.folder), "no form of export"),
        (("triton", tmp_path), "report.json"),
        (("triton", run.folder, "--name", "a/b"), "letters"),
    ):
        done = call(*words, "--out", tmp_path / "x")
        assert done.returncode == 2 and fault in done.stderr, done.stderr
    copy = tmp_path / "rtx"
    shutil.copytree(run.engine, copy)
    engine = read_engine(copy)
    from dataclasses import replace

    from edge.handover.triton import serve_engine

    with pytest.raises(edge.InputError, match="--reference"):
        serve_engine(replace(engine, backend="tensorrt_rtx"))
