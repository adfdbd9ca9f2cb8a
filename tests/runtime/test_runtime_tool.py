"""``segedge-run`` against the toolkit: the same masks, the same fields, the same exit codes."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge.backends.openvino.backend import OpenVino
from edge.bundle.contents import npz
from edge.bundle.expected import expected_files
from edge.images.image_set import load_image_set
from edge.images.pictures import read_image
from edge.pipeline.segment import segment_images
from edge.task.intensity import Intensity
from edge.task.task import SegmentationTask
from tests.fixtures.runtime_kit import ROOT, make_engine, write_reference

Call = Callable[..., "object"]
TASK = SegmentationTask((64, 64), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), classes=("nucleus",))


def png16(values: NDArray[np.uint16], colour_type: int) -> bytes:
    """A 16-bit PNG, which Pillow cannot write in colour."""
    rows = values.reshape(values.shape[0], -1).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def odd_images(folder: Path) -> list[Path]:
    """16 images of odd sizes: RGB, grey, 1-bit, palettes and alpha."""
    random = np.random.default_rng(11)
    folder.mkdir()

    def noise(height: int, width: int, *depth: int) -> NDArray[np.uint8]:
        return random.integers(0, 256, (height, width, *depth), dtype=np.uint8)

    def png(image: Image.Image, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "PNG", **options)
        return stream.getvalue()

    rgb = [
        png(Image.fromarray(noise(h, w, 3))) for h, w in ((1, 1), (63, 65), (64, 64), (200, 31), (7, 500), (311, 257))
    ]
    grey = [png(Image.fromarray(noise(h, w))) for h, w in ((1, 9), (101, 77))]
    alpha = [png(Image.fromarray(noise(45, 67, 4))), png(Image.fromarray(noise(70, 41, 2), "LA"))]
    palettes = [
        png(Image.fromarray(noise(50, 60, 3)).quantize(200)),
        png(Image.fromarray(noise(50, 61, 3)).quantize(5)),
        png(Image.fromarray(noise(51, 60, 3)).quantize(16), transparency=b"\x00\x80\xff"),
        png(Image.fromarray(noise(33, 90) > 128)),
        png(Image.fromarray(noise(40, 40)), transparency=7),
        png(Image.fromarray(noise(40, 41, 3)), transparency=(1, 2, 3)),
    ]
    paths = []
    for index, data in enumerate([*rgb, *grey, *alpha, *palettes]):
        paths.append(folder / f"odd-{index:02}.png")
        paths[-1].write_bytes(data)
    assert len(paths) == 16
    return paths


def require_same_masks(run: Call, folder: Path, task: SegmentationTask, images: list[Path]) -> None:
    engine = make_engine(folder / "engine", task)
    runner = OpenVino().load(engine)
    expected = segment_images(runner, task, images, folder / "python")
    runner.close()
    done = run("infer", engine.folder, *images, "--out", folder / "cpp")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (folder / "cpp").iterdir()) == sorted(p.name for p in expected)
    levels = set()
    for path in expected:
        ours, theirs = np.asarray(Image.open(folder / "cpp" / path.name)), np.asarray(Image.open(path))
        assert ours.shape == theirs.shape
        assert np.count_nonzero(ours != theirs) == 0, path.name
        levels |= set(np.unique(theirs).tolist())
    assert len(levels) >= 2, "masks of one level prove nothing"


@pytest.mark.parametrize(
    "task",
    (
        TASK,
        SegmentationTask(
            (96, 64), "grey", "bicubic", "minmax", classes=("background", "nucleus"), activation="softmax"
        ),
        SegmentationTask((64, 96), "bgr", "area", classes=("background", "a", "b"), activation="softmax"),
    ),
)
def test_masks_of_odd_images_equal_python_s(run: Call, tmp_path: Path, task: SegmentationTask) -> None:
    require_same_masks(run, tmp_path, task, odd_images(tmp_path / "images"))


def twelve_bits(folder: Path) -> list[Path]:
    """The same values of 12 bits as PNG and as arrays of every type."""
    random = np.random.default_rng(12)
    folder.mkdir()
    paths = []
    for index, (height, width) in enumerate(((59, 83), (64, 64), (20, 131))):
        values = random.integers(0, 4096, (height, width), dtype=np.uint16)
        paths.append(folder / f"{index}.png")
        paths[-1].write_bytes(png16(values, 0))
        for dtype in ("<u2", "<i2", "<f4"):
            paths.append(folder / f"{index}-{dtype[1:]}.npy")
            np.save(paths[-1], values.astype(dtype))
    return paths


@pytest.mark.parametrize("fit", ("letterbox", "tile"))
def test_masks_of_twelve_bits_equal_python_s(run: Call, tmp_path: Path, fit: str) -> None:
    window = Intensity(window=(2000.0, 1500.0))
    task = SegmentationTask((48, 40), "grey", scale=1.0, classes=("a",), intensity=window, fit=fit)
    require_same_masks(run, tmp_path, task, twelve_bits(tmp_path / "images"))
    masks = {path.stem: path.read_bytes() for path in (tmp_path / "cpp").iterdir()}
    assert masks["0"] == masks["0-u2"] == masks["0-i2"] == masks["0-f4"]


def test_overlapping_labels_are_a_mask_a_class(run: Call, tmp_path: Path) -> None:
    task = SegmentationTask((48, 40), classes=("whole tumour", "core"), overlapping=True, fit="tile")
    images = odd_images(tmp_path / "images")[:6]
    engine = make_engine(tmp_path / "engine", task)
    done = run("infer", engine.folder, *images, "--out", tmp_path / "cpp")
    assert done.returncode == 0, done.stderr
    runner = OpenVino().load(engine)
    for image in images:
        expected = task.segment(runner.run, read_image(image))
        for labels, name in zip(expected, ("whole-tumour", "core"), strict=True):
            written = np.asarray(Image.open(tmp_path / "cpp" / f"{image.stem}_{name}.png"))
            assert np.array_equal(written, labels * 255)
    runner.close()


def test_sixteen_bits_under_a_task_of_eight_are_refused(run: Call, tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    image = twelve_bits(tmp_path / "images")[0]
    done = run("infer", engine.folder, image, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert f"{image}: image: holds uint16 values, but its task knows 8-bit values only" in done.stderr
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    "array",
    (
        np.zeros((2, 3, 4, 5), np.uint8),
        np.zeros((2, 3), np.float64),
        np.asfortranarray(np.zeros((4, 5), np.uint8)),
        np.zeros((0, 4), np.uint8),
    ),
)
def test_other_arrays_are_refused(run: Call, tmp_path: Path, array: np.ndarray) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    np.save(tmp_path / "a.npy", array)
    done = run("infer", engine.folder, tmp_path / "a.npy", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "a.npy: " in done.stderr


def test_masks_of_the_test_images_equal_python_s(run: Call, tmp_path: Path) -> None:
    images = load_image_set(ROOT / "calibration" / "dsb2018").split("test")
    assert len(images) >= 66
    require_same_masks(run, tmp_path, TASK, [sample.image for sample in images])


def test_jpeg_is_read_within_a_few_levels(run: Call, tmp_path: Path) -> None:
    # JPEG leaves its decoders some freedom; the specification starts from decoded pixels.
    y, x = np.mgrid[:80, :120]
    pixels = np.stack([x * 2, y * 3, (x + y)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    task = SegmentationTask((64, 64), classes=("a",))
    engine = make_engine(tmp_path / "engine", task)
    assert run("infer", engine.folder, tmp_path / "a.jpg", "--out", tmp_path / "out").returncode == 0
    runner = OpenVino().load(engine)
    labels = task.labels(runner.run(task.preprocess(read_image(tmp_path / "a.jpg"))[None])[0], (80, 120))
    assert np.mean(np.asarray(Image.open(tmp_path / "out" / "a.png")) // 255 == labels) > 0.97


def test_verify_compares_with_a_reference(run: Call, tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    runner = OpenVino().load(engine)
    random = np.random.default_rng(2)
    images = {}
    for name, shape in {"a": (70, 90, 3), "b": (64, 64)}.items():
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        images[name] = (pixels, TASK.labels(runner.run(TASK.preprocess(pixels)[None])[0], shape[:2]))
    done = run("verify", engine.folder, write_reference(tmp_path / "same", images), "--exact", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["differing_pixels"], result["agreement"], result["images"]) == (0, 1.0, 2)

    pixels, labels = images["b"]
    turned = labels.copy()
    turned[:16] = 1 - turned[:16]
    done = run("verify", engine.folder, write_reference(tmp_path / "other", {"b": (pixels, turned)}), "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    dice = 2 * np.sum(labels & turned) / (labels.sum() + turned.sum())
    assert result["differing_pixels"] == 16 * 64
    assert result["agreement"] == pytest.approx(dice, abs=1e-12)
    assert run("verify", engine.folder, tmp_path / "other", "--min-agreement", "0.1").returncode == 0

    (tmp_path / "other" / "b.labels").write_bytes(labels.tobytes())
    done = run("verify", engine.folder, tmp_path / "other")
    assert done.returncode == 2
    assert "was changed" in done.stderr


def test_bench_writes_the_report_s_fields(run: Call, tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    done = run("bench", engine.folder, "--seconds", "0.05", "--json", "--threads", "1", "--heap-frames", "200")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    fields = {"p50", "p90", "p95", "p99", "mean", "min", "cov", "n", "warmup", "conditions", "trustworthy", "warnings"}
    assert result["heap"] == {"frames": 200, "grown_bytes": 0}
    for name in ("latency_ms", "frame_ms", "steps_ms"):
        latency = result[name]
        assert set(latency) == fields
        assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"]
        assert latency["n"] >= 100
    runner = OpenVino().load(engine, threads=1)
    ours = result["latency_ms"]["conditions"]
    for name, value in runner.conditions().items():
        assert ours[name] == value, name


def test_info(run: Call, tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    assert json.loads(run("info", "--json").stdout)["backends"] == ["openvino"]
    table = json.loads(run("info", engine.folder, "--json").stdout)
    assert (table["precision"], table["size"], table["classes"]) == ("fp32", [64, 64], ["nucleus"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    (
        ((), 2, "segedge-run infer"),
        (("dance",), 2, "no such command"),
        (("info", "/nonexistent"), 2, "/nonexistent: no such engine; check the path"),
        (("bench", "ENGINE", "--seconds", "x"), 2, "give a number"),
        (("bench", "ENGINE", "--quick"), 2, "no such option"),
        (("infer", "ENGINE", "a.png"), 2, "--out"),
        (("infer", "ENGINE", "a.png", "b/a.png", "--out", "out"), 2, "has the stem of a.png"),
        (("infer", "ENGINE", "/nonexistent.png", "--out", "OUT"), 2, "no such image"),
        (("infer", "ENGINE", "ENGINE/model.xml", "--out", "OUT"), 2, "does not decode"),
        (("infer", "ENGINE", "a.png", "--out", "/proc/none"), 3, "cannot be made"),
        (("verify", "ENGINE", "/nonexistent"), 2, "no such file"),
    ),
)
def test_faults_are_one_sentence(run: Call, tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    engine = make_engine(tmp_path / "engine", TASK)
    places = {"ENGINE": str(engine.folder), "OUT": str(tmp_path / "out")}
    done = run(*(re.sub("ENGINE|OUT", lambda match: places[match[0]], word) for word in words))
    assert done.returncode == code
    assert said in done.stderr


def test_versions_agree(run: Call) -> None:
    from edge import __version__

    assert run("--version").stdout.split() == ["segedge-run", __version__]


@pytest.mark.parametrize("overlapping", (False, True))
def test_images_that_a_bundle_carries_whole_are_proved(run: Call, tmp_path: Path, overlapping: bool) -> None:
    """Forty images of 12 bits and two channels in tiles, as a board gets them: 0 pixels differ from Python's masks."""
    task = SegmentationTask(
        (24, 32),
        ("t1", "t2"),
        scale=1.0,
        intensity=Intensity(percentile=(1.0, 99.0)),
        normalize="zscore",
        classes=("whole", "core") if overlapping else ("ground", "a", "b"),
        overlapping=overlapping,
        activation="sigmoid" if overlapping else "softmax",
        fit="tile",
    )
    engine = make_engine(tmp_path / "engine", task)
    random = np.random.default_rng(5)
    sizes = [(1, 1), (24, 32), (9, 70), *(tuple(random.integers(1, 90, 2)) for _ in range(37))]
    planes = {
        f"plane-{index:04d}": random.integers(0, 4096, (*size, 2)).astype(("uint16", "int16", "float32")[index % 3])
        for index, size in enumerate(sizes)
    }
    runner = OpenVino().load(engine)
    labels = [task.segment(runner.run, plane) for plane in planes.values()]
    runner.close()
    (tmp_path / "data").mkdir()
    packed = npz(planes)
    for name, contents in {**expected_files(packed, planes, labels, task), "data/images.npz": packed}.items():
        (tmp_path / name).write_bytes(contents)
    done = run("verify", engine.folder, tmp_path / "data", "--exact", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert (found["images"], found["differing_pixels"], found["agreement"]) == (40, 0, 1.0)
    (tmp_path / "data/reference.labels").write_bytes(bytes(255 - b for b in b"".join(x.tobytes() for x in labels)))
    assert run("verify", engine.folder, tmp_path / "data", "--exact").returncode == 2
