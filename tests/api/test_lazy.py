"""``import edge`` is light, complete and typed."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import edge
from tests.fixtures.discs import write_disc_case

HEAVY = ("torch", "openvino", "onnx", "onnxruntime", "numpy", "scipy", "matplotlib", "rich", "typer")


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_importing_brings_nothing_heavy() -> None:
    assert run(f"import sys, edge\nprint([name for name in {HEAVY} if name in sys.modules])") == "[]\n"


def test_an_engine_segments_without_the_libraries_that_made_it(tmp_path: Path) -> None:
    write_disc_case(tmp_path)
    edge.build(str(tmp_path / "discs.onnx"), tmp_path / "discs", "cpu", "fp32", tmp_path / "engine")
    program = (
        "import sys, edge, numpy\n"
        f"with edge.load_engine({str(tmp_path / 'engine')!r}) as engine:\n"
        "    engine.segment(numpy.zeros((32, 32, 3), numpy.uint8))\n"
        "print([name for name in ('torch', 'onnx', 'onnx_ir', 'onnxruntime', 'scipy') if name in sys.modules])"
    )
    assert run(program) == "[]\n"


def test_every_name_is_there_and_documented() -> None:
    asked = "deploy build check profile segment calibrate quantize fuse estimate bundle verify report inspect targets"
    classes = "Task ImageSet InputError MachineError"
    assert {*asked.split(), *classes.split(), "load_engine", "load_model"} <= set(edge.__all__) <= set(dir(edge))
    for name in edge.__all__:
        assert getattr(edge, name) is not None and (name.startswith("_") or inspect.getdoc(getattr(edge, name))), name
    assert (Path(edge.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'deplo'"):
        edge.deplo  # noqa: B018


@pytest.mark.parametrize("name", ["boards", "report", "bundle", "targets"])
def test_packages_of_a_verb_s_name_stay_callable(name: str) -> None:
    part = {"boards": "address", "report": "words", "bundle": "portable", "targets": "target"}[name]
    program = f"import edge.{name}.{part}, edge\nprint(callable(edge.{name}), edge.{name}.{part}.__name__)"
    assert run(program) == f"True edge.{name}.{part}\n"


@pytest.mark.slow
def test_types_are_seen_from_outside(tmp_path: Path) -> None:
    script = tmp_path / "user.py"
    script.write_text(
        "import edge\n"
        "run = edge.deploy('net.onnx', [], target='cpu')\n"
        "reveal_type(run)\n"
        "reveal_type(edge.report([run]))\n"
        "edge.deploy('net.onnx', [], target=3)\n"
    )
    line = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", str(script)]
    out = subprocess.run(line, capture_output=True, text=True, check=False).stdout
    assert "edge.api.run.Run" in out and "edge.report.results.Report" in out
    assert out.count("error:") == 1 and 'argument "target"' in out.lower(), out
