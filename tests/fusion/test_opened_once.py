"""Fusing opens a graph once, and again only where a rewrite was refused: most steps find nothing."""

from __future__ import annotations

import pytest

from edge.fusion import driver
from edge.fusion.registry import REWRITES
from edge.graph.editor import Editor
from tests.fixtures.small_unet import images, small_unet


def test_a_graph_is_opened_once_however_many_rewrites_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    swept, sweep = list[int](), Editor.sweep_up

    def counted(self: Editor) -> None:
        swept.append(1)
        sweep(self)

    model = small_unet()
    monkeypatch.setattr(Editor, "sweep_up", counted)
    fused = driver.fuse(model, tuple(REWRITES), images(1))
    applied = sum(one.times for one in fused.applied)
    assert not fused.refused and len(swept) <= 1 + applied < len(REWRITES)
    assert fused.model.sha256 == driver.rewritten(model, tuple(REWRITES))[0].sha256
