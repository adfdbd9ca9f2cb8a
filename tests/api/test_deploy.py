"""Deploying what is in memory: the run, its report and its progress."""

from __future__ import annotations

from pathlib import Path

import pytest

import edge
from edge.api.deploy import STAGES
from edge.api.progress import Event
from edge.api.run import Run
from edge.images.arrays import array_set
from tests.fixtures.discs import TASK, disc_network


def test_a_run_from_memory_is_whole(run: Run, arrays: list[tuple]) -> None:
    assert run.passed and run.engine is not None and (run.engine / "engine.json").is_file()
    part = run.report.data.evaluation
    assert (part.name, part.images) == ("in memory", 22)
    assert part.sha256 == array_set(arrays).split("test").sha256(), "arrays are hashed into the report"
    names = {path.stem for path in run.folder.rglob("*") if path.is_file()}
    assert not names & {name for *_, name in arrays}, "no image is copied to the run"
    assert run.report.command.startswith("edge deploy '<ModelProto>' --data '<list>' --precisions fp32,int8 --budget 2")
    assert all(row.image_to_mask_ms is None for row in run.report.engines), "no file was decoded, so none is timed"


def test_a_run_shows_itself(run: Run) -> None:
    chosen = run.report.chosen
    assert f"passed: {chosen}" in repr(run) and "Dice" in repr(run) and "(22 images)" in repr(run)
    html = run._repr_html_()
    assert html.count("<tr>") == 1 + len(run.report.engines) and f"{chosen} ◀" in html
    assert run.speedup is not None and run.speedup > 0


def test_progress_is_told_in_order_with_its_place(run: Run, events: list[Event]) -> None:
    begun = [event for event in events if event.kind == "stage" and event.number]
    numbers = [event.number for event in begun]
    assert numbers == sorted(set(numbers)) and {event.of for event in begun} == {len(STAGES)}
    assert set(run.report.timings) <= {*STAGES, "sweep", "tie"}
    steps = [event for event in events if event.kind == "step" and event.stage == "reference"]
    assert [event.done for event in steps] == list(range(1, 23)) and steps[-1].left == 0.0
    assert all(event.left is not None and event.left >= 0 for event in steps)


def test_a_wrong_argument_is_named(place: Path, arrays: list[tuple]) -> None:
    model = disc_network()
    with pytest.raises(edge.InputError, match="data: is a int"):
        edge.deploy(model, 3)  # type: ignore[arg-type]
    with pytest.raises(edge.InputError, match="out: is a bool"):
        edge.deploy(model, arrays, out=True)  # type: ignore[arg-type]
    with pytest.raises(edge.InputError, match="precisions: names nothing"):
        edge.deploy(model, arrays, precisions=[])
    with pytest.raises(edge.InputError, match="target toaster: unknown"):
        edge.deploy(model, arrays, target="toaster")
    with pytest.raises(edge.InputError, match="task: unknown task key 'colour'"):
        edge.deploy(model, arrays, task={"size": [32, 32], "colour": "rgb"})
    with pytest.raises(edge.InputError, match="model: is a list"):
        edge.deploy([], arrays)  # type: ignore[arg-type]


def test_what_a_listener_raises_ends_the_work(place: Path, arrays: list[tuple]) -> None:
    class Enough(Exception):
        pass

    def stop(event: Event) -> None:
        if event.stage == "reference":
            raise Enough

    with pytest.raises(Enough):
        edge.deploy(disc_network(), arrays, task=TASK, out=place / "stopped", progress=stop)
    assert not (place / "stopped").exists()
