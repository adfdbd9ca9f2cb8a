import numpy as np
import pytest

from edge.accuracy import scores
from edge.accuracy.compare import compare, per_image_dice, reference_scores
from edge.accuracy.evaluate import evaluate
from edge.errors import InputError


@pytest.fixture
def shifted(images, task):
    """An engine whose logits sit 1.2 lower: it loses the dim rim of some discs."""
    return evaluate(lambda batch: batch - np.float32(1.2), images, task)


def test_an_engine_equal_to_its_reference_keeps_everything(reference) -> None:
    accuracy = compare(reference, reference)
    assert accuracy.dice.retained == accuracy.iou.retained == accuracy.agreement == 1.0
    assert accuracy.dice.difference_ci95 == (0.0, 0.0)
    assert accuracy.worst_drop == 0.0
    assert accuracy.sqnr_db == 200.0
    assert accuracy.parity_db is None
    assert accuracy.images == 24


def test_numbers_follow_from_the_counts(shifted, reference) -> None:
    accuracy = compare(shifted, reference, parity_db=41.5)
    ours, theirs = (scores.dice(e.counts)[:, 0] for e in (shifted, reference))
    assert accuracy.dice.mean == pytest.approx(ours.mean())
    assert accuracy.dice.retained == pytest.approx(ours.mean() / theirs.mean())
    assert accuracy.dice.difference == pytest.approx((ours - theirs).mean())
    assert accuracy.dice.lower_bound < accuracy.dice.difference < 0
    assert accuracy.dice.difference_ci95[0] <= accuracy.dice.lower_bound
    assert accuracy.worst_drop == pytest.approx((theirs - ours).max())
    assert accuracy.recall == pytest.approx(scores.recall(shifted.counts).mean())
    assert accuracy.precision == pytest.approx(scores.precision(shifted.counts).mean())
    assert accuracy.parity_db == 41.5
    assert 0 < accuracy.agreement < 1
    noise = np.square(np.clip(shifted.outputs, -6, 6).astype(float) - np.clip(reference.outputs, -6, 6)).sum()
    power = np.square(np.clip(reference.outputs, -6, 6).astype(float)).sum()
    assert accuracy.sqnr_db == pytest.approx(10 * np.log10(power / noise), abs=1e-6)


def test_worst_images_lost_most_and_come_first(shifted, reference) -> None:
    accuracy = compare(shifted, reference, worst=5)
    losses = [row.reference_dice - row.dice for row in accuracy.worst]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(accuracy.worst_drop)
    assert len(accuracy.worst) == 5
    by_name = {row.image: row for row in per_image_dice(shifted, reference)}
    assert all(by_name[row.image] == row for row in accuracy.worst)


def test_a_patient_column_is_resampled_by_patient_unless_told_otherwise(shifted, reference) -> None:
    found = compare(shifted, reference)
    assert (found.resampled_by, found.units) == ("patient", 6)
    asked = compare(shifted, reference, group="modality")
    assert (asked.resampled_by, asked.units) == ("modality", 2)


def test_without_such_a_column_images_are_resampled(shifted, reference) -> None:
    from dataclasses import replace

    plain = compare(replace(shifted, columns={}), replace(reference, columns={}))
    assert (plain.resampled_by, plain.units) == ("image", 24)


def test_strata_are_scored_apart_largest_first(shifted, reference) -> None:
    accuracy = compare(shifted, reference, strata="modality")
    assert [(s.name, s.images) for s in accuracy.strata] == [("common", 18), ("rare", 6)]
    ours, theirs = (scores.dice(e.counts)[:, 0] for e in (shifted, reference))
    assert accuracy.strata[1].dice == pytest.approx(ours[18:].mean())
    assert accuracy.strata[1].retained == pytest.approx(ours[18:].mean() / theirs[18:].mean())


def test_an_unknown_column_is_the_users_fault(reference) -> None:
    with pytest.raises(InputError, match=r"no column 'scanner' \(it has modality, patient\)"):
        compare(reference, reference, strata="scanner")


def test_different_images_are_not_compared(reference) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="different images"):
        compare(replace(reference, names=reference.names[::-1]), reference)


def test_maps_of_another_size_are_the_users_fault(images, task, reference) -> None:
    coarse = evaluate(lambda batch: batch[:, :, ::2, ::2], images, task)
    with pytest.raises(InputError, match=r"maps of shape \(1, 8, 8\), its reference \(1, 16, 16\); compare an engine"):
        compare(coarse, reference)


def test_reference_that_finds_nothing_retains_1_and_divides_by_nothing(images, task, reference) -> None:
    blind = evaluate(lambda batch: np.full_like(batch, -9), images, task)
    assert compare(reference, blind).dice.retained == 1.0
    assert compare(blind, reference).dice.retained == 0.0


def test_reference_scores_are_means_with_micro_named_apart(reference) -> None:
    table = reference_scores(reference)
    assert set(table) == {"dice", "iou", "recall", "precision", "micro_dice", "micro_iou"}
    assert table["dice"] == pytest.approx(scores.dice(reference.counts).mean())
    assert table["micro_dice"] == pytest.approx(
        2 * reference.counts.tp.sum() / (2 * reference.counts.tp + reference.counts.fp + reference.counts.fn).sum()
    )


def test_several_classes_are_named(images, identity) -> None:
    from edge.task.task import SegmentationTask

    task = SegmentationTask(size=(16, 16), channels="grey", classes=("ground", "disc"), activation="softmax")
    evaluation = evaluate(lambda b: np.concatenate([0.5 - b, b - 0.5], axis=1), images, task)
    (disc,) = compare(evaluation, evaluation).classes
    assert disc.name == "disc"
    assert disc.dice == disc.reference_dice > 0.9
