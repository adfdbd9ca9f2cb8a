"""Every example runs as it is, on a small network."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as Xml
from pathlib import Path

import onnx
import pytest

from edge.api.run import chosen_engine
from tests.fixtures.discs import TASK, disc_network, write_discs

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def execute(*line: object, cwd: Path, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*map(str, line)], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first example was run."""
    root = tmp_path_factory.mktemp("examples")
    write_discs(root / "discs", {"train": 6, "val": 4, "test": 22})
    disc_network().save(root / "discs.onnx")
    out = execute(sys.executable, EXAMPLES / "01_deploy.py", "discs.onnx", "discs", "run", 2, 0.05, cwd=root)
    assert "<Run run passed: " in out and "gives a mask of (200, 300) uint8" in out
    return root


def test_the_gate_in_ci(place: Path) -> None:
    summary = place / "summary.md"
    script = EXAMPLES / "02_gate.sh"
    out = execute("sh", script, "discs.onnx", "discs", "run", cwd=place, GITHUB_STEP_SUMMARY=str(summary))
    assert "passes" in out and "✅ passes" in summary.read_text()
    (suite,) = Xml.parse(place / "gate" / "junit.xml").getroot()
    assert suite.get("failures") == "0" and int(suite.get("tests", 0)) == len(suite) > 4
    assert "sh examples/02_gate.sh" in (EXAMPLES / "02_gate.yml").read_text()


def test_own_data(place: Path) -> None:
    script = EXAMPLES / "03_own_data.py"
    alone = execute(sys.executable, script, "discs.onnx", cwd=place)
    assert "<CheckResult Dice 0." in alone
    bare = onnx.load(place / "discs.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, place / "bare.onnx")
    (place / "task.toml").write_text(f"[task]\nsize = {list(TASK.size)}\nclasses = {json.dumps(TASK.classes)}\n")
    assert execute(sys.executable, script, "bare.onnx", "task.toml", cwd=place) == alone


def test_a_bundle(place: Path) -> None:
    out = execute(sys.executable, EXAMPLES / "04_bundle.py", "run", "cpu", "discs.tar.gz", 0.05, cwd=place)
    assert "discs.tar.gz.verified passed" in out


def test_the_notebook_cell_by_cell(place: Path) -> None:
    cells = json.loads((EXAMPLES / "06_notebook.ipynb").read_text())["cells"]
    source = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    program = source.replace("runs/unet", "run") + "\n\nassert mask.shape == (96, 128)\n"
    execute(sys.executable, "-c", program, cwd=place)


def test_a_cpp_program_of_your_own(place: Path) -> None:
    missing = [tool for tool in ("cmake", "c++", "make") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (apt-get install build-essential cmake)")
    from openvino.utils import get_cmake_path

    build = place / "build"
    execute("cmake", "-S", EXAMPLES / "05_cpp_app", "-B", build, f"-DOpenVINO_DIR={get_cmake_path()}", cwd=place)
    execute("cmake", "--build", build, "--target", "app", "--parallel", "2", cwd=place)
    out = execute(build / "app", chosen_engine(place / "run"), cwd=place)
    size, _, count = out.partition(", ")
    assert size == "160 x 120" or size == "120 x 160"
    assert 2300 < int(count.split()[0]) < 3400, "a disc of radius 30 has 2827 pixels"


def test_the_pre_commit_hooks(place: Path) -> None:
    text = (EXAMPLES / "pre-commit-config.yaml").read_text()
    entries = [shlex.split(line.partition("entry:")[2]) for line in text.splitlines() if "entry:" in line]
    scores, gate = entries
    assert gate[:2] == ["sh", "examples/02_gate.sh"] and gate[5:] == ["--task", "task.toml"]
    taken = [{"network.onnx": "discs.onnx", "data": "discs"}.get(word, word) for word in scores]
    at = taken.index("--task")
    del taken[at : at + 2]  # the network carries its task
    execute(*taken, cwd=place)
