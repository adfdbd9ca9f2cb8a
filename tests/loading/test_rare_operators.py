"""Operators and modes that a compiler forgets come in written so that all compute the same."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto

import edge
from edge.accuracy.sqnr import parity_db
from edge.backends import find_backend
from edge.backends.engine import Candidate
from edge.backends.onnxruntime import reference
from edge.errors import InputError
from edge.graph.model import Model
from edge.loading.normalize.proof import run
from edge.lowering import lower
from edge.targets.target import find_target
from edge.task.noise import noise_batch
from edge.task.task import SegmentationTask
from tests.fixtures.discs import TASK, write_discs
from tests.fixtures.doors import load

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(6, 3, 3, 3)).astype(np.float32) / 5
HEAD = RNG.normal(size=(1, 6, 1, 1)).astype(np.float32)
WIDE = RNG.normal(size=(6, 6, 3, 3)).astype(np.float32) / 7
FIGURES = {name: np.abs(RNG.normal(size=6)).astype(np.float32) + 0.5 for name in ("scale", "shift", "mean", "var")}
HALF, TWICE = np.array([1, 1, 0.5, 0.5], np.float32), np.array([1, 1, 2, 2], np.float32)


def between(*nodes: onnx.NodeProto, opset: int = 19, **weights: np.ndarray) -> onnx.ModelProto:
    """A convolution to ``f`` [1, 6, 32, 32], the nodes, and a convolution from ``m`` to the map."""
    held = {"first": FIRST, "head": HEAD, "wide": WIDE, **FIGURES, "half": HALF, "twice": TWICE, **weights}
    every = [
        oh.make_node("Conv", ["image", "first"], ["a"], "first/Conv", pads=[1] * 4),
        oh.make_node("Relu", ["a"], ["f"], "first/Relu"),
        *nodes,
        oh.make_node("Conv", ["m", "head"], ["output"], "head/Conv"),
    ]
    read = {name for node in every for name in node.input}
    ends = [oh.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 32, 32]) for n, c in (("image", 3), ("output", 1))]
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in held.items() if name in read]
    made = oh.make_graph(every, "g", ends[:1], ends[1:], tensors)
    return oh.make_model(made, opset_imports=[oh.make_opsetid("", opset)], ir_version=8)


def on_openvino(model: Model, folder: Path) -> Any:
    """What the compiler makes of it."""
    backend = find_backend("openvino")
    engine = backend.build(Candidate("fp32", "fp32", "fp32", model), find_target("cpu"), folder)
    with closing(backend.load(engine)) as runner:
        return runner.run(noise_batch(model.task))


def require_same_everywhere(proto: onnx.ModelProto, folder: Path, *gone: str) -> Model:
    """The map of the file in ONNX Runtime is that of the loaded graph there, in OpenVINO, and lowered for TensorRT."""
    image = noise_batch(TASK)
    exact = run(proto, image)["output"]
    model = load(proto, folder)
    assert not {node.op_type for node in model.proto.graph.node} & set(gone)
    for made in (reference(model).run(image), on_openvino(model, folder), reference(lower(model, "8.5")).run(image)):
        assert parity_db(exact, made) > 90
    return model


def resize(**attributes: Any) -> onnx.NodeProto:
    return oh.make_node("Resize", ["f", "", "half"], ["small"], "small/Resize", mode="linear", **attributes)


ENLARGED = oh.make_node("Resize", ["small", "", "twice"], ["m"], "large/Resize", mode="nearest")
RESIZES = {
    "antialias": resize(antialias=1),
    "antialias-cubic": oh.make_node("Resize", ["f", "", "half"], ["small"], "small/Resize", mode="cubic", antialias=1),
    "exclude-outside": oh.make_node(
        "Resize", ["f", "", "half"], ["small"], "small/Resize", mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5
    ),
    "symmetric": resize(coordinate_transformation_mode="half_pixel_symmetric"),
    "crop": oh.make_node(
        "Resize", ["f", "roi", "", "sizes"], ["small"], "small/Resize", mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    "axes": oh.make_node(
        "Resize", ["f", "", "two"], ["small"], "small/Resize", mode="linear", antialias=1, axes=[3, 2]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RESIZES)
def test_a_resize_that_a_compiler_forgets_becomes_two_products(case: str, tmp_path: Path) -> None:
    given = {
        "roi": np.array([0, 0, 0.1, 0.2, 1, 1, 0.9, 0.7], np.float32), "sizes": np.array([1, 6, 16, 16]),
        "two": np.array([0.5, 0.5], np.float32),
    }  # fmt: skip
    model = require_same_everywhere(between(RESIZES[case], ENLARGED, **given), tmp_path)
    assert [node.op_type for node in model.proto.graph.node].count("MatMul") == 2


def test_a_resize_without_aliasing_and_a_nearest_one_behind_it_are_built_in_int8(tmp_path: Path) -> None:
    load(between(RESIZES["antialias"], ENLARGED), tmp_path)
    data = write_discs(tmp_path / "discs", {"train": 4, "val": 4, "test": 4})
    model, task = tmp_path / "net.onnx", tmp_path / "task.toml"
    built = edge.build(model, data, "cpu", "int8", tmp_path / "engine", task=task)
    assert built.convs.int8 + built.convs.unknown > 0
    with edge.load_engine(tmp_path / "engine") as engine:
        assert engine.precision == "int8" and np.isfinite(engine.probabilities(np.zeros((32, 32, 3), np.uint8))).all()


def test_a_resize_that_keeps_the_aspect_is_given_its_size(tmp_path: Path) -> None:
    policy = {"keep_aspect_ratio_policy": "not_larger", "axes": [2, 3]}
    large = oh.make_node("Resize", ["small", "", "", "sizes"], ["m"], "large/Resize", mode="linear", **policy)
    small = oh.make_node("MaxPool", ["f"], ["small"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    model = require_same_everywhere(between(small, large, sizes=np.array([32, 40])), tmp_path)
    assert "keep_aspect_ratio_policy" not in {a.name for node in model.proto.graph.node for a in node.attribute}


@pytest.mark.parametrize(("kernel", "pads"), [(3, [1, 1, 1, 1]), (4, [1, 0, 1, 2])])
def test_the_last_window_of_a_pool_that_rounds_up(kernel: int, pads: list[int], tmp_path: Path) -> None:
    """``F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)``; OpenVINO by itself is 24 dB off."""
    options = {"kernel_shape": [kernel] * 2, "strides": [2, 2], "pads": pads, "ceil_mode": 1, "count_include_pad": 1}
    pool = oh.make_node("AveragePool", ["f"], ["small"], "pool", **options)
    large = oh.make_node("Resize", ["small", "", "", "sizes"], ["m"], "large/Resize", mode="nearest")
    proto = between(pool, large, sizes=np.array([1, 6, 32, 32]))
    require_same_everywhere(proto, tmp_path)


def test_a_pool_that_rounds_up_is_pytorchs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    options = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1, "count_include_pad": 1}
    pool = oh.make_node("AveragePool", ["f"], ["small"], "pool", **options)
    large = oh.make_node("Resize", ["small", "", "", "sizes"], ["m"], "large/Resize", mode="nearest")
    model = load(between(pool, large, sizes=np.array([1, 6, 32, 32])), tmp_path)
    image = torch.from_numpy(noise_batch(TASK))
    maps = torch.nn.functional.conv2d(image, torch.from_numpy(FIRST), padding=1).relu()
    small = torch.nn.functional.avg_pool2d(maps, 3, 2, 1, ceil_mode=True, count_include_pad=True)
    large_maps = torch.nn.functional.interpolate(small, (32, 32), mode="nearest-exact")
    wanted = torch.nn.functional.conv2d(large_maps, torch.from_numpy(HEAD)).numpy()
    np.testing.assert_allclose(reference(model).run(noise_batch(TASK)), wanted, atol=1e-4)


@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0, 1, 1]])
def test_circular_padding_is_written_as_slices(pads: list[int], tmp_path: Path) -> None:
    pad = oh.make_node("Pad", ["f", "pads"], ["q"], "pad", mode="wrap")
    conv = oh.make_node("Conv", ["q", "wide"], ["m"], "wide/Conv")
    require_same_everywhere(between(pad, conv, pads=np.array(pads)), tmp_path, "Pad")


def test_slopes_in_a_row_are_those_of_channels(tmp_path: Path) -> None:
    """MXNet's form, which no runtime takes; the right one is that with axes."""
    slopes = RNG.uniform(-1, 1, 6).astype(np.float32)
    nodes = [oh.make_node("Neg", ["f"], ["g"], "neg"), oh.make_node("PRelu", ["g", "slopes"], ["m"], "prelu")]
    right = between(*nodes, slopes=slopes[:, None, None])
    model = load(between(*nodes, slopes=slopes), tmp_path)
    image = noise_batch(TASK)
    np.testing.assert_allclose(reference(model).run(image), run(right, image)["output"], atol=1e-5)
    assert "1 PRelu (prelu, ...) have a slope for each channel" in model.notes[0] and "not proven" in model.notes[0]


