"""Two routes from pixels to a mask: the same masks, or the second is not used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge.backends import find_backend
from edge.backends.engine import Candidate, Engine, Runner
from edge.backends.onnxruntime import OnnxRuntime
from edge.backends.openvino.backend import OpenVino
from edge.cli.tables import profile_text
from edge.errors import InputError, MachineError
from edge.images.image_set import load_image_set
from edge.images.readers import open_image
from edge.images.readers.stack import Layout, Stack
from edge.latency.pixels import PROOF_IMAGES, in_engine, on_host
from edge.pipeline import segment
from edge.pipeline.profile import Extras, profile_engines
from edge.pipeline.progress import NullProgress
from edge.pipeline.segment import segment_images, segment_with_engine
from edge.search.build import build_engine
from edge.targets.target import find_target
from tests.fixtures.small_unet import ROOT, TASK, small_unet

SAMPLES = tuple(load_image_set(ROOT / "calibration" / "dsb2018").split("test").spread(5))
SHOWN = [TASK.resized(sample.pixels()) for sample in SAMPLES]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("pixels") / "fp32"
    return build_engine(
        find_backend("openvino"), Candidate("fp32", "fp32", "fp32", small_unet()), find_target("cpu"), folder
    )


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    with closing(OpenVino().load(engine)) as runner:
        yield runner


def test_the_host_route_is_the_tasks_own(runner: Runner) -> None:
    pixels = SAMPLES[0].pixels()
    expected = TASK.labels(runner.run(TASK.preprocess(pixels)[None])[0], TASK.size)
    assert expected.any() and np.array_equal(on_host(runner, TASK)(SHOWN[0]), expected)


def test_the_engine_route_is_proven(engine: Engine, runner: Runner) -> None:
    inside = in_engine(engine, runner, SHOWN)
    assert inside.runner is not None and (inside.reason, inside.images) == ("", 5)
    assert np.array_equal(inside.runner.run(SHOWN[1]), on_host(runner, TASK)(SHOWN[1]))


class _Shifted:
    """A runner whose logits are a little off: what a compiler does that computes the other way round."""

    def __init__(self, runner: Runner, shift: float) -> None:
        self._runner, self._shift = runner, shift

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._runner.run(batch) + np.float32(self._shift)


def test_masks_that_differ_are_refused_with_their_count(engine: Engine, runner: Runner) -> None:
    outside = _Shifted(runner, 0.5)
    counted = sum(int((on_host(runner, TASK)(x) != on_host(outside, TASK)(x)).sum()) for x in SHOWN)
    inside = in_engine(engine, outside, SHOWN)  # type: ignore[arg-type]
    assert counted > 0 and inside.runner is None
    assert inside.reason.startswith(f"{counted} pixels of 5 masks differ")


def test_what_cannot_take_the_task_in_says_so(engine: Engine, runner: Runner, tmp_path: Path) -> None:
    other = OnnxRuntime().build(Candidate("fp32", "fp32", "fp32", small_unet()), find_target("cpu"), tmp_path)
    with closing(OnnxRuntime().load(other)) as loaded:
        assert in_engine(other, loaded, SHOWN).reason == "onnxruntime cannot take the task into the engine"
    wider = replace(engine, task=replace(TASK, classes=("a", "b"), activation="softmax"))
    assert "so the task cannot run inside it" in in_engine(wider, runner, SHOWN).reason


def test_many_images_are_segmented_inside_the_engine(
    engine: Engine, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [sample.image for sample in SAMPLES]
    expected = segment_images(runner, TASK, paths, tmp_path / "few")

    lines: list[str] = []

    class Told(NullProgress):
        def detail(self, message: str) -> None:
            lines.append(message)

    monkeypatch.setattr(segment, "MANY_IMAGES", 5)
    found = segment_with_engine(engine.folder, paths, tmp_path / "many", None, Told())
    assert lines == [f"task inside the engine: same masks on {PROOF_IMAGES} images, used"]
    for one, two in zip(expected, found, strict=True):
        assert np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(two)))


def test_masks_appear_together_or_not_at_all(runner: Runner, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    out = tmp_path / "masks"
    with pytest.raises(InputError, match="broken"):
        segment_images(runner, TASK, [SAMPLES[0].image, broken], out)
    assert list(tmp_path.rglob("*")) == [broken]


def test_an_image_that_may_not_be_read_is_named(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, layout: Layout) -> Stack:
        if path == SAMPLES[1].image:
            raise PermissionError(13, "Permission denied")
        return open_image(path, layout)

    monkeypatch.setattr("edge.images.shelf.open_image", read)
    with pytest.raises(MachineError, match=f"^{SAMPLES[1].image}: cannot be read"):
        segment_images(runner, TASK, [SAMPLES[0].image, SAMPLES[1].image], tmp_path / "masks")
    assert not any((tmp_path / "masks").rglob("*"))


@pytest.mark.slow
def test_profile_tells_the_two_routes_from_compute(engine: Engine) -> None:
    found = profile_engines([engine.folder], 0.05, 1, Extras(pixels=True), NullProgress())
    assert list(found.latencies) == [str(engine.folder)] and found.pixels is not None
    inside, outside = found.pixels.in_engine, found.pixels.on_host
    assert inside is not None and found.pixels.ratio is not None and found.pixels.proven_on == PROOF_IMAGES
    regions = {x.conditions["timed_region"] for x in (inside, outside, *found.latencies.values())}
    assert regions == {
        "host array in, host array out",
        "uint8 [height, width, channels] array in, uint8 mask out, at the network's size",
    }
    assert len(inside.conditions["interleaved_with"]) == 2  # one run, so that they can be compared
    assert found.to_json()["pixels_to_mask_ms"]["in_engine"]["p50"] == inside.p50
    text = profile_text(found)
    assert "inside the engine" in text and "same masks on 4 images" in text
    assert profile_engines([engine.folder], 0.05, 1, Extras(), NullProgress()).pixels is None
