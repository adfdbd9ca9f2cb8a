import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.accuracy import scores
from edge.accuracy.compare import compare
from edge.accuracy.evaluate import evaluate, evaluation_of
from edge.errors import InputError
from edge.images.image_set import ImageSet, load_image_set


def test_scores_are_taken_at_each_images_own_size(reference, images) -> None:
    sizes = {sample.name: Image.open(sample.image).size for sample in images}
    for name, labels, truth in zip(reference.names, reference.labels, reference.truth, strict=True):
        assert labels.shape[::-1] == truth.shape[::-1] == sizes[name]
    pixels = reference.counts.tp + reference.counts.fp + reference.counts.fn + reference.counts.tn
    assert pixels[:, 0].tolist() == [w * h for w, h in sizes.values()]


def test_the_identity_on_images_of_network_size_finds_every_disc(reference) -> None:
    # Odd images need no resize: grey 180 +- 30 against 70 +- 30 is separable at 127.5.
    assert scores.dice(reference.counts)[1::2, 0].tolist() == [1.0] * 12
    assert 0.85 < scores.dice(reference.counts)[::2, 0].min() < 1.0


def test_outputs_and_columns_are_kept_in_order(reference, images, task) -> None:
    assert reference.outputs.shape == (24, 1, 16, 16)
    assert reference.outputs.dtype == np.float32
    np.testing.assert_array_equal(reference.outputs[5], task.preprocess(images.samples[5].pixels()))
    assert reference.columns["modality"] == ("common",) * 18 + ("rare",) * 6
    assert reference.names[0] == "i00"


def test_advance_is_called_once_an_image(images, task, identity) -> None:
    calls: list[int] = []
    evaluate(identity, images, task, lambda: calls.append(1))
    assert len(calls) == 24


def test_outputs_survive_the_disk(reference, tmp_path: Path) -> None:
    reference.save_outputs(tmp_path / "reference.npz")
    with np.load(tmp_path / "reference.npz", allow_pickle=False) as stored:
        assert tuple(stored["names"]) == reference.names
        np.testing.assert_array_equal(stored["outputs"], reference.outputs)


def test_mask_of_another_size_names_the_file(images, task, identity) -> None:
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(images.root / "m03.png")
    with pytest.raises(InputError, match=r"m03\.png: is 7x5 pixels, but its image is 16x16; make them"):
        evaluate(identity, images, task)


def test_image_without_mask_is_refused(images, task, identity) -> None:
    text = (images.root / "manifest.csv").read_text().replace("m00.png", "")
    (images.root / "manifest.csv").write_text(text)
    with pytest.raises(InputError, match=r"i00\.png: has no mask"):
        evaluate(identity, load_image_set(images.root), task)


def test_output_of_another_number_of_classes_is_refused(images, task) -> None:
    with pytest.raises(InputError, match="the network returned 1x2x16x16 for a task of 1 classes"):
        evaluate(lambda batch: np.concatenate([batch, batch], axis=1), images, task)


def test_no_images_is_refused(task, identity, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images to score"):
        evaluate(identity, ImageSet("none", tmp_path, ()), task)


def test_outputs_that_are_there_already_give_the_same_evaluation(reference, task) -> None:
    again = evaluation_of(reference.outputs, reference.truth, task, reference.names, reference.columns)
    for name in ("tp", "fp", "fn", "tn"):
        assert (getattr(again.counts, name) == getattr(reference.counts, name)).all()
    assert again.names == reference.names and again.columns == reference.columns
    assert compare(again, reference, group="patient") == compare(reference, reference, group="patient")


def test_without_scipy_everything_but_distances_is_told(reference, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    accuracy = compare(reference, reference)
    assert accuracy.hd95 is None and accuracy.dice.retained == 1.0


def test_outlines_that_nobody_asks_for_are_not_measured_and_change_no_other_score(reference, images, task, identity):
    plain = evaluate(identity, images, task, outlines=False)
    assert plain.surfaces is None and plain.volumes == {} and reference.surfaces is not None
    told, quick = compare(reference, reference), compare(plain, plain)
    assert quick.hd95 is None and told.hd95 is not None
    assert (quick.dice, quick.iou, quick.agreement) == (told.dice, told.iou, told.agreement)
