"""The device's TensorRT half. TensorRT for RTX has the same API and builds without a GPU; running needs one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.backends.compiler import Compiler, find_compiler
from edge.backends.tensorrt.compiler import TensorRtCompiler, TensorRtRtxCompiler
from edge.backends.tensorrt.plan import plan_version
from edge.bundle.archive import unpack
from edge.bundle.pack import pack
from edge.device.engines import CachedEngine, obtain
from edge.device.manifest import BoardCandidate, Manifest, check_folder
from edge.device.pictures import bundled
from edge.device.seal import Seal
from edge.errors import InputError, MachineError
from edge.machine.machine import read_machine
from edge.pipeline.verify import verify
from edge.targets.target import find_target
from tests.fixtures.bundle_example import SIZE, picture_set, tiny_unet

pytestmark = pytest.mark.usefixtures("without_plots")

pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="module")
def jetson_run(tmp_path_factory):
    """What ``edge deploy --target jetson-orin-nano-8gb`` leaves: candidate graphs for TensorRT 10.3, simulated."""
    from edge.pipeline.deploy import run_deploy
    from edge.pipeline.progress import NullProgress
    from edge.pipeline.session import Request

    root = tmp_path_factory.mktemp("workstation")
    model, data = tiny_unet().save(root / "tiny.onnx"), picture_set(root / "set")
    request = Request(
        model=str(model),
        data=data,
        target="jetson-orin-nano-8gb",
        jetpack="6.2",
        gate="99",
        out=root / "run",
        calibration_images=16,
        command=f"edge deploy {model} --data={data} --gate 99",
    )
    return run_deploy(request, NullProgress())[1]


@pytest.fixture(scope="module")
def bundle(jetson_run, tmp_path_factory):
    root = tmp_path_factory.mktemp("jetson")
    path = pack(jetson_run, find_target("jetson-orin-nano-8gb"), "6.2", True, root / "tiny.tar.gz")
    return path, unpack(path, root / "b"), root / "b"


def built(
    compiler: Compiler,
    manifest: Manifest,
    candidate: BoardCandidate,
    bundle: Path,
    work: Path,
    say: Callable[[str], object] = lambda _: None,
) -> CachedEngine:
    """The engine of a candidate, built or taken from an earlier run in ``work``."""
    seal, folder = Seal(work, home=work), work / candidate.name
    return obtain(compiler, compiler.identity(), manifest, candidate, bundle, folder, work, seal, 256 << 20, say)


@pytest.mark.slow
def test_the_bundle_says_what_it_is_for(bundle):
    _, manifest, folder = bundle
    wanted = {"kind": "jetson", "module": "jetson-orin-nano-8gb", "jetpack": "6.2", "tensorrt": "10.3.0"}
    assert wanted.items() <= manifest.runs_on.items()
    assert {(c.name, c.rest, c.typed) for c in manifest.candidates} == {
        ("fp32", "fp32", False),
        ("fp16", "fp16", True),
        ("int8", "fp32", False),
        ("int8-fp16", "fp16", True),
    }
    assert "JetPack 6.2" in (folder / "README.md").read_text()
    assert manifest.title == "tiny for Jetson Orin Nano 8 GB, JetPack 6.2"


def test_a_jetpack_of_another_generation_is_refused_when_packing(jetson_run, tmp_path):
    with pytest.raises(
        InputError, match=r"its graphs are for TensorRT 10\.3\.0, JetPack 5\.1 has 8\.5\.2; run edge deploy"
    ):
        pack(jetson_run, find_target("jetson-orin-nano-8gb"), "5.1", True, tmp_path / "b.tar.gz")


def test_builds_every_candidate_and_keeps_the_engines(bundle, tmp_path):
    _, manifest, folder = bundle
    compiler = TensorRtRtxCompiler(capabilities=("SM86",))
    said = []
    for _ in range(2):
        for candidate in manifest.candidates:
            kept = built(compiler, manifest, candidate, folder, tmp_path, said.append)
            plan = (kept.folder / kept.built.artefact).read_bytes()
            assert plan_version(plan) is None or plan[:4] == b"ftrt"
            assert len(plan) > 1000 and kept.bytes == len(plan) and kept.built.seconds > 0
    names = [c.name for c in manifest.candidates]
    assert said == [f"{n}: building" for n in names] + [f"{n}: engine from an earlier run" for n in names]
    said.clear()
    other = TensorRtRtxCompiler(capabilities=("SM89",))
    built(other, manifest, manifest.candidates[0], folder, tmp_path, said.append)
    assert said == [f"{names[0]}: built for none here (SM86), this is none here (SM89); building it again"]


def test_int8_plans_hold_int8_convolutions(bundle, tmp_path):
    _, manifest, folder = bundle
    compiler = TensorRtRtxCompiler(capabilities=("SM86",))
    by_name = {c.name: c for c in manifest.candidates}
    counts = {}
    for name in ("fp16", "int8-fp16"):
        kept = built(compiler, manifest, by_name[name], folder, tmp_path)
        counts[name] = kept.built.convs
    assert counts["int8-fp16"].int8 > 0 and counts["fp16"].int8 == 0


def test_a_graph_that_is_not_one_is_refused_in_a_sentence(bundle, tmp_path):
    _, manifest, _ = bundle
    (tmp_path / "g.onnx").write_bytes(b"not a graph")
    (tmp_path / "out").mkdir()
    compiler = TensorRtRtxCompiler(capabilities=("SM86",))
    with pytest.raises(InputError, match="cannot read the graph"):
        compiler.build(manifest.candidates[0], tmp_path / "g.onnx", tmp_path / "out", tmp_path, 256 << 20)


def test_verify_here_is_exit_code_3_and_one_sentence(bundle, tmp_path):
    path, manifest, _ = bundle
    if read_machine().module is not None:
        pytest.skip("this is a Jetson")
    with pytest.raises(
        MachineError, match=r"the bundle is for Jetson Orin Nano 8 GB; unpack it there and run python3 -m"
    ):
        verify(path, tmp_path / "run")
    assert manifest.backend == "tensorrt" and not (tmp_path / "run").exists()


def test_a_jetson_without_the_python_module_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("edge.backends.tensorrt.compiler.import_module", _missing)
    with pytest.raises(MachineError, match="sudo apt install python3-libnvinfer"):
        TensorRtCompiler().identity()
    with pytest.raises(InputError, match="does not run from a bundle"):
        find_compiler("torch_tensorrt")


def test_a_jetson_without_a_library_that_tensorrt_links_is_told_which(monkeypatch):
    monkeypatch.setattr("edge.backends.tensorrt.compiler.import_module", _broken)
    with pytest.raises(MachineError, match=r"TensorRT is here and cannot be loaded \(libcublas\.so\.12"):
        TensorRtCompiler().identity()


def _missing(name):
    raise ModuleNotFoundError(name)


def _broken(name):
    raise ImportError("libcublas.so.12: cannot open shared object file")


@pytest.mark.needs_gpu
def test_runs_on_a_gpu(bundle, tmp_path):
    """Build, load, run and time on the GPU of this machine, whatever it is, against the bundled parity outputs."""
    from edge.accuracy.sqnr import sqnr_db
    from edge.task.task import SegmentationTask

    _, manifest, folder = bundle
    compiler = TensorRtRtxCompiler()
    for candidate in manifest.candidates:
        kept = built(compiler, manifest, candidate, folder, tmp_path)
        task = SegmentationTask.from_table(manifest.task, "manifest")
        runner = compiler.load(candidate, kept.folder, kept.built, task.output_name)
        pictures = bundled(folder, manifest)
        with np.load(folder / candidate.parity) as stored:
            pairs = [(stored["outputs"][k], pictures.input(i, task)[None]) for k, i in enumerate(stored["indices"])]
        outputs = [runner.run(image)[0] for _, image in pairs]
        assert sqnr_db([expected for expected, _ in pairs], outputs) >= 20
        assert outputs[0].shape == (1, *SIZE)
        timing = runner.time(pairs[0][1])
        assert timing.host > 0 and set(timing.parts) == {"h2d", "gpu", "d2h"}
        json.dumps(runner.conditions()), runner.close()
    check_folder(folder)
