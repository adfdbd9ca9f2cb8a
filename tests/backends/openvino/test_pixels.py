"""The task inside the engine: masks of real images are those of the ordinary path, to the pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from numpy.typing import NDArray

from edge.backends.engine import Candidate, Engine, PixelBackend
from edge.backends.onnxruntime import OnnxRuntime
from edge.backends.openvino.backend import OpenVino
from edge.errors import InputError
from edge.graph.model import Model
from edge.images.image_set import load_image_set
from edge.loading import load_model
from edge.quantization.calibrate import calibrate
from edge.quantization.schemes import find_scheme, plan_int8
from edge.quantization.write import quantize
from edge.targets.target import find_target
from edge.task.task import SegmentationTask
from tests.fixtures.small_unet import ROOT, TASK, images, small_unet

DSB2018 = ROOT / "calibration" / "dsb2018"
TASKS = {
    "fixed": TASK,
    "minmax": replace(TASK, normalize="minmax", mean=(0.0,), std=(1.0,)),
    "bgr": replace(TASK, channels="bgr", scale=127.5, mean=(1.0,), std=(0.7,)),
    "grey": replace(TASK, channels="grey", mean=(0.45,), std=(0.22,)),
    "probabilities": replace(TASK, output="probabilities", threshold=0.37),
    "softmax": replace(TASK, classes=("background", "nucleus"), activation="softmax", threshold=0.3),
    "largest": replace(TASK, classes=("a", "b", "c"), activation="softmax"),
    "largest-of-two": replace(TASK, classes=("a", "b"), activation="none"),
}


def pixels(task: SegmentationTask, count: int = 4) -> list[NDArray[np.uint8]]:
    """Real test images at the task's size."""
    return [task.resized(s.pixels()) for s in load_image_set(DSB2018).split("test").spread(count)]


def built(model: Model, folder: Path, precision: str = "fp32") -> Engine:
    return OpenVino().build(Candidate(precision, precision, "fp32", model), find_target("cpu"), folder)


def different(engine: Engine, shown: list[NDArray[np.uint8]]) -> int:
    """Pixels on which the two ways from an image to its mask differ."""
    task, runner, inside = engine.task, OpenVino().load(engine), OpenVino().load_pixels(engine)
    masks = [task.decide(runner.run(task.normalized(image)[None])[0]) for image in shown]
    found = [inside.run(image) for image in shown]
    assert all(a.shape == b.shape and a.dtype == b.dtype == np.uint8 for a, b in zip(masks, found, strict=True))
    assert max(len(np.unique(mask)) for mask in masks) == max(2, task.maps)  # masks that show something
    return sum(int((a != b).sum()) for a, b in zip(masks, found, strict=True))


def head(task: SegmentationTask, after: str | None = None) -> Model:
    """A 3×3 convolution, with seeded weights, to the task's number of maps."""
    rng = np.random.default_rng(5)
    weight = rng.normal(size=(task.maps, task.in_channels, 3, 3)).astype(np.float32)
    nodes = [oh.make_node("Conv", ["x", "w"], ["z"], name="conv", kernel_shape=[3, 3], pads=[1] * 4)]
    if after is not None:
        nodes.append(oh.make_node(after, ["z"], ["p"], name="last"))
    output = nodes[-1].output[0]
    height, width = task.size
    graph = oh.make_graph(
        nodes,
        "head",
        [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, task.in_channels, height, width])],
        [oh.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [1, task.maps, height, width])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    return Model(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=9), task, "head")


@pytest.mark.parametrize("name", TASKS)
def test_masks_are_those_of_the_ordinary_path(name: str, tmp_path: Path) -> None:
    task = TASKS[name]
    engine = built(head(task, "Sigmoid" if name == "probabilities" else None), tmp_path)
    assert different(engine, pixels(task)) == 0


def identity(task: SegmentationTask) -> Model:
    """A network that returns its input."""
    unit = oh.make_node("Identity", ["x"], ["y"], name="copy")
    values = [oh.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, task.maps, *task.size]) for n in "xy"]
    graph = oh.make_graph([unit], "identity", values[:1], values[1:])
    return Model(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=9), task, "identity")


