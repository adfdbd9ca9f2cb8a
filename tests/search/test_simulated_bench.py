"""The bench of a device that is not here, and a search on it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from edge.accuracy.gate import Criteria, load_gate
from edge.graph.model import Model
from edge.images.image_set import ImageSet, load_image_set
from edge.quantization.calibrate import calibrate
from edge.quantization.ranges import Ranges
from edge.search.candidates import SearchRequest, search
from edge.search.deadline import Deadline
from edge.search.open_bench import open_bench
from edge.search.result import SearchResult
from edge.search.simulated_bench import plan_peaks
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, loud_disc_network, write_discs

ORIN = find_target("jetson-orin-nano-8gb")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return load_image_set(write_discs(tmp_path_factory.mktemp("simulated") / "discs", {"train": 4, "val": 6}))


def _ranges(model: Model, data: ImageSet) -> Ranges:
    inputs = (model.task.preprocess(sample.pixels())[None] for sample in data.split("train"))
    return calibrate(model, inputs, method="min-max")


def _search(model: Model, data: ImageSet, keep: Path | None = None) -> SearchResult:
    wanted = SearchRequest(data.split("val"), Criteria(load_gate("99.9")), Deadline.after(300.0), keep=keep)
    return search(open_bench(ORIN), ORIN, model, _ranges(model, data), ["fp16"], wanted)


def test_one_layer_that_int8_ruins_is_found_and_left_float(data: ImageSet) -> None:
    found = _search(loud_disc_network(), data)
    plan = found.plans[0]
    assert (plan.name, plan.rest) == ("mixed-fp16", "fp16")
    assert plan.plan.int8 == {"head/Conv"}
    assert plan.judged.passed and not plan.judged.reasons
    assert found.harms["second/Conv",].noise > 100 * found.harms["head/Conv",].noise
    assert "% agreement" in plan.plan.reasons["second/Conv"]
    assert "fewer than 4 input channels" in plan.plan.reasons["first/Conv"]


def test_nothing_that_it_says_passes_for_a_measurement(data: ImageSet) -> None:
    found = _search(loud_disc_network(), data)
    text = " ".join([open_bench(ORIN).basis(), *found.log, *found.plans[0].plan.reasons.values()])
    assert "estimate" in text and " ms" not in text and "here" not in text


def test_int8_everywhere_is_proposed_where_it_is_good_enough(data: ImageSet) -> None:
    found = _search(disc_network(), data)
    assert found.plans[0].name == "int8-fp16" and found.plans[0].plan.int8 == {"second/Conv", "head/Conv"}


def test_it_goes_on_where_it_stopped(data: ImageSet, tmp_path: Path) -> None:
    first = _search(loud_disc_network(), data, tmp_path / "search.json")
    again = _search(loud_disc_network(), data, tmp_path / "search.json")
    assert first.evaluations > 0 and again.evaluations == 0
    assert [p.plan for p in again.plans] == [p.plan for p in first.plans]


def test_a_table_with_one_rate_only_does_not_favour_the_other() -> None:
    full = plan_peaks(ORIN, "fp16")
    assert full.operations["int8"] == 2 * full.operations["fp16"] and full.bytes_per_second == 68e9
    one_rate = {name: fact for name, fact in ORIN.facts.items() if name != "fp16_tflops_dense"}
    moved = plan_peaks(replace(ORIN, facts=one_rate), "fp16")
    assert moved.operations == {} and math.isfinite(moved.bytes_per_second) and "move data" in moved.source
    counted = plan_peaks(find_target("rtx-ada"), "fp16")
    assert counted.operations == {"int8": 2e12, "fp16": 1e12} and "no memory rate" in counted.source
