"""Checking engines and models through the API."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge
from edge.api.run import Run
from edge.backends.engine import Engine
from tests.fixtures.discs import disc_network, loud_disc_network


def test_a_run_an_engine_and_a_folder_are_the_same_subject(run: Run, arrays: list[tuple], place: Path) -> None:
    assert run.engine is not None
    with edge.load_engine(run) as engine:
        found = edge.check([run, engine, run.engine], arrays, reference=place / "discs.onnx")
    assert found.passed and len({row.engine for row in found.engines}) == 1
    chosen = run.report.engine(run.report.chosen or "")
    assert chosen.accuracy is not None
    assert {row.accuracy.dice.mean for row in found.engines} == {chosen.accuracy.dice.mean}
    assert "passes" in repr(found) and "<table>" in found._repr_html_()


def test_a_model_alone_is_scored(run: Run, arrays: list[tuple]) -> None:
    found = edge.check(disc_network(), arrays)
    assert found.scores is not None and found.scores["dice"] == pytest.approx(run.report.reference.dice)
    assert found.passed and not found.engines and "Dice" in repr(found)


@pytest.fixture(scope="module")
def built(place: Path) -> Engine:
    return edge.build(loud_disc_network(), place / "discs", "cpu", "int8", out=place / "loud-int8")


def test_every_engine_has_to_pass(run: Run, arrays: list[tuple], built: Engine) -> None:
    found = edge.check([run, built], arrays, reference=disc_network(), gate="99.9")
    assert [row.gate.passed for row in found.engines] == [True, False] and not found.passed


def test_a_baseline_is_held_against_every_engine(run: Run, arrays: list[tuple], built: Engine) -> None:
    same = edge.check(run, arrays, baseline=run.folder)
    assert same.passed and len(same.engines) == 1, "its source.onnx is the reference where none is named"
    worse = edge.check(built, arrays, reference=loud_disc_network(), gate="none", baseline=run.folder)
    (row,) = worse.engines
    assert not worse.passed and any("of the" in r and "scores; 99.9 % is asked" in r for r in row.gate.reasons)
    kept = {c.criterion: c.value for c in row.gate.checks}["Dice of the baseline retained"]
    chosen = run.report.engine(run.report.chosen or "")
    assert chosen.accuracy is not None
    np.testing.assert_allclose(kept, row.accuracy.dice.mean / chosen.accuracy.dice.mean)


def test_several_models_are_refused(arrays: list[tuple]) -> None:
    with pytest.raises(edge.InputError, match="several subjects without --reference"):
        edge.check([disc_network(), disc_network()], arrays)


def test_a_run_without_a_reference_is_told_what_to_add(run: Run, arrays: list[tuple]) -> None:
    with pytest.raises(edge.InputError, match="is a run; add --reference MODEL"):
        edge.check(run.folder, arrays)
