"""Torch-TensorRT end to end against a double of its dynamo entry point: module folder in, engine that runs out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.backends.tensorrt.torch import PAIRS, Pair, require_pair
from edge.errors import MachineError
from tests.fixtures.bundle_example import picture_set
from tests.fixtures.runtime_kit import ROOT
from tests.fixtures.small_folder import small_folder
from tests.fixtures.tensorrt.api import recorded_versions
from tests.fixtures.tensorrt.install import write_site
from tests.fixtures.tensorrt.torch_double import convert

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


INSTALL = ROOT / "docs" / "how-to" / "install.md"
_BUILD_CHECK = """
import json, sys
from tests.fixtures.command import edge as command
model, data, out, precision = sys.argv[1:]
words = ("--data", data, "--target", "gpu", "--backend", "torch-tensorrt", "--precision", precision)
built = command("build", model, *words, "--out", out, "--json")
checked = command("check", out, "--data", data, "--reference", model, "--gate", "99", "--json")
rows = [{"code": done.returncode, "said": done.stdout, "told": done.stderr} for done in (built, checked)]
print(json.dumps(rows))
"""


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.release} with {pair.tensorrt}")
def test_a_module_folder_becomes_an_engine_with_every_documented_pair(pair: Pair, tmp_path: Path) -> None:
    """The PyTorch that computes is the one installed; what it says it is, is the pair's."""
    version = next(one for one in recorded_versions() if one.startswith(f"{pair.tensorrt}."))
    facts = {"torch_tensorrt": f"{pair.release}.0", "torch": f"{pair.torch}.0"}
    environment = write_site(tmp_path / "site", version, "8.6", **facts)
    model, data = small_folder(tmp_path / "small"), picture_set(tmp_path / "set")
    for precision in ("fp16", "fp32") if pair.tensorrt == "11.0" else ("fp16",):
        out = tmp_path / precision
        line = [sys.executable, "-c", _BUILD_CHECK, *map(str, (model, data, out, precision))]
        done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        built, checked = json.loads(done.stdout)
        assert (built["code"], checked["code"]) == (0, 0), (built, checked)
        engine = json.loads((out / "engine.json").read_text())
        assert engine["backend"] == "torch_tensorrt" and engine["rest"] == precision
        assert engine["versions"] == {"torch_tensorrt": f"{pair.release}.0", "tensorrt": version}
        (row,) = json.loads(checked["said"])
        assert row["gate"]["passed"] and row["accuracy"]["parity_db"] > 20


def test_the_documentation_has_the_same_pairs() -> None:
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \| (.+) \| ([\d.]+) or newer \|$", INSTALL.read_text(), re.MULTILINE)
    told = {
        (release, torch, tensorrt, python)
        for release, torch, versions, python in rows
        for tensorrt in re.findall(r"\d+\.\d+", versions)
    }
    assert told == {(p.release, p.torch, p.tensorrt, ".".join(map(str, p.python))) for p in PAIRS}


def test_versions_that_are_no_pair_are_refused_with_the_line_that_installs_one() -> None:
    fitting = {"torch_tensorrt": "2.9.0", "torch": "2.9.1", "tensorrt": "10.13.3.9"}
    assert require_pair(fitting).release == "2.9"
    with pytest.raises(
        MachineError, match=r"tensorrt 10\.12\.0\.36 do not fit each other; pip install torch==2\.9\.\*"
    ):
        require_pair({**fitting, "tensorrt": "10.12.0.36"})
    with pytest.raises(MachineError, match=r"torch-tensorrt==2\.14\.\*"):
        require_pair({**fitting, "torch": "3.1.0"})
    with pytest.raises(MachineError, match="tensorrt not installed"):
        require_pair({"torch_tensorrt": "2.9.0", "torch": "2.9.1"})


def test_options_of_other_releases_are_refused_by_the_double() -> None:
    with pytest.raises(TypeError, match=r"2\.13\.0 has no use_explicit_typing"):
        convert("2.13.0", None, (), use_explicit_typing=True)
    with pytest.raises(TypeError, match="has no anything"):
        convert("2.8.0", None, (), anything=1)


def test_releases_that_are_not_typed_by_default_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType, SimpleNamespace

    import torch

    from edge.backends.tensorrt.torch import compile_module
    from tests.fixtures.bundle_example import tiny_unet

    told: list[dict] = []
    double = ModuleType("torch_tensorrt")
    double.dynamo = SimpleNamespace(  # type: ignore[attr-defined]
        convert_exported_program_to_serialized_trt_engine=lambda program, arg_inputs, **options: (
            told.append(options) or b""
        )
    )
    monkeypatch.setitem(sys.modules, "torch_tensorrt", double)
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda shape, device: zeros(shape))
    for pair in PAIRS:
        compile_module(torch.nn.Conv2d(3, 1, 1), tiny_unet(), "fp16", pair)
    assert [bool(options) for options in told] == [not pair.typed for pair in PAIRS]
