"""A search on real engines."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.accuracy.gate import Criteria, load_gate
from edge.graph.model import Model
from edge.images.image_set import load_image_set
from edge.quantization.calibrate import calibrate
from edge.quantization.plan import INT8
from edge.search.candidates import SearchRequest, search
from edge.search.deadline import Deadline
from edge.search.open_bench import open_bench
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs


@pytest.mark.slow
def test_a_real_search_on_real_engines(tmp_path: Path) -> None:
    model: Model = disc_network()
    data = load_image_set(write_discs(tmp_path / "discs", {"train": 4, "val": 4}))
    inputs = [model.task.preprocess(sample.pixels())[None] for sample in data.split("train")]
    ranges = calibrate(model, inputs)
    gate = load_gate("99")
    said: list[str] = []
    wanted = SearchRequest(
        data.split("val"),
        Criteria(gate),
        deadline=Deadline.after(3600),
        progress=lambda what, left: said.append(what),
        keep=tmp_path / "search.json",
        bias_images=lambda: inputs,
    )
    cpu = find_target("cpu")
    with closing(open_bench(cpu)) as bench:
        rests = [name for name in ("fp32", "bf16") if bench.refusal(name) is None]  # not every CPU has BF16
        found = search(bench, cpu, model, ranges, rests, wanted)
    assert found.gains["fp32"] and said and found.log
    for plan in found.plans:
        assert plan.judged.passed and plan.ms < found.float_ms[plan.rest]
        assert set(plan.plan.reasons) == {n for n, p in plan.plan.nodes.items() if p != INT8}
    assert (tmp_path / "search.json").is_file()
    assert replace(found, plans=()).evaluations == found.evaluations
