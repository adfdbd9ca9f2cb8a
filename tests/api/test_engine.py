"""A loaded engine: masks and probabilities at the image's own size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge
from edge.api.run import Run
from tests.fixtures.discs import TASK, disc_network


@pytest.mark.slow
def test_masks_are_those_of_the_command(run: Run, place: Path, arrays: list[tuple]) -> None:
    image = np.asarray(Image.fromarray(arrays[-1][0]).resize((75, 51)))
    Image.fromarray(image).save(place / "odd.png")
    (written,) = edge.segment(run, place / "odd.png", place / "masks")
    with edge.load_engine(run.folder) as engine:
        mask, probabilities = engine.segment(image), engine.probabilities(image)
        assert engine.folder == run.engine and engine.name == run.report.chosen and engine.task == TASK
        assert "32x32" in repr(engine)
    np.testing.assert_array_equal(np.asarray(Image.open(written)), mask * 255)
    assert mask.shape == (51, 75) and set(np.unique(mask)) == {0, 1}
    assert probabilities.shape == (1, 51, 75) and probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities[0] >= 0.5, mask.astype(bool))


def test_an_array_that_is_no_image_is_refused(run: Run) -> None:
    with edge.load_engine(run) as engine, pytest.raises(edge.InputError, match=r"image: is \[32\] uint8"):
        engine.segment(np.zeros(32, np.uint8))


def test_a_closed_engine_says_so(run: Run, arrays: list[tuple]) -> None:
    with edge.load_engine(run) as engine:
        engine.segment(arrays[0][0])
    with pytest.raises(edge.InputError, match=r"was closed; load it again with edge\.load_engine"):
        engine.segment(arrays[0][0])


def test_arrays_are_sent_to_the_loaded_engine(run: Run, arrays: list[tuple], tmp_path: Path) -> None:
    with pytest.raises(edge.InputError, match=r"is an array; give files here, or the array to edge\.load_engine"):
        edge.segment(run, arrays[0][0], tmp_path / "masks")


def test_an_unknown_precision_is_named_by_the_option_that_was_given(arrays: list[tuple], tmp_path: Path) -> None:
    with pytest.raises(edge.InputError, match=r"^--precision fp8: unknown; known precisions are fp32, bf16"):
        edge.build(disc_network(), arrays, "cpu", "fp8", tmp_path / "engine")


def test_a_run_without_a_choice_names_its_engines(run: Run, place: Path) -> None:
    import json
    import shutil

    shutil.copytree(run.folder, place / "unchosen")
    report = json.loads((place / "unchosen" / "report.json").read_text())
    report.update(chosen=None, status="failed")
    (place / "unchosen" / "report.json").write_text(json.dumps(report))
    with pytest.raises(edge.InputError, match=r"the run chose no engine; name one of its engines: .*unchosen/engines/"):
        edge.load_engine(place / "unchosen")


def test_timing_takes_the_run_s_choice(run: Run) -> None:
    assert run.engine is not None
    found = edge.profile(run, seconds=0.05, threads=1)
    assert list(found.latencies) == [str(run.engine)]
