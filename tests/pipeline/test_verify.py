"""The whole path on a CPU target: packed, unpacked somewhere else, verified, timed, chosen, reported."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from edge.backends.engine import read_engine
from edge.backends.openvino.compiler import OpenVinoCompiler
from edge.backends.openvino.runner import OpenVinoRunner
from edge.bundle.archive import unpack
from edge.bundle.pack import pack
from edge.device import proof
from edge.device import verify as device
from edge.device.bundle_bench import BundleBench
from edge.device.engines import CachedEngine
from edge.device.proof import Options
from edge.device.seal import Seal
from edge.errors import InputError, MachineError
from edge.images.image_set import load_image_set
from edge.pipeline.verify import describe, verify
from edge.report.store import faults, read_report
from edge.report.write import write_merged
from edge.targets.target import find_target
from tests.fixtures.forge import archive, head, manifest

pytestmark = pytest.mark.usefixtures("without_plots")

QUICK = Options(seconds=0.05, min_runs=5)


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """A home folder of the tests' own: a board's key lies there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def packed(cpu_run, tmp_path_factory):
    return pack(cpu_run, find_target("cpu"), None, True, tmp_path_factory.mktemp("packed") / "tiny.tar.gz")


@pytest.mark.slow
def test_verifies_an_archive_and_merges_its_report(packed, cpu_run, tmp_path):
    said = []
    report, out = verify(packed, tmp_path / "edge-box", seconds=0.05, min_runs=5, say=said.append)
    assert report.status == "passed" and report.chosen in {row.name for row in report.engines}
    assert faults(json.loads((out / "report.json").read_text())) == ()
    home = read_report(cpu_run)
    assert {row.name for row in report.engines} == {row.name for row in home.engines}
    for row in report.engines:
        engine = read_engine(out / row.path)
        assert engine.bytes == row.bytes and not row.simulated
        # Same graphs, same settings, same compiler, same images: the same figures as on the workstation.
        assert row.accuracy.dice.mean == pytest.approx(home.engine(row.name).accuracy.dice.mean, abs=1e-9)
        assert row.accuracy.parity_db >= 30
        assert row.latency_ms.n >= 5 and row.latency_ms.conditions["batch"] == 1
        assert "timed_region" in row.latency_ms.conditions
        assert engine.convs == read_engine(cpu_run / home.engine(row.name).path).convs
    assert read_engine(out / report.engine("int8").path).convs.int8 >= 4
    assert report.reference.dice == pytest.approx(home.reference.dice, abs=1e-12)
    assert all(name.startswith("image-") for name in report.images.names)
    assert (out / "report.html").is_file()
    assert not (tmp_path / ".edge-box.work" / "bundle").exists()  # unpacked images do not stay behind
    assert any("chosen" in line for line in said)
    assert report.data.evaluation.sha256 == home.data.evaluation.sha256
    write_merged([cpu_run, out], tmp_path / "both.html")
    assert "other images" not in (tmp_path / "both.html").read_text() + (tmp_path / "both.md").read_text()
    assert len(json.loads((tmp_path / "both.json").read_text())["runs"]) == 2


@pytest.mark.slow
def test_results_may_lie_in_the_unpacked_bundle_s_own_folder_and_nowhere_else_in_it(packed, tmp_path):
    folder = tmp_path / "box"
    unpack(packed, folder)
    for _ in range(2):
        report, out = verify(folder, folder / "run", seconds=0.05, min_runs=5)
        assert report.status == "passed" and out == folder / "run"
    for place in (folder / "results", folder / "engines" / "run"):
        with pytest.raises(InputError, match="lies among the bundle's files"):
            verify(folder, place, seconds=0.05, min_runs=5)
    assert verify(folder, tmp_path / "elsewhere", seconds=0.05, min_runs=5)[0].status == "passed"


