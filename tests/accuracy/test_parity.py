"""Parity on real engines' stand-in: a runner that adds known noise to its own graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.accuracy.check import Standard, check, judged_reference
from edge.accuracy.gate import Criteria, load_gate
from edge.accuracy.parity import measure_parity
from edge.backends.onnxruntime import OnnxRuntimeRunner, reference
from edge.errors import InputError
from edge.images.image_set import load_image_set
from tests.fixtures.discs import disc_network, write_discs


class Noisy(OnnxRuntimeRunner):
    """The exact runner with noise on its outputs."""

    def __init__(self, share: float) -> None:
        self.exact, self.share = reference(disc_network()), share

    def run(self, batch: np.ndarray) -> np.ndarray:
        exact = self.exact.run(batch)
        noise = np.random.default_rng(0).normal(size=exact.shape)
        return (exact + self.share * np.sqrt(np.square(exact).mean()) * noise).astype(np.float32)


def test_what_explains_a_miss_is_measured_only_where_there_is_one(tmp_path: Path) -> None:
    images = load_image_set(write_discs(tmp_path, {"train": 1, "val": 1, "test": 4})).split("test")
    graph = disc_network()
    source = {s.name: 1.1 * reference(graph).run(graph.task.preprocess(s.pixels())[None])[0] for s in images}
    clean = measure_parity(Noisy(0.001), graph, images, 30.0, source)
    assert (
        clean.engine_db == pytest.approx(60.0, abs=0.5) and clean.graph_db is clean.second_db is clean.source_db is None
    )
    noisy = measure_parity(Noisy(0.1), graph, images, 30.0, source)
    assert noisy.engine_db == pytest.approx(20.0, abs=0.5)
    assert noisy.graph_db == pytest.approx(20.8, abs=0.1)  # 0.1 of 1.1
    assert noisy.source_db == pytest.approx(17.8, abs=0.3)  # both: 0.02 of 1.21 in power
    assert noisy.second_db is not None and noisy.second_db > 100.0


def test_a_check_runs_an_engine_once_an_image_and_finds_the_parity_of_a_second_run(tmp_path: Path) -> None:
    class Counted(Noisy):
        runs = 0

        def run(self, batch: np.ndarray) -> np.ndarray:
            self.runs += 1
            return super().run(batch)

    images = load_image_set(write_discs(tmp_path, {"train": 1, "val": 1, "test": 24})).split("test")
    graph, criteria = disc_network(), Criteria(load_gate("99.9"))
    standard = Standard(images, judged_reference(graph, images, criteria), criteria)
    engine = Counted(0.01)
    checked = check(engine, graph.task, graph, "int8", "fp32", standard)
    assert engine.runs == len(images)
    assert not checked.evaluation.kept  # nothing of it stays in memory
    assert checked.accuracy.parity_db == measure_parity(Noisy(0.01), graph, images, 0.0).engine_db


class Wider(Noisy):
    """The exact runner, eight columns wider."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.pad(self.exact.run(batch), ((0, 0), (0, 0), (0, 0), (0, 8)))


def test_an_engine_of_another_shape_is_told(tmp_path: Path) -> None:
    images = load_image_set(write_discs(tmp_path, {"train": 1, "val": 1, "test": 4})).split("test")
    with pytest.raises(InputError, match="returns 1 x 32 x 40 where its graph says 1 x 32 x 32"):
        measure_parity(Wider(0.0), disc_network(), images, 30.0)
