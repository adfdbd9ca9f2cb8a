import numpy as np
import pytest

from edge.accuracy.bootstrap import paired


def drop(images: int, mean: float, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    reference = np.random.default_rng(seed).uniform(0.5, 1.0, images)
    noise = np.random.default_rng(seed + 1).normal(0, spread, images)
    return reference + mean + noise - noise.mean(), reference


def test_interval_agrees_with_the_normal_theory_of_a_mean() -> None:
    engine, reference = drop(200, -0.01, 0.02)
    interval = paired(engine, reference)
    error = np.std(engine - reference) / np.sqrt(200)
    assert interval.difference == pytest.approx(-0.01, abs=1e-12)
    assert interval.ci95 == pytest.approx((-0.01 - 1.96 * error, -0.01 + 1.96 * error), abs=0.1 * error)
    assert interval.lower_bound == pytest.approx(-0.01 - 1.645 * error, abs=0.1 * error)
    assert interval.detectable == pytest.approx(2.486 * error, rel=0.03)
    assert interval.units == 200


def test_interval_is_paired_so_hard_images_do_not_widen_it() -> None:
    reference = np.linspace(0, 1, 50)
    interval = paired(reference - 0.01, reference)
    assert interval.ci95 == pytest.approx((-0.01, -0.01))
    assert interval.detectable == pytest.approx(0, abs=1e-9)


def test_same_input_same_interval() -> None:
    engine, reference = drop(30, 0.0, 0.05)
    assert paired(engine, reference) == paired(engine, reference)
    assert paired(engine, reference) != paired(engine, reference, seed=1)


def test_images_of_one_patient_are_resampled_together() -> None:
    # Five patients of 20 nearly equal images: 100 images, but only five independent ones.
    effect = np.repeat([-0.03, -0.02, -0.01, 0.01, 0.02], 20)
    groups = [f"patient{i // 20}" for i in range(100)]
    by_image, by_patient = paired(effect, np.zeros(100)), paired(effect, np.zeros(100), groups)
    assert by_patient.difference == by_image.difference
    assert by_patient.units == 5
    width = by_patient.ci95[1] - by_patient.ci95[0]
    assert width > 3.5 * (by_image.ci95[1] - by_image.ci95[0])  # sqrt(20) = 4.5 in theory


def test_unequal_groups_keep_the_mean_over_images() -> None:
    interval = paired(np.array([1.0, 1.0, 1.0, 0.0]), np.zeros(4), ["a", "a", "a", "b"])
    assert interval.difference == 0.75
    assert interval.ci95 == (0.0, 1.0)  # only a, or only b


def test_an_image_without_a_group_stands_for_itself() -> None:
    effect = np.array([0.01, -0.02, 0.03, 0.0, 0.02, -0.01])
    assert paired(effect, np.zeros(6), [""] * 6) == paired(effect, np.zeros(6))
    assert paired(effect, np.zeros(6), ["a", "a", "", "", "b", "b"]).units == 4
    # A patient who is called as an image is numbered is still a patient.
    assert paired(effect, np.zeros(6), ["2", "2", "", "", "", ""]).units == 5


def test_many_images_are_resampled_in_chunks_with_the_same_result(monkeypatch) -> None:
    engine, reference = drop(64, 0.0, 0.05)
    whole = paired(engine, reference)
    monkeypatch.setattr("edge.accuracy.bootstrap._CHUNK", 64 * 100)
    assert paired(engine, reference) == whole