@pytest.mark.parametrize(
    ("work", "out", "fault"),
    [
        ("box/notes", "run", "box/notes: lies among the bundle's files; give a folder outside, or .*box/work"),
        ("box/work", "box/build", "box/build: lies among"),
        ("box/work", "box/work", "box/work: lies among"),
        ("work", ".", "holds the bundle or its work"),
        ("work", "work", "holds the bundle or its work"),
        ("run/work", "run", "holds the bundle or its work"),
        ("work", "mine", r"mine: holds something else \(no report\.json in it\); choose another --out"),
    ],
)
def test_no_run_replaces_the_bundle_its_work_or_anything_but_a_run(packed, tmp_path, work, out, fault):
    folder = tmp_path / "box"
    unpack(packed, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match=fault):
        device.verify(folder, tmp_path / work, tmp_path / out, QUICK, lambda _: None)
    assert (folder / "manifest.json").is_file() and (tmp_path / "mine" / "thesis.txt").is_file()


@pytest.mark.slow
def test_the_bundle_s_run_folder_may_be_a_link(packed, tmp_path):
    folder, disk = tmp_path / "box", tmp_path / "disk"
    unpack(packed, folder)
    disk.mkdir()
    (folder / "run").symlink_to(disk)
    for _ in range(2):
        assert verify(folder, folder / "run", seconds=0.05, min_runs=5)[0].status == "passed"


@pytest.mark.slow
def test_an_engine_from_a_device_is_checked_by_its_graph(packed, tmp_path):
    from edge.search.build import compiled_graph

    report, out = verify(packed, tmp_path / "run", seconds=0.05, min_runs=5)
    for row in report.engines:
        assert compiled_graph(read_engine(out / row.path)) is not None


@pytest.mark.slow
def test_goes_on_after_a_power_cut(packed, tmp_path, monkeypatch):
    """Killed while the second engine is checked: the first one is neither built nor checked again; all are timed."""
    folder, work, out = tmp_path / "b", tmp_path / "work", tmp_path / "run"
    unpack(packed, folder)

    class PowerCut(BaseException):
        pass

    real, calls = proof._check, []

    def cut(job, kept, *rest):
        calls.append(kept.candidate.name)
        if len(calls) == 2:
            raise PowerCut
        return real(job, kept, *rest)

    monkeypatch.setattr(proof, "_check", cut)
    with pytest.raises(PowerCut):
        device.verify(folder, work, out, QUICK, lambda _: None)
    assert not out.exists()
    said = []
    report = device.verify(folder, work, out, QUICK, said.append)
    first, second = calls[:2]
    assert calls == [first, second, second]
    assert f"{first}: engine from an earlier run" in said and f"{second}: engine from an earlier run" in said
    assert f"{first}: checked before the interruption" in said
    assert faults(json.loads((out / "report.json").read_text())) == ()
    for row in report["engines"]:
        assert row["latency_ms"]["conditions"]["interleaved_with"] == [n for n in (first, second) if n != row["name"]]
    said.clear()
    device.verify(folder, work, out, QUICK, said.append)  # finished: measured anew, on the same engines
    assert not [line for line in said if "interruption" in line or line.endswith(": building")]


