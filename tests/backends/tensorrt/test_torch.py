"""Torch-TensorRT end to end against a double of its dynamo entry point: module folder in, engine that runs out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.backends.tensorrt.torch import PAIRS
from tests.fixtures.bundle_example import picture_set
from tests.fixtures.small_folder import small_folder
from tests.fixtures.tensorrt.install import write_site
from tests.fixtures.tensorrt.torch_double import convert

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_module_folder_becomes_an_engine(precision: str, tmp_path: Path) -> None:
    import torch

    pair = next((pair for pair in PAIRS if torch.__version__.startswith(pair.torch + ".")), None)
    if pair is None or pair.tensorrt != "11.0":
        pytest.skip(f"the double has no TensorRT for PyTorch {torch.__version__}")
    environment = write_site(tmp_path / "site", "11.0.0.114", "8.6", torch_tensorrt=f"{pair.release}.0")
    model, data = small_folder(tmp_path / "small"), picture_set(tmp_path / "set")
    words = ["build", model, "--data", data, "--target", "gpu", "--backend", "torch-tensorrt", "--precision", precision]
    line = [sys.executable, "-m", "edge.cli.app", *map(str, words), "--out", str(tmp_path / "engine"), "--json"]
    built = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    engine = json.loads((tmp_path / "engine" / "engine.json").read_text())
    assert engine["backend"] == "torch_tensorrt" and engine["versions"]["torch_tensorrt"] == f"{pair.release}.0"
    checked = [sys.executable, "-m", "edge.cli.app", "check", str(tmp_path / "engine"), "--data", str(data)]
    checked += ["--reference", str(model), "--gate", "none", "--json"]
    done = subprocess.run(checked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
