"""The README inside a bundle: what each kind of device needs."""

from __future__ import annotations

import pytest

from edge.bundle.readme import readme
from edge.targets.target import find_target


@pytest.mark.parametrize(
    ("target", "needs", "jetson"),
    [("jetson-orin-nano-8gb", "JetPack", True), ("h100", "`tensorrt`", False), ("rtx-ada", "`tensorrt-rtx`", False)],
)
def test_it_says_what_this_kind_of_device_needs(target: str, needs: str, jetson: bool) -> None:
    table = {"data": {"images": 28}, "versions": {}, "candidates": [{"name": "fp16", "candidate": True}], "gate": {}}
    text = readme("tiny", find_target(target), table, "tiny.tar.gz", runtime=False)
    (line,) = (line for line in text.splitlines() if line.startswith("Needs "))
    assert needs in line
    assert [word in text for word in ("JetPack", "nvpmodel", "jetson_clocks")] == [jetson] * 3