@pytest.mark.slow
def test_nothing_counts_that_this_board_did_not_write_here(packed, tmp_path, monkeypatch):
    """A forged check, and one of a folder that was copied from elsewhere, are as good as none; so are their engines."""
    folder, work, said = tmp_path / "b", tmp_path / "work", []
    unpack(packed, folder)
    monkeypatch.setattr(BundleBench, "times", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        device.verify(folder, work, tmp_path / "run", QUICK, lambda _: None)
    kept = sorted((work / "progress").glob("*.json"))
    assert len(kept) == 2
    for path in kept:
        sealed = json.loads(path.read_text())
        sealed["table"]["accuracy"]["dice"]["mean"] = 0.9999
        sealed["table"]["gate"] = {"preset": "99", "passed": True, "reasons": [], "checks": []}
        path.write_text(json.dumps(sealed))
    monkeypatch.undo()
    report = device.verify(folder, work, tmp_path / "run", QUICK, said.append)
    assert not [line for line in said if "before the interruption" in line]
    assert sum(line.endswith("engine from an earlier run") for line in said) == 2
    assert all(row["accuracy"]["dice"]["mean"] < 0.9999 for row in report["engines"])
    said.clear()
    copied = shutil.copytree(work, tmp_path / "copied")
    device.verify(folder, copied, tmp_path / "run", QUICK, said.append)
    assert sum(line.endswith(": building") for line in said) == 2


def _interrupted(*_):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(packed, tmp_path_factory):
    """An unpacked bundle, verified once."""
    root = tmp_path_factory.mktemp("finished")
    unpack(packed, root / "b")
    device.verify(root / "b", root / "work", root / "run", QUICK, lambda _: None)
    return root


@pytest.mark.slow
def test_half_written_state_is_not_trusted(finished, tmp_path):
    work, said = finished / "work", []
    (work / "engines/int8/cache.json").write_text('{"table": {"gra')
    (work / "engines/fp32/model.bin").write_bytes(b"short")
    device.verify(finished / "b", work, tmp_path / "run", QUICK, said.append)
    assert "int8: building" in said and "fp32: its file was changed; building it again" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (({"version": "2024.0.0"}, {"sm": "7.2"}), ("built by OpenVINO 2024.0.0, this is OpenVINO", "built for")),
        (({"graph": "0" * 64}, {"typed": True}), ("built from another graph", "built from another graph")),
    ],
)
@pytest.mark.slow
def test_engines_of_another_compiler_device_or_graph_are_built_again(finished, tmp_path, changes, words):
    work = finished / "work"
    seal = Seal(work)
    for name, change in zip(("int8", "fp32"), changes, strict=True):
        record = work / "engines" / name / "cache.json"
        table = seal.read(record)
        table["key"].update(change)
        seal.write(record, table)
    said = []
    device.verify(finished / "b", work, tmp_path / "run", QUICK, said.append)
    for name, expected in zip(("int8", "fp32"), words, strict=True):
        (line,) = [line for line in said if line.startswith(f"{name}:") and "building it again" in line]
        assert expected in line


def test_a_compiler_that_refuses_one_graph_does_not_end_the_run(packed, tmp_path, monkeypatch):
    folder = tmp_path / "b"
    unpack(packed, folder)
    real = OpenVinoCompiler.build

    def refuse(self, candidate, *rest):
        if candidate.name == "int8":
            raise InputError("OpenVINO refuses graph int8 (no such operator)")
        return real(self, candidate, *rest)

    monkeypatch.setattr(OpenVinoCompiler, "build", refuse)
    report = device.verify(folder, tmp_path / "work", tmp_path / "run", QUICK, lambda _: None)
    rows = {row["name"]: row for row in report["engines"]}
    assert rows["int8"]["path"] is None and "no such operator" in rows["int8"]["gate"]["reasons"][0]
    assert report["chosen"] == "fp32" and faults(report) == ()


def test_a_wrong_engine_is_not_chosen(packed, tmp_path, monkeypatch):
    """An engine that computes something else is fast and fails."""
    folder = tmp_path / "b"
    unpack(packed, folder)
    real = OpenVinoRunner.run
    monkeypatch.setattr(OpenVinoRunner, "run", lambda self, image: real(self, image[..., ::-1].copy()))
    report = device.verify(folder, tmp_path / "work", tmp_path / "run", QUICK, lambda _: None)
    assert report["status"] == "failed" and report["chosen"] is None and faults(report) == ()
    assert all("parity" in row["gate"]["reasons"][0] for row in report["engines"])


