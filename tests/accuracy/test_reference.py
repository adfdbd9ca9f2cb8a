"""A reference that is not worth keeping is refused before any engine, with the right reason and exit code 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edge.accuracy.evaluate import evaluate
from edge.accuracy.reference import faults, require_useful
from edge.backends.onnxruntime import reference
from edge.cli.app import app
from edge.errors import InputError, UselessReferenceError
from edge.graph.model import Model
from edge.images.image_set import load_image_set
from tests.fixtures.discs import TASK, disc_network, write_discs
from tests.fixtures.doors import discs, tensor


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs"), {"train": 4, "val": 4, "test": 20})


def with_head(weight: float, bias: float) -> Model:
    """The disc network with its last kernel scaled and a bias behind it."""
    proto = discs()
    head = next(w for w in proto.graph.initializer if w.name == "head.w")
    head.CopyFrom(tensor((weight * np.reshape([20, -20] + [0] * 6, (1, 8, 1, 1))).astype(np.float32), "head.w"))
    proto.graph.initializer.append(tensor(np.full(1, bias, np.float32), "head.b"))
    proto.graph.node[-1].input.append("head.b")
    return Model(proto, TASK, "discs", "discs.onnx")


def found(model: Model, root: Path) -> list[str]:
    images = load_image_set(root).split("test")
    run = reference(model).run
    return [fault.message for fault in faults(evaluate(run, images, model.task), images, run, model.source)]


def test_a_network_that_finds_the_discs_is_useful(root: Path) -> None:
    assert found(disc_network(), root) == []


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (-1e4, "finds nothing on any of the 20 images, 20 of which have foreground"),
        (+1e4, "no better than that of masks which are all foreground"),
    ],
)
def test_trivial_masks_are_told(bias: float, message: str, root: Path) -> None:
    assert message in found(with_head(1.0, bias), root)[0]


def test_inverted_masks_are_told_by_the_command_in_one_sentence(tmp_path: Path) -> None:
    """The network finds the discs, the masks mark what is round them."""
    data = write_discs(tmp_path / "set", {"train": 4, "val": 4, "test": 20})
    disc_network().save(tmp_path / "net.onnx")
    for path in (data / "masks").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    ran = CliRunner().invoke(app, ["check", str(tmp_path / "net.onnx"), "--data", str(data)])
    assert isinstance(ran.exception, UselessReferenceError)
    told = str(ran.exception)
    assert "background with a Dice of 0.9" in told and "the masks look inverted: swap their two" in told


def test_inverted_masks_are_no_excuse_for_trivial_ones(root: Path) -> None:
    assert "inverted" not in found(with_head(1.0, +1e4), root)[0]


def test_numbers_that_are_not_finite_name_their_images_and_no_engine(root: Path, tmp_path: Path) -> None:
    dark = write_discs(tmp_path / "set", {"train": 4, "val": 4, "test": 20}, seed=3)
    Image.fromarray(np.full((32, 32, 3), 255, np.uint8)).save(dark / "images" / "test07.png")
    proto = discs()
    proto.graph.node[-1].output[0] = "raw"
    import onnx.helper as oh

    # A root of what is negative for a white image only.
    proto.graph.initializer.append(tensor(np.float32(0.95), "white"))
    proto.graph.node.extend(
        [
            oh.make_node("ReduceMean", ["image"], ["mean"], "mean", axes=[1, 2, 3]),
            oh.make_node("Sub", ["white", "mean"], ["room"], "room"),
            oh.make_node("Sqrt", ["room"], ["root"], "root"),
            oh.make_node("Mul", ["raw", "root"], ["output"], "mul"),
        ]
    )
    proto.opset_import[0].version = 17
    model = Model(proto, TASK, "discs", "discs.onnx")
    (told,) = [m for m in found(model, dark) if "NaN" in m]
    assert "itself returns NaN or infinity on 1 of 20 images (test07)" in told


def test_random_answers_are_told(root: Path) -> None:
    images = load_image_set(root).split("test")
    exact, noise = reference(disc_network()).run, np.random.default_rng(0)

    def run(batch: np.ndarray) -> np.ndarray:
        return exact(batch) + noise.normal(size=(1, 1, 32, 32)).astype(np.float32)

    evaluation = evaluate(run, images, TASK)
    with pytest.raises(UselessReferenceError, match=r"other numbers for the same image .*evaluation mode"):
        require_useful(evaluation, images, run, "net", masks_matter=False)


def test_logits_that_the_task_calls_probabilities_are_the_tasks_fault(root: Path) -> None:
    with pytest.raises(InputError, match=r'says output = "probabilities", but .*set output = "logits"'):
        found(replace(disc_network(), task=replace(TASK, output="probabilities")), root)


@pytest.mark.parametrize("arguments", [["deploy", "--out", "run"], ["check"]])
def test_the_command_ends_with_1_and_leaves_nothing(arguments: list[str], root: Path, tmp_path: Path) -> None:
    path = with_head(1.0, -1e4).save(tmp_path / "blind.onnx")
    command, *rest = [a.replace("run", str(tmp_path / "run")) for a in arguments]
    result = CliRunner().invoke(app, [command, str(path), "--data", str(root), *rest])
    assert isinstance(result.exception, UselessReferenceError) and result.exception.exit_code == 1
    assert "finds nothing" in str(result.exception) and not (tmp_path / "run").exists()
