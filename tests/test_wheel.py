"""The wheel, installed into an environment of its own outside the checkout, deploys an ONNX file there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.discs import disc_network, write_discs

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_works_alone(tmp_path: Path) -> None:
    def call(*command: str | Path, where: Path = tmp_path) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        result = subprocess.run(
            [str(part) for part in command], cwd=where, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("segedge-*.whl")
    call(sys.executable, "-m", "venv", tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel)
    assert "torch" not in call(python, "-m", "pip", "list"), "an ONNX file needs no PyTorch"

    write_discs(tmp_path / "discs", {"train": 6, "val": 4, "test": 20})
    disc_network().save(tmp_path / "discs.onnx")
    edge = tmp_path / "fresh" / "bin" / "edge"
    line = "deploy discs.onnx --data discs --out run --precisions fp32,int8 --seconds 0.1 --budget 2 --json"
    report = json.loads(call(edge, *line.split()))
    assert report["status"] == "passed"
    assert (tmp_path / "run" / "report.html").is_file()
    targets = json.loads(call(edge, "targets", "--json"))
    assert {"cpu", "jetson-orin-nano-8gb"} <= {target["name"] for target in targets}, "targets travel in the wheel"


@pytest.mark.slow
def test_wheel_and_sdist_are_fit_for_an_index(tmp_path: Path) -> None:
    pytest.importorskip("twine", reason="pip install '.[release]'")
    for command in (
        ("build", "--no-isolation", "--outdir", tmp_path, ROOT),
        ("twine", "check", "--strict", tmp_path / "*"),
    ):
        line = [sys.executable, "-m", *map(str, command)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert {path.suffix for path in tmp_path.iterdir()} == {".whl", ".gz"}
