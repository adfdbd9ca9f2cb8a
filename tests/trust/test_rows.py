"""The nineteen kinds of fault that an attack found on 2026-11-28: tests for each, which fail without its mend.

``mutations.toml`` takes each mend out. The same kinds are tested in depth where they are mended (``tests/runtime``,
``tests/fuzz``, ``tests/storage/test_swap.py``, ``tests/test_faults.py``, ``tests/cli/test_supervise.py``,
``tests/images/test_leaks.py``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from PIL import Image

import edge
from edge.errors import InputError, MachineError
from edge.storage.binding import BLANK, bind
from tests.fixtures.command import edge as run_edge
from tests.fixtures.command import read_by_nobody
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.report_example import example
from tests.fixtures.runtime_kit import ROOT, build, make_engine

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


@pytest.fixture(scope="module")
def tool() -> Path:
    return build(ROOT / "build" / "runtime") / "segedge-run"


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return make_engine(tmp_path / "engine", TASK).folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "a.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    return path


def _infer(tool: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool, "infer", *map(str, words)], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def _without_pixels(png: bytes) -> bytes:
    """A PNG whose compressed pixels have no length."""
    start, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    return png[:start] + b"\0\0\0\0IDAT\x35\xaf\x06\x1e" + png[end:]


def _rebound(engine: Path, old: str, new: str) -> None:
    """Edit ``engine.json`` and bind it anew, as whoever edits it on purpose would."""
    text = (engine / "engine.json").read_text()
    assert text.count(old) == 1
    head, _, tail = text.replace(old, new).partition('"binding": "')
    (engine / "engine.json").write_bytes(bind((head + '"binding": "' + BLANK + tail[64:]).encode()))


def test_row_1_a_mask_never_replaces_its_image(tool: Path, engine: Path, picture: Path) -> None:
    before = picture.read_bytes()
    done = _infer(tool, engine, picture, "--out", picture.parent)
    assert (done.returncode, picture.read_bytes()) == (2, before)
    with pytest.raises(InputError, match="its mask would replace an input image"):
        edge.segment(engine, picture, out=picture.parent)
    assert picture.read_bytes() == before


@pytest.mark.parametrize("said", ["basic_ios::clear: iostream error", "std::bad_alloc"])
def test_row_2_a_full_disk_or_memory_in_a_compiler_is_no_verdict(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    def full(*_: object, **__: object) -> None:
        raise RuntimeError(f"Exception from src/core/src/pass/serialize.cpp:1:\n{said}")

    monkeypatch.setattr(openvino, "save_model", full)
    write_discs(tmp_path / "discs", {"train": 2, "val": 1, "test": 1})
    path = disc_network().save(tmp_path / "discs.onnx")
    with pytest.raises(MachineError):
        edge.build(path, tmp_path / "discs", target="cpu", precision="fp32", out=tmp_path / "e", progress=None)


_EDITS = (
    ('"threshold": 0.5', '"threshold": 0.9', False, 2, "was changed since it was built"),
    ('"model.xml":', '"x.xml":', True, 2, "no hash for its artefact 'model.xml'"),
    ('"artefact": "model.xml"', '"artefact": "../d/model.xml"', True, 2, "no hash for its artefact '../d/model.xml'"),
    ('"runs_on": {}', '"runs_on": {"architecture": "pdp11"}', True, 3, "was built for pdp11"),
    ('"versions": {}', '"versions": {"openvino": "2019.1.0"}', True, 3, "was built and proven with openvino 2019.1.0"),
)
"""From, to, whether bound anew, exit code and words of the refusal."""


@pytest.mark.parametrize(("old", "new", "again", "code", "said"), _EDITS, ids=[edit[1] for edit in _EDITS])
def test_row_3_whatever_changes_a_mask_is_bound(
    old: str, new: str, again: bool, code: int, said: str, tool: Path, engine: Path, picture: Path
) -> None:
    if again:
        _rebound(engine, old, new)
    else:
        sound = (engine / "engine.json").read_text()
        assert sound.count(old) == 1
        (engine / "engine.json").write_text(sound.replace(old, new))
    words, out = (engine, picture, "--out"), picture.parent / "out"
    for done in (run_edge("segment", *words, out), _infer(tool, *words, out)):
        assert done.returncode == code and said in done.stderr, done.stderr
        assert not out.exists()


@pytest.mark.parametrize("form", ["EPS", "WEBP", "ICO", "TGA", "GIF", "PPM"])
def test_row_4_a_picture_starts_no_program_and_no_other_decoder(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.images.pictures import read_image

    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path, form)
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    monkeypatch.setattr(os, "posix_spawn", lambda *words, **_: started.append(words))
    with pytest.raises(InputError, match="does not decode as an image"):
        read_image(path)
    assert started == []


def test_row_5_a_forged_or_foreign_proof_counts_for_nothing(tmp_path: Path) -> None:
    from edge.device.seal import Seal

    mine, path = Seal(tmp_path / "work", home=tmp_path / "home"), tmp_path / "work" / "int8.json"
    proof = {"dice": 0.9999, "ms": 0.0001, "passed": True}
    mine.write(path, proof)
    assert mine.read(path) == proof
    assert Seal(tmp_path / "work", home=tmp_path / "elsewhere").read(path) is None, "another machine's"
    path.write_text(json.dumps(proof))
    assert mine.read(path) is None, "nobody's"


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


def test_row_15_odd_documents_names_and_commands_are_sentences(tmp_path: Path) -> None:
    from edge.bundle.source import Run
    from edge.files import parse_toml
    from edge.report.html import render
    from edge.safety.guard import parse_json
    from edge.task.load import load_task

    for name in ("task--deep.toml", "task--digits.toml"):
        with pytest.raises(InputError):
            load_task(CORPUS / name)
    for text in ("[" * 100_000, "1" * 5_000):
        with pytest.raises(InputError):
            parse_json(text, "plan.json")
    for text, said in (("[" * 200 + "]" * 200, "65 deep"), ("9" * 400, "400 digits")):  # which parsers take
        with pytest.raises(InputError, match=said):
            parse_json(text, "plan.json")
        with pytest.raises(InputError, match=said):
            parse_toml(f"x = {text}", "task.toml")
    first, *others = example().report.engines
    odd = replace(example().report, engines=(replace(first, name=r"$\frac$"), *others))  # plots name engines
    assert r"$\frac$" in render(odd)
    run = Run(tmp_path, replace(example().report, command="edge deploy 'x"), None, ())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="its command"):
        run.option("--data")


def test_row_16_a_narrow_or_closed_stdout_is_no_bug() -> None:
    line = f"{sys.executable} -m edge.cli.app targets"
    for shell in (f"PYTHONIOENCODING=ascii {line} | cat", f"{line} >&-"):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    for words in (["targets", "--json"], ["--help"]):  # as `| head -1` leaves them, if it is fast
        assert read_by_nobody(words) == (0, b"")


def test_row_17_the_runtime_refuses_as_python_does(tool: Path, engine: Path, picture: Path) -> None:
    out, bad = picture.parent / "out", picture.parent / "b.png"
    done = _infer(tool, engine, picture.parent, "--out", out)
    assert done.returncode == 2 and "is a folder; give a plain file" in done.stderr
    bad.write_bytes(_without_pixels(picture.read_bytes()))
    done = _infer(tool, engine, picture, bad, "--out", out)
    assert done.returncode == 2 and "b.png: does not decode" in done.stderr
    assert not list(out.glob("*")), "no mask of the image before"


@pytest.mark.slow
def test_row_17_the_sanitizers_find_nothing_with_openvino_loaded(engine: Path, picture: Path) -> None:
    sanitized = build(ROOT / "build" / "runtime-sanitized", "-DSEGEDGE_SANITIZE=ON") / "segedge-run"
    out, bad = picture.parent / "out", picture.parent / "b.png"
    done = _infer(sanitized, engine, picture, "--out", out, ASAN_OPTIONS="detect_leaks=0")  # as its README has it
    assert (done.returncode, (out / "a.png").is_file()) == (0, True), done.stderr
    bad.write_bytes(_without_pixels(picture.read_bytes()))
    done = _infer(sanitized, engine, bad, "--out", out, ASAN_OPTIONS="detect_leaks=0")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_row_18_a_set_stays_inside_its_folder(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "set").mkdir()
    for name in ("../a.png", str(tmp_path / "a.png")):
        (tmp_path / "set" / "manifest.csv").write_text(f"image,mask,split\n{name},,test\n")
        done = run_edge("inspect", tmp_path / "set")
        assert done.returncode == 2 and "leads out of the folder; keep the files of a set inside it" in done.stderr


def test_row_18_links_of_a_report_lead_to_files_and_nowhere_else(tmp_path: Path) -> None:
    from html.parser import HTMLParser
    from urllib.parse import unquote

    name = "javascript:alert(1)#a?b%41"
    run = tmp_path / name
    run.mkdir()
    (run / "report.json").write_text(json.dumps(example().report.to_json()))
    (run / "report.html").write_text("its own")
    done = run_edge("report", name, "--out", "all.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            links.extend(value for key, value in attributes if key == "href" and value)

    Links().feed((tmp_path / "all.html").read_text())
    own = [link.partition("#latency")[0] for link in links if "javascript" in link]
    assert own and all(link.startswith("./") and not set("#?") & set(link) for link in own)
    assert {(tmp_path / unquote(link)).read_text() for link in own} == {"its own"}


def test_row_18_text_of_others_stays_text(tmp_path: Path) -> None:
    name = "<img src=x>![x](http://example.org/x.png)"
    (tmp_path / "run").mkdir()
    report = replace(example().report, model=replace(example().report.model, name=name))
    (tmp_path / "run" / "report.json").write_text(json.dumps(report.to_json()))
    done = run_edge("report", "run", "--out", "all.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "all.md").read_text()
    assert "<img" not in text.replace(r"\<img", "") and "![x](" not in text
    done = run_edge("segment", tmp_path / "e\x1b[2J", "a.png", "--out", tmp_path)
    assert done.returncode == 2 and "\x1b" not in done.stderr and r"e\x1b[2J" in done.stderr


def test_row_19_a_tie_is_called_a_tie_and_broken_by_a_stated_rule() -> None:
    from edge.latency.winner import Contender, standing

    def contender(name: str, ms: float, retained: float) -> Contender:
        blocks = [np.array([ms * (1.0 + 0.001 * ((turn + len(name)) % 3))]) for turn in range(12)]
        return Contender(name, blocks, retained, 1.0, 100)

    both = [contender("int8", 1.0, 0.999), contender("int8-bf16", 1.002, 1.0)]
    found = standing(both)
    assert set(found.tied) == {"int8", "int8-bf16"} and found.winner == "int8-bf16" and found.sentence()
    assert standing(both[::-1]) == found


def test_row_19_more_rounds_are_taken_while_they_can_decide() -> None:
    from edge.latency.winner import Contender, settled

    def contender(name: str, ratios: list[float]) -> Contender:
        return Contender(name, [np.array([ratio]) for ratio in ratios], 1.0, 1.0, 100)

    asked: list[tuple[str, ...]] = []

    def again(names: Sequence[str]) -> dict[str, list[np.ndarray]]:
        asked.append(tuple(names))
        return {"a": [np.array([1.05])] * 60, "b": [np.array([1.0])] * 60}

    scatters = [1.2, 0.9, 1.15, 0.95, 1.2, 0.9, 1.1, 1.0]
    found = settled([contender("a", scatters), contender("b", [1.0] * 8)], again)
    assert (found.winner, [set(names) for names in asked]) == ("b", [{"a", "b"}])  # a tie would go to a, by its name
