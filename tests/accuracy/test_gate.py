from dataclasses import replace
from pathlib import Path

import pytest

from edge.accuracy.compare import Accuracy, ImageScore, Score, Stratum
from edge.accuracy.gate import Criteria, Gate, judge, load_gate, parity_bar, presets, require_enough
from edge.errors import InputError

PERFECT = Score(0.9, 1.0, 0.0, (0.0, 0.0), 0.0, 0.0, 0.9)
ACCURACY = Accuracy(
    dice=PERFECT,
    iou=PERFECT,
    recall=0.9,
    precision=0.9,
    agreement=1.0,
    sqnr_db=40.0,
    parity_db=70.0,
    worst=(ImageScore("i1", 0.8, 0.85),),
    images=20,
    worst_drop=0.0,
    resampled_by="image",
    units=20,
    strata_column=None,
    strata=(),
    classes=(),
)


def dice(**changes: float) -> Accuracy:
    return replace(ACCURACY, dice=replace(PERFECT, **changes))


def test_presets_are_the_published_ones() -> None:
    assert presets() == ("99", "99.9", "mlperf-3dunet")
    assert load_gate("99.9") == Gate("99.9", 0.999, 0.005, 0.999, 0.05, 0.98)
    assert load_gate("99") == Gate("99", 0.99, 0.01, 0.99, 0.10, 0.95)
    assert load_gate("mlperf-3dunet") == Gate("mlperf-3dunet", dice_retained=0.999)
    assert load_gate("none") is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (dice(retained=0.99899), "Dice retained 0.99899 is below 0.999"),
        (dice(lower_bound=-0.005), "Dice may have dropped by 0.0050"),
        (replace(ACCURACY, iou=replace(PERFECT, retained=0.9985)), "IoU retained 0.99850 is below 0.999"),
        (replace(ACCURACY, worst_drop=0.0501), "image i1 loses 0.0501 Dice, more than 0.05"),
        (replace(ACCURACY, agreement=0.9799), "agreement with the reference's masks 0.97990 is below 0.98"),
    ],
)
def test_each_bar_of_the_default_fails_alone(changed: Accuracy, reason: str) -> None:
    verdict = judge(load_gate("99.9"), changed, "int8")
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(reason)
    assert judge(load_gate("99"), changed, "int8").passed


def test_a_bar_met_exactly_is_met() -> None:
    exact = replace(dice(retained=0.999, lower_bound=-0.00499), agreement=0.98, worst_drop=0.9 - 0.85)
    verdict = judge(load_gate("99.9"), exact, "int8")
    assert verdict.passed, verdict.reasons
    assert verdict.reasons == ()
    assert [check.criterion for check in verdict.checks][:3] == ["finite outputs", "parity_db", "Dice retained"]


@pytest.mark.parametrize(
    ("precision", "rest", "bar"),
    [("fp32", "fp32", 60), ("int8", "fp32", 30), ("bf16", "bf16", 20), ("fp16", "fp16", 20), ("int8", "bf16", 20)],
)
def test_parity_is_asked_under_every_gate_even_none(precision: str, rest: str, bar: float) -> None:
    assert parity_bar(precision, rest) == bar
    for gate in (None, load_gate("99.9")):
        assert judge(gate, replace(ACCURACY, parity_db=bar), precision, rest).passed
        broken = judge(gate, replace(ACCURACY, parity_db=bar - 0.1), precision, rest)
        assert not broken.passed
        assert f"is below {bar} dB: the compiler changed" in broken.reasons[0]


@pytest.mark.parametrize(
    ("precision", "parity", "graph", "second", "source", "passes"),
    [
        ("int8", 28.5, 25.0, None, None, True),  # adds less than half of what quantization lost
        ("int8", 28.5, 27.0, None, None, False),
        ("int8", 28.5, 40.0, 26.0, None, True),  # a second executor is further off
        ("int8", 28.5, 40.0, 33.0, None, False),
        ("int8", 19.0, 5.0, 5.0, None, False),  # nothing excuses a misread dialect
        ("fp32", 59.2, None, 60.0, None, True),
        ("fp32", 39.0, None, 35.0, None, False),
        ("bf16", 19.9, 10.0, 10.0, None, False),
        ("int8", 29.0, 27.5, 200.0, 27.4, True),  # as near to the float source as its graph
        ("int8", 27.0, 27.5, 200.0, 27.4, False),
        ("int8", 29.0, 27.5, 200.0, 26.9, False),
        ("int8", 19.0, 15.0, 200.0, 15.0, False),
    ],
)
def test_the_graphs_own_noise_explains_a_missed_bar_down_to_a_floor(
    precision: str, parity: float, graph: float | None, second: float | None, source: float | None, passes: bool
) -> None:
    found = replace(ACCURACY, parity_db=parity, graph_db=graph, second_db=second, source_db=source)
    assert judge(None, found, precision).passed == passes


def test_a_compiler_is_blamed_only_where_a_second_executor_keeps_the_graph() -> None:
    broken = replace(ACCURACY, parity_db=12.0, graph_db=33.0)
    assert "optimizer keeps it: 75.0 dB" in judge(None, replace(broken, second_db=75.0), "int8").reasons[0]
    told = judge(None, replace(broken, second_db=11.0), "int8").reasons[0]
    assert "compiler changed" not in told and "hang on the order of rounding" in told


