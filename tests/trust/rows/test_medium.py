"""Rows 6 to 14 (medium) of the nineteen kinds of fault that an attack found: tests that fail without the mend.

``mutations.toml`` takes each mend out.
In depth the kinds are tried in ``tests/fuzz``, ``tests/faults``, ``tests/storage``, ``tests/cli`` and ``tests/images``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from PIL import Image

import edge
from edge.errors import InputError
from tests.fixtures.discs import TASK
from tests.fixtures.runtime_kit import ROOT

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def test_row_6_a_kill_between_two_renames_is_mended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge.storage.swap as swapping
    from edge.files import replaced_folder

    flushed: list[int] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (flushed.append(handle), really(handle))[1])
    place = tmp_path / "run"
    with replaced_folder(place, "report.json") as fresh:
        (fresh / "report.json").write_text("old")
    assert flushed, "a power cut would lose it"
    child = os.fork()
    if child == 0:  # a file system without an exchange: die after the first rename of two
        swapping._rename2 = lambda *_: False  # type: ignore[assignment]
        rename = os.rename
        os.rename = lambda a, b: (rename(a, b), os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[assignment,return-value]
        with replaced_folder(place, "report.json") as fresh:
            (fresh / "report.json").write_text("new")
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]) and not place.exists()
    swapping.sweep(place)
    assert (place / "report.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["run"]


def test_row_7_leftovers_of_killed_runs_are_swept_and_a_lost_terminal_is_a_signal(tmp_path: Path) -> None:
    from edge.cli.supervise import _ENDING
    from edge.files import replaced_folder

    for number in range(3):
        left = tmp_path / f".run.{number:08x}.segedge"
        left.mkdir()
        (left / "reference.npz").write_text("patients")
    with replaced_folder(tmp_path / "run", "report.json") as fresh:
        (fresh / "report.json").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert signal.SIGHUP in _ENDING


def test_row_8_nothing_waits_for_a_pipe_and_no_graph_keeps_a_library_busy(engine: Path, tmp_path: Path) -> None:
    from edge.loading.onnx_file import load_onnx
    from edge.task.load import load_task

    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    signal.alarm(300)  # waiting would end the test
    try:
        with pytest.raises(InputError, match="is a pipe; give a plain file"):
            edge.segment(engine, pipe, out=tmp_path / "out")
        with pytest.raises(InputError, match="is a pipe; give a plain file"):
            load_task(pipe)
        with pytest.raises(InputError, match="nodes once its functions are written out, more than the"):
            load_onnx(CORPUS / "onnx-fields--nested-functions.onnx", TASK)
    finally:
        signal.alarm(0)


_DEAF = """
import ctypes, signal, subprocess, sys
from edge.cli.supervise import supervise
from edge.safety.limits import Limits, limited
from edge.safety.watchdog import native_call

def run():
    subprocess.Popen(["sh", "-c", "sleep 1; echo ready"])  # this one is then inside the call
    with limited(Limits(native_seconds=int(sys.argv[1]))), native_call("net.onnx", "the checker"):
        mutex, lock = ctypes.create_string_buffer(64), ctypes.PyDLL(None).pthread_mutex_lock
        lock(mutex), lock(mutex)  # holds the interpreter for ever, as a library in C++ may: no handler ever runs

for number in (signal.SIGINT, signal.SIGHUP):  # whoever runs the tests may have them ignored
    signal.signal(number, signal.SIG_DFL)
