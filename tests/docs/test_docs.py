"""The documentation: its commands parse, its links lead somewhere, its reference is the code's, and it builds."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edge.accuracy.gate import load_gate
from edge.task.load import load_task
from tests.fixtures.documents import broken_links, commands, indented_blocks, refusal

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "models/README.md", "export/README.md")]


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse_and_links_lead_somewhere(page: Path) -> None:
    found = commands(page.read_text(encoding="utf-8"))
    assert {" ".join(words): fault for words in found if (fault := refusal(words))} == {}
    assert broken_links(page) == []


def test_contributing_names_every_folder_and_none_that_is_gone() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name.strip("/") for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)?/)`", text)}
    packages = {f"edge/{path.parent.name}" for path in (ROOT / "edge").glob("*/__init__.py")}
    assert packages - named == set(), "a row is missing"
    below = {"results", "fixtures", "normalize"}  # named within their parents' rows
    assert [name for name in named - below if not (ROOT / name).is_dir()] == []


def test_every_command_is_documented_outside_the_reference() -> None:
    from edge.cli.app import COMMANDS

    used = {words[1] for page in PAGES if page.parent.name != "reference" for words in commands(page.read_text())}
    single_stages = {"fuse", "calibrate", "quantize"}
    assert {verb.__name__ for verb, _, _ in COMMANDS} - used <= single_stages


def test_every_task_shown_is_a_task(tmp_path: Path) -> None:
    blocks = [b for page in PAGES for b in indented_blocks(page.read_text(encoding="utf-8")) if "[task]" in b]
    assert len(blocks) >= 6
    for block in blocks:
        (tmp_path / "task.toml").write_text(block)
        load_task(tmp_path / "task.toml")


def test_the_gate_shown_is_a_gate(tmp_path: Path) -> None:
    (block,) = [b for b in indented_blocks((DOCS / "how-to/gate.md").read_text()) if "[dice]" in b]
    (tmp_path / "our.toml").write_text(block)
    gate = load_gate(str(tmp_path / "our.toml"))
    assert gate is not None and gate.class_retained == 0.995 and gate.dice_drop_bound == 0.005


def test_the_reference_is_the_code_s() -> None:
    made = _script("make_reference")
    again = "python docs/make_reference.py writes it again"
    assert (DOCS / "reference/cli.md").read_text(encoding="utf-8") == made.command_line(), again
    assert (DOCS / "reference/api.md").read_text(encoding="utf-8") == made.python(), again


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("no MkDocs Material here: pip install '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site/reference/cli/index.html").read_text(encoding="utf-8")
    assert 'id="edge-deploy"' in page
    assert not list((tmp_path / "site").rglob("*.py"))


@pytest.mark.slow
def test_a_report_is_photographed(tmp_path: Path) -> None:
    made = _script("make_screenshot")
    if not any(map(shutil.which, made.BROWSERS)):
        pytest.skip("no Chromium here")
    from PIL import Image

    from edge.report.write import write_report
    from tests.fixtures.report_example import example

    write_report(example().report, tmp_path, example().pictures)
    made.photograph(tmp_path / "report.html", tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.size == (made.WIDTH, made.HEIGHT)
        assert len(picture.getcolors() or ()) > 20, "a page was drawn"
