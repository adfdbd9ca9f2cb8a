"""The command in a process of its own: it ends when told, in a native call too, and says how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import ctypes, signal, sys, time
import edge.cli.supervise as supervising
from edge.safety.watchdog import native_call

def run():
    if how == "python":
        try:
            print("ready", flush=True)
            time.sleep(3600)
        finally:
            print("cleaned", flush=True)
    print("ready", flush=True)
    if how == "native":  # holds the interpreter, as a checker in C++ does: no handler of Python's ever runs
        with native_call("net.onnx", "the checker"):
            ctypes.PyDLL(None).sleep(3600)
    elif how == "late":
        from edge.safety.limits import Limits, limited
        with limited(Limits(native_seconds=1)), native_call("net.onnx", "the checker"):
            ctypes.PyDLL(None).sleep(3600)
    elif how == "crash":
        with native_call("net.onnx", "the checker"):
            ctypes.string_at(0)
    elif how == "killed":
        import os
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(int(how) if how.isdigit() else 0)

for number in (signal.SIGINT, signal.SIGHUP):  # whoever runs the tests may have them ignored
    signal.signal(number, signal.SIG_DFL)
how = sys.argv[1]
if how == "python":  # on a busy machine it may take long to hear
    supervising.DEAF_SECONDS = supervising.CLEANING_SECONDS = 300.0
supervising.supervise(run)
"""
PATIENCE = 300.0
"""Seconds that a busy machine may take over what takes two; the hour that is asked for is far beyond."""


def _start(how: str) -> subprocess.Popen[str]:
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None and run.stdout.readline() == "ready\n"
    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("how", ["python", "native"])
def test_a_signal_ends_it_in_python_and_in_native_code(how: str, number: signal.Signals) -> None:
    run = _start(how)
    os.kill(run.pid, number)
    out, err = run.communicate(timeout=PATIENCE)
    if how == "native":
        assert run.returncode == 130 and "interrupted; nothing was replaced" in err
    else:
        assert out == "cleaned\n" and run.returncode == 130


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("0", 0, ""),
        ("3", 3, ""),
        ("late", 2, "net.onnx: the checker did not end within the limit of seconds"),
        ("crash", 2, "net.onnx: the checker crashed over it"),
        ("killed", 3, "want of memory"),
    ],
)
def test_it_ends_as_its_child_does(how: str, code: int, said: str) -> None:
    run = _start(how)
    _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == code and said in err


def test_the_child_does_not_outlive_its_parent() -> None:
    run = _start("native")
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    if not children.exists():
        pytest.skip("this kernel does not list children")
    child = int(children.read_text().split()[0])
    run.kill()
    run.communicate()
    ended = time.monotonic() + PATIENCE
    while Path(f"/proc/{child}").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < ended
        time.sleep(0.05)


def _edge(words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(f"{sys.executable} -m edge.cli.app {words}", shell=True, capture_output=True, **options)


def test_a_reader_that_has_had_enough_is_no_fault() -> None:
    done = _edge("targets --json | head -c 10; echo ${PIPESTATUS[0]}", executable="/bin/bash")
    assert done.stdout.endswith(b"0\n") and done.stderr == b""


def test_closed_or_narrow_outputs_are_no_fault() -> None:
    assert _edge("targets >&-").returncode == 0
    done = _edge("targets", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stdout