supervise(run)
"""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, None], ids=str)
def test_row_8_a_library_that_hears_nothing_is_ended_by_a_signal_and_by_the_clock(told: signal.Signals | None) -> None:
    line = [sys.executable, "-c", _DEAF, "1" if told is None else "3600"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stdout.readline() == "ready\n"
        if told is not None:
            run.send_signal(told)
        try:
            _, said = run.communicate(timeout=120)
        finally:
            run.kill()
    if told is None:
        assert run.returncode == 2 and "net.onnx: the checker did not end within the limit of seconds" in said
    else:
        assert (run.returncode, said.splitlines()[-1]) == (130, "interrupted; nothing was replaced")


def test_row_9_a_graph_that_loads_but_cannot_run_is_the_users() -> None:
    from edge.backends.onnxruntime import reference
    from edge.graph.model import Model

    make = onnx.helper
    values = [
        make.make_tensor_value_info("image", 1, [1, 3, 8, 8]),
        make.make_tensor_value_info("output", 1, [1, 1, 8, 8]),
    ]
    shape = make.make_tensor("shape", 7, [4], [1, 1, 7, 9])
    sums = make.make_node("ReduceSum", ["image", "axes"], ["sum"], keepdims=1)
    odd = make.make_node("Reshape", ["sum", "fed"], ["output"])
    fed = make.make_node("Mul", ["shape", "one"], ["fed"])  # known when it runs only
    axes, one = make.make_tensor("axes", 7, [1], [1]), make.make_tensor("one", 7, [1], [1])
    graph = make.make_graph([sums, fed, odd], "g", values[:1], values[1:], [shape, axes, one])
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 19)], ir_version=9)
    task = replace(TASK, size=(8, 8))
    with pytest.raises(InputError):
        reference(Model(proto, task, "odd", "odd.onnx")).run(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.parametrize(
    "name",
    [
        "deep-metadata",
        "digits-in-metadata",
        "dims-contradict-data",
        "element-type-77",
        "no-outputs",
        "parameters-no-number",
    ],
)
def test_row_10_odd_fields_are_refused_when_the_file_is_loaded(name: str) -> None:
    from edge.loading.onnx_file import load_onnx

    with pytest.raises(InputError):
        load_onnx(CORPUS / f"onnx-fields--{name}.onnx", TASK)


@pytest.mark.parametrize("odd", ["name", "link"])
def test_row_11_names_that_are_no_text_and_links_to_nothing_cost_no_time(odd: str, tmp_path: Path) -> None:
    from edge.images.image_set import load_image_set

    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / folder / f"{number}.png")
    if odd == "link":
        (tmp_path / "masks" / "2.png").unlink()
        (tmp_path / "masks" / "2.png").symlink_to("/nowhere.png")
    else:
        for folder in ("images", "masks"):
            os.rename(tmp_path / folder / "2.png", os.fsencode(tmp_path / folder) + b"/\xff.png")
    with pytest.raises(InputError):
        load_image_set(tmp_path)


def test_row_12_damaged_arrays_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    import random

    from edge.safety.limits import limited, parse_limits
    from edge.storage.arrays import read_arrays
    from tests.fuzz.mutate import mutated_bytes

    path, rng = tmp_path / "reference.npz", random.Random(12)
    np.savez_compressed(path, names=np.array(["a"]), outputs=np.zeros((1, 1, 64, 64), np.float32))
    sound, refused = path.read_bytes(), 0
    for _ in range(60):
        path.write_bytes(mutated_bytes(sound, rng))
        try:
            read_arrays(path, ("names", "outputs"), "deploy again")
        except InputError:
            refused += 1
    assert refused > 30
    path.write_bytes(sound)
    with limited(parse_limits(["inflated_bytes=1000"])), pytest.raises(InputError, match="inflated_bytes"):
        read_arrays(path, ("names", "outputs"), "deploy again")
    with pytest.raises(InputError):
        read_arrays(CORPUS / "arrays--lying-header.npz", ("names", "outputs"), "deploy again")


def test_row_13_outputs_of_another_model_are_not_packed(tmp_path: Path) -> None:
    from edge.bundle.source import Run
    from edge.files import sha256_file

    path = tmp_path / "reference.npz"
    np.savez(path, names=np.array(["a"]), outputs=np.zeros((1, 1, 4, 4), np.float32))
    report = SimpleNamespace(reference=SimpleNamespace(outputs_sha256=sha256_file(path)))
    run = Run(tmp_path, report, None, ())  # type: ignore[arg-type]
    assert run.reference()[0] == ("a",)
    np.savez(path, names=np.array(["a"]), outputs=np.ones((1, 1, 4, 4), np.float32))
    with pytest.raises(InputError, match="is not the one that the report of this run was made with"):
        run.reference()


def test_row_14_copies_are_told_and_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    from edge.images.image_set import load_image_set
    from edge.images.leaks import require_apart, require_disjoint

    pixels = np.random.default_rng(1).integers(0, 255, (6, 6, 3), np.uint8)
    image = Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.jpg", quality=95)
    (tmp_path / "manifest.csv").write_text("image,mask,split,patient\na.png,,train,p1\nb.jpg,,test,p1\n")
    images = load_image_set(tmp_path)
    purposes = [("calibration", images.split("train")), ("evaluation", images.split("test"))]
    (note,) = require_disjoint(purposes)
    assert "b.jpg (evaluation) looks like" in note and "a.png (calibration)" in note
    with pytest.raises(InputError, match="patient p1 is for calibration"):
        require_apart(purposes)
    (cost,) = require_apart(purposes, allow=True)
    assert cost.startswith("1 of 1 images of the verdict are of patients") and "p1" not in cost
