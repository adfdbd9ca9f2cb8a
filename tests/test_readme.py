"""README.md is short, and what it names is there: commands, make targets, files, the screenshot."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from tests.fixtures.documents import broken_links, commands, refusal

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_is_short_and_leads_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    assert broken_links(README) == []
    assert text.index("report.png") < text.index("## "), "the picture comes before the first heading"


def test_its_commands_exist() -> None:
    text = README.read_text(encoding="utf-8")
    found = list(commands(text))
    assert {words[1] for words in found} >= {"deploy", "segment", "bundle"}
    assert {" ".join(words): refusal(words) for words in found if refusal(words)} == {}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^    make ([a-z-]+)", text, re.MULTILINE)) | set(re.findall(r"`make ([a-z-]+)`", text))
    assert named and named <= targets


def test_the_screenshot_is_small_and_sharp() -> None:
    picture = ROOT / "docs" / "images" / "report.png"
    assert picture.stat().st_size < 300_000
    with Image.open(picture) as opened:
        assert opened.width >= 1000


def test_a_wrong_command_is_found() -> None:
    assert list(commands("text\n\n    edge deploy a.onnx --data x # said so\n    not edge")) == [
        ["edge", "deploy", "a.onnx", "--data", "x"]
    ]
    assert list(commands("```\nedge check RUN \\\n  --data SET\n```")) == [["edge", "check", "RUN", "--data", "SET"]]
    assert "deploi" in (refusal(["edge", "deploi", "x"]) or "")
    assert "--dta" in (refusal(["edge", "deploy", "x", "--data", "y", "--dta", "z"]) or "")
    assert "data" in (refusal(["edge", "deploy", "x"]) or "")
