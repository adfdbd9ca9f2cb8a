"""Nothing is claimed to have run where it has not: README against ``benchmarks/results/where_run.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edge.files import read_json, read_toml

ROOT = Path(__file__).parents[1]
PARTS: list[dict[str, Any]] = read_toml(ROOT / "benchmarks" / "results" / "where_run.toml")["parts"]
# "measured on a Jetson", "runs at 3 ms on an RTX 4090": fit to be said only of what has run there.
_CLAIM = re.compile(
    r"\b(?:measured|timed|ran|tested|verified)\s+(?:here\s+)?on\s+(?:an?\s+|the\s+)?"
    r"(?:NVIDIA|GPU|Jetson|RTX|GeForce|Orin|Xavier|Thor|H100|H200|A100|L4|T4)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|never|nothing|no|until|once|whether|has to be|is to be|what)\b", re.IGNORECASE)
_TEXTS = ("README.md", "export/README.md", "models/README.md", "CHANGELOG.md")


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
    claims = []
    for name in _TEXTS:
        for sentence in re.split(r"(?<=[.;:|])\s", (ROOT / name).read_text()):
            if _CLAIM.search(sentence) and not _DENIAL.search(sentence):
                claims.append(f"{name}: {' '.join(sentence.split())[:200]}")
    assert not claims, claims


def test_the_pattern_finds_a_claim() -> None:
    assert _CLAIM.search("latency was measured on a Jetson Orin") and _CLAIM.search("tested on an RTX 4090")
    assert not _CLAIM.search("measured on this CPU")