@pytest.mark.parametrize("level", [137, 150, 171])
@pytest.mark.parametrize("normalize", ["fixed", "minmax"])
def test_the_network_gets_the_tasks_own_numbers(normalize: str, level: int, tmp_path: Path) -> None:
    """A threshold that is one level's own value moves with the last bit of that value."""
    task = replace(TASK, size=(1, 256), channels="grey", activation="none", mean=(0.485,), std=(0.229,))
    if normalize == "minmax":
        task = replace(task, normalize=normalize, mean=(0.0,), std=(1.0,))
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    task = replace(task, threshold=float(task.normalized(ramp)[0, 0, level]))
    shown = OpenVino().load_pixels(built(identity(task), tmp_path)).run(ramp)
    assert shown[0].tolist() == [0] * level + [1] * (256 - level)


def test_ties_take_the_lowest_class(tmp_path: Path) -> None:
    task = replace(TASK, size=(8, 32), classes=("a", "b", "c"), activation="none", mean=(0.0,), std=(1.0,))
    engine = built(identity(task), tmp_path)
    shown = np.random.default_rng(0).integers(0, 3, (8, 32, 3), dtype=np.uint8)
    assert np.array_equal(OpenVino().load_pixels(engine).run(shown), shown.argmax(axis=2))


def test_a_quantized_engine_gives_the_same_masks(tmp_path: Path) -> None:
    model, scheme = small_unet(), find_scheme("openvino")
    graph = quantize(model, calibrate(model, iter(images())), plan_int8(model, scheme), scheme)
    engine = built(graph, tmp_path, "int8")
    assert engine.convs.int8 > 0
    assert different(engine, pixels(TASK)) == 0


def test_the_result_outlives_the_next_run_and_the_conditions_are_said(tmp_path: Path) -> None:
    engine = built(small_unet(), tmp_path)
    assert isinstance(OpenVino(), PixelBackend) and not isinstance(OnnxRuntime(), PixelBackend)
    inside = OpenVino().load_pixels(engine, threads=1)
    one, two = pixels(TASK, 2)
    first = inside.run(one)
    kept = first.copy()
    inside.run(two)
    assert np.array_equal(first, kept)
    conditions = inside.conditions()
    assert (conditions["precision_hint"], conditions["threads"], conditions["streams"]) == ("f32", 1, 1)
    with pytest.raises(ValueError, match=r"uint8 \[32, 64, 3\], not uint8 \[64, 64, 3\]"):
        inside.run(one[:32])
    inside.close()
    with pytest.raises(InputError, match="was closed"):
        inside.conditions()


def _smaller(model: Model) -> Model:
    return replace(model, task=replace(model.task, size=(32, 64)))


def _more_maps(model: Model) -> Model:
    return replace(model, task=replace(model.task, classes=("a", "b"), activation="softmax"))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [(_smaller, r"input is \[1,3,64,64\], not \[1, 3, 32, 64\]"), (_more_maps, r"output is \[1,1,64,64\], not")],
)
def test_a_task_that_does_not_fit_is_refused(spoil: Callable[[Model], Model], fault: str, tmp_path: Path) -> None:
    engine = built(spoil(head(TASK)), tmp_path)
    with pytest.raises(InputError, match=fault):
        OpenVino().load_pixels(engine)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("network", ["unet", "litenext"])
def test_every_third_test_image_of_the_trained_networks(network: str, precision: str, tmp_path: Path) -> None:
    model, scheme, splits = load_model(str(ROOT / "models" / network)), find_scheme("openvino"), load_image_set(DSB2018)
    if precision == "int8":
        seen = (model.task.preprocess(s.pixels())[None] for s in splits.split("train").spread(8))
        model = quantize(model, calibrate(model, seen), plan_int8(model, scheme), scheme)
    shown = [model.task.resized(s.pixels()) for s in splits.split("test").spread(22)]
    assert len(shown) == 22
    assert different(built(model, tmp_path, precision), shown) == 0
