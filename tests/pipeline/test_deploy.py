"""The whole pipeline on a small network that really segments, through OpenVINO on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.backends.engine import read_engine
from edge.errors import InputError
from edge.files import sha256_file
from edge.pipeline.deploy import run_deploy
from edge.pipeline.progress import NullProgress
from edge.pipeline.session import Request
from edge.report.store import read_report
from tests.fixtures.discs import SIZE, disc_network, write_discs
from tests.fixtures.same_clock import take_equal_times

pytestmark = pytest.mark.usefixtures("without_plots")

SPLITS = {"train": 6, "val": 4, "test": 22}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("deploy")
    write_discs(root / "discs", SPLITS)
    disc_network().save(root / "discs.onnx")
    return root


@pytest.fixture(scope="module")
def request_(place: Path) -> Request:
    return Request(
        model=str(place / "discs.onnx"),
        data=place / "discs",
        out=place / "run",
        latency_seconds=0.05,
        budget_seconds=2.0,
        precisions=("fp32", "int8"),
        explain=True,
        command="edge deploy discs.onnx",
    )


@pytest.fixture(scope="module")
def run(request_: Request) -> Path:
    return run_deploy(request_, NullProgress())[1]


@pytest.mark.slow
def test_a_run_holds_what_the_readme_names(run: Path) -> None:
    for name in ("report.json", "report.html", "source.onnx", "ranges.json", "plan.json", "reference.npz"):
        assert (run / name).is_file(), name
    report = read_report(run)
    assert report.status == "passed"
    assert {row.name for row in report.engines} == {"fp32", "int8"}
    for row in report.engines:
        assert row.path is not None
        engine = read_engine(run / row.path)
        assert engine.artefact_sha256[engine.artefact] == row.sha256
        inside = row.pixels_to_mask_ms
        assert (inside is not None) == row.gate.passed and row.latency_ms is not None
        if inside is not None:
            assert inside.conditions["proven_on"] == 4 and inside.conditions["timed_region"].startswith("uint8")
            assert row.name in inside.conditions["interleaved_with"]
    assert np.load(run / "reference.npz")["outputs"].shape == (22, 1, SIZE, SIZE)


def test_provenance_names_the_file_that_was_given(run: Path) -> None:
    model = read_report(run).model
    assert model.file_sha256 == sha256_file(Path(model.source))


def test_the_chosen_engine_is_the_fastest_or_wins_a_tie_that_the_report_tells_of(run: Path) -> None:
    report = read_report(run)
    assert {row.name for row in report.engines if row.gate.passed and row.latency_ms} == {"fp32", "int8"}
    ties = [note for note in report.notes if note.startswith("a tie within 1%")]
    if ties:
        assert ties[0].endswith(f"in that order: {report.chosen}")
    else:  # round by round: under load that comes and goes, the least median may be another's
        paired = report.engine("int8").against_fp32
        assert paired is not None and report.chosen == ("int8" if paired.ratio < 1 else "fp32")


def test_every_engine_says_what_it_costs_besides_its_compute(run: Path) -> None:
    for row in read_report(run).engines:
        stages, memory, estimated = row.image_to_mask_ms, row.memory, row.estimated
        assert stages is not None and memory is not None and estimated is not None and row.latency_ms is not None
        assert min(stages.decode, stages.preprocess, stages.compute, stages.postprocess) > 0
        assert (stages.copy_in, stages.copy_out, stages.images) == (None, None, 8)
        assert memory.peak_bytes > memory.added_bytes > 0
        assert estimated.kind == "estimate"
        assert estimated.error == pytest.approx(estimated.ms / row.latency_ms.p50 - 1)
    assert "Estimates, not measurements" in (run / "report.html").read_text()


@pytest.mark.slow
def test_without_explain_only_the_chosen_engine_is_looked_into(request_: Request, tmp_path: Path) -> None:
    report, _ = run_deploy(replace(request_, explain=False, out=tmp_path / "run"), NullProgress())
    looked_into = {row.name for row in report.engines if row.memory is not None}
    assert looked_into == {report.chosen} and len(report.engines) == 2
    assert all(row.latency_ms is not None for row in report.engines), "both pass"


def test_scores_come_from_the_real_engine(run: Path) -> None:
    report = read_report(run)
    assert report.reference.dice > 0.9
    fp32, int8 = report.engine("fp32"), report.engine("int8")
    assert fp32.accuracy and fp32.accuracy.agreement > 0.999 and fp32.accuracy.parity_db > 60
    assert int8.accuracy and int8.accuracy.parity_db > 30
    assert int8.accuracy.sqnr_db < fp32.accuracy.sqnr_db, "quantization leaves a trace"
    assert {layer.precision for layer in int8.layers if layer.op == "Convolution"} == {"int8"}


def test_no_path_of_this_machine_travels_in_an_engine(run: Path, place: Path) -> None:
    for path in run.rglob("*"):
        if path.suffix in (".xml", ".onnx") or path.name == "engine.json":
            assert str(place).encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_the_chosen_engine_is_swept_where_asked(request_: Request, run: Path, tmp_path: Path) -> None:
    assert all(row.throughput == () for row in read_report(run).engines)
    once = replace(request_, out=tmp_path / "run", precisions=("fp32",), sweep=True, threads=1)
    report, folder = run_deploy(once, NullProgress())
    swept = read_report(folder).engine("fp32").throughput
    assert report.chosen == "fp32" and "sweep" in report.timings
    assert [(row.batch, row.streams) for row in swept] == [(b, s) for b in (1, 2, 4) for s in (1, 2)]
    assert all(row.images_per_second or row.note for row in swept)
    with pytest.raises(InputError, match="--sweep: rtx-ada is not this machine"):
        run_deploy(replace(once, target="rtx-ada"), NullProgress())


def test_a_failed_run_keeps_the_earlier_one(request_: Request, run: Path, place: Path, tmp_path: Path) -> None:
    before = (run / "report.json").read_bytes()
    broken = write_discs(tmp_path / "broken", SPLITS, seed=1)
    (broken / "images" / "test03.png").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"test03\.png: does not decode"):
        run_deploy(replace(request_, data=broken), NullProgress())
    assert (run / "report.json").read_bytes() == before
    assert [p.name for p in place.iterdir() if p.name.startswith(".")] == []


def test_a_precision_that_does_not_run_has_a_row_that_says_why(request_: Request, tmp_path: Path) -> None:
    from edge.backends import find_backend
    from edge.targets.target import find_target

    if find_backend("openvino").refusal("fp16", find_target("cpu")) is None:
        pytest.skip("this CPU computes in fp16")
    report, _ = run_deploy(replace(request_, precisions=("fp16",), out=tmp_path / "run"), NullProgress())
    assert (report.status, report.chosen) == ("failed", None)
    assert "FP16" in report.engine("fp16").gate.reasons[0]


@pytest.mark.slow
def test_plain_folders_of_jpeg_images_serve_as_well(request_: Request, tmp_path: Path) -> None:
    root = write_discs(tmp_path / "plain", {"train": 140}, suffix=".jpg")
    (root / "manifest.csv").unlink()
    request = replace(request_, data=root, out=tmp_path / "run", precisions=("fp32",), allow_small=True)
    report, _ = run_deploy(request, NullProgress())
    assert report.data.evaluation.images == 21
    assert report.reference.dice > 0.9


def test_one_picture_in_two_splits_is_refused(request_: Request, tmp_path: Path) -> None:
    root = write_discs(tmp_path / "twice", SPLITS)
    Image.open(root / "images" / "train00.png").save(root / "images" / "test00.png", compress_level=1)
    with pytest.raises(InputError, match=r"test00\.png: the same picture as .*train00\.png"):
        run_deploy(replace(request_, data=root, out=tmp_path / "run"), NullProgress())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["group", "strata"])
def test_a_column_that_the_manifest_lacks_is_refused_before_any_work(option: str, request_: Request) -> None:
    with pytest.raises(InputError, match=f"no column 'ward' for --{option}"):
        run_deploy(replace(request_, **{option: "ward"}), NullProgress())


def test_too_few_images_are_refused_before_any_work(request_: Request, tmp_path: Path) -> None:
    root = write_discs(tmp_path / "few", {"train": 4, "val": 2, "test": 5})
    with pytest.raises(InputError, match="--allow-small"):
        run_deploy(replace(request_, data=root, out=tmp_path / "run"), NullProgress())


def test_a_folder_with_other_things_is_never_replaced(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        run_deploy(replace(request_, out=tmp_path), NullProgress())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_the_report_can_leave_pictures_and_names_out(request_: Request, tmp_path: Path) -> None:
    request = replace(request_, out=tmp_path / "run", precisions=("fp32",), report_images=False)
    run_deploy(request, NullProgress())
    for name in ("report.json", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "test03" not in text and "data:image/png" not in text, name


@pytest.mark.slow
def test_the_same_run_twice_differs_in_time_only(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_equal_times(monkeypatch, tmp_path / "cache")
    request = replace(request_, budget_seconds=3600.0)
    runs = [run_deploy(replace(request, out=tmp_path / name), NullProgress())[1] for name in ("once", "again")]
    first, second = (json.loads((run / "report.json").read_text()) for run in runs)
    for table in (first, second):
        table["engines"].sort(key=lambda row: row["name"])
    assert first["model"] == second["model"] and first["data"] == second["data"]
    assert first["chosen"] == second["chosen"]
    assert (runs[0] / "plan.json").read_bytes() == (runs[1] / "plan.json").read_bytes()
    for ours, theirs in zip(first["engines"], second["engines"], strict=True):
        assert ours["accuracy"] == theirs["accuracy"] and ours["gate"] == theirs["gate"]


def test_overlap_is_seen_beyond_the_calibration_images(request_: Request, tmp_path: Path) -> None:
    root = write_discs(tmp_path / "twice", SPLITS)
    Image.open(root / "images" / "train03.png").save(root / "images" / "test00.png")
    with pytest.raises(InputError, match=r"test00\.png: the same picture as .*train03\.png"):
        run_deploy(replace(request_, data=root, out=tmp_path / "run", calibration_images=2), NullProgress())


def test_a_device_s_run_has_a_row_for_every_precision(request_: Request, tmp_path: Path) -> None:
    request = replace(request_, target="jetson-orin-nano-8gb", precisions=("fp32", "bf16"), out=tmp_path / "run")
    report, run = run_deploy(request, NullProgress())
    assert (report.status, report.chosen) == ("unconfirmed", None)
    fp32, bf16 = report.engine("fp32"), report.engine("bf16")
    assert fp32.simulated and fp32.latency_ms is None and fp32.gate.passed
    assert fp32.estimated is not None and fp32.estimated.ms > 0 and fp32.estimated.error is None
    assert (fp32.image_to_mask_ms, fp32.memory) == (None, None), "nothing of the device was measured"
    assert not bf16.gate.passed and "FP16" in bf16.gate.reasons[0]
    assert (run / "plan.json").is_file()
