from pathlib import Path

import numpy as np
import pytest

from edge.latency import memory
from edge.latency.memory import peak_memory

MB = 1 << 20


def test_memory_that_is_freed_again_is_seen() -> None:
    with peak_memory() as peak:
        block = np.ones(200 * MB, np.uint8)
        del block
    assert 190 * MB < peak.added < 300 * MB


def test_an_earlier_peak_does_not_count() -> None:
    block = np.ones(200 * MB, np.uint8)
    del block
    with peak_memory() as peak:
        small = np.ones(5 * MB, np.uint8)
        del small
    assert peak.added < 100 * MB


def test_where_the_kernel_keeps_no_mark_it_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_SELF", tmp_path / "nowhere")
    with peak_memory() as peak:
        block = np.ones(100 * MB, np.uint8)
    assert not peak.exact
    assert peak.added > 90 * MB
    assert len(block) == 100 * MB
