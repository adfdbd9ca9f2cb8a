"""Scores and verdicts on the device equal the workstation's: same keys, same numbers, same sentences."""

import numpy as np
import pytest

from edge.accuracy import gate as host_gate
from edge.accuracy.compare import compare as host_compare
from edge.accuracy.compare import reference_scores as host_reference_scores
from edge.accuracy.counts import count, stack
from edge.accuracy.evaluate import Evaluation
from edge.device import gate, scores
from edge.device.task import read_task
from edge.errors import InputError
from edge.report.codec import encode
from edge.task.task import SegmentationTask

TASKS = {
    "binary": SegmentationTask(size=(16, 16)),
    "three": SegmentationTask(size=(16, 16), classes=("background", "a", "b"), activation="softmax"),
}


def _images(task, seed, count_=24):
    generator = np.random.default_rng(seed)
    truth = [generator.integers(0, max(2, task.maps), (20 + i, 31), np.uint8) for i in range(count_)]
    truth[0][:] = 0
    reference = generator.normal(size=(count_, task.maps, 16, 16)).astype(np.float32) * 4
    reference[1] = -9.0  # an empty mask
    engine = reference + generator.normal(size=reference.shape).astype(np.float32) * 0.4
    return truth, reference, engine.astype(np.float32)


def _evaluation(task, outputs, truth, columns):
    labels = tuple(task.labels(o, t.shape) for o, t in zip(outputs, truth, strict=True))
    counts = stack(count(a, t, task) for a, t in zip(labels, truth, strict=True))
    names = tuple(f"i{index}" for index in range(len(truth)))
    return Evaluation(task, names, counts, outputs, labels, tuple(truth), columns)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("grouped", [False, True])
def test_accuracy_equals_the_workstation(kind, grouped):
    task = TASKS[kind]
    truth, reference, engine = _images(task, 3)
    modality = tuple("ct" if i % 3 else "mr" for i in range(len(truth)))
    patient = tuple(f"p{i // 2}" for i in range(len(truth)))
    columns = {"modality": modality, **({"patient": patient} if grouped else {})}
    host = host_compare(
        _evaluation(task, engine, truth, columns), _evaluation(task, reference, truth, columns), 44.5, "modality"
    )
    device_task = read_task(task.to_table())
    seen = [scores.see(outputs, truth, device_task) for outputs in (engine, reference)]
    names = [f"i{index}" for index in range(len(truth))]
    table = scores.compare(
        *seen, device_task, names, 44.5, ("modality", modality), ("patient", patient) if grouped else None
    )
    expected = encode(host)
    del expected["hd95"]  # distances need scipy, which devices do not have
    assert table == expected
    assert scores.reference_scores(seen[1]) == host_reference_scores(_evaluation(task, reference, truth, {}))

    for preset in ("99", "99.9", "mlperf-3dunet"):
        bars = host_gate.load_gate(preset)
        assert gate.judge(encode(bars), table, "int8", "fp16") == encode(host_gate.judge(bars, host, "int8", "fp16"))
    assert gate.judge(None, table, "int8", "fp32") == encode(host_gate.judge(None, host, "int8", "fp32"))


def test_one_patient_and_strata_that_are_not_there_fail():
    task = TASKS["binary"]
    truth, reference, _ = _images(task, 3)
    columns, device_task = {"patient": ("p",) * len(truth)}, read_task(task.to_table())
    host = host_compare(*(_evaluation(task, reference, truth, columns) for _ in range(2)), 44.5)
    seen = scores.see(reference, truth, device_task)
    names = [f"i{index}" for index in range(len(truth))]
    table = scores.compare(seen, seen, device_task, names, 44.5, None, ("patient", columns["patient"]))
    bars = host_gate.load_gate("99.9")
    verdict = gate.judge(encode(bars), table, "int8", "fp32")
    assert verdict == encode(host_gate.judge(bars, host, "int8", "fp32"))
    assert [reason[:35] for reason in verdict["reasons"]] == ["all 24 images are of one patient, s"]
    strict = {"name": "mine.toml", "strata_retained": 0.99}
    assert "asks for strata" in gate.judge(strict, table, "int8", "fp32")["reasons"][0]


def test_bad_engines_fail_with_the_same_sentences():
    task = TASKS["binary"]
    truth, reference, engine = _images(task, 5)
    engine[4] = np.nan
    device_task = read_task(task.to_table())
    seen = [scores.see(outputs, truth, device_task) for outputs in (engine, reference)]
    host = host_compare(_evaluation(task, engine, truth, {}), _evaluation(task, reference, truth, {}), 12.0)
    table = scores.compare(*seen, device_task, [f"i{i}" for i in range(24)], 12.0)
    bars = host_gate.load_gate("99.9")
    verdict = gate.judge(encode(bars), table, "int8", "fp32")
    assert verdict == encode(host_gate.judge(bars, host, "int8", "fp32"))
    assert not verdict["passed"] and "NaN" in verdict["reasons"][0] and "parity 12.0 dB" in verdict["reasons"][1]


def test_parity_bars_and_least_images_are_the_same():
    assert dict(gate.PARITY_DB) == dict(host_gate.PARITY_DB)
    with pytest.raises(InputError, match="19 images are too few"):
        gate.require_enough({"name": "99.9"}, 19)
    gate.require_enough({"name": "99.9"}, 19, allow_small=True)
    gate.require_enough(None, 1)
