"""The C++ runtime as a second witness: when it is refused, and when it disagrees."""

import shutil
from types import SimpleNamespace

import pytest

from edge.device.runtime import TOLERANCE, require_runtime, runtime_agreement, runtime_verdict
from edge.errors import InputError, MachineError

SHELL = shutil.which("sh")


def script_in(folder, text):
    program = folder / "program"
    program.write_text(f"#!{SHELL}\n{text}\n")
    program.chmod(0o755)
    return program


def test_refused_before_anything_is_built(tmp_path):
    bundle = SimpleNamespace(files={"data/reference.json": (1, "0" * 64)}, backend="openvino")
    (tmp_path / "plain").write_text("no program")
    for name in ("none", "plain"):
        with pytest.raises(MachineError, match="is no program; make it with cmake"):
            require_runtime(tmp_path / name, bundle, False)
    program = script_in(tmp_path, """echo '{"version": "0.1.0", "backends": ["openvino"]}'""")
    with pytest.raises(InputError, match="leave out --images or --runtime"):
        require_runtime(program, bundle, True)
    with pytest.raises(InputError, match=r"has no data/reference\.json; make it again"):
        require_runtime(program, SimpleNamespace(files={}), False)
    require_runtime(program, bundle, False)
    bundle.backend = "tensorrt"
    with pytest.raises(MachineError, match=r"was built without tensorrt \(it has openvino\); install it"):
        require_runtime(program, bundle, False)


@pytest.mark.parametrize(
    ("script", "fault", "words"),
    [
        ("echo 'error: x: needs the backend tensorrt' >&2; exit 3", MachineError, "x: needs the backend tensorrt"),
        ("echo 'error: y: was changed' >&2; exit 2", InputError, "y: was changed"),
        ("echo '{\"agreement\": null}'", MachineError, "does not answer as segedge-run does"),
        ("echo '[]'", MachineError, "does not answer as segedge-run does"),
        ("echo hello", MachineError, "does not answer as segedge-run does"),
        ("exit 139", MachineError, "ended with code 139"),
    ],
)
def test_what_a_program_says_is_passed_on(tmp_path, script, fault, words):
    program = script_in(tmp_path, script)
    with pytest.raises(fault, match=words):
        runtime_agreement(program, tmp_path, tmp_path)


def test_exit_code_1_is_an_answer(tmp_path):
    assert runtime_agreement(script_in(tmp_path, "echo '{\"agreement\": 0.5}'; exit 1"), tmp_path, tmp_path) == 0.5
    assert runtime_agreement(script_in(tmp_path, "echo '{\"agreement\": 1}'"), tmp_path, tmp_path) == 1.0


def test_verdict():
    check, sentence = runtime_verdict(0.991, 0.98)
    assert not check["passed"] and check["value"] == 0.98 and check["bar"] == pytest.approx(0.991 - TOLERANCE)
    assert "0.98000" in sentence and "0.99100" in sentence
    assert runtime_verdict(0.991, 0.991)[0]["passed"]
    assert not runtime_verdict(0.98, 0.991)[0]["passed"]  # better than what was proved is another engine too
