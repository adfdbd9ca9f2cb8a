"""Report dataclasses, schema and files on disk."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge.errors import InputError
from edge.report.results import Report
from edge.report.store import faults, read_report, schema
from edge.report.write import write_merged, write_report
from tests.fixtures.report_example import example

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture
def table() -> dict[str, Any]:
    return json.loads(json.dumps(example().report.to_json()))


def test_the_schema_is_a_sound_2020_12_schema():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"].endswith("2020-12/schema")


def test_a_report_survives_the_way_to_disk_and_back(tmp_path: Path):
    write_report(example().report, tmp_path / "run", example().pictures)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["report.html", "report.json", "report.md"]
    assert read_report(tmp_path / "run") == example().report
    assert read_report(tmp_path / "run" / "report.json") == example().report


def test_keys_of_a_later_version_are_ignored(table: dict[str, Any]):
    table["later"] = {"anything": 1}
    table["engines"][0]["accuracy"]["dice"]["later"] = 1
    assert faults(table) == ()
    assert Report.from_json(table) == example().report


def test_a_report_with_the_required_keys_alone_is_read(table: dict[str, Any]):
    for key in ("images", "fusion", "calibration", "notes", "created"):
        del table[key]
    for row in table["engines"]:
        row.pop("latency_quantiles_ms")
        if row["accuracy"]:
            row["accuracy"] = {
                key: row["accuracy"][key]
                for key in ("dice", "iou", "recall", "precision", "agreement", "sqnr_db", "parity_db", "worst")
            }
            for score in ("dice", "iou"):
                row["accuracy"][score] = {
                    key: row["accuracy"][score][key] for key in ("mean", "retained", "difference_ci95")
                }
    assert faults(table) == ()
    report = Report.from_json(table)
    accuracy = report.engine("fp32").accuracy
    assert accuracy is not None
    assert accuracy.strata == () and math.isnan(accuracy.dice.detectable)
    assert report.images is None and report.notes == ()


def delete(*path: Any):
    def edit(table: Any) -> None:
        for key in path[:-1]:
            table = table[key]
        del table[path[-1]]

    return edit


def put(value: Any, *path: Any):
    def edit(table: Any) -> None:
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = value

    return edit


BROKEN = {
    "status": put("great", "status"),
    "reference": delete("reference", "iou"),
    "precision": put("int4", "engines", 0, "precision"),
    "retained": delete("engines", 0, "accuracy", "dice", "retained"),
    "interval": put([0.1], "engines", 0, "accuracy", "iou", "difference_ci95"),
    "p95": delete("engines", 0, "latency_ms", "p95"),
    "timed_region": delete("engines", 0, "latency_ms", "conditions", "timed_region"),
    "reasons": put([], "engines", 2, "gate", "reasons"),
    "path": put("/root/engines/fp32", "engines", 0, "path"),
    "climb": put("../elsewhere", "engines", 0, "path"),
    "chosen": put(None, "chosen"),
    "stranger": put("int4", "chosen"),
    "loser": put("int8", "chosen"),
    "twins": put("bf16", "engines", 0, "name"),
    "hash": put("abc", "data", "evaluation", "sha256"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_schema_fixes_is_enforced(case: str, table: dict[str, Any], tmp_path: Path):
    broken = copy.deepcopy(table)
    BROKEN[case](broken)
    assert len(faults(broken)) >= 1
    (tmp_path / "report.json").write_text(json.dumps(broken))
    with pytest.raises(InputError, match=r"report\.json: is damaged .*; run edge deploy again"):
        read_report(tmp_path)


def test_a_broken_report_is_never_written(tmp_path: Path):
    write_report(example().report, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="chosen"):
        write_report(replace(example().report, chosen="int8"), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "holds no report.json"),
        ("", "not valid JSON"),
        ("[]", "is not of schema"),
        ('{"schema": "edge.report/9"}', "is not of schema"),
    ],
)
def test_bad_files_are_the_user_s_fault(text: str | None, fault: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=fault):
        read_report(tmp_path)


def test_undefined_numbers_become_null(tmp_path: Path):
    row = example().report.engines[0]
    assert row.accuracy is not None
    nan = replace(row, accuracy=replace(row.accuracy, dice=replace(row.accuracy.dice, detectable=math.nan)))
    report = replace(example().report, engines=(nan, *example().report.engines[1:]))
    write_report(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["engines"][0]["accuracy"]["dice"]["detectable"] is None
    accuracy = read_report(tmp_path).engines[0].accuracy
    assert accuracy is not None and math.isnan(accuracy.dice.detectable)


def test_without_images_no_name_is_left(tmp_path: Path):
    write_report(example().report, tmp_path, example().pictures, images=False)
    for file in tmp_path.iterdir():
        assert "nuclei-0" not in file.read_text(), file.name
    worst = read_report(tmp_path).engine("int8").accuracy
    assert worst is not None and worst.worst[0].image.startswith("image ")


def test_a_merged_report_never_replaces_a_run_s_own(tmp_path: Path):
    write_report(example().report, tmp_path)
    before = (tmp_path / "report.json").read_bytes()
    with pytest.raises(InputError, match="choose another --out"):
        write_merged([tmp_path], tmp_path / "report.html")
    assert (tmp_path / "report.json").read_bytes() == before


def test_several_runs_go_into_one_page(tmp_path: Path):
    other = replace(example().report, model=replace(example().report.model, name="unet"))
    write_report(example().report, tmp_path / "a")
    write_report(other, tmp_path / "b")
    write_merged([tmp_path / "a", tmp_path / "b"], tmp_path / "all.html")
    merged = json.loads((tmp_path / "all.json").read_text())
    assert [run["model"]["name"] for run in merged["runs"]] == ["litenext", "unet"]
    for suffix in (".html", ".md"):
        text = (tmp_path / f"all{suffix}").read_text()
        assert "litenext" in text and "unet" in text