@pytest.mark.slow
@pytest.mark.parametrize("masks", [True, False])
def test_without_images_the_device_brings_its_own(cpu_run, tmp_path, masks):
    path = pack(cpu_run, find_target("cpu"), None, False, tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match="carries no images; add --images FOLDER"):
        verify(path, tmp_path / "run")
    own = tmp_path / "own"
    (own / "images").mkdir(parents=True)
    if masks:
        (own / "masks").mkdir()
    for sample in list(load_image_set(cpu_run.parent / "set").split("val"))[:16]:
        np.save(own / "images" / f"{sample.name}.npy", sample.pixels())
        if masks:
            shutil.copy(sample.mask, own / "masks" / f"{sample.name}.png")
    with pytest.raises(InputError, match="16 images are too few"):
        verify(path, tmp_path / "run", images=own)
    report, _ = verify(path, tmp_path / "run", images=own, allow_small=True, seconds=0.05, min_runs=5)
    assert report.status == "passed"
    assert any("FP32 engine built on this device" in note for note in report.notes)
    assert (report.reference.dice == 1.0) is not masks
    assert report.engine("int8").accuracy.agreement > 0.95
    assert report.engine("int8").accuracy.parity_db >= 30


def test_bad_bundles_are_refused_with_exit_code_2(tmp_path):
    path = tmp_path / "b.tar.gz"
    path.write_bytes(archive(head(manifest(schema="edge.bundle/9"))))
    with pytest.raises(InputError, match="newer than this SegEdge"):
        verify(path, tmp_path / "run")
    with pytest.raises(InputError, match="no such file"):
        verify(tmp_path / "none.tar.gz", tmp_path / "run")
    with pytest.raises(InputError, match="is not an unpacked bundle"):
        verify(tmp_path, tmp_path / "run")
    assert not list(tmp_path.glob(".run*"))


def test_another_machine_is_exit_code_3_and_one_sentence(packed, tmp_path, monkeypatch):
    import edge.machine.machine as machine

    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    with pytest.raises(
        MachineError, match=r"this machine is aarch64 .*, the bundle is for the CPU of an x86_64 machine; unpack it"
    ):
        verify(packed, tmp_path / "run")
    assert not (tmp_path / "run").exists() and not list(tmp_path.glob(".run*"))


def test_never_replaces_a_folder_that_is_not_a_run(packed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        verify(packed, tmp_path / "mine")


def test_describe_packed_and_unpacked(packed, finished, tmp_path):
    assert describe(packed) == describe(finished / "b") == "tiny for This machine's CPU (x86-64)"
    (tmp_path / "b.tar.gz").write_bytes(packed.read_bytes()[:-1])
    for path in (tmp_path / "b.tar.gz", tmp_path, tmp_path / "none.tar.gz"):
        with pytest.raises(InputError):
            describe(path)


def test_kept_engines_know_their_size(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    assert CachedEngine(tmp_path, None, None, {"a": "x"}, None, {}).bytes == 3


@pytest.mark.slow
def test_a_fresh_environment_of_openvino_and_numpy_only(packed, cpu_run, tmp_path):
    """As an edge box does it: an empty folder, a Python with two packages, nothing of SegEdge installed."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    pins = [f"{name}=={version(name)}" for name in ("openvino", "numpy")]
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *pins], check=True)
    (tmp_path / "box").mkdir()
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path / "box"], check=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def bundle(*arguments):
        command = [python, "-m", "edge_bundle", *arguments]
        return subprocess.run(command, cwd=tmp_path / "box", env=clean, capture_output=True, text=True)

    assert "OpenVINO" in bundle("preflight").stdout
    done = bundle("verify", "--seconds", "0.2", "--min-runs", "10", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "passed"
    assert bundle("verify", "--seconds", "0.2", "--min-runs", "10").returncode == 0  # beside its own results
    run = tmp_path / "box" / "run"
    assert faults(json.loads((run / "report.json").read_text())) == ()
    write_merged([cpu_run, run], tmp_path / "both.html")
    assert "edge_bundle" in (tmp_path / "both.md").read_text() or (tmp_path / "both.html").stat().st_size > 1000

    target = tmp_path / "box" / "candidates/int8/graph.onnx"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    broken = bundle("verify")
    assert broken.returncode == 2 and "candidates/int8/graph.onnx: was changed" in broken.stderr
    assert broken.stderr.count("\n") == 1
    assert Path(tmp_path / "box" / "run" / "report.json").is_file()  # the good run stays
