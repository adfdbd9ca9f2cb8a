"""``--target gpu`` by the user's own commands, against the double of every TensorRT generation.

Nothing here runs on a GPU: it proves our half of the conversation (``tests/fixtures/tensorrt/module.py``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.bundle_example import picture_set, tiny_unet
from tests.fixtures.tensorrt.install import write_site

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

GENERATIONS = {"8.5.3.1": "8.0", "8.6.1": "7.5", "10.3.0": "8.6", "10.16.1.11": "8.9", "11.4.0.106": "9.0",
               "rtx-1.7.1.116": "12.0"}  # fmt: skip
_OLDEST, _NEWEST = "8.5.3.1", "11.4.0.106"
_LOAD = """
import json, sys
import numpy as np
import edge
engine = edge.load_engine(sys.argv[1])
mask = engine.segment(np.full((40, 50, 3), 200, np.uint8))
print(json.dumps({"shape": list(mask.shape), "torch": "torch" in sys.modules}))
"""


_CHECK_PROFILE_LOAD = """
import json, sys
import numpy as np
import edge
run, first, second, data, model = sys.argv[1:]
checked = edge.check([first, second], data, reference=model, gate="99")
profiled = edge.profile(second, against=first, seconds=0.1)
mask = edge.load_engine(run).segment(np.full((40, 50, 3), 200, np.uint8))
print(json.dumps({"passed": checked.passed, "timed": len(profiled.latencies), "shape": list(mask.shape)}))
"""


class Workplace:
    """A machine with the double's GPU, a model and a set."""

    def __init__(self, folder: Path, version: str, **options: Any) -> None:
        self.folder = folder
        self.environment = write_site(folder / "site", version, **options)
        self.model, self.data = tiny_unet().save(folder / "tiny.onnx"), picture_set(folder / "set")

    def edge(self, *words: object, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "edge.cli.app", *words, codes=codes)

    def run(self, *words: object, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *map(str, words)]
        done = subprocess.run(line, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode in codes, (words, done.returncode, done.stderr[-2000:])
        assert "CUDA double: faults" not in done.stderr
        return done


@pytest.mark.slow
@pytest.mark.parametrize("version", GENERATIONS)
def test_deploys_checks_profiles_and_loads(version: str, tmp_path: Path) -> None:
    place = Workplace(tmp_path, version, sm=GENERATIONS[version])
    place.edge("deploy", place.model, "--data", place.data, "--target", "gpu", "--gate", "99", "--seconds", "0.05",
               "--precisions", "fp32,fp16,int8", "--calibration-images", "16", "--out", "run")  # fmt: skip
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    rows = {row["name"]: row for row in report["engines"]}
    assert report["status"] == "passed" and {"fp32", "fp16", "int8", "int8-fp16"} <= set(rows)
    for name in ("fp32", "fp16", "int8", "int8-fp16"):
        row = rows[name]
        assert not row["simulated"] and row["gate"]["passed"] and row["latency_ms"]["n"] > 1, name
        assert row["accuracy"]["parity_db"] > 60, name
        engine = json.loads((tmp_path / "run" / row["path"] / "engine.json").read_text())
        rtx = version.startswith("rtx")
        assert engine["backend"] == ("tensorrt_rtx" if rtx else "tensorrt")
        assert engine["runs_on"]["sm"] == GENERATIONS[version]
        assert engine["convs"]["int8"] == (0 if row["precision"] != "int8" else max(3, engine["convs"]["int8"]))
    engines = [f"run/engines/{name}" for name in ("fp32", "int8-fp16")]
    if version not in (_OLDEST, _NEWEST):  # the same in one process: what differs is the generation
        found = json.loads(place.run("-c", _CHECK_PROFILE_LOAD, "run", *engines, place.data, place.model).stdout)
        assert found["passed"] and found["timed"] == 2 and found["shape"] == [40, 50]
        return
    checked = place.edge("check", *engines, "--data", place.data, "--reference", place.model, "--gate", "99", "--json")
    assert json.loads(checked.stdout)
    profiled = place.edge("profile", engines[1], "--against", engines[0], "--seconds", "0.1", "--json")
    assert json.loads(profiled.stdout)
    loaded = json.loads(place.run("-c", _LOAD, "run").stdout)
    assert loaded["shape"] == [40, 50] and not loaded["torch"]


@pytest.mark.slow
def test_one_engine_is_built_for_this_machine(tmp_path: Path) -> None:
    place = Workplace(tmp_path, "10.3.0", sm="8.6")
    words = ("build", place.model, "--data", place.data, "--target", "gpu", "--precision", "int8", "--json")
    built = json.loads(place.edge(*words, "--out", "engine").stdout)
    assert built["backend"] == "tensorrt" and built["convs"]["int8"] >= 3
    (picture,) = sorted(place.data.rglob("*.png"))[:1]
    place.edge("segment", "engine", picture, "--out", "masks")
    assert len(list((tmp_path / "masks").glob("*.png"))) == 1
    assert "gpu" in place.edge("targets").stdout


@pytest.mark.slow
def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path) -> None:
    place = Workplace(tmp_path, "10.3.0", devices=0)
    words = ("deploy", place.model, "--data", place.data, "--target", "gpu", "--out", "run")
    refused = place.edge(*words, codes=(3,))
    assert "--target gpu" in refused.stderr and "GPU" in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "run").exists()
