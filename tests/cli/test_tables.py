"""Tables on the terminal."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.fixtures.streams import Tty

sys.path.insert(0, str(Path(__file__).parent / "report"))
from edge.cli import tables
from edge.targets.target import targets
from tests.fixtures.report_example import example


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in tables.engines_text(example().report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", tables.engines_text(example().report))


def test_the_table_names_every_precision_and_whether_it_passes():
    text = tables.engines_text(example().report)
    assert "\x1b" not in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    for row in example().report.engines:
        assert row.name in lines
    assert lines["mixed"].split()[1] == "◀"
    assert re.search(r"int8 +\d\.\d\d \?.*fails", text)


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_the_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    text = re.sub(r"\x1b\[[0-9;]*m", "", tables.engines_text(example().report))
    assert max(map(len, text.splitlines())) <= columns
    header = text.splitlines()[0]
    assert "Dice" in header and "gate" in header


def test_targets_latencies_and_layers():
    lacking = {name: None if name == "cpu" else "no GPU" for name in targets()}
    text = tables.targets_text(targets().values(), lacking)
    assert "this machine" in text and "rtx-ampere" in text and text.endswith(": no GPU")
    rows = {row.name: row.latency_ms for row in example().report.engines if row.latency_ms}
    text = tables.latency_text(rows)
    assert "int8: CoV" in text and "1\u202f500" in text
    layers = tables.layers_text(example().report.engine("mixed").layers, most=5)
    assert len(layers.splitlines()) == 7
    assert "| 0.5" not in tables.scores_text({"dice": 0.5, "iou": 1 / 3})
    assert tables.scores_text({"dice": 0.5, "iou": 1 / 3}).split()[-2:] == ["0.5000", "0.3333"]


def test_a_check_shows_pooled_scores_outline_distances_and_strata():
    row = example().report.engine("int8")
    assert row.accuracy is not None and row.accuracy.hd95 is not None
    text = tables.accuracy_text([("int8", row.accuracy, row.gate)])
    line = next(line for line in text.splitlines() if f"{row.accuracy.dice.micro:.4f}" in line)
    assert line.split()[:4] == [
        "int8", f"{row.accuracy.dice.micro:.4f}", f"{row.accuracy.iou.micro:.4f}", f"{row.accuracy.hd95.mean:.2f}",
    ]  # fmt: skip
    assert "Intervals are drawn over 24 images" in text
    assert re.search(r"fluorescence +16 .* yes", text) and re.search(r"histology +8 .* no, under 10 images", text)