def test_a_broken_engine_with_a_higher_dice_is_caught() -> None:
    better = replace(dice(mean=0.92, retained=1.02), parity_db=12.0)
    assert not judge(load_gate("mlperf-3dunet"), better, "int8").passed


def test_outputs_that_are_not_finite_fail_without_parity() -> None:
    verdict = judge(None, replace(ACCURACY, parity_db=None, sqnr_db=-200.0), "fp32")
    assert not verdict.passed
    assert "NaN" in verdict.reasons[0]


def test_a_reference_that_finds_nothing_cannot_be_retained() -> None:
    verdict = judge(load_gate("99"), dice(mean=0.0, difference=0.0, retained=1.0), "fp32")
    assert "reference itself scores Dice 0" in verdict.reasons[0]


def test_few_images_are_refused_unless_allowed() -> None:
    few, gate = replace(ACCURACY, images=19), load_gate("99")
    with pytest.raises(InputError, match=r"19 images are too few for gate 99 .*--allow-small"):
        judge(gate, few, "int8")
    assert judge(gate, few, "int8", allow_small=True).passed
    assert judge(None, few, "int8").passed
    require_enough(gate, 20)
    with pytest.raises(InputError):
        require_enough(gate, 19)


def strata(images: int, retained: float) -> Accuracy:
    rows = (Stratum("common", 50, 0.9, 0.9, 1.0), Stratum("rare", images, 0.8, 0.9, retained))
    return replace(ACCURACY, strata_column="modality", strata=rows)


def test_a_stratum_of_ten_fails_the_gate_and_a_smaller_one_does_not() -> None:
    gate = load_gate("99")
    verdict = judge(gate, strata(10, 0.95), "int8")
    assert verdict.reasons == ("Dice retained where modality is rare (10 images) 0.95000 is below 0.99",)
    assert judge(gate, strata(9, 0.5), "int8").passed


def test_the_strata_bar_may_be_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[dice]\nretained = 0.99\n[strata]\nretained = 0.94\n")
    gate = load_gate(str(path))
    assert gate is not None
    assert gate.name == "mine.toml"
    assert judge(gate, strata(10, 0.95), "int8").passed
    assert not judge(gate, strata(10, 0.93), "int8").passed


def test_drops_may_be_written_with_or_without_minus(tmp_path: Path) -> None:
    for sign in ("", "-"):
        path = tmp_path / "g.toml"
        path.write_text(f"[dice]\ndrop_bound = {sign}0.02\n[image]\nworst_drop = {sign}0.1\n")
        assert load_gate(str(path)) == Gate("g.toml", dice_drop_bound=0.02, worst_drop=0.1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[dice]\nretaned = 0.9\n", r"unknown key \[dice\] retaned"),
        ("[dise]\nretained = 0.9\n", r"unknown key \[dise\] retained"),
        ("dice = 0.9\n", "'dice' is not a table"),
        ("[dice]\nretained = '0.9'\n", "is not a number between 0 and 1"),
        ("[dice]\nretained = true\n", "is not a number between 0 and 1"),
        ("[dice]\nretained = 99.9\n", "is not a number between 0 and 1"),
        ("[dice]\nretained = nan\n", "is not a number between 0 and 1"),
        ("[dice]\nretained = -0.9\n", "must not be negative"),
        ("", "asks for nothing"),
        ("[dice", "not valid TOML"),
    ],
)
def test_a_wrong_gate_file_names_file_and_fault(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"gate\.toml: .*{fault}"):
        load_gate(str(path))


def test_an_unknown_gate_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"--gate 98: unknown; give none, 99, 99\.9, mlperf-3dunet or a FILE\.toml"):
        load_gate("98")
    with pytest.raises(InputError, match="no such file"):
        load_gate("nowhere.toml")


def test_a_gate_of_strata_needs_their_column() -> None:
    gate = Gate("mine.toml", strata_retained=0.999)
    with pytest.raises(InputError, match=r"mine\.toml: asks for \[strata\] retained; name their column with --strata"):
        Criteria(gate)
    assert Criteria(gate, strata="site").strata == "site"


def test_one_patient_bounds_nothing() -> None:
    gate = Gate("mine.toml", dice_drop_bound=0.005)
    verdict = judge(gate, replace(ACCURACY, resampled_by="patient", units=1), "int8")
    assert verdict.reasons == (
        "all 20 images are of one patient, so no bound can be drawn from them; "
        "add others, or resample by another column with --group",
    )
    assert judge(gate, replace(ACCURACY, resampled_by="patient", units=2), "int8").passed


def test_a_bound_of_nothing_passes_what_is_equal() -> None:
    gate = Gate("mine.toml", dice_drop_bound=0.0)
    assert judge(gate, ACCURACY, "int8").passed
    assert not judge(gate, dice(lower_bound=-1e-9), "int8").passed


def test_a_gate_of_strata_fails_images_that_have_none() -> None:
    reasons = judge(Gate("mine", strata_retained=0.99), ACCURACY, "int8").reasons
    assert [reason[:23] for reason in reasons] == ["the gate asks for strata"[:23]]