def test_slopes_in_a_row_are_those_of_channels_on_a_map_as_wide_as_it_has_channels_too(tmp_path: Path) -> None:
    """A runtime takes the second, and gives each column a slope."""
    slopes = {"first_slopes": RNG.uniform(-1, 1, 6), "square_slopes": RNG.uniform(-1, 1, 32)}
    slopes = {name: values.astype(np.float32) for name, values in slopes.items()}
    grow, shrink = (RNG.normal(size=shape).astype(np.float32) / 5 for shape in ((32, 6, 1, 1), (6, 32, 1, 1)))
    nodes = [
        oh.make_node("Neg", ["f"], ["g"], "neg"),
        oh.make_node("PRelu", ["g", "first_slopes"], ["h"], "prelu"),
        oh.make_node("Conv", ["h", "grow"], ["i"], "grow/Conv"),
        oh.make_node("PRelu", ["i", "square_slopes"], ["j"], "square"),
        oh.make_node("Conv", ["j", "shrink"], ["m"], "shrink/Conv"),
    ]
    right = between(*nodes, grow=grow, shrink=shrink, **{name: v[:, None, None] for name, v in slopes.items()})
    model = load(between(*nodes, grow=grow, shrink=shrink, **slopes), tmp_path)
    image = noise_batch(TASK)
    np.testing.assert_allclose(reference(model).run(image), run(right, image)["output"], atol=1e-5)
    alone = between(*nodes[:1], *nodes[2:], grow=grow, shrink=shrink, square_slopes=slopes["square_slopes"])
    alone.graph.node[3].input[0] = "g"
    kept = load(alone, tmp_path)
    np.testing.assert_allclose(reference(kept).run(image), run(alone, image)["output"], atol=1e-5)
    assert not kept.notes


