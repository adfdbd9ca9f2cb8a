"""Rows 15 to 19 (low) of the nineteen kinds of fault that an attack found: tests that fail without the mend.

``mutations.toml`` takes each mend out.
In depth the kinds are tried in ``tests/fuzz``, ``tests/runtime`` and ``tests/latency``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import InputError
from tests.fixtures.command import edge as run_edge
from tests.fixtures.command import read_by_nobody
from tests.fixtures.report_example import example
from tests.fixtures.runtime_kit import ROOT, build, infer

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def _without_pixels(png: bytes) -> bytes:
    """A PNG whose compressed pixels have no length."""
    start, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    return png[:start] + b"\0\0\0\0IDAT\x35\xaf\x06\x1e" + png[end:]


def test_row_15_odd_documents_names_and_commands_are_sentences(tmp_path: Path) -> None:
    from edge.bundle.source import Run
    from edge.files import parse_toml
    from edge.report.html import render
    from edge.safety.guard import parse_json
    from edge.task.load import load_task

    for name in ("task--deep.toml", "task--digits.toml"):
        with pytest.raises(InputError):
            load_task(CORPUS / name)
    for text in ("[" * 100_000, "1" * 5_000):
        with pytest.raises(InputError):
            parse_json(text, "plan.json")
    for text, said in (("[" * 200 + "]" * 200, "65 deep"), ("9" * 400, "400 digits")):  # which parsers take
        with pytest.raises(InputError, match=said):
            parse_json(text, "plan.json")
        with pytest.raises(InputError, match=said):
            parse_toml(f"x = {text}", "task.toml")
    first, *others = example().report.engines
    odd = replace(example().report, engines=(replace(first, name=r"$\frac$"), *others))  # plots name engines
    assert r"$\frac$" in render(odd)
    run = Run(tmp_path, replace(example().report, command="edge deploy 'x"), None, ())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="its command"):
        run.option("--data")


@pytest.mark.slow
def test_row_16_a_narrow_or_closed_stdout_is_no_bug() -> None:
    line = f"{sys.executable} -m edge.cli.app targets"
    for shell in (f"PYTHONIOENCODING=ascii {line} | cat", f"{line} >&-"):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    for words in (["targets", "--json"], ["--help"]):  # as `| head -1` leaves them, if it is fast
        assert read_by_nobody(words) == (0, b"")


@pytest.mark.slow
def test_row_17_the_runtime_refuses_as_python_does(tool: Path, engine: Path, picture: Path) -> None:
    out, bad = picture.parent / "out", picture.parent / "b.png"
    done = infer(tool, engine, picture.parent, "--out", out)
    assert done.returncode == 2 and "is a folder; give a plain file" in done.stderr
    bad.write_bytes(_without_pixels(picture.read_bytes()))
    done = infer(tool, engine, picture, bad, "--out", out)
    assert done.returncode == 2 and "b.png: does not decode" in done.stderr
    assert not list(out.glob("*")), "no mask of the image before"


@pytest.mark.slow
def test_row_17_the_sanitizers_find_nothing_with_openvino_loaded(engine: Path, picture: Path) -> None:
    sanitized = build(ROOT / "build" / "runtime-sanitized", "-DSEGEDGE_SANITIZE=ON") / "segedge-run"
    out, bad = picture.parent / "out", picture.parent / "b.png"
    done = infer(sanitized, engine, picture, "--out", out, ASAN_OPTIONS="detect_leaks=0")  # as its README has it
    assert (done.returncode, (out / "a.png").is_file()) == (0, True), done.stderr
    bad.write_bytes(_without_pixels(picture.read_bytes()))
    done = infer(sanitized, engine, bad, "--out", out, ASAN_OPTIONS="detect_leaks=0")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_row_18_a_set_stays_inside_its_folder(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "set").mkdir()
    for name in ("../a.png", str(tmp_path / "a.png")):
        (tmp_path / "set" / "manifest.csv").write_text(f"image,mask,split\n{name},,test\n")
        done = run_edge("inspect", tmp_path / "set")
        assert done.returncode == 2 and "leads out of the folder; keep the files of a set inside it" in done.stderr


def test_row_18_links_of_a_report_lead_to_files_and_nowhere_else(tmp_path: Path) -> None:
    from html.parser import HTMLParser
    from urllib.parse import unquote

    name = "javascript:alert(1)#a?b%41"
    run = tmp_path / name
    run.mkdir()
    (run / "report.json").write_text(json.dumps(example().report.to_json()))
    (run / "report.html").write_text("its own")
    done = run_edge("report", name, "--out", "all.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            links.extend(value for key, value in attributes if key == "href" and value)

    Links().feed((tmp_path / "all.html").read_text())
    own = [link.partition("#latency")[0] for link in links if "javascript" in link]
    assert own and all(link.startswith("./") and not set("#?") & set(link) for link in own)
    assert {(tmp_path / unquote(link)).read_text() for link in own} == {"its own"}


def test_row_18_text_of_others_stays_text(tmp_path: Path) -> None:
    name = "<img src=x>![x](http://example.org/x.png)"
    (tmp_path / "run").mkdir()
    report = replace(example().report, model=replace(example().report.model, name=name))
    (tmp_path / "run" / "report.json").write_text(json.dumps(report.to_json()))
    done = run_edge("report", "run", "--out", "all.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "all.md").read_text()
    assert "<img" not in text.replace(r"\<img", "") and "![x](" not in text
    done = run_edge("segment", tmp_path / "e\x1b[2J", "a.png", "--out", tmp_path)
    assert done.returncode == 2 and "\x1b" not in done.stderr and r"e\x1b[2J" in done.stderr


def test_row_19_a_tie_is_called_a_tie_and_broken_by_a_stated_rule() -> None:
    from edge.latency.winner import Contender, standing

    def contender(name: str, ms: float, retained: float) -> Contender:
        blocks = [np.array([ms * (1.0 + 0.001 * ((turn + len(name)) % 3))]) for turn in range(12)]
        return Contender(name, blocks, retained, 1.0, 100)

    both = [contender("int8", 1.0, 0.999), contender("int8-bf16", 1.002, 1.0)]
    found = standing(both)
    assert set(found.tied) == {"int8", "int8-bf16"} and found.winner == "int8-bf16" and found.sentence()
    assert standing(both[::-1]) == found


def test_row_19_more_rounds_are_taken_while_they_can_decide() -> None:
    from edge.latency.winner import Contender, settled

    def contender(name: str, ratios: list[float]) -> Contender:
        return Contender(name, [np.array([ratio]) for ratio in ratios], 1.0, 1.0, 100)

    asked: list[tuple[str, ...]] = []

    def again(names: Sequence[str]) -> dict[str, list[np.ndarray]]:
        asked.append(tuple(names))
        return {"a": [np.array([1.05])] * 60, "b": [np.array([1.0])] * 60}

    scatters = [1.2, 0.9, 1.15, 0.95, 1.2, 0.9, 1.1, 1.0]
    found = settled([contender("a", scatters), contender("b", [1.0] * 8)], again)
    assert (found.winner, [set(names) for names in asked]) == ("b", [{"a", "b"}])  # a tie would go to a, by its name
