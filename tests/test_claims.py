"""Nothing is claimed to have run where it has not: texts, and what a deployment for a device that is not here writes,
against ``benchmarks/results/where_run.toml``."""

from __future__ import annotations

import html
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.pack import pack
from edge.files import read_json, read_toml
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import Request
from edge.report.markdown import markdown
from edge.targets.target import find_target
from tests.fixtures.discs import disc_network, write_discs

ROOT = Path(__file__).parents[1]
PARTS: list[dict[str, Any]] = read_toml(ROOT / "benchmarks" / "results" / "where_run.toml")["parts"]
# "measured on a Jetson", "runs at 3 ms on an RTX 4090": fit to be said only of what has run there.
_CLAIM = re.compile(
    r"\b(?:measured|timed|ran|tested|verified|benchmarked|validated|proven|confirmed)\s+(?:here\s+)?on\s+(?:an?\s+|the\s+)?"
    r"(?:NVIDIA|GPU|Jetson|RTX|GeForce|Orin|Xavier|Thor|H100|H200|A100|L4|T4)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|never|nothing|no|until|once|whether|has to be|is to be|what)\b", re.IGNORECASE)
_FOLDERS = ("docs", "export", "models", "examples", "benchmarks", "docker", "calibration", "supply")
_TEXTS = (*ROOT.glob("*.md"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md")))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part["name"])
def test_each_part_has_its_evidence_or_says_that_it_has_not_run(part: dict[str, Any]) -> None:
    if part["ran"]:
        evidence = ROOT / part["evidence"]
        assert evidence.is_file() and not read_json(evidence).get("rehearsal", False)
        return
    assert "evidence" not in part, "evidence without a run"
    assert part["says"] in (ROOT / "README.md").read_text(), f"README must say of {part['name']}: {part['says']}"
    missing = [name for name in part["proven_by"] if not (ROOT / name).is_file()]
    assert not missing, f"{part['name']}: {missing} is not there"


def test_evidence_of_a_gpu_is_on_the_table() -> None:
    told = {part.get("evidence") for part in PARTS if part["ran"]}
    for path in sorted((ROOT / "benchmarks" / "results").rglob("*.json")):
        table = read_json(path)
        if isinstance(table, dict) and table.get("schema") == "edge.gpu/1":
            assert not table["rehearsal"], f"{path.name}: a rehearsal is no result"
            assert str(path.relative_to(ROOT)) in told, f"{path.name}: name it in where_run.toml"


def test_no_text_claims_a_run_on_a_gpu_or_a_board() -> None:
    if all(part["ran"] for part in PARTS):
        pytest.skip("everything has run")
    assert len(_TEXTS) > 40
    assert not [found for path in _TEXTS for found in _claims(str(path.relative_to(ROOT)), path.read_text())]


def _claims(name: str, text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.;:|])\s", text):
        if _CLAIM.search(sentence) and not _DENIAL.search(sentence):
            yield f"{name}: {' '.join(sentence.split())[:200]}"


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("jetson-orin-nano-8gb", "Bundles on a Jetson"),
        ("rtx-ada", "TensorRT for RTX on an NVIDIA GPU"),
        ("h100", "TensorRT 8.5 to 11 on an NVIDIA GPU"),
    ],
)
@pytest.mark.slow
def test_a_deployment_for_a_device_that_is_not_here_claims_nothing_of_it(
    target: str, part: str, tmp_path: Path
) -> None:
    """Its report as HTML, Markdown and JSON, and the README of its bundle: unknown times stay unknown."""
    if next(row["ran"] for row in PARTS if row["name"] == part):
        pytest.skip(f"{part} has run")
    write_discs(tmp_path / "discs", {"train": 4, "val": 4, "test": 20})
    request = Request(
        model=str(disc_network().save(tmp_path / "discs.onnx")),
        data=tmp_path / "discs",
        target=target,
        precisions=("fp16", "int8"),
        out=tmp_path / "run",
    )
    report, run = run_deploy(request, NullProgress())
    assert report.status == "unconfirmed" and report.chosen is None
    assert all(row.simulated and row.latency_ms is None for row in report.engines)
    archive = pack(run, find_target(target), None, False, tmp_path / "kit.tar.gz", allow_small=True)
    with tarfile.open(archive) as opened:
        members = {one.name.removeprefix("./"): one for one in opened.getmembers()}
        stream = opened.extractfile(members["README.md"])
        assert stream is not None
        readme = stream.read().decode()
    page = html.unescape(re.sub(r"<[^>]+>", " ", (run / "report.html").read_text()))
    written = {"report.html": page, "report.md": markdown(report), "report.json": (run / "report.json").read_text()}
    for name, text in written.items():
        assert "simulated in ONNX Runtime" in text and "latency is measured on the device" in text, name
    assert not [found for name, text in {**written, "README.md": readme}.items() for found in _claims(name, text)]


def test_the_pattern_finds_a_claim() -> None:
    assert _CLAIM.search("latency was measured on a Jetson Orin") and _CLAIM.search("tested on an RTX 4090")
    assert not _CLAIM.search("measured on this CPU")