@pytest.mark.parametrize("side", [2, 4])
def test_unpooling_by_indices_is_written_out(side: int, tmp_path: Path) -> None:
    """SegNet's decoder. Many windows of a ReLU are all zero: there the first place gets the value."""
    window = {"kernel_shape": [side, side], "strides": [side, side]}
    pool = oh.make_node("MaxPool", ["f"], ["p", "where"], "pool", **window)
    shift = oh.make_node("Add", ["p", "one"], ["q"], "shift")
    unpool = oh.make_node("MaxUnpool", ["q", "where"], ["m"], "unpool", **window)
    proto = between(pool, shift, unpool, one=np.array(1.0, np.float32))
    model = require_same_everywhere(proto, tmp_path, "MaxUnpool")
    assert all(len(node.output) == 1 for node in model.proto.graph.node)


def test_unpooling_of_windows_that_overlap_is_refused_by_name(tmp_path: Path) -> None:
    pool = oh.make_node("MaxPool", ["f"], ["p", "i"], "pool", kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    unpool = oh.make_node("MaxUnpool", ["p", "i"], ["m"], "unpool", kernel_shape=[1, 1], strides=[1, 1])
    with pytest.raises(InputError, match=r"node 'unpool' is MaxUnpool by indices .* no compiler here takes"):
        load(between(pool, unpool), tmp_path)


def test_batch_normalisation_in_training_mode_is_that_of_one_image_and_said(tmp_path: Path) -> None:
    inputs, outputs = ["f", "scale", "shift", "mean", "var"], ["m", "new_mean", "new_var"]
    norm = oh.make_node("BatchNormalization", inputs, outputs, "norm", training_mode=1)
    model = require_same_everywhere(between(norm), tmp_path, "BatchNormalization")
    assert "1 BatchNormalization (norm) in training mode: each image" in model.notes[0]


def test_batch_normalisation_of_an_older_training_graph_is_refused_by_name(tmp_path: Path) -> None:
    inputs, outputs = ["f", "scale", "shift", "mean", "var"], ["m", "n", "v", "saved_n", "saved_v"]
    norm = oh.make_node("BatchNormalization", inputs, outputs, "norm")
    with pytest.raises(InputError, match=r"node 'norm' .* was exported in training mode; export .*network\.eval\(\)"):
        load(between(norm, opset=9), tmp_path)


def test_class_indices_that_were_mixed_are_told(tmp_path: Path) -> None:
    """ArgMax, Cast to float, bilinear Resize: class 2 appears between 1 and 3."""
    nodes = [
        oh.make_node("MaxPool", ["f"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        oh.make_node("ArgMax", ["p"], ["label"], "argmax", axis=1),
        oh.make_node("Cast", ["label"], ["float"], "cast", to=TensorProto.FLOAT),
        oh.make_node("Resize", ["float", "", "twice"], ["output"], "large", mode="linear"),
    ]
    proto = between(*nodes)
    proto.graph.node.pop()
    task = dataclasses.replace(TASK, classes=tuple("abcdef"), activation="softmax")
    with pytest.raises(InputError, match=r"node 'large' behind the ArgMax\) by a kernel that mixes them"):
        load(proto, tmp_path, task)


INSTANCES = {"output0": [1, 37, 84], "output1": [1, 32, 8, 8]}  # YOLO-seg: boxes with mask coefficients, prototypes
HEADS = {"out": [1, 1, 32, 32], "aux": [1, 1, 32, 32]}  # DeepLab: both of the task's form


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        (INSTANCES, r"outputs output0 \[1 x 37 x 84\], output1 \[1 x 32 x 8 x 8\]; none of them is one map; boxes"),
        (HEADS, r"outputs out \[1 x 1 x 32 x 32\], aux \[1 x 1 x 32 x 32\]; set output_name in the task"),
    ],
    ids=["instances", "heads"],
)
def test_several_outputs_are_told_with_what_they_are(shapes: dict[str, list[int]], told: str, tmp_path: Path) -> None:
    task = SegmentationTask(size=(32, 32))
    nodes, weights = [], {}
    for name, shape in shapes.items():
        weights |= {f"{name}_shape": np.array(shape), f"{name}_zeros": np.zeros(int(np.prod(shape)), np.float32)}
        nodes += [
            oh.make_node("ReduceMean", ["f"], [f"{name}_mean"], f"{name}/mean", keepdims=0),
            oh.make_node("Add", [f"{name}_mean", f"{name}_zeros"], [f"{name}_flat"], f"{name}/flat"),
            oh.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name], f"{name}/shape"),
        ]
    proto = between(*nodes, **weights)
    proto.graph.node.pop()
    del proto.graph.output[:]
    proto.graph.output.extend(oh.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in shapes.items())
    with pytest.raises(InputError, match=told):
        load(proto, tmp_path, task)
