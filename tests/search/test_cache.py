"""What is measured is kept, under everything it depends on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.accuracy.gate import Criteria
from edge.images.image_set import load_image_set
from edge.search.cache import MeasurementCache, asked_of, shared_measurements
from edge.search.user_cache import keep_json
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs
from tests.fixtures.known_bench import (
    known_bench,
    learned_ranges,
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
            model, learned_ranges(), load_image_set(root), Criteria(None, "modality"), find_target("cpu"), "openvino"
        )
        return MeasurementCache(None, asked).key

    before = key()
    assert key() == before
    manifest = root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("odd", "rare"))
    assert key() != before


def test_other_runs_find_what_was_measured_undisturbed(tmp_path: Path) -> None:
    shared = tmp_path / "cache"
    first = MeasurementCache(tmp_path / "search.json", {"a": 1}, shared)
    first.learn("calm", [1.0])
    first.learn("loaded", [2.0], quiet=False)
    other = MeasurementCache(None, {"a": 1}, shared)
    assert other.recall("calm", lambda: None) == [1.0] and not other.knows("loaded")
    assert MeasurementCache(tmp_path / "search.json", {"a": 1}).knows("loaded")  # the run's own, where it goes on
    assert not MeasurementCache(None, {"a": 2}, shared).knows("calm")


@pytest.mark.parametrize(
    "harm", [lambda text: text[:-9], lambda text: text.replace("1.0", "9.0"), lambda _: "[" * 9000]
)
def test_a_damaged_entry_is_measured_anew(harm: Callable[[str], str], tmp_path: Path) -> None:
    MeasurementCache(None, {"a": 1}, tmp_path).learn("ms", [1.0])
    (entry,) = tmp_path.iterdir()
    entry.write_text(harm(entry.read_text()))
    again = MeasurementCache(None, {"a": 1}, tmp_path)
    assert again.recall("ms", lambda: [3.0]) == [3.0]
    assert MeasurementCache(None, {"a": 1}, tmp_path).recall("ms", lambda: None) == [3.0]


def test_a_folder_that_cannot_be_written_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = MeasurementCache(None, {"a": 1}, tmp_path / "file" / "cache")
    cache.learn("ms", [1.0])
    assert cache.recall("ms", lambda: None) == [1.0]


def test_the_cache_lies_where_the_system_keeps_caches_and_forgets_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("edge.search.user_cache.MOST_FILES", 2)
    folder = shared_measurements()
    assert folder == tmp_path / "segedge" / "measurements"
    for age, name in ((30, "old.json"), (20, "middle.json"), (10, "new.json")):
        keep_json(folder, name, {})
        if (folder / name).exists():
            os.utime(folder / name, (1e9 - age, 1e9 - age))
    keep_json(folder, "newest.json", {})
    assert sorted(path.name for path in folder.glob("*.json")) == ["new.json", "newest.json"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the standard says to ignore
    assert shared_measurements() == Path.home() / ".cache" / "segedge" / "measurements"
