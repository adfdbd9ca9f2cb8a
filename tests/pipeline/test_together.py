"""Deployments at the same time: one that was stopped while it waited for its turn does nothing more."""

from __future__ import annotations

import threading

import pytest

from edge.pipeline.progress import NullProgress
from edge.pipeline.together import Together


def test_a_deployment_stopped_while_it_waits_does_not_begin() -> None:
    together = Together(NullProgress())
    first, second = together.board("a"), together.board("b")
    first.stage("load")
    ended: list[str] = []

    def wait() -> None:
        try:
            second.stage("load")
        except KeyboardInterrupt:
            ended.append("stopped")
        finally:
            second.close()

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    together.stop()
    first.close()
    thread.join(120.0)
    assert ended == ["stopped"]
    with pytest.raises(KeyboardInterrupt):
        first.advance()
    assert together.turn.acquire(blocking=False)  # nobody holds it
