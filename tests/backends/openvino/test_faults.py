"""OpenVINO's exceptions: the line that says why, and the machine's faults told from the graph's."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.engine import Candidate
from edge.backends.openvino import runner as runner_module
from edge.backends.openvino.backend import OpenVino
from edge.backends.openvino.faults import as_edge_error, openvino_faults, reason
from edge.errors import InputError, MachineError
from edge.targets.target import find_target
from tests.fixtures.graph_builder import Builder

CHAIN = """Exception from src/inference/src/cpp/core.cpp:105:
Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:
FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted. Failed operations detailed log:
-- Conv-19 with a message:
While validating node 'opset1::Convolution Convolution_1 (x[0]:f32[1,3,8,8]) -> (dynamic[...])' with friendly_name 'a':
Data batch channel count (3) does not match filter input channel count (2).

Summary:
-- Conversion is failed for: Conv-19
"""


CONSEQUENCE = """Model wasn't fully converted. Failed operations detailed log:
-- Conv-19 with a message:
While validating ONNX node '<Node(Conv): m>': Check 'data.get_partial_shape().rank().is_static()' failed at conv.cpp:38:
FrontEnd API failed with GeneralFailure:
The input data tensor's rank has to be known (static)

-- Pad-19 with a message:
While validating ONNX node '<Node(Pad): p>': Exception from src/frontends/onnx/frontend/src/op/pad.cpp:32:
Unsupported padding mode: [wrap]

Summary:
-- Conversion is failed for: Conv-19, Pad-19
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CHAIN, "Data batch channel count (3) does not match filter input channel count (2)"),
        ("Exception from a.cpp:1:\nSummary:\n-- No conversion rule found for operations: com.x.Foo\n",
         "it has no com.x.Foo"),
        (CHAIN + "-- No conversion rule found for operations: DeformConv-19\n", "it has no DeformConv-19"),
        (CONSEQUENCE, "Unsupported padding mode: [wrap]"),
        ("only this", "only this"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_line_that_says_why_is_found(text: str, words: str) -> None:
    assert reason(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("basic_ios::clear: iostream error", "free the disk"),
        ("Exception from core.cpp:1:\nstd::bad_alloc", "out of memory"),
        ("write failed: No space left on device", "free the disk"),
    ],
)
def test_the_machine_s_faults_are_not_the_graph_s(text: str, words: str) -> None:
    error = as_edge_error("net.onnx", RuntimeError(text))
    assert isinstance(error, MachineError) and words in str(error) and str(error).startswith("net.onnx: ")
    with pytest.raises(InputError, match=r"refuses the graph \(odd\)"), openvino_faults("net.onnx"):
        raise RuntimeError("odd")


def test_a_full_disk_ends_a_build_as_the_machine_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk fills while the IR is written: a double of the one native call that writes."""
    import openvino

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "serialize", full)
    monkeypatch.setattr(openvino, "save_model", full)
    b = Builder(3)
    with pytest.raises(MachineError, match="free the disk"):
        OpenVino().build(Candidate("fp32", "fp32", "fp32", b.model(b.conv("x", 3, 4))), find_target("cpu"), tmp_path)


def test_a_plugin_that_gets_no_memory_is_the_machine_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def get_property(self, *_: object) -> object:
            raise RuntimeError('Failed to create plugin "libopenvino_intel_cpu_plugin.so"\nstd::bad_alloc\n')

    monkeypatch.setattr(runner_module, "core", Full)
    with pytest.raises(MachineError, match="memory"):
        runner_module.capabilities.__wrapped__()
