"""A network that never ends is ended by the limit of seconds, by whichever door it comes to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.backends.engine import Candidate, Engine
from edge.backends.openvino.backend import OpenVino
from edge.targets.target import find_target
from tests.fixtures.endless import endless_network

pytestmark = pytest.mark.slow
SECONDS = 2
WAYS = {
    "run": "OpenVino().load(engine).run(batch)",
    "time": "OpenVino().load(engine).time(batch)",
    "layers": "OpenVino().load(engine).layers()",
    "pixels": "OpenVino().load_pixels(engine).run(np.zeros((*engine.task.size, 3), np.uint8))",
    "streams": "open_load(engine, 1, 2)(0.1)",
    "reference": "optimized(read_model(Path(sys.argv[2]))).time(batch)",
    "proof": "run(read_model(Path(sys.argv[2])).proto, batch)",
    "rewrite": "run_float32(read_model(Path(sys.argv[2])).proto, [batch])",
}
"""Native calls that run a network; each in a process of its own, watched as a command is."""
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from edge.backends.engine import read_engine
from edge.backends.onnxruntime import optimized
from edge.backends.openvino.backend import OpenVino
from edge.backends.openvino.streams import open_load
from edge.cli.supervise import supervise
from edge.fusion.proof import run_float32
from edge.graph.model import read_model
from edge.loading.normalize.proof import run
from edge.safety.limits import Limits, limited

def command():
    engine = read_engine(Path(sys.argv[1]))
    batch = np.zeros((1, 3, *engine.task.size), np.float32)
    with limited(Limits(native_seconds=int(sys.argv[3]))):
        eval(sys.argv[4])
    sys.exit(0)

supervise(command)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("endless")
    endless_network().save(folder.with_suffix(".onnx"))
    return OpenVino().build(Candidate("fp32", "fp32", "fp32", endless_network()), find_target("cpu"), folder)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_it_is_ended(way: str, engine: Engine) -> None:
    words = [engine.folder, engine.folder.with_suffix(".onnx"), SECONDS, WAYS[way]]
    _require_ended([sys.executable, "-c", SCRIPT, *map(str, words)])


@pytest.mark.parametrize("words", [["segment", "IMAGE", "--out", "OUT"], ["profile", "--seconds", "0.1", "--layers"]])
def test_the_users_commands_end(words: list[str], engine: Engine, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    places = {"IMAGE": str(tmp_path / "a.png"), "OUT": str(tmp_path / "out")}
    verb, *rest = [places.get(word, word) for word in words]
    program = [sys.executable, "-m", "edge.cli.app", "--limit", f"native_seconds={SECONDS}"]
    _require_ended([*program, verb, str(engine.folder), *rest, "--quiet"])
    assert not (tmp_path / "out").exists()


def _require_ended(line: list[str]) -> None:
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "did not end within the limit of seconds" in done.stderr and "edge --limit native_seconds=N" in done.stderr
    assert done.stderr.count("\n") == 1
