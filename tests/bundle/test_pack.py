import gzip
import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest

from edge.accuracy.compare import reference_scores
from edge.accuracy.evaluate import evaluation_of
from edge.bundle.archive import unpack
from edge.bundle.pack import pack, warnings
from edge.device.manifest import check_folder
from edge.device.pictures import bundled, bundled_reference
from edge.errors import EdgeError, InputError
from edge.report.store import read_report
from edge.targets.target import find_target
from edge.task.task import SegmentationTask
from tests.fixtures.bundle_example import SECRET
from tests.fixtures.forge import as_tar

CPU = find_target("cpu")


@pytest.fixture(scope="module")
def packed(cpu_run, tmp_path_factory):
    return pack(cpu_run, CPU, None, True, tmp_path_factory.mktemp("packed") / "tiny.tar.gz")


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked") / "tiny"
    return unpack(packed, folder), folder


def test_the_same_run_gives_the_same_bytes(cpu_run, packed, tmp_path):
    assert pack(cpu_run, CPU, None, True, tmp_path / "tiny.tar.gz").read_bytes() == packed.read_bytes()


def test_holds_what_a_device_needs(unpacked, cpu_run):
    manifest, folder = unpacked
    assert [c.name for c in manifest.candidates] == [row.name for row in read_report(cpu_run).engines]
    assert manifest.gate["name"] == "99" and manifest.gate["dice_retained"] == 0.99
    assert manifest.data["images"] == 28 and manifest.runs_on["kind"] == "cpu"
    names = ("edge_bundle/__main__.py", "runtime/CMakeLists.txt", "CMakeLists.txt", "README.md")
    for name in (*names, "candidates/int8/graph.onnx", "data/reference.json"):
        assert (folder / name).is_file(), name
    text = (folder / "README.md").read_text()
    assert text.count("python3 -m edge_bundle") == 3 and "cmake -B build" in text and "tar xzf tiny.tar.gz" in text
    assert "images and masks" in text and "28 images" in text
    assert "patient data" in warnings(True)[0] and warnings(False) == ()


def test_bundled_images_reproduce_the_reference_scores(unpacked, cpu_run):
    manifest, folder = unpacked
    task, pictures = SegmentationTask.from_table(manifest.task, "manifest"), bundled(folder, manifest)
    seen = evaluation_of(bundled_reference(folder), pictures.masks, task, pictures.names, pictures.columns)
    dice = reference_scores(seen)["dice"]
    assert dice == pytest.approx(read_report(cpu_run).reference.dice, abs=1e-12)
    assert 0.5 < dice <= 1.0


@pytest.mark.parametrize("images", [True, False])
def test_nothing_names_the_workstation(cpu_run, tmp_path, images):
    path = pack(cpu_run, CPU, None, images, tmp_path / "b.tar.gz")
    plain = gzip.decompress(path.read_bytes())
    for word in (SECRET, str(cpu_run), str(cpu_run.parent), "/home/", "/tmp/", "stack_trace"):
        assert word.encode() not in plain, word


def test_without_images_nothing_computed_from_one_travels(cpu_run, tmp_path):
    path = pack(cpu_run, CPU, None, False, tmp_path / "b.tar.gz")
    with as_tar(path.read_bytes()) as tar:
        names = tar.getnames()
        table = json.load(tar.extractfile("manifest.json"))
    assert [n for n in names if n.startswith("data/")] == ["data/probes.npz"]
    report = read_report(cpu_run)
    assert report.data.evaluation.sha256 not in json.dumps(table)
    assert report.data.calibration.sha256 not in json.dumps(table)
    assert table["reference"] == {} and table["data"]["images"] == 0


def test_refusals(cpu_run, tmp_path):
    with pytest.raises(InputError, match="was made for cpu; run edge deploy with --target jetson-orin-nano-8gb"):
        pack(cpu_run, find_target("jetson-orin-nano-8gb"), "6.2", True, tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match="cpu is not a Jetson"):
        pack(cpu_run, CPU, "6.2", True, tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match=r"a bundle is a \.tar\.gz"):
        pack(cpu_run, CPU, None, True, tmp_path / "b.zip")
    with pytest.raises(InputError, match=r"holds no report\.json"):
        pack(tmp_path, CPU, None, True, tmp_path / "b.tar.gz")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.csv").write_text("image,mask,split\n")
    with pytest.raises(InputError):
        pack(cpu_run, CPU, None, True, tmp_path / "b.tar.gz", data=tmp_path / "other")
    assert not (tmp_path / "b.tar.gz").exists()


def test_500_single_byte_mutations_of_a_real_bundle(packed, tmp_path):
    data = bytearray(packed.read_bytes())
    generator = random.Random(2)
    path = tmp_path / "b.tar.gz"
    for _ in range(500):
        position, flip = generator.randrange(len(data)), generator.randrange(1, 256)
        data[position] ^= flip
        path.write_bytes(data)
        with pytest.raises(EdgeError):
            unpack(path, tmp_path / "out")
        data[position] ^= flip
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_500_single_byte_mutations_of_an_unpacked_bundle(unpacked):
    manifest, folder = unpacked
    files = sorted([*manifest.files, "manifest.json", "manifest.sha256"])
    generator = random.Random(3)
    for _ in range(500):
        path = folder / generator.choice(files)
        good = path.read_bytes()
        bad = bytearray(good)
        bad[generator.randrange(len(bad))] ^= generator.randrange(1, 256)
        path.write_bytes(bad)
        with pytest.raises(InputError):
            check_folder(folder)
        path.write_bytes(good)
    check_folder(folder)


def test_unpacked_folders_are_checked_for_strangers(unpacked):
    _, folder = unpacked
    (folder / "spare.txt").write_text("x")
    with pytest.raises(InputError, match=r"spare\.txt: is not part of the bundle"):
        check_folder(folder)
    (folder / "spare.txt").unlink()
    moved = folder.parent / "graph.onnx"
    graph = folder / "candidates/int8/graph.onnx"
    graph.rename(moved)
    with pytest.raises(InputError, match="is missing"):
        check_folder(folder)
    graph.symlink_to(moved)
    with pytest.raises(InputError, match="is not a plain file"):
        check_folder(folder)
    graph.unlink()
    moved.rename(graph)
    (folder / "work").mkdir()
    (folder / "work" / "anything").write_text("results may lie here")
    check_folder(folder)


def test_pixels_are_those_the_workstation_scored(unpacked, cpu_run):
    manifest, folder = unpacked
    from edge.images.image_set import load_image_set
    from edge.task.task import SegmentationTask

    task = SegmentationTask.from_table(manifest.task, "manifest")
    images = load_image_set(cpu_run.parent / "set").split("test")
    device = SegmentationTask.from_table(manifest.task, "manifest")
    for sample, ours in zip(images, bundled(folder, manifest).inputs(device), strict=True):
        assert np.array_equal(task.preprocess(sample.pixels())[None], ours)
    assert replace(task, size=(1, 1)) != task


def test_outputs_of_another_model_are_never_packed(cpu_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(cpu_run, folder)
    with np.load(folder / "reference.npz") as archive:
        kept = dict(archive)
    np.savez_compressed(folder / "reference.npz", names=kept["names"], outputs=kept["outputs"] * 0.5)
    with pytest.raises(InputError, match=r"is not the one that the report of this run was made with"):
        pack(folder, CPU, None, True, tmp_path / "kit.tar.gz", allow_small=True)
