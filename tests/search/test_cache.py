"""What is measured is kept, under everything it depends on."""

from __future__ import annotations

from pathlib import Path

from edge.accuracy.gate import Criteria
from edge.images.image_set import load_image_set
from edge.search.cache import MeasurementCache, asked_of
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.known_bench import (
    RANGES,
    known_bench,
    search_on,
)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    keep = tmp_path / "search.json"
    first = search_on(known_bench(allowed=7.5), keep=keep)
    again = known_bench(allowed=7.5)
    second = search_on(again, keep=keep)
    assert again.calls == [] and second.evaluations == 0
    assert [p.plan for p in second.plans] == [p.plan for p in first.plans]
    other = MeasurementCache(keep, {"a": 2})
    assert not other.knows("profiles fp32 ")
    keep.write_text("not json")
    assert not MeasurementCache(keep, {"a": 1}).knows("profiles fp32 ")


def test_a_corrected_manifest_is_another_question(tmp_path: Path) -> None:
    root, model = write_discs(tmp_path / "discs", {"val": 3}), disc_network()

    def key() -> str:
        asked = asked_of(
            model, RANGES, load_image_set(root), Criteria(None, "modality"), find_target("cpu"), "openvino"
        )
        return MeasurementCache(None, asked).key

    before = key()
    assert key() == before
    manifest = root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("odd", "rare"))
    assert key() != before
