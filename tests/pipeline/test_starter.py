"""``edge init``: what is known is taken, what is guessed is marked, and the text is a task."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
from onnx import TensorProto
from PIL import Image

from edge.loading.facts import NetworkFacts, onnx_facts
from edge.pipeline.init import starter_task
from edge.pipeline.starter import GUESS, ImageFacts, starter
from edge.task.load import load_task
from tests.fixtures.discs import disc_network, write_discs

EDGE = str(Path(sys.executable).with_name("edge"))


def write_network(path: Path, shape: list[object], maps: int, end: str | None = None) -> Path:
    """One convolution, and what the network ends in."""
    weights = onnx.numpy_helper.from_array(np.ones((maps, int(shape[1]), 1, 1), np.float32), "w")  # type: ignore[call-overload]
    nodes = [oh.make_node("Conv", ["x", "w"], ["a" if end else "y"])]
    if end is not None:
        attributes = {"axis": 1} if end in ("Softmax", "ArgMax") else {}
        nodes.append(oh.make_node(end, ["a"], ["y"], **attributes))
    kind = TensorProto.INT64 if end == "ArgMax" else TensorProto.FLOAT
    out = [shape[0], 1 if end == "ArgMax" else maps, *shape[2:]]
    graph = oh.make_graph(
        nodes,
        "g",
        [oh.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [oh.make_tensor_value_info("y", kind, out)],
        [weights],
    )
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.slow
def test_the_user_s_own_command(tmp_path: Path) -> None:
    network = write_network(tmp_path / "net.onnx", [1, 3, 64, 96], 1)
    data = write_discs(tmp_path / "set", {"train": 4, "val": 2, "test": 2})
    command = [EDGE, "init", str(network), "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "task.toml"
    path.write_text(done.stdout)
    task = load_task(path)
    assert (task.size, task.channels, task.classes, task.scale) == ((64, 96), "rgb", ("foreground",), 255.0)
    guessed = {line.split(" =")[0] for line in done.stdout.splitlines() if f"# {GUESS}" in line}
    assert {"channels", "fit", "mean", "std", "output", "threshold"} <= guessed
    assert "size" not in guessed and "classes" not in guessed
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert set(json.loads(again.stdout)["guesses"]) == guessed


def test_a_model_s_own_task_is_no_guess(tmp_path: Path) -> None:
    model = disc_network()
    found = starter_task(str(model.save(tmp_path / "discs.onnx")), None)
    assert (found.task, found.guesses) == (model.task, ())
    assert starter_task("models/litenext", None).task.classes == ("nucleus",)


@pytest.mark.parametrize(
    ("shape", "maps", "end", "expected"),
    [
        ([1, 1, 32, 32], 1, "Sigmoid", {"channels": "grey", "output": "probabilities", "activation": "sigmoid"}),
        ([1, 4, 32, 32], 3, "Sigmoid", {"channels": ("c0", "c1", "c2", "c3"), "overlapping": True}),
        ([1, 3, 32, 32], 4, "Softmax", {"activation": "softmax", "maps": 4, "output": "probabilities"}),
        ([1, 3, 32, 32], 4, "ArgMax", {"output": "labels", "activation": "none"}),
        (["n", 3, "h", "w"], 2, None, {"size": (256, 256), "activation": "softmax", "output": "logits"}),
    ],
)
def test_what_a_graph_says(
    tmp_path: Path, shape: list[object], maps: int, end: str | None, expected: dict[str, object]
) -> None:
    task = starter(onnx_facts(write_network(tmp_path / "n.onnx", shape, maps, end)), None, "n.onnx").task
    assert {key: getattr(task, key) for key in expected} == expected


def test_twelve_bits_and_class_values(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    random = np.random.default_rng(0)
    for index in range(8):
        values = random.integers(0, 3072, (40, 56), dtype=np.uint16)
        Image.fromarray(values).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray((values // 1024 * 85).astype(np.uint8)).save(tmp_path / "masks" / f"{index}.png")
    from edge.images.image_set import load_image_set

    network = NetworkFacts(channels=1, maps=3, outputs=("y",))
    from edge.pipeline.starter import image_facts

    found = starter(network, image_facts(load_image_set(tmp_path)), "net.onnx")
    assert found.task.size == (32, 64)
    assert found.task.mask_values == (("0", 0), ("85", 1), ("170", 2))
    assert found.task.intensity and found.task.intensity.range == (0, 4095), "as a refusal of the same image tells"
    assert found.task.activation == "softmax" and "threshold" not in found.guesses, "three maps are compared"


@pytest.mark.parametrize(("maps", "levels"), [(1, (0, 128, 255)), (2, (0, 128, 255)), (1, (0, 1, 2))])
def test_more_values_in_the_masks_than_classes_are_asked_about(maps: int, levels: tuple[int, ...]) -> None:
    found = starter(NetworkFacts(channels=3, maps=maps), ImageFacts(levels=levels), "net.onnx")
    assert found.task.mask_values == tuple((str(level), min(index, 1)) for index, level in enumerate(levels))
    assert "mask_values" in found.guesses and "3 values, the network 2 classes" in found.text


def test_ct_values_suggest_a_window_and_slices() -> None:
    facts = ImageFacts(4, ("int16",), (1,), -1024, 3071, ((512, 512),), volume=True, levels=(0, 1, 2, 255))
    found = starter(NetworkFacts(size=(512, 512), channels=3, maps=3), facts, "net.onnx")
    assert found.task.depths == (-1, 0, 1)
    assert found.task.intensity and found.task.intensity.limits == (-160.0, 240.0)
    assert found.task.ignore == 255


def test_every_message_that_asks_for_a_task_names_it(tmp_path: Path) -> None:
    network = write_network(tmp_path / "net.onnx", [1, 3, 32, 32], 1)
    data = write_discs(tmp_path / "set", {"train": 4, "val": 2, "test": 2})
    done = subprocess.run([EDGE, "check", str(network), "--data", str(data)], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"edge init {network} > task.toml to start from" in done.stderr
